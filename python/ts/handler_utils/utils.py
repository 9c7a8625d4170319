"""Streaming, and classes by their names."""

import importlib
from typing import Any, Dict, List, Optional


def send_intermediate_predict_response(
    ret: List[Any], req_id_map: Dict[int, str], message: str, code: int, context
) -> None:
    """Sends answers before the last one, one for each request, which makes the HTTP answers streams.

    May be called from any thread while `handle` is at work. Raises TypeError where an answer cannot be sent.
    """
    if context is None or context.send_part is None:
        raise RuntimeError("no batch is at hand that could be answered in parts")
    context.send_part(ret, req_id_map, message, code)


def import_class(class_name: str, module_prefix: Optional[str] = None):
    """The class of that name, `module.Class` or within `module_prefix`. Raises ImportError."""
    module_name, dot, name = class_name.rpartition(".")
    if not dot:
        if not module_prefix:
            raise ImportError("class %s: its module is not named" % class_name)
        module_name = module_prefix
    module = importlib.import_module(module_name)
    try:
        return getattr(module, name)
    except AttributeError:
        raise ImportError("module %s has no class %s" % (module_name, name)) from None
