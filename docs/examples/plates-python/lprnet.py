"""Plates to their texts: `{"data": n x 3 x 24 x 94}` to `{"data": [n texts]}`. A text that is
no plate's is empty.

The network divides by means over its batch, so the plates of one request are one batch, and those of two never are.
"""

import json

import torch

from ts.torch_handler.base_handler import BaseHandler

# The last class, the blank, has no letter.
LETTERS = "0123456789ABEKMHOPCTYX"
LENGTHS, HIGHEST = (8, 9), -85


class Lprnet(BaseHandler):
    def preprocess(self, data):
        return [plates(row.get("data") or row.get("body")) for row in data]

    def inference(self, requests):
        with torch.inference_mode():
            return [(plates, self.scores(plates)) if plates else ((), ()) for plates in requests]

    def scores(self, plates):
        return self.model(torch.tensor(plates, device=self.device)).cpu()

    def postprocess(self, read):
        return [{"data": [text(*one) for one in zip(plates, scores)]} for plates, scores in read]


def plates(body):
    # What another node gave comes as bytes.
    body = json.loads(body) if isinstance(body, (bytes, bytearray, str)) else body
    return body["data"]


def text(plate, scores):
    """Of scores `[class, step]`: the best class of each step, repeats and blanks left out."""
    best, classes = scores.max(0)
    blank = len(LETTERS)
    steps = [blank, *classes.tolist()]
    found = "".join(LETTERS[now] for before, now in zip(steps, steps[1:]) if now not in (before, blank))
    is_plate = -best.sum().item() < HIGHEST and len(found) in LENGTHS
    # A plate of which nothing was left has no text.
    return found if is_plate and torch.tensor(plate).any() else ""
