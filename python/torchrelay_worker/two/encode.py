"""From a worker's answer to the body of a frame, and the memory that goes with it."""

import json
import math
import struct
import sys
from typing import Any, Optional, Tuple

from .. import output
from ..messages import Answer, Unserialisable
from ..values import DTYPES, Image
from . import arrays, kinds
from .limits import BODY, DEPTH, INLINE, INLINE_TOTAL, PARTS, RANK, REQUESTS, VALUES
from .memory import Arena


def encode(answer: Answer, typed: bool) -> Tuple[bytes, Optional[int]]:
    """A body, and the descriptor of its memory, if it needs one, which the caller closes. Raises Unserialisable."""
    encoder = Encoder(typed)
    encoder.answer(answer)
    return encoder.finish()


class Encoder:
    """One body in the making. With `typed`, values travel as what they are; without, as bodies of HTTP answers."""

    def __init__(self, typed: bool):
        self._typed = typed
        self._body = bytearray()
        self._arena = Arena()
        self._inline = 0
        self._values = 0

    def finish(self) -> Tuple[bytes, Optional[int]]:
        table = struct.pack(">Q", self._arena.size) if self._arena.size else b""
        body = table + bytes(self._body)
        if len(body) > BODY:
            raise Unserialisable("it takes %d bytes besides its memory, at most %d are allowed" % (len(body), BODY))
        return body, self._arena.seal() if self._arena.size else None

    def answer(self, answer: Answer) -> None:
        predictions = [] if answer.failed else answer.predictions
        self._body += struct.pack(">i", answer.code)
        self._text(answer.message)
        self._count(len(predictions), REQUESTS, "answers")
        for prediction in predictions:
            self._text(prediction.id)
            self._text(prediction.content_type)
            self._body += struct.pack(">i", prediction.status)
            self._text(prediction.phrase)
            self._count(len(prediction.headers), PARTS, "headers")
            for name, value in prediction.headers.items():
                self._text(name)
                self._text(value)
            if self._typed:
                try:
                    self._value(prediction.value, 0)
                except (TypeError, ValueError, OverflowError, RecursionError) as error:
                    raise Unserialisable("%s: %s" % (type(error).__name__, error)) from error
            else:
                data = output.to_bytes(prediction.value)
                self._leaf(kinds.BYTES, memoryview(data).cast("B"))

    def _value(self, value: Any, depth: int) -> None:
        if depth > DEPTH:
            raise ValueError("lists and maps are nested more than %d deep" % DEPTH)
        if isinstance(value, (bytes, bytearray, memoryview)):
            self._leaf(kinds.BYTES, memoryview(value).cast("B"))
        elif isinstance(value, str):
            self._leaf(kinds.TEXT, memoryview(value.encode("utf-8")))
        elif isinstance(value, Image):
            self._image(value)
        elif _is_pil(value):
            self._image(_from_pil(value))
        elif arrays.is_tensor(value):
            self._begin(kinds.TENSOR)
            self._tensor(value)
        elif isinstance(value, float) and not math.isfinite(value):
            self._begin(kinds.FLOAT)
            self._body += struct.pack(">d", value)
        else:
            self._structure(_plain_number(value), depth)

    def _structure(self, value: Any, depth: int) -> None:
        """JSON as one text where JSON can say it; else lists and maps, member by member."""
        try:
            text = json.dumps(value, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError):
            if isinstance(value, (list, tuple)):
                self._begin(kinds.LIST)
                self._count(len(value), VALUES, "members of a list")
                for member in value:
                    self._value(member, depth + 1)
            elif isinstance(value, dict):
                self._begin(kinds.MAP)
                self._count(len(value), VALUES, "members of a map")
                for key, member in value.items():
                    if not isinstance(key, (str, int, float, bool)):
                        raise TypeError("a key is a %s, expected a text" % type(key).__name__)
                    self._text(key if isinstance(key, str) else json.dumps(key))
                    self._value(member, depth + 1)
            else:
                raise
        else:
            self._leaf(kinds.JSON, memoryview(text.encode("utf-8")))

    def _image(self, image: Image) -> None:
        self._begin(kinds.IMAGE)
        self._body.append((1 if image.file is not None else 0) | (2 if image.pixels is not None else 0))
        if image.file is not None:
            self._blob(memoryview(image.file).cast("B"))
        if image.pixels is not None:
            number, shape, data = arrays.take_apart(image.pixels)
            if DTYPES[number].name != "uint8" or len(shape) != 3 or shape[2] != 3 or 0 in shape:
                raise ValueError(
                    "pixels are %s %s, expected uint8 [height, width, 3]" % (DTYPES[number].name, list(shape))
                )
            self._body += struct.pack(">II", shape[0], shape[1])
            self._blob(data)

    def _tensor(self, value: Any) -> None:
        number, shape, data = arrays.take_apart(value)
        if len(shape) > RANK:
            raise ValueError("a tensor has %d dimensions, at most %d are allowed" % (len(shape), RANK))
        self._body += struct.pack(">BB%dQ" % len(shape), number, len(shape), *shape)
        self._blob(data)

    def _leaf(self, kind: int, data: memoryview) -> None:
        self._begin(kind)
        self._blob(data)

    def _begin(self, kind: int) -> None:
        self._values += 1
        if self._values > VALUES:
            raise Unserialisable("it has more than %d values" % VALUES)
        self._body.append(kind)

    def _blob(self, data: memoryview) -> None:
        size = data.nbytes
        if size == 0 or (size <= INLINE and self._inline + size <= INLINE_TOTAL):
            self._inline += size
            self._body += struct.pack(">BI", kinds.INLINE, size)
            self._body += data
        else:
            self._body += struct.pack(">BHQQ", kinds.MEMORY, 0, self._arena.add(data), size)

    def _text(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        self._body += struct.pack(">I", len(data))
        self._body += data

    def _count(self, count: int, limit: int, what: str) -> None:
        if count > limit:
            raise Unserialisable("it has %d %s, at most %d are allowed" % (count, what, limit))
        self._body += struct.pack(">I", count)


def _plain_number(value: Any) -> Any:
    """A numpy scalar as Python's own number."""
    numpy = sys.modules.get("numpy")
    generic = getattr(numpy, "generic", None)
    return value.item() if generic is not None and isinstance(value, generic) else value


def _is_pil(value: Any) -> bool:
    image = getattr(sys.modules.get("PIL.Image"), "Image", None)
    return image is not None and isinstance(value, image)


def _from_pil(picture: Any) -> Image:
    from ..values import Tensor

    picture = picture.convert("RGB")
    return Image(pixels=Tensor("uint8", (picture.height, picture.width, 3), picture.tobytes()))
