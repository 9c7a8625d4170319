"""Envelope `body`: handlers get the bodies themselves in place of rows."""

from ts.torch_handler._rows import payload

from .base import BaseEnvelope


class BodyEnvelope(BaseEnvelope):
    """Takes the rows apart; answers stay as they are."""

    def parse_input(self, data):
        return [payload(row) for row in data]

    def format_output(self, data):
        return data
