"""How handlers are found and loaded, and what is told where they cannot be."""

import unittest
from typing import NamedTuple, Optional

from .harness import GENUINE, Daemon, Request, Response

ECHO = "def {name}(data, context):\n    return None if data is None else ['{name}' for _ in data]\n"
CLASS = "class Handler:\n    def initialize(self, context):\n        {initialize}\n    def handle(self, data, context):\n        return ['class' for _ in data]\n"
DEAD = None


class Found(NamedTuple):
    """A handler that loads: its files, its name, and what it answers."""

    name: str
    files: dict
    answer: bytes
    handler: str = "h.py"


class Failed(NamedTuple):
    """A handler that does not load: the code and message of the answer, or none, and a piece of the log."""

    name: str
    source: str
    told: Optional[Response]
    log: str
    manifest: Optional[str] = None
    envelope: str = ""


FOUND = [
    Found("function", {"h.py": ECHO.format(name="handle")}, b"handle"),
    Found("function by its name", {"h.py": ECHO.format(name="go")}, b"go", "h.py:go"),
    Found("without .py", {"h.py": ECHO.format(name="handle")}, b"handle", "h"),
    Found("class", {"h.py": CLASS.format(initialize="pass")}, b"class"),
    Found("class, where the function is not there", {"h.py": CLASS.format(initialize="pass")}, b"class", "h.py:go"),
    Found("function before class", {"h.py": ECHO.format(name="handle") + CLASS.format(initialize="pass")}, b"handle"),
    Found(
        "imported classes do not count",
        {"h.py": "from collections import OrderedDict\n" + CLASS.format(initialize="pass")},
        b"class",
    ),
    Found(
        "modules of the archive",
        {"h.py": "from other import handle\n", "other.py": ECHO.format(name="handle")},
        b"handle",
    ),
]

MEMORY = Response(507, "System out of memory", [])
UNKNOWN = Response(500, "Unknown exception", [])
FAILED = [
    Failed("absent import", "import absent_module\n", DEAD, "No module named 'absent_module'"),
    Failed("syntax", "def (\n", DEAD, "SyntaxError"),
    Failed("at import", "raise ValueError('no luck')\n", DEAD, "ValueError: no luck"),
    Failed("in initialize", CLASS.format(initialize="raise KeyError('weights')"), DEAD, "KeyError: 'weights'"),
    Failed(
        "in a function", "def handle(data, context):\n    raise ValueError('no luck')\n", DEAD, "ValueError: no luck"
    ),
    Failed("nothing to call", "x = 1\n", DEAD, "ValueError"),
    Failed("two classes", "class A: pass\nclass B: pass\n", DEAD, "ValueError"),
    Failed("no handle", "class A:\n    def initialize(self, context): pass\n", DEAD, "ValueError"),
    Failed("RuntimeError", CLASS.format(initialize="raise RuntimeError('device')"), UNKNOWN, "RuntimeError: device"),
    Failed("CUDA", CLASS.format(initialize="raise RuntimeError('CUDA out of memory')"), MEMORY, "CUDA out of memory"),
    Failed("MemoryError", CLASS.format(initialize="raise MemoryError()"), MEMORY, "MemoryError"),
    Failed("manifest", ECHO.format(name="handle"), DEAD, "JSONDecodeError", manifest="{nope"),
    Failed(
        "configuration that is not there",
        ECHO.format(name="handle"),
        DEAD,
        "absent.yaml",
        manifest='{"model": {"configFile": "absent.yaml"}}',
    ),
    Failed("unknown envelope", ECHO.format(name="handle"), DEAD, "absent", envelope="absent"),
]


class Loading(unittest.TestCase):
    def check_found(self, case: Found) -> None:
        with Daemon(case.files) as daemon:
            daemon.connect()
            self.assertEqual(daemon.load(case.handler), Response(200, "loaded model m", []))
            self.assertEqual(daemon.predict().predictions[0].body, case.answer)
            self.assertEqual(daemon.end().code, 0)

    def check_failed(self, case: Failed) -> None:
        with Daemon({"h.py": case.source}, manifest=case.manifest) as daemon:
            daemon.connect()
            if case.told is DEAD:
                with self.assertRaises(EOFError):
                    daemon.load(envelope=case.envelope)
            else:
                self.assertEqual(daemon.load(envelope=case.envelope), case.told)
            ended = daemon.wait()
            self.assertEqual(ended.code, 1)
            self.assertIn("Traceback", ended.stdout)
            self.assertIn(case.log, ended.stdout)

    def test_handlers_are_found_by_name(self):
        for case in FOUND:
            with self.subTest(case.name):
                self.check_found(case)

    def test_failures_are_told_as_torchserve_tells_them(self):
        for case in FAILED:
            with self.subTest(case.name):
                self.check_failed(case)

    @unittest.skipIf(GENUINE, "functions that share a worker")
    def test_each_batch_asks_one_of_several_functions(self):
        names = "def {name}(data, context):\n    return data and [str(['{name}', context.get_all_request_header(0)])]\n"
        source = names.format(name="one") + names.format(name="two")
        with Daemon({"h.py": source}) as daemon:
            daemon.connect()
            self.assertEqual(daemon.load("h.py:one,two").code, 200)
            for asked in ["two", "one", "two"]:
                request = Request(headers=[("torchrelay-function", asked), ("x", "1")])
                answer = daemon.predict(request).predictions[0].body.decode()
                self.assertEqual(answer, str([asked, {"body": {"content-type": ""}, "x": "1"}]))
            for headers in [[], [("torchrelay-function", "three")]]:
                self.assertEqual(daemon.predict(Request(headers=headers)).code, 503)
            asked = [Request(id=name, headers=[("torchrelay-function", name)]) for name in ["one", "two"]]
            self.assertEqual(daemon.predict(*asked).code, 503)
            self.assertEqual(daemon.end().code, 0)

    @unittest.skipIf(GENUINE, "an answer that only our daemon asks for")
    def test_a_function_that_is_not_there_is_named(self):
        both = "def one(data, context):\n    return data\n"
        for handler, function in [("h.py:one,two", "two"), ("h.py:two", "two, and no class")]:
            environment = {"TORCHRELAY_PROTOCOL": "2"}
            with self.subTest(handler), Daemon({"h.py": both}, environment=environment) as daemon:
                daemon.connect()
                message = daemon.load(handler).message
                self.assertTrue(message.startswith("ValueError: module h has no function %s" % function), message)
                self.assertEqual(daemon.wait().code, 1)

    @unittest.skipIf(GENUINE, "an answer that only our daemon asks for")
    def test_a_daemon_that_speaks_protocol_two_hears_every_failure_in_one_line(self):
        for source, expected in [
            ("import absent_module\n", "ModuleNotFoundError: No module named 'absent_module'"),
            ("raise ValueError('two\\nlines')\n", "ValueError: two lines"),
            ("raise RuntimeError('device')\n", "RuntimeError: device"),
            ("raise RuntimeError('CUDA')\n", "System out of memory"),
        ]:
            with self.subTest(expected), Daemon({"h.py": source}, environment={"TORCHRELAY_PROTOCOL": "2"}) as daemon:
                daemon.connect()
                self.assertEqual(daemon.load().message, expected)
                self.assertEqual(daemon.wait().code, 1)
