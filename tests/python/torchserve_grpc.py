"""TorchServe's gRPC services, driven by stubs that grpcio's own compiler makes of our .proto files.

    torchserve_grpc.py PROTO STUBS GRPC GRPC_MANAGEMENT REST PICTURE

PROTO is the folder of the .proto files, STUBS one for what is made of them; the next three are host:port. The server has the
models mlp (four numbers to three), double, and substrate (a picture to its class), the workflow twice (numbers to their
doubles), and lets models be registered.
"""

import json
import subprocess
import sys
import urllib.request

import grpc
from google.protobuf.empty_pb2 import Empty
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

PROTO, STUBS, GRPC, GRPC_MANAGEMENT, REST, PICTURE = sys.argv[1:]
FILES = [
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
    "torchrelay/v1/workflows.proto",
    "torchserve/inference.proto",
    "torchserve/management.proto",
]
subprocess.run(
    [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}"]
    + [f"--python_out={STUBS}", f"--grpc_python_out={STUBS}"]
    + FILES,
    check=True,
)
sys.path.insert(0, STUBS)
from torchrelay.v1 import workflows_pb2, workflows_pb2_grpc  # noqa: E402
from torchserve import inference_pb2, inference_pb2_grpc  # noqa: E402
from torchserve import management_pb2, management_pb2_grpc  # noqa: E402

MODEL_NOT_FOUND = "org.pytorch.serve.archive.model.ModelNotFoundException"


def rest(path, body, content_type="application/json"):
    request = urllib.request.Request(f"http://{REST}{path}", body, {"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def asking(model, body, **more):
    return inference_pb2.PredictionsRequest(model_name=model, input={"body": body}, **more)


def refused(code, text, call):
    """The call is refused with that code, and says so in these words (all of them, if they end with a full stop)."""
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        assert text in error.details(), error
    else:
        raise AssertionError(f"{text}: was not refused")


def predictions(inference):
    row = json.dumps([0.1, -2.5, 3.0, 1e-3]).encode()
    expected = rest("/predictions/mlp", row)
    for version in ("", "1.0"):
        answer = inference.Predictions(asking("mlp", row, model_version=version))
        assert answer.prediction == expected, answer
    with open(PICTURE, "rb") as file:
        picture = file.read()
    answer = inference.Predictions(asking("substrate", picture))
    assert answer.prediction == rest("/predictions/substrate", picture, "image/png"), answer
    (part,) = inference.StreamPredictions(asking("mlp", row))
    assert part.prediction == expected, part
    both = inference.StreamPredictions2(iter([asking("nobody", b""), asking("mlp", row)]))
    failed, answered = both
    assert failed.status.code == grpc.StatusCode.INTERNAL.value[0], failed
    assert failed.status.message == f"Model not found: nobody\n{MODEL_NOT_FOUND}", failed
    assert failed.status.details[0].type_url.endswith("google.rpc.ErrorInfo"), failed
    assert answered.prediction == expected, answered


def predictions_that_fail(inference):
    internal, argument = grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT
    ask = lambda model, body: lambda: inference.Predictions(asking(model, body))
    refused(internal, f"Model not found: nobody\n{MODEL_NOT_FOUND}", ask("nobody", b""))
    refused(internal, "Parameter model_name is required.\nBadRequestException.()", ask("", b""))
    words = "are not a picture"
    refused(argument, words, ask("substrate", b"no picture"))
    refused(argument, "org.pytorch.serve.http.BadRequestException", ask("mlp", b"[1, "))
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
    refused(exhausted, "max_request_size", ask("mlp", b"1" * 7_000_000))
    # Little on the wire, and more than may be once it is unpacked.
    bomb = asking("mlp", b"\0" * 300_000_000)
    packed = lambda: inference.Predictions(bomb, compression=grpc.Compression.Gzip)
    refused(exhausted, "6553500", packed)


def managing(management, inference):
    text = lambda answer: answer.msg
    listed = json.loads(
        management.ListModels(management_pb2.ListModelsRequest(limit=10)).msg
    )
    names = [model["modelName"] for model in listed["models"]]
    assert names[:3] == ["double", "mlp", "substrate"], names
    nothing = json.loads(management.ListModels(management_pb2.ListModelsRequest()).msg)
    assert nothing == {"nextPageToken": "0", "models": []}, nothing
    register = management_pb2.RegisterModelRequest(
        url="double.mar", model_name="again", initial_workers=1, synchronous=True
    )
    done = text(management.RegisterModel(register))
    assert done == 'Model "again" Version: 1.0 registered with 1 initial workers', done
    again = lambda: management.RegisterModel(register)
    refused(grpc.StatusCode.UNKNOWN, "already registered", again)
    absent = management_pb2.RegisterModelRequest(url="absent.mar")
    refused(grpc.StatusCode.NOT_FOUND, "absent.mar", lambda: management.RegisterModel(absent))
    scale = management_pb2.ScaleWorkerRequest(
        model_name="again", min_worker=2, max_worker=2, synchronous=True
    )
    done = text(management.ScaleWorker(scale))
    assert done == "Workers scaled to 2 for model: again", done
    unnamed = management_pb2.ScaleWorkerRequest(min_worker=1)
    refused(grpc.StatusCode.UNKNOWN, "", lambda: management.ScaleWorker(unnamed))
    describe = management_pb2.DescribeModelRequest(model_name="again")
    (described,) = json.loads(management.DescribeModel(describe).msg)
    assert (described["modelName"], described["minWorkers"]) == ("again", 2), described
    default = management_pb2.SetDefaultRequest(model_name="again", model_version="1.0")
    done = text(management.SetDefault(default))
    assert done == 'Default version successfully updated for model "again" to "1.0"', done
    wrong = management_pb2.SetDefaultRequest(model_name="again", model_version="9")
    refused(grpc.StatusCode.NOT_FOUND, "9", lambda: management.SetDefault(wrong))
    gone = management_pb2.UnregisterModelRequest(model_name="again")
    assert text(management.UnregisterModel(gone)) == 'Model "again" unregistered'
    refused(grpc.StatusCode.NOT_FOUND, "again", lambda: management.UnregisterModel(gone))
    ask = lambda: inference.Predictions(asking("again", b""))
    refused(grpc.StatusCode.INTERNAL, MODEL_NOT_FOUND, ask)


def workflows(channel, managing):
    asking = workflows_pb2.WorkflowPredictionsRequest(
        workflow_name="twice", input={"body": b"[1.5, -2]"}
    )
    service = workflows_pb2_grpc.WorkflowInferenceStub(channel)
    answer = service.WorkflowPredictions(asking)
    assert json.loads(answer.prediction) == [3.0, -4.0], answer
    assert answer.content_type == "application/json", answer
    *nodes, last = service.StreamWorkflowPredictions(asking)
    assert [event.node.node for event in nodes] == ["doubled"], nodes
    assert last.answer.prediction == answer.prediction, last
    manager = workflows_pb2_grpc.WorkflowManagementStub(managing)
    listed = json.loads(manager.ListWorkflows(workflows_pb2.ListWorkflowsRequest()).msg)
    assert [it["workflowName"] for it in listed["workflows"]] == ["twice"], listed


def health_and_reflection(channel, managing):
    health = health_pb2_grpc.HealthStub(channel)
    serving = health_pb2.HealthCheckResponse.SERVING
    for name in ("", "mlp", "mlp/1.0", "twice", "inference.GRPCInferenceService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == serving, (name, answer)
    absent = health_pb2.HealthCheckRequest(service="nobody")
    refused(grpc.StatusCode.NOT_FOUND, "nobody", lambda: health.Check(absent))
    services = lambda channel: set(ProtoReflectionDescriptorDatabase(channel).get_services())
    here, there = services(channel), services(managing)
    for name in (
        "org.pytorch.serve.grpc.inference.InferenceAPIsService",
        "org.pytorch.serve.grpc.openinference.GRPCInferenceService",
        "inference.GRPCInferenceService",
        "torchrelay.v1.WorkflowInference",
        "grpc.health.v1.Health",
    ):
        assert name in here, here
    for name in (
        "org.pytorch.serve.grpc.management.ManagementAPIsService",
        "torchrelay.v1.WorkflowManagement",
    ):
        assert name in there and name not in here, (here, there)
    found = ProtoReflectionDescriptorDatabase(channel).FindFileContainingSymbol(
        "org.pytorch.serve.grpc.inference.PredictionsRequest"
    )
    assert found.name == "torchserve/inference.proto", found


with grpc.insecure_channel(GRPC) as channel, grpc.insecure_channel(GRPC_MANAGEMENT) as managing_:
    inference = inference_pb2_grpc.InferenceAPIsServiceStub(channel)
    management = management_pb2_grpc.ManagementAPIsServiceStub(managing_)
    assert json.loads(inference.Ping(Empty()).health) == {"status": "Healthy"}
    predictions(inference)
    predictions_that_fail(inference)
    managing(management, inference)
    workflows(channel, managing_)
    health_and_reflection(channel, managing_)
