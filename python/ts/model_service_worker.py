"""The file that a daemon starts, with TorchServe's arguments. It only finds the package beside it."""

import os
import sys

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0]) == here:
        # Python put this file's own folder first, where `ts/version.py` and others would be found under wrong names.
        del sys.path[0]
    sys.path.insert(0, os.path.dirname(here))

    from torchrelay_worker.main import run

    sys.exit(run(sys.argv[1:]))
