"""The worker process of Torchrelay: runs one TorchServe handler and answers the daemon over one socket.

`main.run` is the way in; `ts/model_service_worker.py` and `python -m torchrelay_worker` call it. Handlers import nothing
from here but `Tensor` and `Image`, in which protocol two hands over what numpy and torch are not there to hold.
"""

from .values import Image, Tensor

__all__ = ["Image", "Tensor", "VERSION"]

VERSION = "1"
