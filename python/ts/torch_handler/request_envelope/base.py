"""What every envelope does: from the requests' rows to the handler's data, and from its answer to the responses."""

import abc


class BaseEnvelope(abc.ABC):
    """Wraps `handle(data, context)` of a handler."""

    def __init__(self, handle_fn):
        self._handle_fn = handle_fn
        self.context = None

    def handle(self, data, context):
        """Called by the worker in the handler's place. What the handler gives is left alone where it is empty."""
        self.context = context
        results = self._handle_fn(self.parse_input(data), context)
        return self.format_output(results) if _is_something(results) else results

    @abc.abstractmethod
    def parse_input(self, data):
        """Rows to the handler's data."""

    @abc.abstractmethod
    def format_output(self, data):
        """The handler's answer to one response for each request."""


def _is_something(results) -> bool:
    return results is not None and not (hasattr(results, "__len__") and len(results) == 0)
