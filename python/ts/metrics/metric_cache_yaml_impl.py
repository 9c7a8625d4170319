"""The metrics of a model as the server's `metrics.yaml` lists them."""

import logging
from typing import Any, Dict, List

from torchrelay_worker import yaml_text

from .caching_metric import CachingMetric
from .metric_cache_abstract import MetricCacheAbstract
from .metric_cache_errors import MetricsCacheIOError, MetricsCachePyYamlError, MetricsCacheTypeError
from .metric_type_enum import MetricTypes

logger = logging.getLogger(__name__)


class MetricsCacheYamlImpl(MetricCacheAbstract):
    """Reads the section `model_metrics`; what handlers record beside it is added as it comes."""

    def initialize_cache(self) -> None:
        """Raises MetricsCacheIOError and MetricsCachePyYamlError for the file; an entry that is wrong is left out, aloud."""
        for kind, entries in self._section().items():
            try:
                metric_type = MetricTypes(kind)
            except ValueError:
                logger.error("%s: model_metrics has no type %s", self.config_file_path, kind)
                continue
            for entry in entries or []:
                try:
                    self.add_metric_to_cache(entry["name"], entry["unit"], entry["dimensions"], metric_type)
                except (KeyError, TypeError) as error:
                    logger.error("%s: the %s %s is left out: %s", self.config_file_path, kind, entry, error)

    def add_metric_to_cache(
        self,
        metric_name: str,
        unit: str,
        dimension_names: List[str] = [],
        metric_type: MetricTypes = MetricTypes.COUNTER,
    ) -> CachingMetric:
        """A new metric. Raises MetricsCacheTypeError."""
        self._check_type(metric_name, str, "metric_name", "a str")
        if unit is not None:
            self._check_type(unit, str, "unit", "a str")
        self._check_type(dimension_names, list, "dimension_names", "a list")
        self._check_type(metric_type, MetricTypes, "metric_type", "one of MetricTypes")
        if metric_name in self.cache[metric_type]:
            logger.info("The %s %s takes the place of another", metric_type.value, metric_name)
        metric = CachingMetric(metric_name, unit, dimension_names, metric_type)
        self.cache[metric_type][metric_name] = metric
        return metric

    def cache_keys(self) -> List[str]:
        """`type:name` of every metric."""
        return ["%s:%s" % (kind.value, name) for kind, metrics in self.cache.items() for name in metrics]

    def _section(self) -> Dict[str, Any]:
        if self.config_file_path is None:
            return {}
        try:
            with open(self.config_file_path, encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise MetricsCacheIOError("metrics configuration %s: %s" % (self.config_file_path, error)) from error
        try:
            parsed = yaml_text.load(text, self.config_file_path)
        except ValueError as error:
            raise MetricsCachePyYamlError(str(error)) from error
        section = (parsed or {}).get("model_metrics") if isinstance(parsed, dict) or parsed is None else None
        if section is not None and not isinstance(section, dict):
            raise MetricsCacheTypeError("%s: model_metrics must be a mapping" % self.config_file_path)
        return section or {}
