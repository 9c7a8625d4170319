"""Protocol one: TorchServe's own bytes. Integers are signed, 32 bits, big-endian; lists end in -1. See PROTOCOL.md."""

import socket
import struct
import threading
from typing import List, Union

from .messages import Answer, Load, Message, Part, Request
from .output import to_bytes
from .wire import ProtocolError, Reader

END = struct.pack(">i", -1)


class ProtocolOne:
    """The two directions of a connection. `receive` belongs to one thread; `send` may be called by any."""

    def __init__(self, connection: socket.socket):
        self.connection = connection
        self.reader = Reader(connection)
        self._lock = threading.Lock()
        self._number = 0

    def receive(self) -> Union[Load, Message]:
        """The next message. Raises PeerGone, or ProtocolError after which nothing can be read."""
        command = self.reader.first()
        if command == b"L":
            return self._load()
        if command == b"I":
            self._number += 1
            return Message(self._number, self._requests())
        raise ProtocolError("a message begins with %r, expected 'L' or 'I'" % command)

    def send(self, number: int, answer: Answer, more: bool = False) -> None:
        """Sends an answer whole. Raises Unserialisable before it has sent anything."""
        data = encode(answer)
        with self._lock:
            self.connection.sendall(data)

    def _load(self) -> Load:
        name, model_dir, batch_size = self._text(), self._text(), self.reader.integer()
        handler, gpu, envelope = self._text(), self.reader.integer(), self._text()
        limit = self.reader.exactly(1) != b"\x00"
        return Load(name, model_dir, max(batch_size, 1), handler, gpu if gpu >= 0 else None, envelope, limit)

    def _requests(self) -> List[Request]:
        requests = []
        while True:
            length = self.reader.integer()
            if length == -1:
                return requests
            identity = self._text_of(length)
            headers, parts = [], []
            while True:
                length = self.reader.integer()
                if length == -1:
                    break
                headers.append((self._text_of(length), self._text()))
            while True:
                length = self.reader.integer()
                if length == -1:
                    break
                name, content_type = self._text_of(length), self._text()
                parts.append(Part(name, content_type, self.reader.block(_checked(self.reader.integer()))))
            requests.append(Request(identity, headers, parts))

    def _text(self) -> str:
        return self._text_of(self.reader.integer())

    def _text_of(self, length: int) -> str:
        data = self.reader.block(_checked(length))
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ProtocolError("a text is no UTF-8: %s" % error)


def encode(answer: Answer) -> bytearray:
    """The bytes of an answer. Raises Unserialisable."""
    frame = bytearray(struct.pack(">i", answer.code))
    _put(frame, _utf8(answer.message))
    for prediction in answer.predictions:
        _put(frame, _utf8(prediction.id))
        _put(frame, _utf8(prediction.content_type))
        frame += struct.pack(">i", prediction.status)
        _put(frame, _utf8(prediction.phrase))
        frame += struct.pack(">i", len(prediction.headers))
        for name, value in prediction.headers.items():
            _put(frame, _utf8(name))
            _put(frame, _utf8(value))
        _put(frame, to_bytes(prediction.value))
    frame += END
    return frame


def _checked(length: int) -> int:
    if length < 0:
        raise ProtocolError("a length is %d" % length)
    return length


def _put(frame: bytearray, data) -> None:
    frame += struct.pack(">i", len(data))
    frame += data


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")
