"""Tensors between the protocol's bytes and what handlers compute with. Nothing is copied that need not be.

Which kind handlers get is settled once, when the model has loaded: torch tensors, if torch has been imported by then;
else numpy arrays, if numpy can be imported; else `Tensor`. So a handler gets what it works with, and none pays for an
import that it does not use.
"""

import ctypes
import importlib.util
import sys
from typing import Any, Callable, Tuple

from ..values import DTYPES, Tensor, dtype_number, elements

Bytes = Callable[[bool], memoryview]  # a tensor's bytes; writable ones, if asked


def kind() -> str:
    """`torch`, `numpy` or `plain`."""
    if getattr(sys.modules.get("torch"), "frombuffer", None) is not None:
        return "torch"
    if "numpy" in sys.modules:
        return "numpy" if sys.modules["numpy"] is not None else "plain"
    return "numpy" if importlib.util.find_spec("numpy") is not None else "plain"


def make(wanted: str, number: int, shape: Tuple[int, ...], data: Bytes) -> Any:
    """A tensor of the wanted kind over `data`. bfloat16, which numpy has not, comes as `Tensor` there.

    numpy arrays and `Tensor`s of received memory cannot be written to. torch knows no such tensors, so its own may be:
    they are the handler's own copy as soon as it writes.
    """
    name = DTYPES[number].name
    if wanted == "torch":
        torch = sys.modules["torch"]
        if elements(shape) == 0:
            return torch.empty(shape, dtype=getattr(torch, name))
        return torch.frombuffer(data(True), dtype=getattr(torch, name)).reshape(shape)
    if wanted == "numpy" and DTYPES[number].letter is not None:
        import numpy

        if elements(shape) == 0:
            return numpy.empty(shape, dtype=name)
        return numpy.frombuffer(data(False), dtype=name).reshape(shape)
    return Tensor(name, shape, data(False))


def is_tensor(value: Any) -> bool:
    """Whether `take_apart` knows it."""
    if isinstance(value, Tensor):
        return True
    for module, name in (("torch", "Tensor"), ("numpy", "ndarray")):
        found = getattr(sys.modules.get(module), name, None)
        if found is not None and isinstance(value, found):
            return True
    return False


def take_apart(value: Any) -> Tuple[int, Tuple[int, ...], memoryview]:
    """Number of the type, shape and bytes in row-major order. Raises ValueError for a type that cannot travel."""
    if isinstance(value, Tensor):
        return dtype_number(value.dtype), value.shape, value.data
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu().contiguous()
        number = dtype_number(str(value.dtype).replace("torch.", ""))
        return number, tuple(value.shape), _torch_bytes(value)
    numpy = sys.modules["numpy"]
    if not value.dtype.isnative:
        value = value.astype(value.dtype.newbyteorder("="))
    number = dtype_number(value.dtype.name)
    flat = numpy.ascontiguousarray(value).reshape(-1)
    return number, tuple(value.shape), memoryview(flat.view("uint8"))


def _torch_bytes(tensor: Any) -> memoryview:
    size = tensor.numel() * tensor.element_size()
    if size == 0:
        return memoryview(b"")
    # By its address, because torch may have been built without numpy. The array keeps the tensor alive.
    data = (ctypes.c_ubyte * size).from_address(tensor.data_ptr())
    data.tensor = tensor
    return memoryview(data).cast("B")
