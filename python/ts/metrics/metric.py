"""A single sample, as handlers of old made them."""

import socket
import time
from collections import OrderedDict

from torchrelay_worker import log

from .unit import long_name


class Metric:
    """Name, value, unit and dimensions; printed by `ts.service.emit_metrics`, or at once by `update`."""

    def __init__(self, name, value, unit, dimensions, request_id=None, metric_method=None):
        self.name = name
        self.unit = long_name(unit)
        self.metric_method = metric_method
        self.value = value
        self.dimensions = dimensions
        self.request_id = request_id

    def update(self, value) -> None:
        """A counter grows by the value, anything else takes it."""
        self.value = self.value + value if self.metric_method == "counter" else value
        log.line("[METRICS]%s" % self)

    def reset(self) -> None:
        self.value = 0

    def __str__(self):
        dimensions = ",".join(str(dimension) for dimension in self.dimensions)
        end = "%s,%d" % (socket.gethostname(), int(time.time()))
        if self.request_id:
            end += ",%s" % self.request_id
        return "%s.%s:%s|#%s|#hostname:%s" % (self.name, self.unit, self.value, dimensions, end)

    def to_dict(self) -> "OrderedDict":
        return OrderedDict(
            MetricName=self.name,
            Value=self.value,
            Unit=self.unit,
            Dimensions=self.dimensions,
            Timestamp=int(time.time()),
            HostName=socket.gethostname(),
            RequestId=self.request_id,
        )
