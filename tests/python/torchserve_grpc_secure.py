"""TorchServe's gRPC services behind TLS and tokens.

    torchserve_grpc_secure.py CERTIFICATE KEY_FILE GRPC

The stubs of torchserve_grpc.py are not needed for a call without fields.
"""

import json
import sys

import grpc
from google.protobuf.empty_pb2 import Empty

CERTIFICATE, KEY_FILE, GRPC = sys.argv[1:]
PING = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Ping"

with open(CERTIFICATE, "rb") as file:
    credentials = grpc.ssl_channel_credentials(file.read())
with open(KEY_FILE) as file:
    keys = json.load(file)

with grpc.secure_channel(GRPC, credentials) as channel:
    ping = channel.unary_unary(PING, Empty.SerializeToString, lambda answer: answer)
    bearer = lambda name: [("authorization", f"Bearer {keys[name]['key']}")]
    assert b"Healthy" in ping(Empty(), metadata=bearer("inference"))
    for wrong in ([], [("authorization", "Bearer x")], bearer("management")):
        try:
            ping(Empty(), metadata=wrong)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.PERMISSION_DENIED, error
            expected = (
                "Token Authorization failed. Token either incorrect, expired, or not provided correctly"
            )
            assert error.details() == expected, error
        else:
            raise AssertionError("was not refused")

with grpc.insecure_channel(GRPC) as channel:
    try:
        channel.unary_unary(PING, Empty.SerializeToString, lambda answer: answer)(Empty(), timeout=5)
    except grpc.RpcError as error:
        # What plain requests to a port with TLS are told.
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED, error
    else:
        raise AssertionError("was not refused")
