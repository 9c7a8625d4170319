"""Envelope `body`: handlers get the bodies themselves in place of rows."""

from .base import BaseEnvelope


class BodyEnvelope(BaseEnvelope):
    def parse_input(self, data):
        return [row.get("data") or row.get("body") for row in data]

    def format_output(self, data):
        return data
