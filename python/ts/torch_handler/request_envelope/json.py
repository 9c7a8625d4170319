"""Envelope `json`: requests `{"instances": […]}`, responses `{"predictions": […]}`, instances of all requests in one list."""

import base64
import json
from itertools import islice

from ._bodies import body
from .base import BaseEnvelope


class JSONEnvelope(BaseEnvelope):
    """Remembers how many instances each request had."""

    def parse_input(self, data):
        """An instance `{"b64": …}` becomes its bytes."""
        requests = [body(row)["instances"] for row in data]
        self._lengths = [len(instances) for instances in requests]
        return [_decoded(instance) for instances in requests for instance in instances]

    def format_output(self, data):
        results = iter(data)
        return [json.dumps({"predictions": list(islice(results, length))}) for length in self._lengths]


def _decoded(instance):
    if isinstance(instance, dict) and "b64" in instance:
        return base64.b64decode(instance["b64"])
    return instance
