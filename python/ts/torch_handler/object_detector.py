"""`object_detector`: boxes of what is in a picture. Needs torch, torchvision and Pillow."""

from torchvision import transforms

from .vision_handler import VisionHandler


class ObjectDetector(VisionHandler):
    """The network answers `boxes`, `labels` and `scores` for each picture; below `threshold` a box is left out."""

    threshold = 0.5
    image_processing = transforms.Compose([transforms.ToTensor()])

    def postprocess(self, data):
        """For each box that is probable enough `{label: [x1, y1, x2, y2], "score": …}`."""
        return [self._boxes(row) for row in data]

    def _boxes(self, row):
        found = []
        for box, label, score in zip(row["boxes"].tolist(), row["labels"].tolist(), row["scores"].tolist()):
            if score >= self.threshold:
                name = str(label) if self.mapping is None else self.mapping[str(label)]
                found.append({name: box, "score": score})
        return found
