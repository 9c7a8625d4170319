"""The steps that classifier and segmenter share between a picture and the network."""

from torchvision import transforms

MEAN = [0.485, 0.456, 0.406]
STD = [0.229, 0.224, 0.225]


def imagenet():
    """Shorter side to 256, the middle 224 x 224, samples from 0 to 1, normalised as ImageNet is."""
    return transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(mean=MEAN, std=STD),
        ]
    )
