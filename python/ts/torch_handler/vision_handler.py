"""The base of handlers for pictures: rows to a stack of prepared pictures. Needs torch and Pillow."""

import abc
import base64
import io

import torch
from PIL import Image

from torchrelay_worker import Image as Picture
from ts.handler_utils.timer import timed

from ._rows import payload
from .base_handler import BaseHandler

INTEGRATION_STEPS = 15


class VisionHandler(BaseHandler, abc.ABC):
    """Children set `image_processing`, which takes a picture of Pillow's and gives a tensor."""

    image_processing = None

    def initialize(self, context):
        super().initialize(context)
        if not context.system_properties.get("limit_max_image_pixels"):
            Image.MAX_IMAGE_PIXELS = None
        self.ig = _explainer(self.model)

    @timed
    def preprocess(self, data):
        """Takes `data`, else `body`, of each row: an encoded picture, its base64 text, or numbers: lists, a tensor."""
        return torch.stack([self._prepare(payload(row)) for row in data]).to(self.device)

    def get_insights(self, tensor_data, _, target=0):
        """How much each sample of the picture speaks for a class: nested lists of the picture's shape."""
        if self.ig is None:
            raise RuntimeError("explanations need captum, which is not installed")
        return self.ig.attribute(tensor_data, target=target, n_steps=INTEGRATION_STEPS).tolist()

    def _prepare(self, value):
        if isinstance(value, str):
            value = base64.b64decode(value)
        if isinstance(value, Picture):
            return self.image_processing(value.pil())
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self.image_processing(Image.open(io.BytesIO(value)))
        return torch.as_tensor(value, dtype=torch.float32)


def _explainer(model):
    try:
        from captum.attr import IntegratedGradients
    except ImportError:
        return None
    return IntegratedGradients(model) if callable(model) else None
