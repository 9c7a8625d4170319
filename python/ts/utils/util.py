"""Labels, classes of modules, configuration files, and the exception by which a handler chooses its status."""

import enum
import functools
import inspect
import json
import logging
import os
import re
import warnings
from typing import Any, Dict, List, Optional

from torchrelay_worker import yaml_text

logger = logging.getLogger(__name__)

# Tags and entities, which the text handlers strip.
CLEANUP_REGEX = re.compile("<.*?>|&([a-z0-9]+|#[0-9]{1,6}|#x[0-9a-f]{1,6});")


class PT2Backend(str, enum.Enum):
    """Compilers that `pt2: {compile: {backend: …}}` may name."""

    EAGER = "eager"
    AOT_EAGER = "aot_eager"
    INDUCTOR = "inductor"
    NVFUSER = "nvfuser"
    AOT_NVFUSER = "aot_nvfuser"
    AOT_CUDAGRAPHS = "aot_cudagraphs"
    OFI = "ofi"
    FX2TRT = "fx2trt"
    ONNXRT = "onnxrt"
    IPEX = "ipex"
    TORCHXLA_TRACE_ONCE = "torchxla_trace_once"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"
    HPU_BACKEND = "hpu_backend"


class PredictionException(Exception):
    """Raised by a handler: the whole batch is answered with this status and this message."""

    def __init__(self, message, error_code=500):
        self.message = message
        self.error_code = error_code
        super().__init__(message)

    def __str__(self):
        return "%s : %s" % (self.message, self.error_code)


def list_classes_from_module(module, parent_class=None) -> list:
    """The classes that a module itself defines; of `parent_class`'s children alone, if it is given."""
    found = []
    for _, member in inspect.getmembers(module, inspect.isclass):
        if member.__module__ != module.__name__:
            continue
        if parent_class is None or (issubclass(member, parent_class) and member is not parent_class):
            found.append(member)
    return found


def check_valid_pt2_backend(backend: str) -> bool:
    """Whether a compiler of that name is known; says so in the log where it is not."""
    if backend in [known.value for known in PT2Backend]:
        return True
    logger.warning("pt2 backend %s is unknown, known are %s", backend, ", ".join(known.value for known in PT2Backend))
    return False


def load_label_mapping(mapping_file_path: str) -> Optional[Dict[str, str]]:
    """The labels of `index_to_name.json` by class index, or None where there is no such file.

    A label is a text, or a list whose last element is the label; `object_type_names` may hold a list of labels.
    Raises Exception where it is anything else, and ValueError where it is no JSON.
    """
    if not os.path.isfile(mapping_file_path):
        logger.warning("There is no %s; answers name classes by their numbers.", mapping_file_path)
        return None
    with open(mapping_file_path, encoding="utf-8") as file:
        mapping = json.load(file)
    if not isinstance(mapping, dict):
        raise Exception("%s: expected an object of class numbers and labels" % mapping_file_path)
    names = mapping.get("object_type_names")
    if names is not None:
        return {str(number): name for number, name in enumerate(names)}
    labels = {}
    for key, label in mapping.items():
        if isinstance(label, list) and label:
            label = label[-1]
        if not isinstance(label, str):
            raise Exception(
                "%s: the label of class %s is neither a text nor a list of texts" % (mapping_file_path, key)
            )
        labels[key] = label
    return labels


def map_class_to_label(probs, mapping: Optional[Dict[str, str]] = None, lbl_classes=None) -> List[Dict[str, Any]]:
    """One dictionary of labels and probabilities for each row of `probs`.

    `lbl_classes` has the class of each probability; without it they are in the order of classes. Raises KeyError for a
    class without a label.
    """
    if mapping is not None and not isinstance(mapping, dict):
        raise Exception("labels must be a dictionary, found a %s" % type(mapping).__name__)
    if lbl_classes is None:
        lbl_classes = [list(range(len(row))) for row in probs]
    return [
        {(str(number) if mapping is None else mapping[str(number)]): value for number, value in zip(classes, row)}
        for classes, row in zip(lbl_classes, probs)
    ]


def get_yaml_config(yaml_file_path: str) -> dict:
    """A YAML file's content; an empty dictionary for an empty file. Raises OSError and ValueError."""
    with open(yaml_file_path, encoding="utf-8") as file:
        config = yaml_text.load(file.read(), yaml_file_path)
    return {} if config is None else config


def deprecated(version, replacement="", klass=PendingDeprecationWarning):
    """Marks a function as deprecated: calls warn, and go on."""

    def decorate(func):
        @functools.wraps(func)
        def wrapper(*args, **kwargs):
            text = "%s is deprecated since %s" % (func.__name__, version)
            warnings.warn(text + (", use %s" % replacement if replacement else ""), klass, stacklevel=2)
            return func(*args, **kwargs)

        return wrapper

    return decorate
