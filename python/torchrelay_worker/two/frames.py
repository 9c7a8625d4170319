"""Frames: a head of 16 bytes, with which all descriptors come, and a body whose length the head tells.

What is wrong with a head ends the connection (ProtocolError), because nothing after it can be found. What is wrong with a
body costs its message alone (`BadBody`).
"""

import array
import os
import socket
import struct
from typing import List, NamedTuple

from ..wire import PeerGone, ProtocolError
from .limits import BODY, DESCRIPTORS

MAGIC = b"TR2"
HEAD = struct.Struct(">3scIHHI")  # magic, kind, body, descriptors, flags, number
PREDICT, ANSWER = b"P", b"A"
TYPED = 1  # flag of PREDICT: answers may be typed values
MORE = 1  # flag of ANSWER: more answers to this message follow


class BadBody(Exception):
    """Why a body cannot be read, in one line."""


class Frame(NamedTuple):
    """`descriptors` belong to who holds the frame."""

    kind: bytes
    flags: int
    number: int
    body: memoryview
    descriptors: List[int]


def send(connection: socket.socket, frame: Frame) -> None:
    """Sends a frame whole. Descriptors stay the caller's, who may close them afterwards."""
    head = HEAD.pack(MAGIC, frame.kind, len(frame.body), len(frame.descriptors), frame.flags, frame.number)
    rights = []
    if frame.descriptors:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", frame.descriptors).tobytes())]
    sent = connection.sendmsg([head], rights)
    # Descriptors go with the first byte that is taken, so the rest needs none.
    connection.sendall(head[sent:])
    connection.sendall(frame.body)


def receive(connection: socket.socket) -> Frame:
    """The next frame. Raises PeerGone between frames, ProtocolError where a head is wrong or a frame is cut off."""
    descriptors: List[int] = []
    try:
        head = _head(connection, descriptors)
        magic, kind, length, count, flags, number = HEAD.unpack(head)
        if magic != MAGIC:
            raise ProtocolError("a frame begins with %r, expected %r" % (magic, MAGIC))
        if length > BODY:
            raise ProtocolError("a frame has a body of %d bytes, at most %d are allowed" % (length, BODY))
        if count > DESCRIPTORS or count != len(descriptors):
            raise ProtocolError("a frame came with %d descriptors, announced were %d" % (len(descriptors), count))
        body = _body(connection, length)
        return Frame(kind, flags, number, memoryview(body), descriptors)
    except BaseException:
        close(descriptors)
        raise


def close(descriptors: List[int]) -> None:
    """Closes descriptors that nobody took over."""
    while descriptors:
        os.close(descriptors.pop())


def _head(connection: socket.socket, descriptors: List[int]) -> bytes:
    head = b""
    item = array.array("i").itemsize
    while len(head) < HEAD.size:
        try:
            data, ancillary, flags, _ = connection.recvmsg(
                HEAD.size - len(head), socket.CMSG_SPACE(DESCRIPTORS * item), getattr(socket, "MSG_CMSG_CLOEXEC", 0)
            )
        except ConnectionError:
            data, ancillary, flags = b"", [], 0
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(content[: len(content) - len(content) % item])
                descriptors.extend(received)
        if flags & socket.MSG_CTRUNC:
            raise ProtocolError("a frame came with more than %d descriptors" % DESCRIPTORS)
        if not data:
            if head:
                raise ProtocolError("the connection ended in the middle of a frame")
            raise PeerGone()
        head += data
    return head


def _body(connection: socket.socket, length: int) -> bytearray:
    body = bytearray(length)  # at most `BODY`, whatever was announced
    at = 0
    with memoryview(body) as view:
        while at < length:
            # Descriptors that come with a body are none of the protocol's; the system closes them.
            try:
                received = connection.recv_into(view[at:])
            except ConnectionError:
                received = 0
            if received == 0:
                raise ProtocolError("the connection ended in the middle of a frame")
            at += received
    return body
