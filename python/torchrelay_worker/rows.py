"""From a request as it came to what handlers see of it: a row of their data, and headers."""

import json
import logging
import os
from typing import Any, Dict

from .headers import Headers
from .messages import Part, Request

logger = logging.getLogger(__name__)


def decodes() -> bool:
    """Whether parts are decoded by their content type; the daemon says so in the environment."""
    return os.environ.get("TS_DECODE_INPUT_REQUEST", "true").lower() == "true"


def row(request: Request, decode: bool) -> Dict[str, Any]:
    """Parts by name; of those with the same name the last counts."""
    return {part.name: value(part, decode) for part in request.parts}


def value(part: Part, decode: bool) -> Any:
    """JSON as its value, text as `str`, everything else, and what cannot be decoded, as `bytearray`."""
    if part.typed or not decode:
        return part.value
    if part.content_type == "application/json":
        try:
            return json.loads(part.value.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            logger.info("Part %r is no JSON and stays bytes: %s", part.name, error)
    elif part.content_type.startswith("text"):
        try:
            return part.value.decode("utf-8")
        except UnicodeDecodeError as error:
            logger.info("Part %r is no UTF-8 and stays bytes: %s", part.name, error)
    return part.value


def headers(request: Request) -> Headers:
    """The content type of every part under the part's name, then the headers, which go over them."""
    found = Headers((part.name, {"content-type": part.content_type}) for part in request.parts)
    found.update(request.headers)
    return found
