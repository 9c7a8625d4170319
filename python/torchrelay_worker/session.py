"""The conversation with one daemon: load, then batch after batch, until it closes the connection."""

import json
import logging
import platform
import socket
from typing import Any, Optional

from . import loading
from .messages import UNSERIALISABLE, Answer, Load, Message, Prediction, Unserialisable, failure
from .one import ProtocolOne
from .service import Service
from .silent import Silent
from .wire import ProtocolError

logger = logging.getLogger(__name__)

AGREEMENT = "torchrelay"


class Session:
    """Owns the protocol and, once it is loaded, the service."""

    def __init__(self, connection: socket.socket, offered: int, metrics: Any, rank: int = 0):
        self._connection = connection
        self._offered = offered
        self._metrics = metrics
        self._rank = rank
        self._protocol: Any = ProtocolOne(connection)
        self._service: Optional[Service] = None

    def serve(self, asynchronous: bool) -> None:
        """Returns after a load that failed and was answered. Raises PeerGone at the regular end, and what else ends it."""
        while True:
            message = self._protocol.receive()
            if isinstance(message, Load):
                if not self._load(message):
                    return
                if asynchronous:
                    from .asynchronous import serve

                    return serve(self._protocol, self._service)
            elif self._service is None:
                raise ProtocolError("a batch came before a model")
            else:
                self._predict(message)
            # Not while it waits for the next one: what came in memory is given back now.
            del message

    def _predict(self, message: Message) -> None:
        send_part = lambda answer: self._protocol.send(message.number, answer, more=True)
        answer = self._service.predict(message, send_part)
        send(self._protocol, message, answer)

    def _load(self, message: Load) -> bool:
        try:
            self._service = loading.load(message, self._metrics)
        except Exception as error:
            logger.exception("Model %s cannot be loaded.", message.model_name)
            told = loading.failure(error, explain=self._offered > 1)
            if told is not None:
                self._protocol.send(0, Answer(told[0], told[1], []))
            return False
        version = self._version()
        said = []
        if self._offered > 1:
            body = {"protocol": version, "python": platform.python_version(), "tensors": self._tensors()}
            said = [Prediction(AGREEMENT, "application/json", 200, "", {}, json.dumps(body))]
        self._protocol.send(0, Answer(200, "loaded model %s" % message.model_name, said))
        if version == 2 and isinstance(self._protocol, ProtocolOne):
            from .two.protocol import ProtocolTwo

            if self._protocol.reader.buffered():
                raise ProtocolError("something came before the load was answered")
            self._protocol = ProtocolTwo(self._connection, self._tensors())
        elif version == 1:
            # Where TorchServe has it, for handlers that write frames of protocol one themselves.
            self._service.context.cl_socket = self._connection
        if self._rank > 0:
            # It answers the load, and nothing after that.
            self._protocol = Silent(self._protocol)
        return True

    def _version(self) -> int:
        from .two import memory

        local = self._connection.family == getattr(socket, "AF_UNIX", None)
        return 2 if self._offered >= 2 and local and memory.available() else 1

    @staticmethod
    def _tensors() -> str:
        from .two import arrays

        return arrays.kind()


def send(protocol: Any, message: Message, answer: Answer) -> None:
    """Sends the last answer to a message, or says that it cannot be sent."""
    try:
        protocol.send(message.number, answer)
    except Unserialisable as error:
        logger.error("The answer of the handler cannot be sent: %s", error)
        ids = [request.id for request in message.requests]
        protocol.send(message.number, failure(UNSERIALISABLE[0], UNSERIALISABLE[1], ids))
