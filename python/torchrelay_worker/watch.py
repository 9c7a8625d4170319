"""Ends a worker whose connection is gone and which still computes. Started by `main`, a thread of its own.

A worker that waits for the next message notices by itself that the daemon has gone. One that is inside a handler does not
read, and one that ends may wait for threads of its handler, so somebody else has to look.
"""

import os
import select
import socket
import threading
import time

from . import children, log

GRACE_SECONDS = 5.0


def watch(connection: socket.socket, grace: float = GRACE_SECONDS) -> None:
    """From the connection's end on, by whichever side, the process has so many seconds to end by itself."""
    # A descriptor of its own: the connection's may be closed, and its number given away, at any time.
    threading.Thread(target=_run, args=(connection.dup(), grace), name="watch", daemon=True).start()


def _run(connection: socket.socket, grace: float) -> None:
    poll = select.poll()
    # POLLHUP and POLLERR are always told; the first comes only when both directions are closed.
    poll.register(connection.fileno(), getattr(select, "POLLRDHUP", 0))
    poll.poll()
    time.sleep(grace)
    log.line("The connection is gone and the handler still at work: the worker is ended.")
    children.end_all()
    os._exit(1)
