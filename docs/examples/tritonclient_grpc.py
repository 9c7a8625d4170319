"""Tensors into a model and out of it over gRPC, with Triton's client: the Open Inference Protocol.

    pip install 'tritonclient[grpc]==2.73.0'
    python docs/examples/tritonclient_grpc.py [--server 127.0.0.1:7070] [--model mlp]
        [--row 0.1,-2.5,3,0.001]

The server serves that model; docs/examples/README.md says how to start one. A key, if the server asks for one, is read from
the environment variable TORCHRELAY_KEY. A stream carries many requests, whose answers come in their order, and one that fails
does not end it. tritonclient_http.py does the same over REST, where there are no streams.
"""

import argparse
import os
import queue

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException

arguments = argparse.ArgumentParser()
arguments.add_argument("--server", default="127.0.0.1:7070", help="host:port of the gRPC inference port")
arguments.add_argument("--model", default="mlp")
arguments.add_argument("--row", default="0.1,-2.5,3,0.001", help="numbers between commas")
given = arguments.parse_args()
key = os.environ.get("TORCHRELAY_KEY")
headers = {"authorization": f"Bearer {key}"} if key else {}

with triton.InferenceServerClient(given.server) as client:
    print("server ready:", client.is_server_ready(headers))
    metadata = client.get_model_metadata(given.model, headers=headers)
    print("versions:", list(metadata.versions))
    for kind, tensors in [("input", metadata.inputs), ("output", metadata.outputs)]:
        for one in tensors:
            print(f"{kind}: {one.name} {one.datatype} {list(one.shape)}")
    name = metadata.inputs[0].name

    def tensor(row):
        asked = triton.InferInput(name, list(row.shape), "FP32")
        asked.set_data_from_numpy(row)
        return asked

    row = np.array(given.row.split(","), dtype=np.float32)
    answer = client.infer(given.model, [tensor(row)], headers=headers, client_timeout=10)
    print("infer:", answer.as_numpy("output"))

    answers = queue.Queue()
    take = lambda result, error: answers.put((result, error))
    rows = [row * factor for factor in np.float32([1, 2, 3])]
    for index, one in enumerate(rows):
        client.async_infer(given.model, [tensor(one)], take, request_id=str(index), headers=headers)
    results = [answers.get(timeout=10) for _ in rows]
    for result, error in sorted(results, key=lambda it: it[0].get_response().id if it[0] else ""):
        print("async_infer:", error or f"{result.get_response().id} {result.as_numpy('output')}")

    client.start_stream(take, headers=headers)
    client.async_stream_infer(given.model, [tensor(row)])
    client.async_stream_infer("nobody", [tensor(row)])
    client.async_stream_infer(given.model, [tensor(2 * row)])
    for index in range(3):
        result, error = answers.get(timeout=10)
        print(f"stream {index}:", error or result.as_numpy("output"))
    client.stop_stream()

    try:
        client.infer(given.model, [tensor(np.zeros(5, dtype=np.float32))], headers=headers)
    except InferenceServerException as error:
        print("five numbers:", error.status(), "-", error.message())
