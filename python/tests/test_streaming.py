"""Answers in parts, batches that go on, and many messages at a time."""

import unittest

from .harness import GENUINE, Daemon, Request, Response, predict_message
from .test_predicting import SUCCESS, answered, failed, handler

SEND = "from ts.handler_utils.utils import send_intermediate_predict_response as send\n"
MORE = {"ts_stream_next": "true"}
LAST = {"ts_stream_next": "false"}
TWO = (Request("a"), Request("b"))

# Name, body, requests, responses in their order.
STREAMS = [
    (
        "parts",
        SEND + "for i in range(2): send(['p%d' % i], context.request_ids, 'Part', 200, context)\nreturn ['end']",
        (Request(),),
        [
            Response(200, "Part", [answered(b"p0", headers=MORE)]),
            Response(200, "Part", [answered(b"p1", headers=MORE)]),
            Response(200, SUCCESS, [answered(b"end", headers=LAST)]),
        ],
    ),
    (
        "by the older name",
        "from ts.protocol.otf_message_handler import send_intermediate_predict_response as send\n"
        "send([{'a': 1}], context.request_ids, 'Part', 200, context)\nreturn ['end']",
        (Request(),),
        [
            Response(200, "Part", [answered(b'{\n  "a": 1\n}', headers=MORE)]),
            Response(200, SUCCESS, [answered(b"end", headers=LAST)]),
        ],
    ),
    (
        "of a batch",
        "context.set_response_content_type(0, 'text/q')\n"
        + SEND
        + "send(['p', 'q'], context.request_ids, 'Part', 206, context)\nreturn ['end', 'fin']",
        TWO,
        [
            Response(
                206,
                "Part",
                [
                    answered(b"p", "text/q", headers={"content-type": "text/q", **MORE}, id="a"),
                    answered(b"q", headers=MORE, id="b"),
                ],
            ),
            Response(
                200,
                SUCCESS,
                [
                    answered(b"end", "text/q", headers={"content-type": "text/q", **LAST}, id="a"),
                    answered(b"fin", headers=LAST, id="b"),
                ],
            ),
        ],
    ),
    (
        "cut short",
        SEND + "send(['p'], context.request_ids, 'Part', 200, context)\nraise ValueError('x')",
        (Request(),),
        [Response(200, "Part", [answered(b"p", headers=MORE)]), failed(503, "Prediction failed")],
    ),
    (
        "continuous: by stopping criteria",
        "context.stopping_criteria = [lambda r: r == 'x', lambda r: r == 'x']\nreturn ['x', 'y']",
        TWO,
        [Response(200, SUCCESS, [answered(b"x", headers=LAST, id="a"), answered(b"y", headers=MORE, id="b")])],
    ),
    (
        "continuous: known requests come without parts",
        "return [repr(row) for row in data]",
        (Request("a", ()), Request("b")),
        [Response(200, SUCCESS, [answered(b"{}", id="a"), answered(b"{'body': bytearray(b'x')}", id="b")])],
    ),
]

COROUTINE = """
import asyncio
class Handler:
    def initialize(self, context):
        self.count = 0
    async def handle(self, data, context):
        from ts.handler_utils.utils import send_intermediate_predict_response as send
        self.count += 1
        number = self.count
        if number == 1:
            self.gate = asyncio.Event()
            await self.gate.wait()
        if number == 2:
            raise ValueError("second")
        if number == 3:
            self.gate.set()
        send(["part"], context.request_ids, "Part", 200, context)
        return ["%d of %s" % (number, context.get_request_id(0))]
"""


class Streaming(unittest.TestCase):
    def test_parts(self):
        for name, body, requests, expected in STREAMS:
            with self.subTest(name), Daemon({"h.py": handler(body)}) as daemon:
                daemon.connect()
                daemon.load(batch_size=len(requests))
                daemon.send(predict_message(requests))
                self.assertEqual([daemon.response() for _ in expected], expected)
                self.assertEqual(daemon.end().code, 0)

    @unittest.skipIf(GENUINE, "TorchServe's worker sends two last answers")
    def test_a_part_that_cannot_be_sent_raises_in_the_handler(self):
        body = SEND + "send([{1}], context.request_ids, 'Part', 200, context)\nreturn ['end']"
        with Daemon({"h.py": handler(body)}) as daemon:
            daemon.connect()
            daemon.load()
            self.assertEqual(daemon.predict(), failed(503, "Prediction failed"))

    def test_messages_overlap_with_async(self):
        with Daemon({"h.py": COROUTINE}, arguments=["--async"]) as daemon:
            daemon.connect()
            daemon.load()
            for name in "abc":
                daemon.send(predict_message([Request(name)]))
            found = [daemon.response() for _ in range(5)]
        by_id = {name: [r for r in found if r.predictions[0].id == name] for name in "abc"}
        self.assertEqual([r.predictions[0].body for r in by_id["a"]], [b"part", b"1 of a"])
        self.assertEqual(by_id["b"], [failed(503, "Prediction failed", "b")])
        self.assertEqual([r.predictions[0].body for r in by_id["c"]], [b"part", b"3 of c"])

    @unittest.skipIf(GENUINE, "TorchServe's worker takes coroutines alone, and stays when the daemon leaves")
    def test_handlers_that_are_no_coroutines_overlap_on_threads(self):
        source = (
            "import threading\nbarrier = threading.Barrier(3)\n"
            "def handle(data, context):\n    if data is None: return None\n"
            "    barrier.wait(30)\n    return [context.get_request_id(0)]\n"
        )
        with Daemon({"h.py": source}, arguments=["--async"]) as daemon:
            daemon.connect()
            daemon.load()
            for name in "abc":
                daemon.send(predict_message([Request(name)]))
            found = [daemon.response().predictions[0] for _ in range(3)]
            self.assertEqual(sorted((p.id, p.body) for p in found), [("a", b"a"), ("b", b"b"), ("c", b"c")])
            self.assertEqual(daemon.end().code, 0)
