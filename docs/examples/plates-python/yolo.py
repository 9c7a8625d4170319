"""The detector: a picture to its number plates, cut out and ready to be read, and where they are.

    {"data": n x 3 x 24 x 94 numbers,
     "coordinates": [{"xmin": ..., "ymin": ..., "xmax": ..., "ymax": ..., "confidence": ...}]}
"""

import io

import cv2
import numpy as np
import torch
from PIL import Image

from ts.torch_handler.base_handler import BaseHandler

# What the picture is made before anything else; places are told in it.
WIDTH, HEIGHT = 1920, 1080
# The longer side that the network is shown, and what both sides are multiples of.
SIDE, STRIDE = 1280, 32
CONFIDENCE, IOU, MOST, CANDIDATES = 0.57, 0.45, 1000, 30000
# Boxes of different classes must not hide each other.
APART = 7680
# Of a plate, as the reader wants it, and how much of its height is added above and below.
PLATE, GROWTH = (94, 24), 0.2


class Yolo(BaseHandler):
    def preprocess(self, data):
        return [scaled(row.get("data") or row.get("body")) for row in data]

    def inference(self, pictures):
        with torch.inference_mode():
            return [(picture, self.model(boxed(picture).to(self.device))[0].cpu()) for picture in pictures]

    def postprocess(self, found):
        return [answer(picture, boxes(rows)) for picture, rows in found]


def scaled(file):
    picture = np.asarray(Image.open(io.BytesIO(file)).convert("RGB"))
    return cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def letterbox():
    """Of the network's picture: height, width, how much larger it is, borders left and above."""
    gain = SIDE / max(WIDTH, HEIGHT)
    height, width = (-(-int(side * gain) // STRIDE) * STRIDE for side in (HEIGHT, WIDTH))
    gain = min(height / HEIGHT, width / WIDTH)
    return height, width, gain, (width - WIDTH * gain) / 2, (height - HEIGHT * gain) / 2


def boxed(picture):
    height, width, gain, left, above = letterbox()
    inner = cv2.resize(picture, (round(WIDTH * gain), round(HEIGHT * gain)), interpolation=cv2.INTER_LINEAR)
    borders = (round(above - 0.1), round(above + 0.1), round(left - 0.1), round(left + 0.1))
    whole = cv2.copyMakeBorder(inner, *borders, cv2.BORDER_CONSTANT, value=(114, 114, 114))
    assert whole.shape[:2] == (height, width)
    return torch.from_numpy(whole.transpose(2, 0, 1).astype(np.float32) / 255)[None]


def boxes(rows):
    """Rows `[xmin, ymin, xmax, ymax, score]` in the picture, best first, of the network's rows."""
    rows = rows[rows[:, 4] > CONFIDENCE]
    score, kind = (rows[:, 5:] * rows[:, 4:5]).max(1)
    centre, half = rows[:, :2], rows[:, 2:4] / 2
    found = torch.cat([centre - half, centre + half, score[:, None], kind[:, None].float()], 1)
    found = found[found[:, 4] > CONFIDENCE]
    found = found[found[:, 4].argsort(descending=True, stable=True)][:CANDIDATES]
    kept = suppressed(found)[:MOST]
    _, _, gain, left, above = letterbox()
    kept[:, [0, 2]] = ((kept[:, [0, 2]] - left) / gain).clamp(0, WIDTH)
    kept[:, [1, 3]] = ((kept[:, [1, 3]] - above) / gain).clamp(0, HEIGHT)
    return kept[:, :5]


def suppressed(found):
    """Those that no better box of their class covers."""
    corners = found[:, :4] + found[:, 5:6] * APART
    area = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    left, kept = list(range(len(found))), []
    while left:
        best, left = left[0], left[1:]
        kept.append(best)
        low = torch.maximum(corners[best, :2], corners[left, :2])
        high = torch.minimum(corners[best, 2:], corners[left, 2:])
        shared = (high - low).clamp(0).prod(1)
        iou = shared / (area[best] + area[left] - shared)
        left = [index for index, covered in zip(left, iou.tolist()) if covered <= IOU]
    return found[kept].clone()


def answer(picture, found):
    found = found.tolist()
    names = ("xmin", "ymin", "xmax", "ymax")
    return {
        "data": [crop(picture, box).tolist() for box in found],
        "coordinates": [{**{name: int(side) for name, side in zip(names, box)}, "confidence": box[4]} for box in found],
    }


def crop(picture, box):
    left, above, right, below, _ = box
    more = GROWTH * (below - above)
    piece = picture[max(int(above - more), 0) : max(int(below + more), 0), int(left) : int(right)]
    if piece.size == 0:
        return np.zeros((3, PLATE[1], PLATE[0]), np.float32)
    plate = cv2.resize(piece, PLATE, interpolation=cv2.INTER_CUBIC)
    return ((plate.astype(np.float32) - 127.5) * 0.0078125).transpose(2, 0, 1)
