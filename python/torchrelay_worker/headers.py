"""Headers of a request as handlers ask for them: `Content-Type` and `content-type` are the same.

HTTP's names have no case, and the daemon passes them on in lower case; TorchServe's handlers were written for the
spelling of their clients.
"""

from typing import Any


class Headers(dict):
    """A dict of which members are found whatever the case of their names. Iterating gives the names as they came."""

    def __missing__(self, key: Any) -> Any:
        name = self._own(key)
        if name is None:
            raise KeyError(key)
        return dict.__getitem__(self, name)

    def get(self, key: Any, default: Any = None) -> Any:
        name = self._own(key)
        return default if name is None else dict.__getitem__(self, name)

    def __contains__(self, key: Any) -> bool:
        return self._own(key) is not None

    def _own(self, key: Any) -> Any:
        """The name as it is here; `None` where there is none."""
        if dict.__contains__(self, key):
            return key
        if not isinstance(key, str):
            return None
        low = key.lower()
        return next((name for name in self if isinstance(name, str) and name.lower() == low), None)
