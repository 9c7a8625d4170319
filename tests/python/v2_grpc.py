"""The Open Inference Protocol over gRPC, driven by Triton's client.

    v2_grpc.py GRPC GRPC_MANAGEMENT REST PICTURE

The first three are host:port. The server has the models mlp (four numbers to three), double, and substrate (a picture to its
class), the workflow twice (numbers to their doubles), and lets models be registered.
"""

import json
import queue
import sys

import grpc
import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from shared import ROW, check_doubled, prediction

GRPC, GRPC_MANAGEMENT, REST, PICTURE = sys.argv[1:]


def tensor(name, array, datatype="FP32"):
    given = triton.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array)
    return given


def refused(code, words, call):
    """The call is refused with that code and with these words."""
    try:
        call()
    except InferenceServerException as error:
        assert error.status() == f"StatusCode.{code}", error
        for word in words:
            assert word in error.message(), error
    else:
        raise AssertionError(f"{words}: was not refused")


def health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("mlp") and client.is_model_ready("mlp", "1.0")
    assert client.is_model_ready("twice")
    refused("NOT_FOUND", ["nobody"], lambda: client.is_model_ready("nobody"))
    server = client.get_server_metadata()
    assert server.name == "torchrelay" and "statistics" in server.extensions, server
    model = client.get_model_metadata("substrate")
    assert list(model.versions) == ["1.0"], model
    (only,) = model.inputs
    assert (only.name, only.datatype, list(only.shape)) == ("body", "BYTES", [1]), model
    config = client.get_model_config("mlp").config
    assert (config.name, config.max_batch_size) == ("mlp", 0), config


def tensors(client):
    expected = np.array(prediction(REST, "mlp", json.dumps(ROW.tolist()).encode()), dtype=np.float32)
    for packed in (None, "gzip"):
        answer = client.infer(
            "mlp",
            [tensor("body", ROW)],
            outputs=[triton.InferRequestedOutput("output")],
            request_id="7",
            compression_algorithm=packed,
        )
        found = answer.as_numpy("output")
        assert found.dtype == np.float32 and found.tobytes() == expected.tobytes(), found
        response = answer.get_response()
        assert (response.id, response.model_name, response.model_version) == ("7", "mlp", "1.0")
    best = client.infer(
        "mlp", [tensor("body", ROW)], outputs=[triton.InferRequestedOutput("output", class_count=1)]
    )
    score, index = best.as_numpy("output")[0].decode().split(":")
    assert int(index) == int(expected.argmax()) and np.float32(score) == expected.max()


def typed_contents(channel):
    """Numbers in the fields of the message, as clients without NumPy send them; also to TorchServe's package."""
    expected = np.array(prediction(REST, "mlp", json.dumps(ROW.tolist()).encode()), dtype=np.float32)
    message = service_pb2.ModelInferRequest(model_name="mlp")
    given = message.inputs.add(name="body", datatype="FP32", shape=[4])
    given.contents.fp32_contents.extend(ROW.tolist())
    for package in ("inference", "org.pytorch.serve.grpc.openinference"):
        call = channel.unary_unary(
            f"/{package}.GRPCInferenceService/ModelInfer",
            request_serializer=service_pb2.ModelInferRequest.SerializeToString,
            response_deserializer=service_pb2.ModelInferResponse.FromString,
        )
        answer = call(message)
        if package == "inference":
            found = answer.raw_output_contents[0]
        else:
            found = np.array(answer.outputs[0].contents.fp32_contents, dtype=np.float32).tobytes()
        assert found == expected.tobytes(), answer


def datatypes(client):
    def infer(row, datatype):
        answer = client.infer("double", [tensor("body", row, datatype=datatype)])
        return answer.as_numpy("output"), answer.get_response().outputs[0].datatype

    check_doubled(infer)


def pictures(client):
    with open(PICTURE, "rb") as file:
        picture = file.read()
    expected = prediction(REST, "substrate", picture, "image/png")
    given = np.array([picture], dtype=np.object_)
    answer = client.infer("substrate", [tensor("body", given, "BYTES")])
    for name, probability in expected.items():
        assert answer.as_numpy(name)[0] == probability, (name, probability)


def many_at_once(client):
    rows = [np.array([n, 0.5, -n, 2.0], dtype=np.float32) for n in range(32)]
    answers = queue.Queue()
    for index, row in enumerate(rows):
        done = lambda result, error, index=index: answers.put((index, result, error))
        client.async_infer("double", [tensor("body", row)], done)
    for _ in rows:
        index, result, error = answers.get(timeout=60)
        assert error is None, error
        assert (result.as_numpy("output") == 2 * rows[index]).all()


def streams():
    """Answers come in the order of the requests, and a failure does not end the stream."""
    answers = queue.Queue()
    with triton.InferenceServerClient(GRPC) as client:
        client.start_stream(lambda result, error: answers.put((result, error)))
        for n in range(5):
            name = "double" if n != 2 else "nobody"
            row = np.array([n, 1.0], dtype=np.float32)
            client.async_stream_infer(name, [tensor("body", row)], request_id=str(n))
        for n in range(5):
            result, error = answers.get(timeout=60)
            if n == 2:
                assert "nobody" in error.message(), error
            else:
                assert result.get_response().id == str(n)
                assert (result.as_numpy("output") == [2.0 * n, 2.0]).all()
        client.stop_stream()


def workflows(client):
    row = np.array([1.5, -2.0], dtype=np.float32)
    (only,) = client.get_model_metadata("twice").inputs
    answer = client.infer("twice", [tensor(only.name, row)])
    assert (answer.as_numpy("output") == 2 * row).all()


def refusals(client):
    body = lambda array, datatype="FP32": client.infer("mlp", [tensor("body", array, datatype)])
    refused("NOT_FOUND", ["nobody"], lambda: client.infer("nobody", [tensor("body", ROW)]))
    refused(
        "INVALID_ARGUMENT", ["`x`", "`body`"], lambda: client.infer("mlp", [tensor("x", ROW)])
    )
    refused("INVALID_ARGUMENT", ["UINT16"], lambda: body(ROW.astype(np.uint16), "UINT16"))
    refused("INVALID_ARGUMENT", ["inputs"], lambda: client.infer("mlp", []))
    for shape in ([5], [-4], [2**62, 2**62], [2, 3]):
        wrong = triton.InferInput("body", [4], "FP32")
        wrong.set_data_from_numpy(ROW)
        wrong.set_shape(shape)
        refused("INVALID_ARGUMENT", ["`body`", str(shape[0])], lambda: client.infer("mlp", [wrong]))
    large = np.zeros(3_000_000, dtype=np.float32)
    refused("RESOURCE_EXHAUSTED", ["max_request_size"], lambda: body(large))
    assert client.is_model_ready("mlp")


def statistics(client):
    (model,) = client.get_inference_statistics("mlp").model_stats
    assert model.name == "mlp" and model.inference_count > 0, model
    assert model.inference_stats.success.count == model.inference_count, model
    assert model.inference_stats.success.ns > model.inference_stats.compute_infer.ns > 0, model
    assert sum(batch.compute_infer.count for batch in model.batch_stats) == model.execution_count


def repository(client):
    refused("PERMISSION_DENIED", ["management"], client.get_model_repository_index)
    with triton.InferenceServerClient(GRPC_MANAGEMENT) as manager:
        state = lambda: {it.name: it.state for it in manager.get_model_repository_index().models}
        assert state()["double"] == "READY", state()
        manager.unload_model("double")
        refused("NOT_FOUND", ["double"], lambda: client.is_model_ready("double"))
        assert state()["double"] == "UNAVAILABLE", state()
        refused("NOT_FOUND", ["nobody"], lambda: manager.load_model("nobody"))
        manager.load_model("double", config=json.dumps({"batch_size": 4}))
        assert client.is_model_ready("double")
    many_at_once(client)


with triton.InferenceServerClient(GRPC) as client, grpc.insecure_channel(GRPC) as channel:
    health_and_metadata(client)
    tensors(client)
    typed_contents(channel)
    datatypes(client)
    pictures(client)
    many_at_once(client)
    streams()
    workflows(client)
    refusals(client)
    statistics(client)
    repository(client)
