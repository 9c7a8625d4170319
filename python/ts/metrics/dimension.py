"""A dimension of a metric: a name and the value that this sample has."""

from typing import Any, Dict


class Dimension:
    """`name:value` in a line of metrics."""

    def __init__(self, name, value):
        self.name = name
        self.value = value

    def __str__(self):
        return "%s:%s" % (self.name, self.value)

    def to_dict(self) -> Dict[str, Any]:
        return {"Name": self.name, "Value": self.value}
