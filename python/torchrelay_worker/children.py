"""What the handler has started and left running ends with the worker. Called by `main` at its end."""

import os
import signal
from typing import Dict, List


def end_all() -> None:
    """Kills every descendant of this process. Where there is no /proc, it does nothing: the daemon kills the group."""
    for pid in _descendants(os.getpid(), _parents()):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue


def _parents() -> Dict[int, int]:
    parents = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return parents
    for name in names:
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, "rb") as file:
                # The second field is a name in parentheses, which may hold anything; the parent is two fields after it.
                parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
    return parents


def _descendants(root: int, parents: Dict[int, int]) -> List[int]:
    found, wave = [], {root}
    while wave:
        wave = {pid for pid, parent in parents.items() if parent in wave}
        found.extend(wave)
    return found
