"""Typed values that travel by reference: a tensor for a Python without numpy and torch, and a picture.

They hold no logic of the protocol; `two.decode` makes them and `two.encode` takes them apart.
"""

from typing import Any, NamedTuple, Optional, Sequence, Tuple, Union

Data = Union[bytes, bytearray, memoryview]


class DType(NamedTuple):
    """An element type: its name as numpy and torch spell it, its bytes, its `struct` letter where it has one."""

    name: str
    size: int
    letter: Optional[str]


# The place in this list is the number in the protocol.
DTYPES: Tuple[DType, ...] = (
    DType("bool", 1, "?"),
    DType("uint8", 1, "B"),
    DType("int8", 1, "b"),
    DType("int16", 2, "h"),
    DType("int32", 4, "i"),
    DType("int64", 8, "q"),
    DType("float16", 2, "e"),
    DType("bfloat16", 2, None),
    DType("float32", 4, "f"),
    DType("float64", 8, "d"),
)
_BY_NAME = {dtype.name: number for number, dtype in enumerate(DTYPES)}


def dtype_number(name: str) -> int:
    """The number of the type of that name. Raises ValueError."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise ValueError("element type %r is none of %s" % (name, ", ".join(_BY_NAME)))


def elements(shape: Sequence[int]) -> int:
    """How many elements a shape has."""
    count = 1
    for size in shape:
        count *= size
    return count


class Tensor:
    """A dense tensor in row-major order: `dtype` by name, `shape`, and `data`, a flat view of its bytes.

    Handlers get it where neither numpy nor torch is there, and may return it in any case.
    """

    def __init__(self, dtype: str, shape: Sequence[int], data: Data):
        number = dtype_number(dtype)
        self.dtype = dtype
        self.shape = tuple(int(size) for size in shape)
        self.data = memoryview(data).cast("B")
        expected = elements(self.shape) * DTYPES[number].size
        if any(size < 0 for size in self.shape) or expected != self.data.nbytes:
            raise ValueError(
                "shape %s of %s needs %d bytes, found %d" % (list(self.shape), dtype, expected, self.data.nbytes)
            )

    def view(self) -> memoryview:
        """The elements, as a memoryview with this type and shape. bfloat16 has none, and raises TypeError."""
        letter = DTYPES[dtype_number(self.dtype)].letter
        if letter is None:
            raise TypeError("Python has no view of %s" % self.dtype)
        if not self.shape or 0 in self.shape:
            return self.data.cast(letter)
        return self.data.cast(letter, self.shape)

    def __repr__(self) -> str:
        return "Tensor(%s, %s)" % (self.dtype, list(self.shape))


class Image:
    """A picture: `file` as it was encoded, `pixels` as height x width x 3 samples of uint8, red first, or both.

    `pixels` is a numpy array, a torch tensor or a `Tensor`, by the rule for tensors.
    """

    def __init__(self, file: Optional[Data] = None, pixels: Any = None):
        if file is None and pixels is None:
            raise ValueError("a picture needs a file or pixels")
        self.file = file
        self.pixels = pixels

    def pil(self):
        """The picture for Pillow, decoded if nobody has decoded it yet."""
        import io

        import PIL.Image

        if self.pixels is None:
            return PIL.Image.open(io.BytesIO(self.file))
        height, width = (int(size) for size in self.pixels.shape[:2])
        samples = self.pixels
        if isinstance(samples, Tensor):
            samples = samples.data
        elif hasattr(samples, "numpy"):
            samples = samples.cpu().contiguous().numpy()
        return PIL.Image.frombytes("RGB", (width, height), bytes(memoryview(samples).cast("B")))

    def __repr__(self) -> str:
        parts = []
        if self.file is not None:
            parts.append("file of %d bytes" % len(self.file))
        if self.pixels is not None:
            parts.append("pixels %s" % (list(self.pixels.shape),))
        return "Image(%s)" % ", ".join(parts)
