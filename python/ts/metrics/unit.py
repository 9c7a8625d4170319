"""Units by their short names."""

from typing import Dict, Optional

UNITS: Dict[Optional[str], str] = {
    "ms": "Milliseconds",
    "s": "Seconds",
    "percent": "Percent",
    "count": "Count",
    "MB": "Megabytes",
    "GB": "Gigabytes",
    "kB": "Kilobytes",
    "B": "Bytes",
    "": "unit",
    None: "unit",
}


class Units:
    """The table as an object, which is how handlers know it."""

    def __init__(self):
        self.units = dict(UNITS)


def long_name(unit: Optional[str]) -> str:
    """The long name of a unit; an unknown unit's is its own."""
    return UNITS.get(unit, unit)
