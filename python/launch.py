"""Stands between the daemon and an interpreter: binds and limits the process, then becomes what is to run.

    python3 -I -S launch.py PARENT LIMITS GROUP PROGRAM ARGUMENTS...

The daemon starts every process through this. With `-I -S` nothing of the model, of the environment or of an installed
package runs before it (`sitecustomize.py` of an archive would, in the interpreter proper), so all that is set here holds for
every line of a handler. It is set by means that survive `exec`:

- the process is killed when the thread that started it ends, however the daemon ends;
- it and what it starts never gain privileges by running a file;
- no core files; and the LIMITS, `name=value` with commas between: `as` and `nofile` of RLIMIT, `cpu` in seconds;
- it is in the control group whose `cgroup.procs` is GROUP, unless that is empty;
- when the machine's memory runs out, it is taken before the daemon.

PROGRAM is what runs then; the interpreter itself, if that is empty.

It ends with code 124 and one line on standard error where any of that fails: nothing runs unbound.
"""

import os
import resource
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
RESOURCES = {"as": resource.RLIMIT_AS, "cpu": resource.RLIMIT_CPU, "nofile": resource.RLIMIT_NOFILE}
CANNOT = 124


def main(argv):
    parent, limits, group, program, arguments = int(argv[0]), argv[1], argv[2], argv[3], argv[4:]
    _control(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise OSError("the daemon is gone")
    _control(PR_SET_NO_NEW_PRIVS, 1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _give_way()
    if group:
        with open(group, "w") as file:
            file.write("0")
    for limit in filter(None, limits.split(",")):
        name, _, value = limit.partition("=")
        _limit(RESOURCES[name], int(value), 1 if name == "cpu" else 0)
    program = program or sys.executable
    os.execv(program, [program] + arguments)


def _control(option, value):
    import ctypes

    words = [ctypes.c_ulong(word) for word in (value, 0, 0, 0)]
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(ctypes.c_int(option), *words) != 0:
        number = ctypes.get_errno()
        raise OSError(number, "prctl(%d): %s" % (option, os.strerror(number)))


def _limit(kind, value, more):
    """Sets both bounds, the hard one `more` above; never above what the daemon itself has."""
    _, hard = resource.getrlimit(kind)
    highest = value + more if hard == resource.RLIM_INFINITY else min(value + more, hard)
    resource.setrlimit(kind, (min(value, highest), highest))


def _give_way():
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")
    except OSError:
        pass  # not Linux, or not allowed: no more than a preference


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Exception as error:
        sys.stderr.write("the process cannot be bound: %s: %s\n" % (type(error).__name__, error))
        sys.exit(CANNOT)
