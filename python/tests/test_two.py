"""Protocol two: the agreement, values in both directions, and frames that are not what they should be."""

import importlib.util
import json
import math
import os
import struct
import unittest

from . import harness_two as two
from .harness import GENUINE, Daemon, Request
from .harness_two import (
    Answer,
    DaemonTwo,
    as_bytes,
    as_float,
    as_image,
    as_json,
    as_list,
    as_map,
    as_tensor,
    as_text,
    at,
    batch,
    inline,
    memories_of,
    memory,
    request,
)
from .test_life import wait_until
from .test_predicting import SUCCESS, handler

LARGE = bytes(range(256)) * 1024  # 256 KiB: travels in memory
FLOATS = struct.pack("=6f", *range(6))
NO_NUMPY = "import sys\nsys.modules['numpy'] = None\n"
ECHO = "def handle(data, context):\n    return None if data is None else [row['v'] for row in data]\n"
SAY = "def handle(data, context):\n    return None if data is None else [%s]\n"


def answer(value, memories: int = 0, number: int = 1, **more) -> Answer:
    fields = dict(content_type="", status=200, phrase="", headers={})
    fields.update(more)
    prediction = ("r1", fields["content_type"], fields["status"], fields["phrase"], fields["headers"], value)
    return Answer(number, False, 200, SUCCESS, [prediction], memories)


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


@unittest.skipIf(GENUINE, "TorchServe's worker speaks protocol one alone")
class ProtocolTwo(unittest.TestCase):
    def test_it_is_agreed_on_only_where_both_want_it(self):
        for environment, tcp, expected in [
            ({}, False, []),
            ({"TORCHRELAY_PROTOCOL": "1"}, False, []),
            ({"TORCHRELAY_PROTOCOL": "two"}, False, []),
            ({"TORCHRELAY_PROTOCOL": "2"}, False, [2]),
            ({"TORCHRELAY_PROTOCOL": "7"}, False, [2]),
            ({"TORCHRELAY_PROTOCOL": "2"}, True, [1]),
        ]:
            with self.subTest(environment, tcp=tcp), Daemon({"h.py": ECHO}, environment=environment, tcp=tcp) as daemon:
                daemon.connect()
                loaded = daemon.load()
                self.assertEqual(loaded[:2], (200, "loaded model m"))
                self.assertEqual([json.loads(p.body)["protocol"] for p in loaded.predictions], expected)
                self.assertTrue(all(p.id == "torchrelay" for p in loaded.predictions))
                if expected != [2]:
                    found = daemon.predict(Request(parameters=(("v", "", b"x"),)))
                    self.assertEqual(found.predictions[0].body, b"x")

    def check_echo(self, sent: bytes, expected, memories: int, kept=(), source: str = NO_NUMPY + ECHO) -> None:
        """Sends a value, and wants it back as typed value."""
        descriptors = [memory(data) for data in kept]
        try:
            with DaemonTwo({"h.py": source}) as daemon:
                daemon.start()
                body = batch(request(("v", "", sent)), sizes=[len(data) for data in kept])
                self.assertEqual(daemon.ask(body, True, descriptors), answer(expected, memories))
                # Again: nothing of the first was left behind.
                self.assertEqual(daemon.ask(body, True, descriptors, number=2), answer(expected, memories, 2))
                wait_until(lambda: memories_of(daemon) == 0, "all memory given back")
                self.assertEqual(daemon.end().code, 0)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def test_values_travel_in_both_directions(self):
        for name, sent, expected, memories, kept in [
            ("json", as_json({"a": [1, None]}), ("json", {"a": [1, None]}), 0, ()),
            ("text", as_text("a\u00e9"), ("text", "a\u00e9"), 0, ()),
            ("bytes", as_bytes(inline(b"ab")), ("bytes", b"ab"), 0, ()),
            ("no bytes", as_bytes(inline(b"")), ("bytes", b""), 0, ()),
            ("many bytes", as_bytes(at(0, 0, len(LARGE))), ("bytes", LARGE), 1, (LARGE,)),
            ("a piece of memory", as_bytes(at(0, 3, 5)), ("bytes", LARGE[3:8]), 0, (LARGE,)),
            ("the second memory", as_bytes(at(1, 0, 2)), ("bytes", b"ab"), 0, (b"xy", b"ab")),
            ("tensor", as_tensor("float32", (2, 3), inline(FLOATS)), ("tensor", "float32", (2, 3), FLOATS), 0, ()),
            (
                "tensor in memory",
                as_tensor("int64", (2, 0x4000), at(0, 0, 0x40000)),
                ("tensor", "int64", (2, 0x4000), LARGE),
                1,
                (LARGE,),
            ),
            (
                "tensor further on",
                as_tensor("int16", (2,), at(0, 6, 4)),
                ("tensor", "int16", (2,), LARGE[6:10]),
                0,
                (LARGE,),
            ),
            ("bfloat16", as_tensor("bfloat16", (1,), inline(b"ab")), ("tensor", "bfloat16", (1,), b"ab"), 0, ()),
            ("scalar", as_tensor("bool", (), inline(b"\1")), ("tensor", "bool", (), b"\1"), 0, ()),
            ("empty tensor", as_tensor("uint8", (3, 0), inline(b"")), ("tensor", "uint8", (3, 0), b""), 0, ()),
            ("file", as_image(inline(b"JPEG")), ("image", b"JPEG"), 0, ()),
            ("pixels", as_image(b"", (1, 2), inline(b"abcdef")), ("image", None, (1, 2), b"abcdef"), 0, ()),
            (
                "both",
                as_image(inline(b"JPEG"), (1, 2), inline(b"abcdef")),
                ("image", b"JPEG", (1, 2), b"abcdef"),
                0,
                (),
            ),
            ("float", as_float(math.inf), ("float", math.inf), 0, ()),
            (
                "nested",
                as_list(as_json(1), as_map(t=as_tensor("uint8", (2,), inline(b"ab")), n=as_text("x"))),
                ("list", [("json", 1), ("map", {"t": ("tensor", "uint8", (2,), b"ab"), "n": ("text", "x")})]),
                0,
                (),
            ),
        ]:
            with self.subTest(name):
                self.check_echo(sent, expected, memories, kept)

    def test_every_element_type(self):
        for dtype, size in two.SIZES.items():
            with self.subTest(dtype):
                data = bytes(2 * size)
                self.check_echo(as_tensor(dtype, (2, 1), inline(data)), ("tensor", dtype, (2, 1), data), 0)

    def check_said(self, expression: str, value: bytes, expected, head: str = "", kept=()) -> None:
        """What a handler says of a value that it gets."""
        descriptors = [memory(data) for data in kept]
        with DaemonTwo({"h.py": head + SAY % expression.replace("v0", "data[0]['v']")}) as daemon:
            daemon.start()
            body = batch(request(("v", "", value)), sizes=[len(data) for data in kept])
            found = daemon.ask(body, True, descriptors)
            self.assertEqual(
                found.predictions[0][5] if found.predictions else found, ("json", expected), daemon.output()
            )
        for descriptor in descriptors:
            os.close(descriptor)

    def test_what_handlers_see_without_numpy(self):
        tensor = as_tensor("float32", (2, 3), inline(FLOATS))
        held = as_tensor("float32", (2, 3), at(0, 64, 24))
        kept = (bytes(64) + FLOATS,)
        for expression, expected in [
            (
                "[type(v0).__name__, v0.dtype, list(v0.shape), v0.view().tolist()]",
                ["Tensor", "float32", [2, 3], [[0, 1, 2], [3, 4, 5]]],
            ),
            ("v0.data.readonly", True),
        ]:
            self.check_said(expression, tensor, expected, NO_NUMPY)
            self.check_said(expression, held, expected, NO_NUMPY, kept)
        self.check_said(
            "[type(v0).__name__, bytes(v0.file).decode(), v0.pixels]",
            as_image(inline(b"JPEG")),
            ["Image", "JPEG", None],
            NO_NUMPY,
        )
        self.check_said("[type(v0).__name__]", as_bytes(inline(b"x")), ["bytearray"], NO_NUMPY)

    def test_content_types_decode_bytes_alone(self):
        for kind, value, expected in [
            ("application/json", as_bytes(inline(b'{"a":1}')), "{'a': 1}"),
            ("text/plain", as_bytes(inline(b"hi")), "'hi'"),
            ("application/json", as_text("[1]"), "'[1]'"),
            ("", as_json([1]), "[1]"),
        ]:
            with self.subTest(kind, value=value), DaemonTwo({"h.py": SAY % "repr(data[0]['v'])"}) as daemon:
                daemon.start()
                self.assertEqual(daemon.ask(batch(request(("v", kind, value))), True), answer(("text", expected)))

    def test_answers_that_are_not_typed_are_bodies(self):
        for expression, expected, memories in [
            ("{'a': 1}", b'{\n  "a": 1\n}', 0),
            ("'x'", b"x", 0),
            ("b'ab' * 100000", b"ab" * 100000, 1),
        ]:
            with self.subTest(expression), DaemonTwo({"h.py": SAY % expression}) as daemon:
                daemon.start()
                self.assertEqual(daemon.ask(batch(request())), answer(("bytes", expected), memories))

    def test_status_headers_failures_and_streams(self):
        body = "context.set_response_status(201, 'made', 0)\ncontext.set_response_content_type(0, 'a/b')\nreturn ['x']"
        with DaemonTwo({"h.py": handler(body)}) as daemon:
            daemon.start()
            expected = answer(
                ("text", "x"), content_type="a/b", status=201, phrase="made", headers={"content-type": "a/b"}
            )
            self.assertEqual(daemon.ask(batch(request()), True), expected)
        for body, code, message in [
            ("raise ValueError()", 503, "Prediction failed"),
            ("return [{1}]", 503, "Unsupported model output data type."),
            ("return []", 503, "number of batch response mismatched"),
        ]:
            with self.subTest(body), DaemonTwo({"h.py": handler(body)}) as daemon:
                daemon.start()
                self.assertEqual(daemon.ask(batch(request()), True), Answer(1, False, code, message, [], 0))
        stream = (
            "from ts.handler_utils.utils import send_intermediate_predict_response as send\n"
            "send([b'p'], context.request_ids, 'Part', 200, context)\nreturn [b'end']"
        )
        with DaemonTwo({"h.py": handler(stream)}) as daemon:
            daemon.start()
            first = daemon.ask(batch(request()), number=9)
            last = daemon.answer()
        said = [(a.number, a.more, a.predictions[0][4]["ts_stream_next"], a.predictions[0][5]) for a in (first, last)]
        self.assertEqual(said, [(9, True, "true", ("bytes", b"p")), (9, False, "false", ("bytes", b"end"))])

    def test_messages_overlap_with_async(self):
        source = (
            "import threading\nbarrier = threading.Barrier(2)\n"
            "def handle(data, context):\n    if data is None: return None\n    barrier.wait(30)\n    return [data[0]['v']]\n"
        )
        with DaemonTwo({"h.py": source}, arguments=["--async"]) as daemon:
            daemon.start()
            daemon.frame(batch(request(("v", "", as_text("a")))), 5, 1)
            daemon.frame(batch(request(("v", "", as_text("b")))), 6, 0)
            found = sorted((daemon.answer() for _ in range(2)), key=lambda a: a.number)
            self.assertEqual([a.predictions[0][5] for a in found], [("text", "a"), ("bytes", b"b")])

    def test_many_values_do_not_burst_a_frame(self):
        with DaemonTwo({"h.py": NO_NUMPY + SAY % "[bytes([n % 256]) * 60000 for n in range(400)]"}) as daemon:
            daemon.start()
            found = daemon.ask(batch(request()), True)
            self.assertEqual(found.memories, 1)
            self.assertEqual(
                found.predictions[0][5], ("list", [("bytes", bytes([n % 256]) * 60000) for n in range(400)])
            )

    @unittest.skipUnless(has("numpy"), "numpy is not installed")
    def test_numpy(self):
        source = "import numpy\n"
        kept = (bytes(64) + FLOATS,)
        held = as_tensor("float32", (2, 3), at(0, 64, 24))
        self.check_said(
            "[type(v0).__name__, str(v0.dtype), v0.tolist(), bool(v0.flags.writeable)]",
            held,
            ["ndarray", "float32", [[0, 1, 2], [3, 4, 5]], False],
            kept=kept,
        )
        self.check_echo(held, ("tensor", "float32", (2, 3), FLOATS), 0, kept, source + ECHO)
        for expression, expected in [
            (
                "numpy.arange(6, dtype='int32').reshape(2, 3).T",
                ("tensor", "int32", (3, 2), struct.pack("=6i", 0, 3, 1, 4, 2, 5)),
            ),
            ("numpy.array([1, 2], dtype='>i2')", ("tensor", "int16", (2,), struct.pack("=2h", 1, 2))),
            ("numpy.float32(1.5)", ("json", 1.5)),
            (
                "{'score': numpy.float32(1.5), 'mask': numpy.zeros((1, 2), 'bool')}",
                ("map", {"score": ("json", 1.5), "mask": ("tensor", "bool", (1, 2), b"\0\0")}),
            ),
        ]:
            with self.subTest(expression), DaemonTwo({"h.py": source + SAY % expression}) as daemon:
                daemon.start()
                self.assertEqual(daemon.ask(batch(request()), True), answer(expected))
        with DaemonTwo({"h.py": source + SAY % "numpy.array(['a'])"}) as daemon:
            daemon.start()
            self.assertEqual(daemon.ask(batch(request()), True).message, "Unsupported model output data type.")

    @unittest.skipUnless(has("torch"), "torch is not installed")
    def test_torch(self):
        source = "import torch\n"
        kept = (bytes(64) + FLOATS,)
        held = as_tensor("float32", (2, 3), at(0, 64, 24))
        self.check_said(
            "[type(v0).__name__, str(v0.dtype), v0.tolist(), v0.mul_(2).sum().item()]",
            held,
            ["Tensor", "torch.float32", [[0, 1, 2], [3, 4, 5]], 30],
            source,
            kept,
        )
        self.check_echo(held, ("tensor", "float32", (2, 3), FLOATS), 0, kept, source + ECHO)
        for dtype, size in two.SIZES.items():
            data = bytes(2 * size)
            self.check_echo(
                as_tensor(dtype, (2, 1), inline(data)), ("tensor", dtype, (2, 1), data), 0, source=source + ECHO
            )
        self.check_echo(
            as_tensor("float32", (0, 3), inline(b"")), ("tensor", "float32", (0, 3), b""), 0, source=source + ECHO
        )
        with DaemonTwo({"h.py": source + SAY % "torch.arange(4).reshape(2, 2).T.requires_grad_(False)"}) as daemon:
            daemon.start()
            self.assertEqual(
                daemon.ask(batch(request()), True), answer(("tensor", "int64", (2, 2), struct.pack("=4q", 0, 2, 1, 3)))
            )

    @unittest.skipUnless(has("PIL"), "Pillow is not installed")
    def test_pictures_of_pillow(self):
        source = "import PIL.Image\n" + SAY % "PIL.Image.new('L', (2, 1), 7)"
        with DaemonTwo({"h.py": source}) as daemon:
            daemon.start()
            self.assertEqual(daemon.ask(batch(request()), True), answer(("image", None, (1, 2), b"\7" * 6)))
        pixels = as_image(b"", (1, 2), inline(b"abcdef"))
        self.check_said("list(v0.pil().getpixel((1, 0)))", pixels, [100, 101, 102])
