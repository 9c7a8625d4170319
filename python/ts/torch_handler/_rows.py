"""The part of a row that default handlers and envelopes work on."""

from typing import Any


def payload(row: dict) -> Any:
    """`data`, or `body` where that is absent or empty. A tensor, which has no truth, is never empty."""
    value = row.get("data")
    empty = value is None or (isinstance(value, (str, bytes, bytearray, list, dict)) and not value)
    return row.get("body") if empty else value
