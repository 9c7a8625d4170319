"""Frames of protocol one for handlers that make or send them themselves."""

from torchrelay_worker.messages import UNSERIALISABLE, Answer, Prediction, Unserialisable, failure
from torchrelay_worker.one import encode

from ts.handler_utils.utils import send_intermediate_predict_response

__all__ = ["create_load_model_response", "create_predict_response", "send_intermediate_predict_response"]

_STREAM = "ts_stream_next"


def create_load_model_response(code: int, message: str) -> bytearray:
    """The answer to a load message."""
    return encode(Answer(code, message, []))


def create_predict_response(ret, req_id_map, message, code, context=None, ts_stream_next=False) -> bytearray:
    """The answer to a batch; without answers in `ret`, or with some that cannot be sent, that of a failed one."""
    ids = [req_id_map[index] for index in sorted(req_id_map)]
    if ret is None:
        return encode(failure(code, message, ids))
    predictions = []
    for index, (identity, value) in enumerate(zip(ids, ret)):
        content_type, status, phrase, headers = "", code, "", {}
        if context is not None:
            if ts_stream_next:
                context.set_response_header(index, _STREAM, "true")
            content_type = context.get_response_content_type(index) or ""
            status, phrase = context.get_response_status(index)
            headers = context.get_response_headers(index)
        predictions.append(Prediction(identity, content_type, status, phrase or "", headers, value))
    try:
        return encode(Answer(code, message, predictions))
    except Unserialisable:
        return encode(failure(UNSERIALISABLE[0], UNSERIALISABLE[1], ids))
