"""The command line, which is that of TorchServe's worker. Checked here, so that nobody else has to."""

import argparse
import os
import re
from typing import List, NamedTuple, Optional


class ArgumentError(Exception):
    """What is wrong with the command line, in one line."""


class Options(NamedTuple):
    """Where to listen, and how to work."""

    sock_type: str
    path: Optional[str]
    host: str
    port: int
    metrics_config: str
    asynchronous: bool
    rank: int


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise ArgumentError(message)


def parse(argv: List[str]) -> Options:
    """The options of a command line. Under torchrun, path and port are those of this process's rank.

    Raises ArgumentError. Arguments that it does not know are ignored, as TorchServe ignores them.
    """
    parser = _Parser(prog="model_service_worker.py", allow_abbrev=False)
    parser.add_argument("--sock-type", dest="sock_type", choices=["unix", "tcp"], required=True)
    parser.add_argument("--sock-name", dest="sock_name", help="path of the socket, which ends in a dot and a number")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int)
    parser.add_argument("--metrics-config", dest="metrics_config", required=True)
    parser.add_argument("--async", dest="asynchronous", action="store_true")
    found, _ = parser.parse_known_args(argv)
    rank = _rank()
    path, port = None, 0
    if found.sock_type == "unix":
        if not found.sock_name:
            raise ArgumentError("--sock-name is required with --sock-type unix")
        path = _path(found.sock_name, rank)
    else:
        if found.port is None:
            raise ArgumentError("--port is required with --sock-type tcp")
        port = found.port + rank
        if not 0 < port < 65536:
            raise ArgumentError("--port %d is no port" % port)
    return Options(found.sock_type, path, found.host, port, found.metrics_config, found.asynchronous, rank)


def _rank() -> int:
    text = os.environ.get("LOCAL_RANK", "0")
    if not re.match(r"^\d{1,4}$", text):
        raise ArgumentError("LOCAL_RANK is %r, expected a small number" % text)
    return int(text)


def _path(name: str, rank: int) -> str:
    prefix, dot, number = name.rpartition(".")
    if not dot or not number.isdigit():
        raise ArgumentError("--sock-name %s does not end in a dot and a number" % name)
    return "%s.%d" % (prefix, int(number) + rank)
