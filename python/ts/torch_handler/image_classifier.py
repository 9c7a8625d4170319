"""`image_classifier`: the most probable classes of a picture. Needs torch, torchvision and Pillow."""

import torch

from ts.handler_utils.timer import timed
from ts.utils.util import map_class_to_label

from ._steps import imagenet
from .vision_handler import VisionHandler


class ImageClassifier(VisionHandler):
    """Answers the `topk` most probable classes."""

    topk = 5
    image_processing = imagenet()

    def set_max_result_classes(self, topk):
        self.topk = topk

    def get_max_result_classes(self):
        return self.topk

    @timed
    def postprocess(self, data):
        """Labels and probabilities, the most probable first."""
        probabilities, classes = torch.topk(torch.softmax(data, dim=1), self.topk, dim=1)
        return map_class_to_label(probabilities.tolist(), self.mapping, classes.tolist())
