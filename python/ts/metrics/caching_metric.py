"""A metric that records a value by printing it; the daemon reads the line and keeps the sums."""

import logging
import socket
import time
from typing import List, Optional

from torchrelay_worker import log

from .metric_abstract import MetricAbstract
from .metric_type_enum import MetricTypes

logger = logging.getLogger(__name__)

_HOST = socket.gethostname()


class CachingMetric(MetricAbstract):
    """Keeps no value itself: two workers of a model would each have a part of it."""

    def add_or_update(self, value, dimension_values: list = [], request_id: str = "") -> None:
        """Records a value under values for the names of its dimensions, in their order.

        What does not fit (another number of values, a counter below zero) is logged and dropped: a metric must not
        cost a prediction. A value that is no number raises TypeError.
        """
        if len(dimension_values) != len(self.dimension_names):
            logger.error(
                "Metric %s dropped: values %s for dimensions %s",
                self.metric_name,
                dimension_values,
                self.dimension_names,
            )
            return
        self._record(value, request_id, zip(self.dimension_names, dimension_values))

    def update(self, value, request_id: str = "", dimensions: list = []) -> None:
        """Records a value under dimensions of this one sample, which take the place of the metric's own."""
        self._record(value, request_id, [(dimension.name, dimension.value) for dimension in dimensions])

    def emit_metrics(self, request_id: str, value, dimension_string: str) -> None:
        log.line(line(self.metric_name, self.unit, value, dimension_string, self.metric_type, request_id))

    def _record(self, value, request_id: str, dimensions) -> None:
        negative = value < 0  # of any type: what cannot be compared with a number raises here
        if negative and self.metric_type is MetricTypes.COUNTER:
            logger.error("Metric %s dropped: a counter cannot grow by %s", self.metric_name, value)
            return
        self.emit_metrics(request_id, value, ",".join("%s:%s" % pair for pair in dimensions))


def line(name: str, unit: str, value, dimensions: str, metric_type: Optional[MetricTypes], request_id: str) -> str:
    """The line that the daemon reads."""
    kind = "" if metric_type is None else "|#type:%s" % metric_type.name
    end: List[str] = [_HOST, str(int(time.time()))]
    if request_id:
        end.append(str(request_id))
    return "[METRICS]%s.%s:%s|#%s%s|#hostname:%s" % (name, unit, value, dimensions, kind, ",".join(end))
