"""Protocol two for tests, written from PROTOCOL.md and not from the worker: frames, values and sealed memory."""

import array
import fcntl
import json
import mmap
import os
import socket
import struct
from typing import Any, List, NamedTuple, Sequence, Tuple

from .harness import Daemon

HEAD = ">3scIHHI"
ALL_SEALS = 0x1 | 0x2 | 0x4 | 0x8
DTYPES = "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64".split()
SIZES = dict(zip(DTYPES, (1, 1, 1, 2, 4, 8, 2, 2, 4, 8)))


class Answer(NamedTuple):
    """One frame of the worker. Values are (kind, ...) as `Body.value` gives them."""

    number: int
    more: bool
    code: int
    message: str
    predictions: List[Tuple[str, str, int, str, dict, Any]]
    memories: int


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">I", len(data)) + data


def inline(data: bytes) -> bytes:
    return b"\0" + struct.pack(">I", len(data)) + data


def at(memory: int, offset: int, length: int) -> bytes:
    return b"\1" + struct.pack(">HQQ", memory, offset, length)


def as_json(value: Any) -> bytes:
    return b"\1" + inline(json.dumps(value).encode())


def as_text(value: str) -> bytes:
    return b"\2" + inline(value.encode())


def as_bytes(place: bytes) -> bytes:
    return b"\3" + place


def as_tensor(dtype: str, shape: Sequence[int], place: bytes) -> bytes:
    return b"\4" + struct.pack(">BB%dQ" % len(shape), DTYPES.index(dtype), len(shape), *shape) + place


def as_image(file: bytes = b"", size: Tuple[int, int] = (0, 0), pixels: bytes = b"") -> bytes:
    body = b"\5" + bytes([(1 if file else 0) | (2 if pixels else 0)]) + file
    return body + (struct.pack(">II", *size) + pixels if pixels else b"")


def as_list(*members: bytes) -> bytes:
    return b"\6" + struct.pack(">I", len(members)) + b"".join(members)


def as_map(**members: bytes) -> bytes:
    return b"\7" + struct.pack(">I", len(members)) + b"".join(text(key) + value for key, value in members.items())


def as_float(value: float) -> bytes:
    return b"\x08" + struct.pack(">d", value)


def request(*parts: Tuple[str, str, bytes], id: str = "r1", headers: Sequence[Tuple[str, str]] = ()) -> bytes:
    body = text(id) + struct.pack(">I", len(headers)) + b"".join(text(a) + text(b) for a, b in headers)
    return body + struct.pack(">I", len(parts)) + b"".join(text(a) + text(b) + value for a, b, value in parts)


def batch(*requests: bytes, sizes: Sequence[int] = ()) -> bytes:
    return struct.pack(">%dQ" % len(sizes), *sizes) + struct.pack(">I", len(requests)) + b"".join(requests)


def memory(data: bytes, seals: int = ALL_SEALS) -> int:
    """A descriptor of memory that holds `data`, which the caller closes."""
    descriptor = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.write(descriptor, data)
    if seals:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def memories_of(daemon: Daemon) -> int:
    """How many memories the worker holds open."""
    folder = "/proc/%d/fd" % daemon.process.pid
    links = [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]
    return sum("memfd:" in link for link in links)


class DaemonTwo(Daemon):
    """A daemon that offers protocol two. After `load` it speaks it."""

    def __init__(self, files, environment=None, **more):
        super().__init__(files, environment=dict(environment or {}, TORCHRELAY_PROTOCOL="2"), **more)
        self.agreed = None

    def start(self, **load) -> "DaemonTwo":
        self.connect()
        loaded = self.load(**load)
        assert loaded.code == 200, (loaded, self.output())
        self.agreed = json.loads(loaded.predictions[0].body)
        return self

    def frame(
        self, body: bytes, number=1, flags=0, kind=b"P", descriptors=(), announced=None, magic=b"TR2", length=None
    ):
        """Sends a frame, right or wrong."""
        count = len(descriptors) if announced is None else announced
        head = struct.pack(HEAD, magic, kind, len(body) if length is None else length, count, flags, number)
        rights = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors).tobytes())] if descriptors else []
        )
        self.connection.sendmsg([head], rights)
        self.send(body)

    def answer(self) -> Answer:
        head, ancillary, flags, _ = self.connection.recvmsg(16, socket.CMSG_SPACE(64 * 4))
        assert not flags & socket.MSG_CTRUNC
        while len(head) < 16:
            more = self.connection.recv(16 - len(head))
            if not more:
                raise EOFError("worker closed the connection")
            head += more
        descriptors = array.array("i")
        for _, _, data in ancillary:
            descriptors.frombytes(data)
        magic, kind, length, count, flags, number = struct.unpack(HEAD, head)
        assert (magic, kind, count) == (b"TR2", b"A", len(descriptors)), head
        try:
            return Body(self.bytes(length), list(descriptors)).answer(number, bool(flags & 1))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def ask(self, body: bytes, typed: bool = False, descriptors=(), number=1) -> Answer:
        self.frame(body, number, 1 if typed else 0, descriptors=descriptors)
        return self.answer()


class Body:
    """Reads an answer's body, memory included."""

    def __init__(self, data: bytes, descriptors: List[int]):
        self.data, self.at = data, 0
        self.memories = []
        for descriptor in descriptors:
            (size,) = self.unpack(">Q")
            assert os.fstat(descriptor).st_size == size
            assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) == ALL_SEALS
            with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as mapped:
                self.memories.append(bytes(mapped))

    def unpack(self, layout: str) -> tuple:
        found = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return found

    def take(self, length: int) -> bytes:
        self.at += length
        assert self.at <= len(self.data)
        return self.data[self.at - length : self.at]

    def text(self) -> str:
        return self.take(self.unpack(">I")[0]).decode()

    def blob(self) -> bytes:
        if self.unpack(">B")[0] == 0:
            return self.take(self.unpack(">I")[0])
        index, offset, length = self.unpack(">HQQ")
        assert offset % 64 == 0 and offset + length <= len(self.memories[index])
        return self.memories[index][offset : offset + length]

    def value(self) -> Any:
        (kind,) = self.unpack(">B")
        if kind == 1:
            return ("json", json.loads(self.blob()))
        if kind in (2, 3):
            return ("text", self.blob().decode()) if kind == 2 else ("bytes", self.blob())
        if kind == 4:
            number, rank = self.unpack(">BB")
            shape = self.unpack(">%dQ" % rank)
            return ("tensor", DTYPES[number], shape, self.blob())
        if kind == 5:
            (forms,) = self.unpack(">B")
            file = self.blob() if forms & 1 else None
            return ("image", file) + ((self.unpack(">II"), self.blob()) if forms & 2 else ())
        if kind == 6:
            return ("list", [self.value() for _ in range(self.unpack(">I")[0])])
        if kind == 7:
            return ("map", {self.text(): self.value() for _ in range(self.unpack(">I")[0])})
        assert kind == 8, kind
        return ("float",) + self.unpack(">d")

    def answer(self, number: int, more: bool) -> Answer:
        (code,) = self.unpack(">i")
        message, predictions = self.text(), []
        for _ in range(self.unpack(">I")[0]):
            identity, content_type = self.text(), self.text()
            (status,) = self.unpack(">i")
            phrase = self.text()
            headers = {self.text(): self.text() for _ in range(self.unpack(">I")[0])}
            predictions.append((identity, content_type, status, phrase, headers, self.value()))
        assert self.at == len(self.data), "bytes are left"
        return Answer(number, more, code, message, predictions, len(self.memories))
