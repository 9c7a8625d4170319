"""`image_segmenter`: the most probable class of each pixel. Needs torch, torchvision and Pillow."""

import torch

from ._steps import imagenet
from .vision_handler import VisionHandler


class ImageSegmenter(VisionHandler):
    """The network answers a dictionary with `out`: a score for each class and pixel."""

    image_processing = imagenet()

    def postprocess(self, data):
        """For each pixel `[class, probability]`, as lists [height][width][2]."""
        probabilities, classes = torch.softmax(data["out"], dim=1).max(dim=1)
        return torch.stack([classes.to(probabilities.dtype), probabilities], dim=3).tolist()
