"""The version of TorchServe that this package stands in for; handlers see it as `server_version`."""

__version__ = "0.12.0"
