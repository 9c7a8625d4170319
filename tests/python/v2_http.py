"""The Open Inference Protocol over HTTP, driven by Triton's client.

    v2_http.py INFERENCE MANAGEMENT PICTURE

Both addresses are host:port. The server has the models mlp (four numbers to three), double, and substrate (a picture to its
class), and lets models be registered.
"""

import json
import sys

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

from shared import ROW, check_doubled, prediction

INFERENCE, MANAGEMENT, PICTURE = sys.argv[1:]


def tensor(name, array, binary=True, datatype="FP32"):
    given = http.InferInput(name, list(array.shape), datatype)
    given.set_data_from_numpy(array, binary_data=binary)
    return given


def wanted(name, binary=True, classes=0):
    return http.InferRequestedOutput(name, binary_data=binary, class_count=classes)


def refused(status, words, call):
    """The call is refused with that status and with these words."""
    try:
        call()
    except InferenceServerException as error:
        assert error.status() == str(status), error
        for word in words:
            assert word in error.message(), error
    else:
        raise AssertionError(f"{words}: was not refused")


def health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("mlp") and client.is_model_ready("mlp", "1.0")
    assert not client.is_model_ready("nobody")
    server = client.get_server_metadata()
    assert server["name"] == "torchrelay" and "binary_tensor_data" in server["extensions"], server
    model = client.get_model_metadata("substrate")
    assert model["versions"] == ["1.0"], model
    config = client.get_model_config("mlp")
    assert (config["name"], config["max_batch_size"]) == ("mlp", 0), config
    assert config["input"][0]["data_type"] == "TYPE_FP32", config
    assert model["inputs"] == [{"name": "body", "datatype": "BYTES", "shape": [1]}], model


def tensors(client):
    expected = np.array(prediction(INFERENCE, "mlp", json.dumps(ROW.tolist()).encode()), dtype=np.float32)
    for sent in (True, False):
        for got in (True, False):
            for packed in (None, "gzip", "deflate"):
                answer = client.infer(
                    "mlp",
                    [tensor("data", ROW, sent)],
                    outputs=[wanted("output", got)],
                    request_id="7",
                    request_compression_algorithm=packed,
                )
                found = answer.as_numpy("output")
                assert found.dtype == np.float32 and found.tobytes() == expected.tobytes(), found
                assert answer.get_response()["id"] == "7"
    # Every output there is, as bytes: the client's own default.
    found = client.infer("mlp", [tensor("body", ROW)], model_version="1.0").as_numpy("output")
    assert found.tobytes() == expected.tobytes()
    best = client.infer("mlp", [tensor("body", ROW)], outputs=[wanted("output", classes=1)])
    score, index = best.as_numpy("output")[0].decode().split(":")
    assert int(index) == int(expected.argmax()) and np.float32(score) == expected.max()


def datatypes(client):
    def infer(row, datatype):
        answer = client.infer("double", [tensor("body", row, datatype=datatype)])
        return answer.as_numpy("output"), answer.get_response()["outputs"][0]["datatype"]

    check_doubled(infer)


def pictures(client):
    with open(PICTURE, "rb") as file:
        picture = file.read()
    expected = prediction(INFERENCE, "substrate", picture, "image/png")
    given = np.array([picture], dtype=np.object_)
    answer = client.infer("substrate", [tensor("body", given, datatype="BYTES")])
    outputs = answer.get_response()["outputs"]
    assert [output["name"] for output in outputs] == list(expected), outputs
    for name, probability in expected.items():
        assert answer.as_numpy(name)[0] == probability, (name, probability)
    answer = client.infer(
        "substrate",
        [tensor("body", given, datatype="BYTES")],
        outputs=[wanted("output", classes=1)],
    )
    best = max(expected, key=expected.get)
    assert answer.as_numpy("output")[0].decode().endswith(":" + best)


def many_at_once(client):
    rows = [np.array([n, 0.5, -n, 2.0], dtype=np.float32) for n in range(32)]
    waiting = [client.async_infer("double", [tensor("body", row)]) for row in rows]
    for row, answer in zip(rows, waiting):
        found = answer.get_result().as_numpy("output")
        assert (found == 2 * row).all(), (row, found)


def refusals(client):
    body = lambda array, **more: client.infer("mlp", [tensor("body", array, **more)])
    refused(404, ["nobody"], lambda: client.infer("nobody", [tensor("body", ROW)]))
    refused(400, ["`x`", "`body`"], lambda: client.infer("mlp", [tensor("x", ROW)]))
    refused(
        400,
        ["UINT16", "FP32"],
        lambda: body(ROW.astype(np.uint16), datatype="UINT16"),
    )
    refused(
        400,
        ["`nothing`", "`output`"],
        lambda: client.infer("mlp", [tensor("body", ROW)], outputs=[wanted("nothing")]),
    )
    assert client.is_model_ready("mlp")


def statistics(client):
    named = client.get_inference_statistics("mlp")["model_stats"]
    assert [model["name"] for model in named] == ["mlp"], named
    assert named[0]["inference_count"] > 0 and named[0]["execution_count"] > 0, named
    names = [model["name"] for model in client.get_inference_statistics()["model_stats"]]
    assert names == ["double", "mlp", "substrate"], names


def repository(client):
    with http.InferenceServerClient(MANAGEMENT) as manager:
        index = {model["name"]: model["state"] for model in manager.get_model_repository_index()}
        assert index["double"] == "READY", index
        manager.unload_model("double")
        assert not client.is_model_ready("double")
        index = {model["name"]: model["state"] for model in manager.get_model_repository_index()}
        assert index["double"] == "UNAVAILABLE", index
        refused(404, ["nobody"], lambda: manager.load_model("nobody"))
        manager.load_model("double", config=json.dumps({"batch_size": 4}))
        assert client.is_model_ready("double")
    many_at_once(client)


with http.InferenceServerClient(INFERENCE, concurrency=8) as client:
    health_and_metadata(client)
    tensors(client)
    datatypes(client)
    pictures(client)
    many_at_once(client)
    refusals(client)
    statistics(client)
    repository(client)
