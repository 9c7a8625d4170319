"""Protocol two as a session uses it: batches in, answers out."""

import logging
import os
import socket
import threading
from typing import Dict, Union

from ..messages import Answer, Load, Message
from ..wire import ProtocolError
from . import frames
from .decode import decode
from .encode import encode
from .frames import BadBody, Frame

logger = logging.getLogger(__name__)


class ProtocolTwo:
    """The two directions of a connection. `receive` belongs to one thread; `send` may be called by any."""

    def __init__(self, connection: socket.socket, tensors: str):
        self.connection = connection
        self._tensors = tensors
        self._lock = threading.Lock()
        self._typed: Dict[int, bool] = {}

    def receive(self) -> Union[Load, Message]:
        """The next batch. One that cannot be read is answered here; the next may be whole."""
        while True:
            frame = frames.receive(self.connection)
            try:
                if frame.kind != frames.PREDICT:
                    frames.close(frame.descriptors)
                    raise BadBody("its kind is %r, expected %r" % (frame.kind, frames.PREDICT))
                message = decode(frame, self._tensors)
            except BadBody as error:
                logger.error("Message %d cannot be read: %s", frame.number, error)
                self.send(frame.number, Answer(500, "message cannot be read: %s" % error, []))
                continue
            if message.number in self._typed:
                raise ProtocolError("message %d came while another of that number is at work" % message.number)
            self._typed[message.number] = message.typed
            return message

    def send(self, number: int, answer: Answer, more: bool = False) -> None:
        """Sends an answer whole. Raises Unserialisable before it has sent anything."""
        body, descriptor = encode(answer, self._typed.get(number, False))
        try:
            descriptors = [] if descriptor is None else [descriptor]
            flags = frames.MORE if more else 0
            with self._lock:
                frames.send(self.connection, Frame(frames.ANSWER, flags, number, memoryview(body), descriptors))
        finally:
            if descriptor is not None:
                os.close(descriptor)
        if not more:
            self._typed.pop(number, None)
