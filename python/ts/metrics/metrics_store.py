"""Samples collected for later, as handlers of old did. New handlers use `context.metrics`."""

from typing import Dict, List, Optional

from .dimension import Dimension
from .metric import Metric


class MetricsStore:
    """Samples in `store`, for `ts.service.emit_metrics`. One that has the same name and dimensions is updated."""

    def __init__(self, request_ids: Dict[int, str], model_name: str):
        self.store: List[Metric] = []
        self.request_ids = request_ids
        self.model_name = model_name
        self.cache: Dict[str, Metric] = {}

    def add_counter(self, name, value, idx: Optional[int] = None, dimensions=None) -> None:
        self._add(name, value, self._get_req(idx), "count", "counter", dimensions)

    def add_time(self, name, value, idx: Optional[int] = None, unit="ms", dimensions=None) -> None:
        self._check_unit(unit, ("ms", "s"))
        self._add(name, value, self._get_req(idx), unit, None, dimensions)

    def add_size(self, name, value, idx: Optional[int] = None, unit="MB", dimensions=None) -> None:
        self._check_unit(unit, ("MB", "kB", "GB", "B"))
        self._add(name, value, self._get_req(idx), unit, None, dimensions)

    def add_percent(self, name, value, idx: Optional[int] = None, dimensions=None) -> None:
        self._add(name, value, self._get_req(idx), "percent", None, dimensions)

    def add_error(self, name, value, dimensions=None) -> None:
        self._add(name, value, None, "", None, dimensions)

    def add_metric(self, name, value, unit, idx: Optional[int] = None, dimensions=None) -> None:
        self._add(name, value, self._get_req(idx), unit, None, dimensions)

    def _add(self, name, value, request_id, unit, method, dimensions) -> None:
        level = "Error" if request_id is None else "Model"
        given = list(dimensions or [])
        if request_id is not None:
            given.append(Dimension("ModelName", self.model_name))
        given.append(Dimension("Level", level))
        key = "-".join([name, unit, str(request_id)] + [str(dimension) for dimension in given])
        if key in self.cache:
            found = self.cache[key]
            found.value = found.value + value if method == "counter" else value
            return
        metric = Metric(name, value, unit, given, request_id, method)
        self.store.append(metric)
        self.cache[key] = metric

    def _get_req(self, idx: Optional[int]) -> str:
        if idx is not None and idx in (self.request_ids or {}):
            return self.request_ids[idx]
        return ",".join((self.request_ids or {}).values())

    @staticmethod
    def _check_unit(unit, known) -> None:
        if unit not in known:
            raise ValueError("unit %r is none of %s" % (unit, ", ".join(known)))
