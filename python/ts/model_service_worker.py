"""The file that a daemon starts, with TorchServe's arguments. It only finds the package beside it."""

import os
import sys

if __name__ == "__main__":
    # Python put this file's own folder first, where `ts/version.py` and others would be found under wrong names.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

    from torchrelay_worker.main import run

    sys.exit(run(sys.argv[1:]))
