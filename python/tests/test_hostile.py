"""Protocol two against frames that are not what they should be: each costs its message, or the connection, and no more."""

import os
import random
import struct
import unittest

from . import harness_two as two
from .harness import GENUINE
from .harness_two import (
    Answer,
    DaemonTwo,
    as_bytes,
    as_image,
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
from .test_two import ECHO, FLOATS, NO_NUMPY, answer

PLAIN_ECHO = NO_NUMPY + ECHO


@unittest.skipIf(GENUINE, "TorchServe's worker speaks protocol one alone")
class Hostile(unittest.TestCase):
    def test_bodies_that_cannot_be_read_cost_their_message_alone(self):
        good = batch(request(("v", "", as_text("x"))))
        deep = as_list()
        for _ in range(40):
            deep = as_list(deep)
        value = lambda data: batch(request(("v", "", data)))
        in_memory = lambda data, size=8: batch(request(("v", "", data)), sizes=[size])
        for name, body, kept, said in [
            ("empty", b"", None, "ends"),
            ("too many requests", struct.pack(">I", 5000), None, "5000 requests"),
            ("cut off", good[:-1], None, "too early"),
            ("goes on", good + b"x", None, "1 bytes are left"),
            ("unknown kind", value(b"\x63"), None, "unknown kind 99"),
            ("no value", batch(request())[:-4] + struct.pack(">I", 1) + two.text("v") + two.text(""), None, "ends"),
            ("broken JSON", value(b"\1" + inline(b"{")), None, "JSON"),
            ("NaN is fine, halves are not", value(b"\1" + inline(b'"\xff"')), None, "JSON"),
            ("text that is none", value(b"\2" + inline(b"\xff")), None, "UTF-8"),
            (
                "name that is none",
                batch(request(("v", "", as_text("x")))).replace(b"\0\0\0\1v", b"\0\0\0\1\xff"),
                None,
                "UTF-8",
            ),
            ("nested too deeply", value(deep), None, "nested"),
            ("list that is not there", value(b"\6" + struct.pack(">I", 1 << 30)), None, "members"),
            ("inline length", value(b"\3\0" + struct.pack(">I", 1 << 31)), None, "too early"),
            ("unknown place", value(b"\3\7"), None, "place 7"),
            ("memory that is not there", value(as_bytes(at(0, 0, 1))), None, "memory 0 of 0"),
            ("beyond the end", in_memory(as_bytes(at(0, 4, 5))), b"12345678", "memory of 8 bytes"),
            ("offset that wraps", in_memory(as_bytes(at(0, 2**64 - 1, 2))), b"12345678", "memory of 8 bytes"),
            ("length that wraps", in_memory(as_bytes(at(0, 1, 2**64 - 1))), b"12345678", "memory of 8 bytes"),
            ("announced larger", in_memory(as_bytes(at(0, 0, 9)), 9), b"12345678", "announced were 9"),
            ("announced smaller", in_memory(as_bytes(at(0, 0, 4)), 4), b"12345678", "announced were 4"),
            ("tensor's length", value(as_tensor("float32", (2,), inline(b"1234567"))), None, "needs 8 bytes, found 7"),
            ("tensor's shape", value(as_tensor("uint8", (2**40, 2**40), inline(b""))), None, "too large"),
            ("tensor's empty shape", value(as_tensor("uint8", (2**63, 0), inline(b""))), None, "too large"),
            ("tensor's type", value(b"\4\x63\0" + inline(b"")), None, "type 99"),
            ("tensor's rank", value(b"\4\1\xff"), None, "255 dimensions"),
            ("tensor's place", in_memory(as_tensor("float32", (1,), at(0, 2, 4))), b"12345678", "byte 2"),
            ("picture of nothing", value(b"\5\0"), None, "forms"),
            ("picture's size", value(as_image(b"", (1, 2), inline(b"abcde"))), None, "needs 6 bytes"),
            ("picture without height", value(as_image(b"", (0, 2), inline(b"a"))), None, "0 x 2"),
        ]:
            with self.subTest(name), DaemonTwo({"h.py": PLAIN_ECHO}) as daemon:
                daemon.start()
                descriptors = [] if kept is None else [memory(kept)]
                found = daemon.ask(body, True, descriptors, number=3)
                self.assertEqual((found.number, found.code, found.predictions), (3, 500, []))
                self.assertIn(said, found.message)
                wait_until(lambda: memories_of(daemon) == 0, "all memory given back")
                self.assertEqual(daemon.ask(good, True, number=4), answer(("text", "x"), number=4))
                for descriptor in descriptors:
                    os.close(descriptor)

    def test_memory_that_could_change_is_refused(self):
        pipe, other = os.pipe()
        with open(os.path.join(os.path.dirname(__file__), "__init__.py"), "rb") as file:
            plain = os.dup(file.fileno())
        unsealed = [memory(b"12345678", seals) for seals in (0, 0x8, 0x2 | 0x4 | 0x8, 0x1 | 0x2 | 0x4)]
        for descriptor in [pipe, plain] + unsealed:
            with self.subTest(descriptor), DaemonTwo({"h.py": ECHO}) as daemon:
                daemon.start()
                found = daemon.ask(batch(request(("v", "", as_bytes(at(0, 0, 8)))), sizes=[8]), True, [descriptor])
                self.assertEqual(found.code, 500)
                self.assertRegex(found.message, "sealed|no memory")
        for descriptor in [pipe, other, plain] + unsealed:
            os.close(descriptor)

    def test_heads_that_are_wrong_end_the_worker(self):
        good = batch(request(("v", "", as_text("x"))))
        spare = memory(b"12345678")
        for name, arguments in [
            ("magic", dict(magic=b"TR3")),
            ("length", dict(length=(16 << 20) + 1)),
            ("fewer descriptors than announced", dict(announced=1)),
            ("more descriptors than announced", dict(announced=0, descriptors=[spare])),
            ("more descriptors than allowed", dict(descriptors=[spare] * 65)),
            ("cut off", dict(length=len(good) + 1)),
        ]:
            with self.subTest(name), DaemonTwo({"h.py": ECHO}) as daemon:
                daemon.start()
                daemon.frame(good, **arguments)
                daemon.connection.shutdown(1)
                ended = daemon.wait()
                self.assertEqual(ended.code, 1)
                self.assertIn("ProtocolError", ended.stdout)
        os.close(spare)

    def test_frames_of_another_kind_are_answered(self):
        with DaemonTwo({"h.py": ECHO}) as daemon:
            daemon.start()
            daemon.frame(b"", 8, kind=b"Z")
            self.assertEqual(
                daemon.answer(), Answer(8, False, 500, "message cannot be read: its kind is b'Z', expected b'P'", [], 0)
            )

    def test_random_bytes_never_do_worse_than_an_answer(self):
        draw = random.Random(7)
        good = bytearray(
            batch(
                request(
                    ("v", "", as_map(t=as_tensor("float32", (2, 3), inline(FLOATS)), i=as_image(inline(b"J")))), id="r"
                )
            )
        )
        with DaemonTwo({"h.py": PLAIN_ECHO}) as daemon:
            daemon.start()
            for number in range(1, 400):
                body = bytearray(good)
                for _ in range(draw.randint(1, 4)):
                    body[draw.randrange(len(body))] = draw.choice([0, 1, 2, 5, 8, 127, 255, draw.randrange(256)])
                self.assertIn(daemon.ask(bytes(body), True, number=number).code, (200, 500, 503))
            self.assertEqual(daemon.end().code, 0)
