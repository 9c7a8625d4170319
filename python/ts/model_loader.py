"""Loading a model without a daemon, as some tools and tests of handlers do."""

from typing import Any, Optional

from torchrelay_worker import loading
from torchrelay_worker.messages import Load
from torchrelay_worker.service import Service

from .metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl


class TsModelLoader:
    """Loads a model from its folder."""

    def load(
        self,
        model_name: str,
        model_dir: str,
        handler: Optional[str] = None,
        gpu_id: Optional[int] = None,
        batch_size: Optional[int] = None,
        envelope: Optional[str] = None,
        limit_max_image_pixels: Optional[bool] = True,
        metrics_cache: Optional[Any] = None,
    ) -> Service:
        message = Load(
            model_name,
            model_dir,
            batch_size or 1,
            handler or "",
            gpu_id,
            envelope or "",
            bool(limit_max_image_pixels),
        )
        return loading.load(message, metrics_cache if metrics_cache is not None else MetricsCacheYamlImpl(None))


class ModelLoaderFactory:
    """Says which loader there is: one."""

    @staticmethod
    def get_model_loader() -> TsModelLoader:
        return TsModelLoader()
