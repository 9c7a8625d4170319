"""`python -m torchrelay_worker`: the same worker by another name."""

import sys

from .main import run

sys.exit(run(sys.argv[1:]))
