"""What handlers import of TorchServe, written anew for Torchrelay.

`torchrelay_worker` runs handlers; this package holds the names that they know. See README.md beside it.
"""

from pkgutil import extend_path

# What is not here comes from a TorchServe that is installed, if there is one.
__path__ = extend_path(__path__, __name__)

from .version import __version__  # noqa: E402,F401
