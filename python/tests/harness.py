"""A daemon for tests: it starts a real worker process and speaks protocol one with it, byte by byte.

Every test of what the worker does over its socket uses this; `harness_two` adds protocol two. Two environment variables
choose another worker, such as a genuine one, to hold the expectations against:

- `TORCHRELAY_WORKER`: the command up to the arguments, by default this Python and `ts/model_service_worker.py`;
- `TORCHRELAY_WORKER_PYTHONPATH`: folders that it needs besides the model's own.
"""

import os
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

ROOT = Path(__file__).resolve().parent.parent
DEADLINE = 60.0
GENUINE = "TORCHRELAY_WORKER" in os.environ

METRICS = """\
dimensions:
  - &model ModelName
  - &level Level
ts_metrics:
  counter:
    - { name: Requests2XX, unit: Count, dimensions: [Level, Hostname] }
model_metrics:
  counter:
    - name: Listed
      unit: count
      dimensions: [*model, *level]
  gauge:
    - { name: HandlerTime, unit: ms, dimensions: [*model, *level] }
    - { name: PredictionTime, unit: ms, dimensions: [*model, *level] }
  histogram:
    - name: Sizes
      unit: MB
      dimensions: [Shape]
"""


class Prediction(NamedTuple):
    """One record of a response."""

    id: str
    content_type: str
    status: int
    phrase: str
    headers: Dict[str, str]
    body: bytes


class Response(NamedTuple):
    """One frame of the worker."""

    code: int
    message: str
    predictions: List[Prediction]


class Request(NamedTuple):
    """One request of a message: parameters are (name, content type, bytes)."""

    id: str = "r1"
    parameters: Sequence[Tuple[str, str, bytes]] = (("body", "", b"x"),)
    headers: Sequence[Tuple[str, str]] = ()


class Ended(NamedTuple):
    """A worker that is gone: how, and what it had printed."""

    code: int
    stdout: str
    stderr: str


def integer(value: int) -> bytes:
    return struct.pack(">i", value)


def text(value) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return integer(len(data)) + data


def load_message(name, model_dir, batch_size, handler, gpu, envelope, limit_pixels) -> bytes:
    return (
        b"L"
        + text(name)
        + text(model_dir)
        + integer(batch_size)
        + text(handler)
        + integer(gpu)
        + text(envelope)
        + (b"\x01" if limit_pixels else b"\x00")
    )


def predict_message(requests: Sequence[Request]) -> bytes:
    parts = [b"I"]
    for request in requests:
        parts.append(text(request.id))
        parts.extend(text(name) + text(value) for name, value in request.headers)
        parts.append(integer(-1))
        parts.extend(text(name) + text(kind) + text(value) for name, kind, value in request.parameters)
        parts.append(integer(-1))
    parts.append(integer(-1))
    return b"".join(parts)


def worker_command() -> List[str]:
    command = os.environ.get("TORCHRELAY_WORKER")
    return shlex.split(command) if command else [sys.executable, str(ROOT / "ts" / "model_service_worker.py")]


class Daemon:
    """One worker and the folder of its model. A context manager: at its end the process is gone whatever happened."""

    def __init__(
        self,
        files: Optional[Dict[str, str]] = None,
        manifest: Optional[str] = None,
        environment: Optional[Dict[str, str]] = None,
        arguments: Sequence[str] = (),
        metrics: str = METRICS,
        tcp: bool = False,
    ):
        self.folder = Path(tempfile.mkdtemp(prefix="relay"))
        self.model_dir = self.folder / "model"
        self.model_dir.mkdir()
        for name, content in (files or {}).items():
            path = self.model_dir / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
        if manifest is not None:
            (self.model_dir / "MAR-INF").mkdir(exist_ok=True)
            (self.model_dir / "MAR-INF" / "MANIFEST.json").write_text(manifest)
        (self.folder / "metrics.yaml").write_text(metrics)
        self.socket_name = str(self.folder / "sock.9000")
        self.lines = {"stdout": [], "stderr": []}
        self.connection: Optional[socket.socket] = None
        if tcp:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            where = ["--sock-type", "tcp", "--port", str(self.port)]
        else:
            self.port = None
            where = ["--sock-type", "unix", "--sock-name", self.socket_name]
        paths = [str(self.model_dir), os.environ.get("TORCHRELAY_WORKER_PYTHONPATH", "")]
        variables = dict(os.environ)
        variables["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        variables["PYTHONDONTWRITEBYTECODE"] = "1"
        variables.setdefault("TS_DECODE_INPUT_REQUEST", "true")
        variables.update(environment or {})
        self.process = subprocess.Popen(
            worker_command() + where + ["--metrics-config", str(self.folder / "metrics.yaml")] + list(arguments),
            cwd=str(self.model_dir),
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.changed = threading.Condition()
        self.readers = [
            threading.Thread(target=self._drain, args=(name, getattr(self.process, name)), daemon=True)
            for name in ("stdout", "stderr")
        ]
        for reader in self.readers:
            reader.start()

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_) -> None:
        if self.connection is not None:
            self.connection.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _drain(self, name, pipe) -> None:
        for line in pipe:
            with self.changed:
                self.lines[name].append(line.decode(errors="replace"))
                self.changed.notify_all()

    def output(self, name: str = "stdout") -> str:
        with self.changed:
            return "".join(self.lines[name])

    def wait_for(self, wanted: str, name: str = "stdout") -> str:
        """What was printed, once `wanted` is in it."""
        end = time.monotonic() + DEADLINE
        with self.changed:
            while wanted not in "".join(self.lines[name]):
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(
                        "no %r in %s: %r %r" % (wanted, name, self.lines["stdout"], self.lines["stderr"])
                    )
                self.changed.wait(min(left, 0.2))
                if self.process.poll() is not None and wanted not in "".join(self.lines[name]):
                    raise AssertionError("worker ended: %r %r" % (self.lines["stdout"], self.lines["stderr"]))
            return "".join(self.lines[name])

    def connect(self) -> "Daemon":
        self.wait_for("Torch worker started.")
        if self.port is not None:
            self.connection = socket.create_connection(("127.0.0.1", self.port))
        else:
            self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.connection.connect(self.socket_name)
        self.connection.settimeout(DEADLINE)
        return self

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def load(
        self, handler="h.py", name="m", batch_size=1, gpu=-1, envelope="", limit_pixels=True, model_dir=None
    ) -> Response:
        self.send(
            load_message(name, str(model_dir or self.model_dir), batch_size, handler, gpu, envelope, limit_pixels)
        )
        return self.response()

    def predict(self, *requests: Request) -> Response:
        self.send(predict_message(requests or [Request()]))
        return self.response()

    def bytes(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.connection.recv(count - len(data))
            if not more:
                raise EOFError("worker closed the connection after %d of %d bytes" % (len(data), count))
            data += more
        return data

    def integer(self) -> int:
        return struct.unpack(">i", self.bytes(4))[0]

    def text(self) -> str:
        return self.bytes(self.integer()).decode()

    def response(self) -> Response:
        code, message, predictions = self.integer(), self.text(), []
        while True:
            length = self.integer()
            if length == -1:
                return Response(code, message, predictions)
            identity = self.bytes(length).decode()
            content_type, status, phrase = self.text(), self.integer(), self.text()
            headers = {}
            for _ in range(self.integer()):
                key = self.text()
                headers[key] = self.text()
            predictions.append(Prediction(identity, content_type, status, phrase, headers, self.bytes(self.integer())))

    def end(self) -> Ended:
        """Closes the connection and waits until the worker has ended."""
        if self.connection is not None:
            self.connection.close()
        return self.wait()

    def wait(self) -> Ended:
        code = self.process.wait(DEADLINE)
        for reader in self.readers:
            reader.join(DEADLINE)
        return Ended(code, self.output("stdout"), self.output("stderr"))
