"""Envelopes: from the bodies of other serving APIs to a handler's data, and back. The server's `service_envelope` names one."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
