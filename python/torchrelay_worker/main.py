"""One worker from its start to its exit code: listen, announce, accept one daemon, serve it until it leaves.

Exit codes are what the daemon goes by: 0 when it closed the connection, 1 for everything that went wrong. A handler that
calls `sys.exit` ends the process with its own code.
"""

import faulthandler
import logging
import socket
import sys
from typing import List

from . import arguments, children, listener, log, offer
from .session import Session
from .watch import watch
from .wire import PeerGone

logger = logging.getLogger(__name__)


def run(argv: List[str]) -> int:
    """Serves one connection. Called once in a process, by `__main__` and `ts/model_service_worker.py`."""
    log.start()
    try:
        faulthandler.enable()
    except (AttributeError, OSError, ValueError):
        logger.debug("no stderr for reports of crashes")
    try:
        return _run(argv)
    finally:
        children.end_all()
        sys.stdout.flush()


def _run(argv: List[str]) -> int:
    # Taken out of the environment first: what handlers start must not take it for theirs.
    offered = offer.take()
    try:
        options = arguments.parse(argv)
        from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl

        metrics = MetricsCacheYamlImpl(options.metrics_config)
        try:
            metrics.initialize_cache()
        except (OSError, TypeError, ValueError) as error:
            logger.error("Metrics that are listed are unknown to handlers: %s", error)
        server = listener.listen(options)
    except Exception as error:
        logger.error("The worker cannot start: %s", error, exc_info=not isinstance(error, arguments.ArgumentError))
        return 1
    try:
        listener.announce(options)
        connection = listener.accept(server, options)
    except Exception as error:
        logger.error("The worker cannot start: %s", error)
        return 1
    finally:
        server.close()
    watch(connection)
    try:
        Session(connection, offered, metrics, options.rank).serve(asynchronous=options.asynchronous)
        return 1  # a load that failed and was answered
    except (PeerGone, ConnectionError):
        logger.info("The daemon has closed the connection.")
        return 0
    except Exception:
        logger.exception("The worker ends.")
        return 1
    finally:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the daemon was first
        connection.close()
        listener.remove(options)
