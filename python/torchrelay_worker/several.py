"""Several functions of one module behind one entry point: the functions of a workflow, which share a process."""

import inspect
from types import ModuleType
from typing import Any, Callable, Dict, List

# Who asks says in it which function is meant. No function sees it.
HEADER = "torchrelay-function"


class Several:
    """Functions by their names. All are called at load; each batch asks one."""

    def __init__(self, module: ModuleType, names: List[str]):
        self._functions: Dict[str, Callable[[Any, Any], Any]] = {name: _function(module, name) for name in names}

    def initialize(self, context: Any) -> None:
        """As function handlers are told to load: without data."""
        for function in self._functions.values():
            function(None, context)

    def handle(self, data: List[dict], context: Any) -> Any:
        """What the function gives that the batch asks; the daemon puts requests for different ones in different batches.

        Raises ValueError where a batch asks for none, or for several at a time.
        """
        asked = {processor.get_request_properties().pop(HEADER, None) for processor in context.request_processor}
        name = asked.pop() if len(asked) == 1 else None
        if name not in self._functions:
            raise ValueError("a batch asks for one of the functions %s" % ", ".join(self._functions))
        return self._functions[name](data, context)


def _function(module: ModuleType, name: str) -> Callable[[Any, Any], Any]:
    found = getattr(module, name, None)
    if not callable(found) or inspect.isclass(found):
        raise ValueError("module %s has no function %s" % (module.__name__, name))
    return found
