"""The JSON bodies that envelopes read."""

import json
from typing import Any


def body(row: dict) -> Any:
    """`data`, else `body`, of a row as JSON. Raises ValueError where it is none."""
    value = row.get("data") or row.get("body")
    return json.loads(value) if isinstance(value, (bytes, bytearray, str)) else value
