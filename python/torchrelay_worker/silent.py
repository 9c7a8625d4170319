"""A protocol that hears and does not speak: that of all ranks but the first, whose answers nobody waits for."""

from typing import Any


class Silent:
    """Hears what `protocol` hears."""

    def __init__(self, protocol: Any):
        self._protocol = protocol
        self.receive = protocol.receive

    def send(self, number: int, answer: Any, more: bool = False) -> None:
        """Sends nothing."""
