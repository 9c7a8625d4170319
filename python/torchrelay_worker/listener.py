"""The socket: opened, announced on standard output, and one daemon let in."""

import os
import platform
import socket
import stat

from . import log
from .arguments import ArgumentError, Options

ACCEPT_SECONDS = 30.0


def listen(options: Options) -> socket.socket:
    """A listening socket. A socket file that an earlier worker left is removed; anything else there is not ours."""
    if options.path is None:
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((options.host, options.port))
    else:
        remove(options)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Nobody else may connect and be taken for the daemon.
        before = os.umask(0o177)
        try:
            server.bind(options.path)
        finally:
            os.umask(before)
    server.listen(1)
    return server


def announce(options: Options) -> None:
    """The lines for which the daemon waits before it connects: socket, process, readiness."""
    where = options.path if options.path is not None else "%s:%d" % (options.host, options.port)
    log.line("Listening on %s." % where)
    log.line("[PID]%d" % os.getpid())
    log.line("Torch worker started.")
    log.line("Python runtime: %s" % platform.python_version())


def accept(server: socket.socket, options: Options) -> socket.socket:
    """The one connection of this process."""
    server.settimeout(ACCEPT_SECONDS)
    try:
        connection, _ = server.accept()
    except socket.timeout:
        raise ArgumentError("nobody connected within %d seconds" % ACCEPT_SECONDS)
    connection.setblocking(True)
    if options.path is None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def remove(options: Options) -> None:
    """Removes the socket's file, if it is one."""
    if options.path is None:
        return
    try:
        if not stat.S_ISSOCK(os.lstat(options.path).st_mode):
            raise ArgumentError("--sock-name %s is there already, and is no socket" % options.path)
        os.unlink(options.path)
    except FileNotFoundError:
        pass
