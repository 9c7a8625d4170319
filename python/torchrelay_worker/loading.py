"""From a load message to a service that answers, or to the code and message of the failure."""

import json
import logging
import os
from typing import Any, Optional, Tuple

from ts.context import Context
from ts.utils.util import get_yaml_config
from ts.version import __version__

from . import entry
from .messages import Load
from .service import Service

logger = logging.getLogger(__name__)

MANIFEST = os.path.join("MAR-INF", "MANIFEST.json")
MEMORY = (507, "System out of memory")
UNKNOWN = (500, "Unknown exception")


def load(message: Load, metrics: Any) -> Service:
    """Loads the handler and has it initialise itself. Raises whatever it raises."""
    manifest = _manifest(message.model_dir)
    config = {}
    model = (manifest or {}).get("model") or {}
    if model.get("configFile"):
        config = get_yaml_config(os.path.join(message.model_dir, model["configFile"]))
    metrics.model_name = message.model_name
    context = Context(
        message.model_name,
        message.model_dir,
        manifest,
        message.batch_size,
        message.gpu_id,
        __version__,
        message.limit_max_image_pixels,
        metrics,
        config,
    )
    found = entry.find(message.handler, message.envelope)
    found.initialize(context)
    return Service(context, found.handle())


def failure(error: BaseException, explain: bool) -> Optional[Tuple[int, str]]:
    """What the daemon is told of an error, whose traceback goes to the log; None where it is told nothing.

    TorchServe's worker answers a lack of memory and RuntimeErrors, with fixed words, and breaks off at all others. With
    `explain`, which a daemon of ours allows, every error is answered, in one line that names it.
    """
    memory = isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "CUDA" in str(error))
    if memory:
        return MEMORY
    if explain:
        return 500, one_line(error)
    return UNKNOWN if isinstance(error, RuntimeError) else None


def one_line(error: BaseException, limit: int = 500) -> str:
    """An error as one line of bounded length."""
    text = " ".join(str(error).split())
    line = "%s: %s" % (type(error).__name__, text) if text else type(error).__name__
    return line if len(line) <= limit else line[: limit - 3] + "..."


def _manifest(model_dir: str) -> Optional[dict]:
    path = os.path.join(model_dir, MANIFEST)
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        manifest = json.load(file)
    if not isinstance(manifest, dict):
        raise ValueError("%s holds no JSON object" % path)
    return manifest
