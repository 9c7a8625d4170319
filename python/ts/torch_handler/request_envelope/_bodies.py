"""The JSON bodies that envelopes read."""

import json
from typing import Any

from ts.torch_handler._rows import payload


def body(row: dict) -> Any:
    """`data`, else `body`, of a row as JSON. Raises ValueError where it is none."""
    value = payload(row)
    return json.loads(value) if isinstance(value, (bytes, bytearray, str)) else value
