"""A loaded model: one call of its handler for each batch, and what came of it as an answer. Knows no protocol."""

import copy
import inspect
import logging
import time
from typing import Any, Callable, List

from ts.context import Context, RequestProcessor
from ts.utils.util import PredictionException

from . import rows
from .messages import Answer, Message, Prediction, Unserialisable, failure

logger = logging.getLogger(__name__)

STREAM = "ts_stream_next"
SUCCESS = "Prediction success"
Part = Callable[[Answer], None]


class Service:
    """A handler with its context. `predict` belongs to one thread; `predict_async` copies the context for each batch."""

    def __init__(self, context: Context, handle: Callable[[Any, Any], Any]):
        self.context = context
        self._handle = handle
        self._decode = rows.decodes()

    @property
    def is_coroutine(self) -> bool:
        """Whether the handler must be awaited."""
        return inspect.iscoroutinefunction(self._handle)

    def predict(self, message: Message, send_part: Part) -> Answer:
        """The answer to a batch; `send_part` is called for each part that the handler sends before it."""
        call = Call(self.context, message, send_part)
        return call.answer(lambda: self._handle(call.data(self._decode), call.context))

    def predict_detached(self, message: Message, send_part: Part) -> Answer:
        """As `predict`, for many threads at a time."""
        call = Call(self._own_context(), message, send_part)
        return call.answer(lambda: self._handle(call.data(self._decode), call.context))

    async def predict_async(self, message: Message, send_part: Part) -> Answer:
        """As `predict`, for a handler that is awaited, many at a time."""
        call = Call(self._own_context(), message, send_part)
        result, failed = None, None
        try:
            result = await self._handle(call.data(self._decode), call.context)
        except Exception as error:
            failed = error
        return call.answer(lambda: _give_or_raise(result, failed))

    def _own_context(self) -> Context:
        """A context for a batch that others overlap. Metrics name the requests of a batch, so they are its own, too."""
        context = copy.copy(self.context)
        context.metrics = copy.copy(context.metrics)
        return context


def _give_or_raise(result: Any, error: Any) -> Any:
    if error is not None:
        raise error
    return result


class Call:
    """One batch on its way through a handler."""

    def __init__(self, context: Context, message: Message, send_part: Part):
        self.context = context
        self.message = message
        self.ids: List[str] = [request.id for request in message.requests]
        self._started = time.perf_counter()
        self._streamed = False
        self._send_part = send_part
        context.request_ids = dict(enumerate(self.ids))
        context.request_processor = [RequestProcessor(rows.headers(request)) for request in message.requests]
        context.stopping_criteria = None
        context.send_part = self.part
        if context.metrics is not None:
            context.metrics.set_request_ids(context.request_ids)

    def data(self, decode: bool) -> List[dict]:
        return [rows.row(request, decode) for request in self.message.requests]

    def part(self, results: List[Any], ids: Any, message: str, code: int) -> None:
        """An answer before the last. Raises TypeError into the handler where it cannot be sent."""
        self._streamed = True
        for processor in self.context.request_processor:
            processor.add_response_property(STREAM, "true")
        names = [ids[index] for index in range(len(results))]
        try:
            self._send_part(Answer(code, message, self._predictions(results, names)))
        except Unserialisable as error:
            raise TypeError("a part of a stream cannot be sent: %s" % error) from error

    def answer(self, handle: Callable[[], Any]) -> Answer:
        """Calls the handler and says what came of it; no exception but those that end processes leaves it."""
        try:
            return self._answer(handle)
        finally:
            # Nobody answers in parts after the last answer; and the context must not keep the batch.
            self.context.send_part = None

    def _answer(self, handle: Callable[[], Any]) -> Answer:
        try:
            results = handle()
        except MemoryError:
            logger.exception("Memory has run out.")
            return self.failure(507, "Out of resources")
        except PredictionException as error:
            logger.exception("The handler refuses the batch.")
            return self.failure(_code(error.error_code), str(error.message))
        except Exception as error:
            if "CUDA" in str(error):
                logger.exception("The device has failed, or its memory has run out.")
                return self.failure(507, "Out of resources")
            logger.exception("The handler has failed.")
            return self.failure(503, "Prediction failed")
        if not isinstance(results, list):
            logger.error("The handler of %s gave a %s, expected a list.", self.name, type(results).__name__)
            return self.failure(503, "Invalid model predict output")
        if len(results) != len(self.ids):
            logger.error("The handler of %s gave %d answers to %d requests.", self.name, len(results), len(self.ids))
            return self.failure(503, "number of batch response mismatched")
        self._record()
        self._close_streams(results)
        return Answer(200, SUCCESS, self._predictions(results, self.ids))

    @property
    def name(self) -> str:
        return self.context.model_name

    def failure(self, code: int, message: str) -> Answer:
        return failure(code, message, self.ids)

    def _record(self) -> None:
        if self.context.metrics is not None:
            elapsed = round((time.perf_counter() - self._started) * 1000, 2)
            self.context.metrics.add_time("PredictionTime", elapsed, None, "ms")

    def _close_streams(self, results: List[Any]) -> None:
        """Says of each request whether more will come: by its stopping criterion, else nothing, if it streamed."""
        criteria = self.context.stopping_criteria
        for index, processor in enumerate(self.context.request_processor):
            if criteria:
                done = criteria[index](results[index])
                processor.add_response_property(STREAM, "false" if done else "true")
            elif self._streamed or processor.get_response_header(STREAM) is not None:
                processor.add_response_property(STREAM, "false")

    def _predictions(self, results: List[Any], ids: List[str]) -> List[Prediction]:
        predictions = []
        for index, result in enumerate(results):
            content_type = self.context.get_response_content_type(index)
            code, phrase = self.context.get_response_status(index)
            headers = {str(key): str(value) for key, value in self.context.get_response_headers(index).items()}
            predictions.append(
                Prediction(ids[index], str(content_type or ""), _code(code), str(phrase or ""), headers, result)
            )
        return predictions


def _code(code: Any) -> int:
    """A status as a handler gave it; 500 where it gave none that fits."""
    try:
        number = int(code)
    except (TypeError, ValueError):
        return 500
    return number if -(2**31) <= number < 2**31 else 500
