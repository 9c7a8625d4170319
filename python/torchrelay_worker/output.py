"""A handler's answer as the body of an HTTP response, by its type. Protocol one sends nothing else."""

import io
import json
import sys
from typing import Any, Union

from .messages import Unserialisable
from .values import Image


def to_bytes(value: Any) -> Union[bytes, bytearray, memoryview]:
    """Bytes as they are, text as UTF-8, a torch tensor as `torch.save` writes it, all else as JSON with indentation.

    Raises Unserialisable.
    """
    if isinstance(value, (bytes, bytearray)):
        return value
    if isinstance(value, Image) and value.file is not None:
        return value.file
    try:
        if isinstance(value, str):
            return value.encode("utf-8")
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor):
            buffer = io.BytesIO()
            torch.save(value, buffer)
            return buffer.getvalue()
        return json.dumps(value, indent=2).encode("utf-8")
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise Unserialisable("%s: %s" % (type(error).__name__, error)) from error
