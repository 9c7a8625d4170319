"""The names under which some handlers' tests know a loaded model. The worker's own is `torchrelay_worker.service`."""

from typing import Any

from torchrelay_worker import log
from torchrelay_worker.service import Service

__all__ = ["PREDICTION_METRIC", "Service", "emit_metrics"]

PREDICTION_METRIC = "PredictionTime"


def emit_metrics(metrics: Any) -> None:
    """Prints metrics of the old kind, `ts.metrics.metric.Metric`."""
    for metric in metrics or []:
        log.line("[METRICS]%s" % metric)
