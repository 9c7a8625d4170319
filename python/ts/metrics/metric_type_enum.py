"""The three types of metrics."""

import enum


class MetricTypes(enum.Enum):
    """What becomes of values: summed, replaced, or counted by their size."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
