"""A prediction, a stream of parts and a description over TorchServe's gRPC services.

    pip install grpcio-tools==1.81.1
    python docs/examples/torchserve_grpc.py [--server 127.0.0.1:7070] [--management 127.0.0.1:7071]
        [--model mlp] [--body '[0.1, -2.5, 3, 0.001]'] [--ca FILE]

The server serves that model; docs/examples/README.md says how to start one. Keys, if the server asks for them, are read from
the environment: TORCHRELAY_KEY, TORCHRELAY_MANAGEMENT_KEY. The stubs are made of the .proto files in proto/ each time; a
program of your own would keep them. Clients made for TorchServe bring theirs, and need nothing of this.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import grpc
from google.protobuf.empty_pb2 import Empty

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"
FILES = [
    "google/rpc/status.proto",
    "torchserve/inference.proto",
    "torchserve/management.proto",
]

arguments = argparse.ArgumentParser()
arguments.add_argument("--server", default="127.0.0.1:7070", help="host:port of the gRPC inference port")
arguments.add_argument("--management", default="127.0.0.1:7071", help="of the gRPC management port")
arguments.add_argument("--model", default="mlp")
arguments.add_argument("--body", default="[0.1, -2.5, 3, 0.001]", help="what the model is asked")
arguments.add_argument("--ca", help="PEM file of the server's certificate; speaks TLS")
given = arguments.parse_args()

with tempfile.TemporaryDirectory() as stubs:
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}"]
        + [f"--python_out={stubs}", f"--grpc_python_out={stubs}"]
        + FILES,
        check=True,
    )
    sys.path.insert(0, stubs)
    from torchserve import inference_pb2, inference_pb2_grpc, management_pb2, management_pb2_grpc


def connect(address):
    if given.ca is None:
        return grpc.insecure_channel(address)
    certificate = pathlib.Path(given.ca).read_bytes()
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(certificate))


def metadata(variable):
    key = os.environ.get(variable)
    return [("authorization", f"Bearer {key}")] if key else []


with connect(given.server) as channel:
    inference = inference_pb2_grpc.InferenceAPIsServiceStub(channel)
    shown = metadata("TORCHRELAY_KEY")
    health = inference.Ping(Empty(), metadata=shown, timeout=5).health
    print("Ping:", json.loads(health)["status"])

    asked = inference_pb2.PredictionsRequest(
        model_name=given.model, input={"body": given.body.encode()}
    )
    answer = inference.Predictions(asked, metadata=shown, timeout=10)
    print("Predictions:", " ".join(answer.prediction.decode().split()))

    for index, part in enumerate(inference.StreamPredictions(asked, metadata=shown, timeout=10)):
        print(f"StreamPredictions, message {index}:", " ".join(part.prediction.decode().split()))

    nobody = inference_pb2.PredictionsRequest(model_name="nobody")
    try:
        inference.Predictions(nobody, metadata=shown, timeout=10)
    except grpc.RpcError as error:
        print("Predictions of nobody:", error.code().name, "-", error.details().splitlines()[0])

with connect(given.management) as channel:
    management = management_pb2_grpc.ManagementAPIsServiceStub(channel)
    asked = management_pb2.DescribeModelRequest(model_name=given.model)
    described = management.DescribeModel(asked, metadata=metadata("TORCHRELAY_MANAGEMENT_KEY"), timeout=10)
    for version in json.loads(described.msg):
        workers = [worker["status"] for worker in version["workers"]]
        print("DescribeModel:", version["modelName"], version["modelVersion"], "workers", workers)
