"""A worker's beginning and end: what it prints, how it is connected to, what it leaves behind, and with which code."""

import os
import signal
import socket
import time
import unittest
from pathlib import Path

from .harness import DEADLINE, GENUINE, Daemon, integer, load_message, predict_message, Request, text
from .test_predicting import handler

ECHO = handler("return [bytes(row['body']) for row in data]")


def wait_until(condition, what: str) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("in vain: " + what)
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Life(unittest.TestCase):
    def test_lines_of_the_start(self):
        with Daemon({"h.py": ECHO}) as daemon:
            daemon.connect()
            printed = daemon.wait_for("Python runtime: ").splitlines()
            pid = printed.index("[PID]%d" % daemon.process.pid)
            self.assertEqual(printed[pid + 1], "Torch worker started.")
            self.assertRegex(printed[pid + 2], r"^Python runtime: 3\.\d+\.\d+$")

    def test_bytes(self):
        """Everything on the wire, written down."""
        with Daemon({"h.py": handler("context.set_response_header(0, 'k', 'v')\nreturn [data[0]['body']]")}) as daemon:
            daemon.connect()
            directory = str(daemon.model_dir).encode()
            daemon.send(
                b"L"
                + b"\0\0\0\1m"
                + integer(len(directory))
                + directory
                + b"\0\0\0\1"
                + b"\0\0\0\4h.py"
                + b"\xff\xff\xff\xff"
                + b"\0\0\0\0"
                + b"\1"
            )
            loaded = b"\0\0\0\xc8" + b"\0\0\0\x0eloaded model m" + b"\xff\xff\xff\xff"
            self.assertEqual(daemon.bytes(len(loaded)), loaded)
            daemon.send(
                b"I"
                + b"\0\0\0\2id"
                + b"\0\0\0\1A"
                + b"\0\0\0\1b"
                + b"\xff\xff\xff\xff"
                + b"\0\0\0\4body"
                + b"\0\0\0\0"
                + b"\0\0\0\3xyz"
                + b"\xff\xff\xff\xff"
                + b"\xff\xff\xff\xff"
            )
            answer = (
                b"\0\0\0\xc8"
                + b"\0\0\0\x12Prediction success"
                + b"\0\0\0\2id"
                + b"\0\0\0\0"
                + b"\0\0\0\xc8"
                + b"\0\0\0\0"
                + b"\0\0\0\1"
                + b"\0\0\0\1k"
                + b"\0\0\0\1v"
                + b"\0\0\0\3xyz"
                + b"\xff\xff\xff\xff"
            )
            self.assertEqual(daemon.bytes(len(answer)), answer)
            self.assertEqual(daemon.end().code, 0)

    def test_messages_in_small_pieces(self):
        with Daemon({"h.py": ECHO}) as daemon:
            daemon.connect()
            for byte in load_message("m", str(daemon.model_dir), 1, "h.py", -1, "", True) + predict_message(
                [Request()]
            ):
                daemon.send(bytes([byte]))
            self.assertEqual(daemon.response().message, "loaded model m")
            self.assertEqual(daemon.response().predictions[0].body, b"x")

    def test_tcp(self):
        with Daemon({"h.py": ECHO}, tcp=True) as daemon:
            daemon.connect()
            daemon.load()
            self.assertEqual(daemon.predict().predictions[0].body, b"x")
            self.assertEqual(daemon.end().code, 0)

    @unittest.skipIf(GENUINE, "TorchServe's worker takes the rank from torchrun alone")
    def test_a_rank_of_torchrun_moves_the_socket(self):
        with Daemon({"h.py": ECHO}, environment={"LOCAL_RANK": "2"}) as daemon:
            daemon.wait_for("Torch worker started.")
            self.assertTrue(os.path.exists(daemon.socket_name[:-4] + "9002"))

    @unittest.skipIf(GENUINE, "TorchServe's worker takes the rank from torchrun alone")
    def test_only_the_first_rank_answers(self):
        source = handler("print('heard', len(data))\nreturn ['x'] * len(data)")
        with Daemon({"h.py": source}, environment={"LOCAL_RANK": "1"}) as daemon:
            daemon.socket_name = daemon.socket_name[:-4] + "9001"
            daemon.connect()
            self.assertEqual(daemon.load().code, 200)
            daemon.send(predict_message([Request()]))
            daemon.wait_for("heard 1")
            daemon.connection.shutdown(socket.SHUT_WR)
            self.assertEqual(daemon.connection.recv(1), b"")

    @unittest.skipIf(GENUINE, "TorchServe's worker leaves its socket")
    def test_nothing_is_left(self):
        source = (
            "import subprocess, sys\n"
            "def handle(data, context):\n    if data is None: return None\n"
            "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
            "    return [str(child.pid)]\n"
        )
        with Daemon({"h.py": source}) as daemon:
            daemon.connect()
            daemon.load()
            child = int(daemon.predict().predictions[0].body)
            self.assertTrue(alive(child))
            self.assertEqual(daemon.end().code, 0)
            wait_until(lambda: not alive(child), "the end of what the handler started")
            self.assertFalse(os.path.exists(daemon.socket_name))

    @unittest.skipIf(GENUINE, "TorchServe's worker goes on computing")
    def test_a_handler_that_computes_ends_with_the_daemon(self):
        for name, body in [
            ("computes", "print('begun')\nimport time\ntime.sleep(600)"),
            (
                "leaves a thread",
                "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\nprint('begun')\nreturn ['x']",
            ),
        ]:
            with self.subTest(name), Daemon({"h.py": handler(body)}) as daemon:
                daemon.connect()
                daemon.load()
                daemon.send(predict_message([Request()]))
                daemon.wait_for("begun\n")
                self.assertEqual(daemon.end().code, 1)

    def test_exit_codes(self):
        for name, body, code in [("sys.exit", "import sys; sys.exit(3)", 3), ("os._exit", "import os; os._exit(7)", 7)]:
            with self.subTest(name), Daemon({"h.py": handler(body)}) as daemon:
                daemon.connect()
                daemon.load()
                with self.assertRaises((EOFError, ConnectionError)):
                    daemon.predict()
                self.assertEqual(daemon.wait().code, code)

    def test_a_crash_leaves_a_trace(self):
        with Daemon({"h.py": handler("import ctypes\nctypes.string_at(0)")}) as daemon:
            daemon.connect()
            daemon.load()
            with self.assertRaises((EOFError, ConnectionError)):
                daemon.predict()
            ended = daemon.wait()
            self.assertEqual(ended.code, -signal.SIGSEGV)
            if not GENUINE:
                self.assertIn("Segmentation fault", ended.stderr)

    def test_what_is_no_message_ends_the_worker(self):
        huge = b"\x7f\xff\xff\xff"
        for name, data in [
            ("unknown command", b"X"),
            ("negative length", b"I" + b"\xff\xff\xff\xfe"),
            ("cut off", b"I" + text("r1")[:-1]),
            ("a length that never comes", b"I" + huge + b"x"),
        ]:
            with self.subTest(name), Daemon({"h.py": ECHO}) as daemon:
                daemon.connect()
                daemon.load()
                daemon.send(data)
                daemon.connection.shutdown(socket.SHUT_WR)
                self.assertNotEqual(daemon.wait().code, 0 if not GENUINE else None)

    @unittest.skipIf(GENUINE, "words of our own")
    def test_command_lines_that_are_refused(self):
        for arguments, said in [
            (["--sock-type", "pipe"], "--sock-type"),
            (["--sock-name", "/tmp/no-number"], "--sock-name /tmp/no-number does not end in a dot and a number"),
            (["--sock-type", "tcp", "--port", "70000"], "--port 70000 is no port"),
        ]:
            with self.subTest(said), Daemon({"h.py": ECHO}, arguments=arguments) as daemon:
                ended = daemon.wait()
                self.assertEqual(ended.code, 1)
                self.assertIn(said, ended.stdout)
                self.assertNotIn("Traceback", ended.stdout)

    @unittest.skipIf(GENUINE, "words of our own")
    def test_a_file_in_the_sockets_place_stays(self):
        with Daemon({"h.py": ECHO, "file.1": "mine"}, arguments=["--sock-name", "file.1"]) as daemon:
            self.assertEqual(daemon.wait().code, 1)
            self.assertEqual((daemon.model_dir / "file.1").read_text(), "mine")

    @unittest.skipIf(GENUINE, "TorchServe's package is there itself")
    def test_handlers_see_no_variable_of_ours(self):
        body = "import os\nreturn [repr([name for name in os.environ if name.startswith('TORCHRELAY_PROTOCOL')])]"
        with Daemon({"h.py": handler(body)}, environment={"TORCHRELAY_PROTOCOL": "1"}) as daemon:
            daemon.connect()
            daemon.load()
            self.assertEqual(daemon.predict().predictions[0].body, b"[]")
