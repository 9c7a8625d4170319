"""A decorator that logs how long a call took."""

import functools
import logging
import time

logger = logging.getLogger(__name__)


def timeit(func):
    """Logs the time on the clock and on the processor of each call."""

    @functools.wraps(func)
    def wrapper(*args, **kwargs):
        wall, cpu = time.perf_counter(), time.process_time()
        result = func(*args, **kwargs)
        logger.info(
            "%s took %.3f s, %.3f s of processor", func.__name__, time.perf_counter() - wall, time.process_time() - cpu
        )
        return result

    return wrapper
