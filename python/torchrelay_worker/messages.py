"""What daemon and worker say to each other, whichever protocol carries it."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple


class Load(NamedTuple):
    """Load this model. `handler` is `file.py`, `file.py:function`, `file.py:one,another` or the name of a default handler."""

    model_name: str
    model_dir: str
    batch_size: int
    handler: str
    gpu_id: Optional[int]
    envelope: str
    limit_max_image_pixels: bool


class Part(NamedTuple):
    """One parameter of a request: bytes as they came, or a typed value, which protocol two brings."""

    name: str
    content_type: str
    value: Any
    typed: bool = False


class Request(NamedTuple):
    id: str
    headers: List[Tuple[str, str]]
    parts: List[Part]


class Message(NamedTuple):
    """One batch. `number` names it in its answers; `typed` says that answers may be typed values."""

    number: int
    requests: List[Request]
    typed: bool = False


class Prediction(NamedTuple):
    """The answer to one request. `value` is the handler's own object; the protocol makes bytes of it."""

    id: str
    content_type: str
    status: int
    phrase: str
    headers: Dict[str, str]
    value: Any


class Answer(NamedTuple):
    """The answer to a message, or a part of it. Of a `failed` batch, code and message say all there is."""

    code: int
    message: str
    predictions: List[Prediction]
    failed: bool = False


class Unserialisable(Exception):
    """A handler's answer that cannot travel. The protocol raises it before anything is sent."""


UNSERIALISABLE = (503, "Unsupported model output data type.")


def failure(code: int, message: str, ids: List[str]) -> Answer:
    """The answer to a batch of which nothing came. The bodies say nothing; code and message do."""
    return Answer(code, message, [Prediction(identity, "", code, "", {}, "error") for identity in ids], failed=True)
