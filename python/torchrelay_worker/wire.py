"""Reading from the connection: whole pieces, or the reason why there are none. Both protocols read through this."""

import socket
import struct

# A length is only believed as far as bytes have come: buffers grow as they fill.
_STEP = 1 << 20
_CHUNK = 1 << 16


class PeerGone(Exception):
    """The daemon closed the connection between two messages: the worker's regular end."""


class ProtocolError(Exception):
    """What came is not what the protocol says; nothing after it can be trusted."""


class Reader:
    """Buffered reads of exact lengths."""

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._buffer = b""
        self._at = 0

    def buffered(self) -> int:
        """Bytes that came and were not asked for yet."""
        return len(self._buffer) - self._at

    def first(self) -> bytes:
        """The first byte of a message. Raises PeerGone where the connection ended instead."""
        if self.buffered() == 0 and not self._fill():
            raise PeerGone()
        return self.exactly(1)

    def integer(self) -> int:
        return struct.unpack(">i", self.exactly(4))[0]

    def exactly(self, count: int) -> bytes:
        """The next `count` bytes, for what is small."""
        while self.buffered() < count:
            rest = self._buffer[self._at :]
            self._buffer, self._at = b"", 0
            if not self._fill():
                raise ProtocolError("the connection ended in the middle of a message")
            self._buffer = rest + self._buffer
        start, self._at = self._at, self._at + count
        return self._buffer[start : self._at]

    def block(self, count: int) -> bytearray:
        """The next `count` bytes in memory of their own, for what may be large."""
        taken = min(count, self.buffered())
        block = bytearray(self._buffer[self._at : self._at + taken])
        self._at += taken
        while taken < count:
            block.extend(bytes(min(count - taken, max(_STEP, taken))))
            with memoryview(block) as view:
                while taken < len(block):
                    received = self._receive_into(view[taken:])
                    if received == 0:
                        raise ProtocolError("the connection ended in the middle of a message")
                    taken += received
        return block

    def _receive_into(self, view: memoryview) -> int:
        try:
            return self._connection.recv_into(view)
        except ConnectionError:
            return 0

    def _fill(self) -> bool:
        try:
            self._buffer, self._at = self._connection.recv(_CHUNK), 0
        except ConnectionError:
            self._buffer, self._at = b"", 0
        return bool(self._buffer)
