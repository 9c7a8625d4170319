"""From the body of a frame to a batch. Every length and offset is checked against what is there before it is used."""

import json
import struct
from typing import Any, Callable, List

from ..messages import Message, Part, Request
from ..values import DTYPES, Image, elements
from ..wire import ProtocolError
from . import arrays, frames, kinds
from .frames import TYPED, BadBody, Frame
from .limits import DEPTH, PARTS, RANK, REQUESTS, TENSOR, VALUES
from .memory import Segment


def decode(frame: Frame, tensors: str) -> Message:
    """The batch of a frame; `tensors` is the kind of tensors that handlers get. Takes the frame's descriptors over.

    Raises BadBody.
    """
    decoder = Decoder(frame, tensors)
    try:
        return decoder.message()
    except ProtocolError as error:
        raise BadBody(str(error)) from error
    finally:
        decoder.close()


class Decoder:
    """One body, read from its start to its end."""

    def __init__(self, frame: Frame, tensors: str):
        self._frame = frame
        self._body = frame.body
        self._at = 0
        self._tensors = tensors
        self._segments: List[Segment] = []
        self._values = 0

    def close(self) -> None:
        for segment in self._segments:
            segment.close()
        frames.close(self._frame.descriptors)

    def message(self) -> Message:
        # All sizes before any memory is looked at: the table is as long as there are descriptors.
        sizes = self._unpack(">%dQ" % len(self._frame.descriptors))
        for size in sizes:
            self._segments.append(Segment(self._frame.descriptors.pop(0), size))
        requests = [self._request() for _ in range(self._count(REQUESTS, "requests"))]
        if self._at != len(self._body):
            raise BadBody("%d bytes are left after the last request" % (len(self._body) - self._at))
        return Message(self._frame.number, requests, bool(self._frame.flags & TYPED))

    def _request(self) -> Request:
        identity = self._text()
        headers = [(self._text(), self._text()) for _ in range(self._count(PARTS, "headers"))]
        parts = []
        for _ in range(self._count(PARTS, "parts")):
            name, content_type = self._text(), self._text()
            typed = self._peek() != kinds.BYTES
            parts.append(Part(name, content_type, self._value(0), typed))
        return Request(identity, headers, parts)

    def _peek(self) -> int:
        if self._at >= len(self._body):
            raise BadBody("it ends where a value should begin")
        return self._body[self._at]

    def _value(self, depth: int) -> Any:
        self._values += 1
        if self._values > VALUES:
            raise BadBody("it has more than %d values" % VALUES)
        if depth > DEPTH:
            raise BadBody("lists and maps are nested more than %d deep" % DEPTH)
        (kind,) = self._unpack(">B")
        if kind == kinds.JSON:
            try:
                return json.loads(bytes(self._blob()).decode("utf-8"))
            except (ValueError, RecursionError) as error:
                raise BadBody("a JSON value is none: %s" % error) from error
        if kind == kinds.TEXT:
            return self._utf8(self._blob())
        if kind == kinds.BYTES:
            # Handlers ask for `bytes` and `bytearray` by name, so this is the one kind that is copied.
            return bytearray(self._blob())
        if kind == kinds.TENSOR:
            return self._tensor()
        if kind == kinds.IMAGE:
            return self._image()
        if kind == kinds.LIST:
            return [self._value(depth + 1) for _ in range(self._count(VALUES, "members of a list"))]
        if kind == kinds.MAP:
            return {self._text(): self._value(depth + 1) for _ in range(self._count(VALUES, "members of a map"))}
        if kind == kinds.FLOAT:
            return self._unpack(">d")[0]
        raise BadBody("a value is of the unknown kind %d" % kind)

    def _tensor(self) -> Any:
        number, rank = self._unpack(">BB")
        if number >= len(DTYPES):
            raise BadBody("a tensor is of the unknown type %d" % number)
        if rank > RANK:
            raise BadBody("a tensor has %d dimensions, at most %d are allowed" % (rank, RANK))
        shape = self._unpack(">%dQ" % rank)
        if elements([max(length, 1) for length in shape]) * DTYPES[number].size > TENSOR:
            raise BadBody("a tensor of shape %s is too large" % list(shape))
        return self._array(number, shape)

    def _image(self) -> Image:
        (forms,) = self._unpack(">B")
        if forms not in (1, 2, 3):
            raise BadBody("a picture has the forms %d, expected 1, 2 or 3" % forms)
        file = self._blob() if forms & 1 else None
        pixels = None
        if forms & 2:
            height, width = self._unpack(">II")
            if not height or not width:
                raise BadBody("a picture has %d x %d pixels" % (height, width))
            pixels = self._array(1, (height, width, 3))
        return Image(file, pixels)

    def _array(self, number: int, shape: tuple) -> Any:
        size = DTYPES[number].size
        data = self._blob_of(shape, size)
        return arrays.make(self._tensors, number, shape, data)

    def _blob_of(self, shape: tuple, size: int) -> Callable[[bool], memoryview]:
        expected = elements(shape) * size
        where, index, offset, length = self._place()
        if length != expected:
            raise BadBody("a tensor of shape %s needs %d bytes, found %d" % (list(shape), expected, length))
        if where == kinds.INLINE:
            # Of its own, because a body's bytes are not aligned.
            data = memoryview(bytearray(self._body[offset : offset + length]))
            return lambda writable: data if writable else data.toreadonly()
        if offset % size:
            raise BadBody("a tensor of elements of %d bytes begins at byte %d" % (size, offset))
        segment = self._segments[index]
        views = {True: segment.private, False: segment.shared}
        return lambda writable: views[writable]()[offset : offset + length]

    def _blob(self) -> memoryview:
        where, index, offset, length = self._place()
        if where == kinds.INLINE:
            return self._body[offset : offset + length]
        return self._segments[index].shared()[offset : offset + length]

    def _place(self) -> tuple:
        """Where, which memory, offset and length of a value's bytes, all of which are there."""
        (where,) = self._unpack(">B")
        if where == kinds.INLINE:
            (length,) = self._unpack(">I")
            return where, 0, self._take(length), length
        if where != kinds.MEMORY:
            raise BadBody("a value's bytes are at the unknown place %d" % where)
        index, offset, length = self._unpack(">HQQ")
        if index >= len(self._segments):
            raise BadBody("a value refers to memory %d of %d" % (index, len(self._segments)))
        size = self._segments[index].size
        if offset > size or length > size - offset:
            raise BadBody("a value is at %d to %d of a memory of %d bytes" % (offset, offset + length, size))
        return where, index, offset, length

    def _text(self) -> str:
        (length,) = self._unpack(">I")
        start = self._take(length)
        return self._utf8(self._body[start : start + length])

    @staticmethod
    def _utf8(data: memoryview) -> str:
        try:
            return str(data, "utf-8")
        except UnicodeDecodeError as error:
            raise BadBody("a text is no UTF-8: %s" % error) from error

    def _count(self, limit: int, what: str) -> int:
        (count,) = self._unpack(">I")
        if count > limit:
            raise BadBody("it has %d %s, at most %d are allowed" % (count, what, limit))
        return count

    def _unpack(self, layout: str) -> tuple:
        start = self._take(struct.calcsize(layout))
        return struct.unpack_from(layout, self._body, start)

    def _take(self, length: int) -> int:
        start = self._at
        if length > len(self._body) - start:
            raise BadBody("it ends %d bytes too early" % (length - (len(self._body) - start)))
        self._at = start + length
        return start
