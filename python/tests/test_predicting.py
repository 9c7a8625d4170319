"""Batches: what handlers see of requests, what becomes of their answers, and what is told of their failures."""

import textwrap
import unittest
from typing import NamedTuple, Optional, Sequence

from .harness import GENUINE, Daemon, Prediction, Request, Response

SUCCESS = "Prediction success"


def handler(body: str) -> str:
    return "def handle(data, context):\n    if data is None:\n        return None\n" + textwrap.indent(
        textwrap.dedent(body).strip() + "\n", "    "
    )


def answered(body: bytes, content_type="", status=200, phrase="", headers=None, id="r1") -> Prediction:
    return Prediction(id, content_type, status, phrase, headers or {}, body)


def failed(code: int, message: str, ids: Sequence[str] = ("r1",)) -> Response:
    return Response(code, message, [Prediction(id, "", code, "", {}, b"error") for id in ids])


class Case(NamedTuple):
    """One batch: the handler's body, the requests, the answer, and a piece of the log."""

    name: str
    body: str
    expected: Response
    requests: Sequence[Request] = (Request(),)
    log: str = ""
    environment: Optional[dict] = None
    ours: bool = False


def one(name: str, body: str, answer: bytes, *requests: Request, **more) -> Case:
    """A batch of one that succeeds."""
    return Case(name, body, Response(200, SUCCESS, [answered(answer)]), requests or (Request(),), **more)


TWO = (Request("a"), Request("b"))

ANSWERS = [
    one("bytes", "return [b'ab']", b"ab"),
    one("bytearray", "return [bytearray(b'ab')]", b"ab"),
    one("text", "return ['a\\u00e9']", b"a\xc3\xa9"),
    one(
        "dictionary",
        "return [{'a': [1, float('nan')], '\\u00e9': None}]",
        b'{\n  "a": [\n    1,\n    NaN\n  ],\n  "\\u00e9": null\n}',
    ),
    one("number", "return [1]", b"1"),
    one("nothing", "return [None]", b"null"),
    one("tuple", "return [(1, 2)]", b"[\n  1,\n  2\n]"),
    one("number as key", "return [{1: 2}]", b'{\n  "1": 2\n}'),
    Case(
        "status, type and headers",
        """
        context.set_response_status(418, "teapot", 0)
        context.set_response_content_type(0, "text/x")
        context.set_response_header(0, "A-b", "c")
        return ["x"]
        """,
        Response(200, SUCCESS, [answered(b"x", "text/x", 418, "teapot", {"content-type": "text/x", "A-b": "c"})]),
    ),
    Case(
        "status of one request",
        "context.set_response_status(code=201, phrase='c', idx=1)\nreturn ['x', 'y']",
        Response(200, SUCCESS, [answered(b"x", id="a"), answered(b"y", status=201, phrase="c", id="b")]),
        TWO,
    ),
    Case(
        "status of all requests",
        "context.set_all_response_status(202, 'k')\nreturn ['x', 'y']",
        Response(200, SUCCESS, [answered(b, status=202, phrase="k", id=i) for i, b in (("a", b"x"), ("b", b"y"))]),
        TWO,
    ),
    Case(
        "no phrase",
        "context.set_response_status(201, None, 0)\nreturn ['x']",
        Response(200, SUCCESS, [answered(b"x", status=201)]),
    ),
    Case(
        "headers that are no text",
        "context.set_response_header(0, 'n', 3)\nreturn ['x']",
        Response(200, SUCCESS, [answered(b"x", headers={"n": "3"})]),
        ours=True,
    ),
]

ROWS = [
    one(
        "content types",
        "return [repr([(k, type(v).__name__, v if isinstance(v, (str, dict)) else bytes(v)) for k, v in data[0].items()])]",
        b"[('a', 'dict', {'a': 1}), ('b', 'bytearray', b'{'), ('c', 'str', 'hi'), ('d', 'bytearray', b'\\xff'), "
        b"('e', 'bytearray', b'\\x00'), ('f', 'bytearray', b'1'), ('g', 'bytearray', b'x'), ('h', 'str', 'x'), "
        b"('i', 'bytearray', b'\\xff')]",
        Request(
            parameters=(
                ("a", "application/json", b'{"a":1}'),
                ("b", "application/json", b"{"),
                ("c", "text/plain", b"hi"),
                ("d", "text/plain", b"\xff"),
                ("e", "image/png", b"\x00"),
                ("f", "application/json; charset=utf-8", b"1"),
                ("g", "TEXT/plain", b"x"),
                ("h", "text", b"x"),
                ("i", "application/json", b"\xff"),
            )
        ),
    ),
    one(
        "not decoded",
        "return [repr(data)]",
        b"[{'a': bytearray(b'{}'), 'c': bytearray(b'hi')}]",
        Request(parameters=(("a", "application/json", b"{}"), ("c", "text/plain", b"hi"))),
        environment={"TS_DECODE_INPUT_REQUEST": "false"},
    ),
    one(
        "the last of a name counts",
        "return [repr((data, context.get_all_request_header(0)))]",
        b"([{'a': bytearray(b'2')}], {'a': 'real', 'x': '2'})",
        Request(parameters=(("a", "", b"1"), ("a", "", b"2")), headers=(("x", "1"), ("x", "2"), ("a", "real"))),
    ),
    one("no parts", "return [repr(data)]", b"[{}]", Request(parameters=())),
    one("large", "return [str(len(data[0]['body']))]", b"5000001", Request(parameters=(("body", "", b"x" * 5000001),))),
    one("large answer", "return [b'ab' * 2500000]", b"ab" * 2500000),
    one(
        "headers and ids",
        """
        return [repr((context.get_request_header(0, 'A'), context.get_request_header(0, 'b'), context.request_ids,
                      context.get_request_id(), context.get_request_id(7), context.get_sequence_id(0)))]
        """,
        b"('v', None, {0: 'r1'}, 'r1', None, 's7')",
        Request(headers=(("A", "v"), ("ts_request_sequence_id", "s7"))),
    ),
    one(
        "another name for the sequence",
        "return [context.get_sequence_id(0)]",
        b"s7",
        Request(headers=(("seq", "s7"),)),
        environment={"TS_REQUEST_SEQUENCE_ID": "seq"},
    ),
    one(
        "description",
        "return [{'describe': context.get_request_header(0, 'describe')}]",
        b'{\n  "describe": "True"\n}',
        Request(headers=(("describe", "True"),)),
    ),
    one(
        "a workflow's function",
        "return [b'+'.join(bytes(row[name]) for name in sorted(row)) for row in data]",
        b"1+2",
        Request(parameters=(("left", "", b"1"), ("right", "", b"2"))),
    ),
    Case(
        "a batch in one call",
        "return ['%d:%s' % (len(data), bytes(row['body']).decode()) for row in data]",
        Response(200, SUCCESS, [answered(b"2:1", id="a"), answered(b"2:2", id="b")]),
        (Request("a", (("body", "", b"1"),)), Request("b", (("body", "", b"2"),))),
    ),
]

UNSERIALISABLE = failed(503, "Unsupported model output data type.")
FAILURES = [
    Case(
        "exception", "raise ValueError('two\\nlines')", failed(503, "Prediction failed"), log="ValueError: two\nlines"
    ),
    Case("exception in a batch", "raise ValueError()", failed(503, "Prediction failed", ("a", "b")), TWO),
    Case("memory", "raise MemoryError('x')", failed(507, "Out of resources"), log="MemoryError: x"),
    Case("CUDA", "raise RuntimeError('some CUDA error')", failed(507, "Out of resources"), log="some CUDA error"),
    Case(
        "PredictionException",
        "from ts.utils.util import PredictionException\nraise PredictionException('not so', 422)",
        failed(422, "not so"),
        log="not so : 422",
    ),
    Case(
        "PredictionException without a code",
        "from ts.utils.util import PredictionException\nraise PredictionException('not so')",
        failed(500, "not so"),
    ),
    Case(
        "PredictionException with a code that is none",
        "from ts.utils.util import PredictionException\nraise PredictionException('not so', 'teapot')",
        failed(500, "not so"),
        ours=True,
    ),
    Case("nothing", "return None", failed(503, "Invalid model predict output"), log="NoneType"),
    Case("a tuple", "return ('a',)", failed(503, "Invalid model predict output"), log="tuple"),
    Case("a text", "return 'a'", failed(503, "Invalid model predict output")),
    Case("too many", "return [1, 2]", failed(503, "number of batch response mismatched"), log="2"),
    Case("too few", "return []", failed(503, "number of batch response mismatched"), log="0"),
    Case("a set", "return [{1}]", UNSERIALISABLE, log="set"),
    Case("half a character", "return ['\\ud800']", UNSERIALISABLE, ours=True),
    Case("a circle", "a = []\na.append(a)\nreturn [a]", UNSERIALISABLE, ours=True),
    Case("no such request", "context.set_response_status(201, 'c', 5)\nreturn ['x']", failed(503, "Prediction failed")),
]


class Predicting(unittest.TestCase):
    def check(self, case: Case) -> None:
        if case.ours and GENUINE:
            self.skipTest("TorchServe's worker ends here")
        with Daemon({"h.py": handler(case.body)}, environment=case.environment) as daemon:
            daemon.connect()
            daemon.load(batch_size=max(len(case.requests), 1))
            self.assertEqual(daemon.predict(*case.requests), case.expected)
            # A failure costs its batch alone: the worker answers the next, too.
            self.assertEqual(daemon.predict(*case.requests).code, case.expected.code)
            ended = daemon.end()
            self.assertEqual(ended.code, 0)
            self.assertIn(case.log, ended.stdout)

    def check_all(self, cases: Sequence[Case]) -> None:
        for case in cases:
            with self.subTest(case.name):
                self.check(case)

    def test_answers(self):
        self.check_all(ANSWERS)

    def test_rows_and_headers(self):
        self.check_all(ROWS)

    def test_failures(self):
        self.check_all(FAILURES)

    def test_the_context_of_a_model(self):
        body = """
        s = dict(context.system_properties)
        return [repr((context.model_name, context.manifest, context.model_yaml_config, s.pop('model_dir') != '', s))]
        """
        expected = (
            "('m', {'model': {'configFile': 'c.yaml'}}, {'a': 1, 'handler': {'x': [1, 2]}}, True, {'gpu_id': 3, "
            "'batch_size': 4, 'server_name': 'MMS', 'server_version': '0.12.0', 'limit_max_image_pixels': False})"
        )
        files = {"h.py": handler(body), "c.yaml": "a: 1\nhandler:\n  x: [1, 2]\n"}
        with Daemon(files, manifest='{"model": {"configFile": "c.yaml"}}') as daemon:
            daemon.connect()
            daemon.load(gpu=3, batch_size=4, limit_pixels=False)
            self.assertEqual(daemon.predict().predictions[0].body.decode(), expected)
