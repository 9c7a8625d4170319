"""From a handler's name to the two functions that it comes down to: one called at load, one for each batch."""

import importlib
import inspect
from types import ModuleType
from typing import Any, Callable, NamedTuple, Optional

from .several import Several

ENVELOPES = "ts.torch_handler.request_envelope."
DEFAULTS = "ts.torch_handler."


Handle = Callable[[Any, Any], Any]


class Entry(NamedTuple):
    """`initialize(context)`, and what gives `handle(data, context)` afterwards: a handler may put another in its place."""

    initialize: Callable[[Any], Any]
    handle: Callable[[], Handle]


def find(handler: str, envelope: str) -> Entry:
    """The entry points of `file.py`, `file.py:function` or a default handler, within an envelope if one is named.

    `file.py:one,another` stands for several functions, of which each batch asks one.

    Raises what the import raises; ValueError where the module has no entry point.
    """
    name, _, function = handler.partition(":")
    module = _module(name)
    if "," in function:
        several = Several(module, function.split(","))
        return Entry(several.initialize, lambda: several.handle)
    wanted = function or "handle"
    entry = _function(module, wanted) or _class(module, wanted)
    if not envelope:
        return entry
    wrapper = _envelope(envelope)
    return Entry(entry.initialize, lambda: wrapper(entry.handle()).handle)


def _module(name: str) -> ModuleType:
    base = name[:-3] if name.endswith(".py") else name
    base = base.rpartition("/")[2]
    try:
        return importlib.import_module(base)
    except ImportError as error:
        if error.name != base:
            raise
        try:
            return importlib.import_module(DEFAULTS + base)
        except ImportError as inner:
            if inner.name != DEFAULTS + base:
                raise
        raise ModuleNotFoundError(
            "handler %s: no module %s on the path, and no default handler of that name" % (name, base), name=base
        ) from None


def _function(module: ModuleType, name: str) -> Optional[Entry]:
    function = getattr(module, name, None)
    if not callable(function) or inspect.isclass(function):
        return None
    # A function handler has no second entry: without data it is told to load.
    return Entry(lambda context: function(None, context), lambda: function)


def _class(module: ModuleType, wanted: str) -> Entry:
    classes = [
        member for member in vars(module).values() if inspect.isclass(member) and member.__module__ == module.__name__
    ]
    if not classes:
        functions = sorted(name for name, member in vars(module).items() if inspect.isfunction(member))
        raise ValueError(
            "module %s has no function %s, and no class; its functions are: %s"
            % (module.__name__, wanted, ", ".join(functions) or "none")
        )
    if len(classes) != 1:
        raise ValueError(
            "module %s has no function %s, and %d classes for an entry point, expected one: %s"
            % (module.__name__, wanted, len(classes), [found.__name__ for found in classes])
        )
    found = classes[0]
    for method in ("handle", "initialize"):
        if not callable(getattr(found, method, None)):
            raise ValueError("class %s of module %s has no method %s" % (found.__name__, module.__name__, method))
    handler = found()
    return Entry(handler.initialize, lambda: handler.handle)


def _envelope(name: str):
    module = importlib.import_module(ENVELOPES + name)
    from ts.torch_handler.request_envelope.base import BaseEnvelope

    for member in vars(module).values():
        if inspect.isclass(member) and issubclass(member, BaseEnvelope) and member.__module__ == module.__name__:
            return member
    raise ValueError("envelope %s has no class" % name)
