"""Metrics of handlers: what `context.metrics` is."""

from pkgutil import extend_path

# What is not here comes from a TorchServe that is installed, if there is one.
__path__ = extend_path(__path__, __name__)
