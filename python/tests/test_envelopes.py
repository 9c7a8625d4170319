"""Envelopes: what the handler gets of a body, and what the client gets of its answer."""

import json
import unittest
from typing import Any, NamedTuple, Sequence

from .harness import GENUINE, Daemon, Request
from .test_predicting import failed

MANIFEST = '{"model": {"modelName": "mm", "modelVersion": "2.0"}}'


class Case(NamedTuple):
    """One batch: the bodies, the expression that the handler returns, what it saw, and the answers as JSON."""

    envelope: str
    bodies: Sequence[bytes]
    returns: str
    saw: str
    answers: Any
    headers: Sequence = ()
    name: str = "body"
    kind: str = "application/json"
    ours: bool = False


def v2(datatype: str, data: list, shape: list, name="i0") -> dict:
    return {
        "id": "q",
        "model_name": "mm",
        "model_version": "2.0",
        "outputs": [{"name": name, "datatype": datatype, "data": data, "shape": shape}],
    }


V2 = b'{"id":"q","inputs":[{"name":"i0","shape":[2,2],"datatype":"FP32","data":[1,2,3,4]}]}'
SEEN = "[{'name': 'i0', 'shape': [2, 2], 'datatype': 'FP32', 'data': [[1, 2], [3, 4]]}]"
FAILED = "failed"

CASES = [
    Case("body", [b"[1]"], "data", "[[1]]", [[1]]),
    Case("body", [b"[1]"], "data", "[[1]]", [[1]], name="data"),
    Case("body", [b"[1]"], "data", "[None]", [None], name="other"),
    Case("json", [b'{"instances":[1,2]}'], "data", "[1, 2]", [{"predictions": [1, 2]}]),
    Case(
        "json",
        [b'{"instances":[1,2]}', b'{"instances":[3]}'],
        "data",
        "[1, 2, 3]",
        [{"predictions": [1, 2]}, {"predictions": [3]}],
    ),
    Case("json", [b'{"instances":[{"b64":"aGk="}]}'], "['hi']", "[b'hi']", [{"predictions": ["hi"]}]),
    Case("json", [b'{"instances":[1]}'], "data", "[1]", [{"predictions": [1]}], kind="", ours=True),
    Case("json", [b"[1,2]"], "data", "", FAILED),
    Case("json", [b'{"x":1}'], "data", "", FAILED),
    Case("kserve", [b'{"instances":[1,2]}'], "data", "[1, 2]", [{"predictions": [1, 2]}]),
    Case("kserve", [b'{"instances":[1]}'], "data", "[1]", [{"predictions": [1]}], kind=""),
    Case("kserve", [b'{"instances":[1]}'], "data", "[1]", [{"predictions": [1]}], name="data"),
    Case("kserve", [b'{"instances":[1]}'], "data", "[1]", [{"explanations": [1]}], headers=(("explain", "True"),)),
    Case("kserve", [b'{"instances":[1]}'], "data", "[1]", [{"predictions": [1]}], headers=(("explain", "False"),)),
    Case("kserve", [b"[1]"], "data", "", FAILED),
    Case("kservev2", [V2], "[1.5]", SEEN, [v2("FP64", [1.5], [1])]),
    Case("kservev2", [V2], "[1]", SEEN, [v2("INT64", [1], [1])]),
    Case("kservev2", [V2], "[True]", SEEN, [v2("BOOL", [True], [1])]),
    Case("kservev2", [V2], "['s']", SEEN, [v2("BYTES", ["s"], [1])]),
    Case("kservev2", [V2], "[{'a': [1, 2]}]", SEEN, [v2("BYTES", [{"a": [1, 2]}], [1])]),
    Case("kservev2", [V2], "[[[1, 2], [3, 4]]]", SEEN, [v2("INT64", [1, 2, 3, 4], [4])]),
    Case("kservev2", [V2], "[[1, 2.5]]", SEEN, [v2("FP64", [1.0, 2.5], [2])]),
    Case("kservev2", [V2], "[[]]", SEEN, [v2("FP64", [], [0])]),
    Case("kservev2", [V2], "[None]", SEEN, [v2("BYTES", [None], [1])]),
    Case("kservev2", [V2], "[b'x']", SEEN, FAILED),
    Case("kservev2", [V2], "[1, 2]", SEEN, FAILED),
    Case(
        "kservev2",
        [b'{"id":"q","inputs":[{"name":"t","shape":[1],"datatype":"BYTES","data":["aGk=","x"]}]}'],
        "[1]",
        "[{'name': 't', 'shape': [1], 'datatype': 'BYTES', 'data': 'aGk='}]",
        [v2("INT64", [1], [1], "t")],
    ),
    Case("kservev2", [b'{"inputs":[{"name":"i0","shape":[3],"datatype":"INT64","data":[1,2]}]}'], "[1]", "", FAILED),
    Case("kservev2", [b'{"x":1}'], "[1]", "", FAILED),
]


class Envelopes(unittest.TestCase):
    def check(self, case: Case) -> None:
        if case.ours and GENUINE:
            self.skipTest("TorchServe's envelope fails here")
        if GENUINE and case.envelope == "kservev2":
            self.require_numpy()
        source = (
            "class Handler:\n    def initialize(self, context): pass\n"
            "    def handle(self, data, context):\n        print('saw', repr(data))\n        return %s\n" % case.returns
        )
        requests = [
            Request("r%d" % index, ((case.name, case.kind, body),), case.headers)
            for index, body in enumerate(case.bodies)
        ]
        with Daemon({"h.py": source}, manifest=MANIFEST) as daemon:
            daemon.connect()
            daemon.load(envelope=case.envelope, batch_size=len(requests))
            found = daemon.predict(*requests)
            printed = daemon.end().stdout
        if case.answers == FAILED:
            self.assertEqual(found, failed(503, "Prediction failed", [request.id for request in requests]))
            return
        self.assertIn("saw " + case.saw + "\n", printed)
        self.assertEqual([json.loads(p.body) for p in found.predictions], case.answers)

    def require_numpy(self) -> None:
        with Daemon({"h.py": "import numpy\ndef handle(d, c): pass\n"}) as daemon:
            daemon.connect()
            try:
                daemon.load()
            except EOFError:
                self.skipTest("TorchServe's envelope needs numpy")

    def test_envelopes(self):
        for case in CASES:
            with self.subTest("%s %s %s" % (case.envelope, case.bodies, case.returns)):
                self.check(case)
