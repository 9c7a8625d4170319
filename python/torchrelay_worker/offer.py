"""What the daemon offers besides protocol one, which is only ever said in the environment. See PROTOCOL.md."""

import os

VARIABLE = "TORCHRELAY_PROTOCOL"


def take() -> int:
    """The highest protocol that the daemon speaks, by its variable, which is removed; 1 where it says nothing."""
    text = os.environ.pop(VARIABLE, "")
    return int(text) if text.isdigit() and len(text) < 4 else 1
