"""Times of a handler's steps as metrics, where the model asks for them."""

import functools
import sys
import time


def timed(func):
    """Measures a method of a handler as `ts_handler_<name>` if `handler: {profile: true}` is in the model's configuration.

    The handler must keep its context as `self.context`.
    """

    @functools.wraps(func)
    def wrapper(self, *args, **kwargs):
        context = getattr(self, "context", None)
        section = (getattr(context, "model_yaml_config", None) or {}).get("handler") or {}
        if not (isinstance(section, dict) and section.get("profile", False)):
            return func(self, *args, **kwargs)
        started = _now()
        result = func(self, *args, **kwargs)
        context.metrics.add_time("ts_handler_" + func.__name__, (_now() - started) * 1000, None, "ms")
        return result

    return wrapper


def _now() -> float:
    """The time once the device has done what it was given."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is not None and cuda.is_available():
        cuda.synchronize()
    return time.perf_counter()
