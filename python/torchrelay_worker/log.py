"""The process's own lines: standard output, one line at a time, in the bare form that TorchServe's worker has.

Handlers log through the root logger, which is why it is set up here. Metric lines do not pass through it: a handler that
turns logging down must not lose them.
"""

import logging
import sys
import threading

_lock = threading.Lock()


def start() -> None:
    """Called once, before anything is said. Each line goes out at once, so that the daemon sees it when it happens."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True, errors="backslashreplace")
    logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.INFO)


def line(text: str) -> None:
    """A line of its own whatever other threads print."""
    with _lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
