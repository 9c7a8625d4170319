"""`context.metrics`: the metrics of one model, and the short ways to record a value. Where they are kept is its child's affair."""

import abc
from typing import Any, Dict, List, Optional, Union

from .dimension import Dimension
from .metric_abstract import MetricAbstract
from .metric_cache_errors import MetricsCacheKeyError, MetricsCacheTypeError, MetricsCacheValueError
from .metric_type_enum import MetricTypes


class MetricCacheAbstract(abc.ABC):
    """Of every `add_…`: without `idx` the value counts for all requests of the batch; `dimensions` is a list of
    `Dimension`, to which the model and the level are added."""

    def __init__(self, config_file_path: Optional[str]):
        self.config_file_path = config_file_path
        self.cache: Dict[MetricTypes, Dict[str, MetricAbstract]] = {kind: {} for kind in MetricTypes}
        self.model_name: Optional[str] = None
        self.request_ids: Union[Dict[int, str], str, None] = None

    @abc.abstractmethod
    def initialize_cache(self) -> None:
        """Fills the cache from the configuration."""

    @abc.abstractmethod
    def add_metric_to_cache(
        self,
        metric_name: str,
        unit: str,
        dimension_names: List[str] = [],
        metric_type: MetricTypes = MetricTypes.COUNTER,
    ) -> MetricAbstract:
        """A new metric, in place of one of the same name and type."""

    def get_metric(self, metric_name: str, metric_type: MetricTypes = MetricTypes.COUNTER) -> MetricAbstract:
        """The metric of that name and type. Raises MetricsCacheKeyError."""
        self._check_type(metric_name, str, "metric_name", "a str")
        self._check_type(metric_type, MetricTypes, "metric_type", "one of MetricTypes")
        try:
            return self.cache[metric_type][metric_name]
        except KeyError:
            raise MetricsCacheKeyError("there is no %s of the name %s" % (metric_type.value, metric_name)) from None

    def set_request_ids(self, request_ids: Union[Dict[int, str], str]) -> None:
        """Called by the worker for each batch."""
        self.request_ids = request_ids

    def add_metric(
        self,
        name: str,
        value: Any,
        unit: str,
        idx: Optional[int] = None,
        dimensions: Optional[List[Dimension]] = None,
        metric_type: MetricTypes = MetricTypes.COUNTER,
    ) -> None:
        """Records a value of any metric, which is made if it is new."""
        self._record(name, value, unit, metric_type, self._with_model(dimensions), self._request(idx))

    def add_counter(
        self, name: str, value: int, idx: Optional[int] = None, dimensions: Optional[List[Dimension]] = None
    ) -> None:
        self.add_metric(name, value, "count", idx, dimensions, MetricTypes.COUNTER)

    def add_time(
        self,
        name: str,
        value: float,
        idx: Optional[int] = None,
        unit: str = "ms",
        dimensions: Optional[List[Dimension]] = None,
        metric_type: MetricTypes = MetricTypes.GAUGE,
    ) -> None:
        """Unit `ms` or `s`; MetricsCacheValueError for any other."""
        self._check_unit(unit, ("ms", "s"), "time")
        self.add_metric(name, value, unit, idx, dimensions, metric_type)

    def add_size(
        self,
        name: str,
        value: float,
        idx: Optional[int] = None,
        unit: str = "MB",
        dimensions: Optional[List[Dimension]] = None,
        metric_type: MetricTypes = MetricTypes.GAUGE,
    ) -> None:
        """Unit `MB`, `kB`, `GB` or `B`; MetricsCacheValueError for any other."""
        self._check_unit(unit, ("MB", "kB", "GB", "B"), "size")
        self.add_metric(name, value, unit, idx, dimensions, metric_type)

    def add_percent(
        self,
        name: str,
        value: float,
        idx: Optional[int] = None,
        dimensions: Optional[List[Dimension]] = None,
        metric_type: MetricTypes = MetricTypes.GAUGE,
    ) -> None:
        self.add_metric(name, value, "percent", idx, dimensions, metric_type)

    def add_error(self, name: str, value: int, dimensions: Optional[List[Dimension]] = None) -> None:
        """Counts an error; it belongs to no request."""
        given = list(dimensions or []) + [Dimension("Level", "Error")]
        self._record(name, value, "", MetricTypes.COUNTER, given, "")

    def _record(self, name, value, unit, metric_type, dimensions: List[Dimension], request_id: str) -> None:
        self._check_type(name, str, "metric_name", "a str")
        metric = self.cache.get(metric_type, {}).get(name)
        if metric is None:
            names = [dimension.name for dimension in dimensions]
            metric = self.add_metric_to_cache(name, unit, names, metric_type)
        metric.add_or_update(value, [dimension.value for dimension in dimensions], request_id)

    def _with_model(self, dimensions: Optional[List[Dimension]]) -> List[Dimension]:
        return list(dimensions or []) + [Dimension("ModelName", self.model_name), Dimension("Level", "Model")]

    def _request(self, idx: Optional[int]) -> str:
        """The id of the request at that index; of all, where there is none at it."""
        if not isinstance(self.request_ids, dict):
            return self.request_ids or ""
        if idx in self.request_ids:
            return self.request_ids[idx]
        return ",".join(self.request_ids.values())

    @staticmethod
    def _check_type(value: Any, expected: type, name: str, words: str) -> None:
        if not isinstance(value, expected):
            raise MetricsCacheTypeError("%s must be %s, found a %s" % (name, words, type(value).__name__))

    @staticmethod
    def _check_unit(unit: str, known, kind: str) -> None:
        if unit not in known:
            raise MetricsCacheValueError("the unit of a %s is one of %s, found %r" % (kind, ", ".join(known), unit))
