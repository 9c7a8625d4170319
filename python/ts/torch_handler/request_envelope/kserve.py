"""Envelope `kserve`: version 1 of KServe's protocol. One request at a time."""

from ._bodies import body
from .base import BaseEnvelope


class KServeEnvelope(BaseEnvelope):
    """Answers predictions, or explanations where the request asked for them."""

    def parse_input(self, data):
        return body(data[0]).get("instances")

    def format_output(self, data):
        explained = self.context.get_request_header(0, "explain") == "True"
        return [{"explanations" if explained else "predictions": data}]
