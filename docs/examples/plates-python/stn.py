"""Plates to plates that lie straight: `{"data": n x 3 x 24 x 94}` both ways. The plates of one
request are one batch."""

import json

import torch

from ts.torch_handler.base_handler import BaseHandler


class Stn(BaseHandler):
    def preprocess(self, data):
        return [plates(row.get("data") or row.get("body")) for row in data]

    def inference(self, requests):
        with torch.inference_mode():
            return [self.model(torch.tensor(plates, device=self.device)) if plates else None for plates in requests]

    def postprocess(self, straight):
        return [{"data": [] if plates is None else plates.tolist()} for plates in straight]


def plates(body):
    # What another node gave comes as bytes.
    body = json.loads(body) if isinstance(body, (bytes, bytearray, str)) else body
    return body["data"]
