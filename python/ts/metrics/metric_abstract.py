"""What every metric is and can."""

import abc
from typing import List, Optional

from .metric_type_enum import MetricTypes
from .unit import long_name


class MetricAbstract(abc.ABC):
    """Name, unit, names of dimensions and type."""

    def __init__(
        self,
        metric_name: str,
        unit: str,
        dimension_names: Optional[List[str]] = None,
        metric_type: MetricTypes = MetricTypes.COUNTER,
    ):
        self.metric_name = metric_name
        self.unit = long_name(unit)
        self.dimension_names = [] if dimension_names is None else dimension_names
        self.metric_type = metric_type

    @abc.abstractmethod
    def add_or_update(self, value, dimension_values: list, request_id: str = "") -> None:
        """Records a value."""
