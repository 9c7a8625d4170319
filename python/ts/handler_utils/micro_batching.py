"""Batches in small pieces, which go through a handler's three steps like things on a conveyor belt."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Dict, List, Optional

HANDLER_METHODS = ["preprocess", "inference", "postprocess"]


class MicroBatching:
    """In place of a handler's `handle`: `self.handle = MicroBatching(self, micro_batch_size=4)`.

    `parallelism` says on how many threads each step may run. Answers keep the order of rows.
    """

    def __init__(self, parent_handler, micro_batch_size: int = 1, parallelism: Optional[Dict[str, int]] = None):
        self.handler = parent_handler
        self.micro_batch_size = max(1, int(micro_batch_size))
        self._parallelism: Dict[str, int] = {}
        self._pools: Dict[str, ThreadPoolExecutor] = {}
        self.parallelism = parallelism or {}

    def __del__(self):
        self.shutdown()

    @property
    def parallelism(self) -> Dict[str, int]:
        return dict(self._parallelism)

    @parallelism.setter
    def parallelism(self, wanted: Dict[str, int]) -> None:
        unknown = set(wanted) - set(HANDLER_METHODS)
        if unknown:
            raise ValueError("parallelism names %s, expected %s" % (sorted(unknown), HANDLER_METHODS))
        self.shutdown()
        self._parallelism = {step: max(1, int(wanted.get(step, 1))) for step in HANDLER_METHODS}
        self._pools = {
            step: ThreadPoolExecutor(threads, thread_name_prefix=step) for step, threads in self._parallelism.items()
        }

    def shutdown(self) -> None:
        """Lets the threads end."""
        for pool in getattr(self, "_pools", {}).values():
            pool.shutdown(wait=False)
        self._pools = {}

    def handle(self, data: List[Any]) -> List[Any]:
        """The answers to all rows. What a step raises for a piece is raised here."""
        size = self.micro_batch_size
        pieces = [data[start : start + size] for start in range(0, len(data), size)]
        answers = [self._start(piece) for piece in pieces]
        return [answer for future in answers for answer in future.result()]

    def __call__(self, data, context):
        self.handler.context = context
        return self.handle(data)

    def _start(self, piece: List[Any]) -> "Future[List[Any]]":
        done: "Future[List[Any]]" = Future()
        self._step(0, piece, done)
        return done

    def _step(self, number: int, value: Any, done: Future) -> None:
        if number == len(HANDLER_METHODS):
            done.set_result(value)
            return
        name = HANDLER_METHODS[number]

        def run() -> None:
            try:
                result = getattr(self.handler, name)(value)
                self._step(number + 1, result, done)
            except BaseException as error:
                if not done.done():
                    done.set_exception(error)

        self._pools[name].submit(run)
