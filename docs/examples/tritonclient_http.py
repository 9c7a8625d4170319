"""Tensors into a model and out of it over REST, with Triton's client: the Open Inference Protocol.

    pip install 'tritonclient[http]==2.73.0'
    python docs/examples/tritonclient_http.py [--server 127.0.0.1:8080] [--model mlp]
        [--row 0.1,-2.5,3,0.001]

The server serves that model; docs/examples/README.md says how to start one. A key, if the server asks for one, is read from
the environment variable TORCHRELAY_KEY. Tensors travel as bytes in both directions unless `binary_data=False` asks for JSON.
Rows that are sent at the same time share batches by themselves. tritonclient_grpc.py does the same over gRPC.
"""

import argparse
import os

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

arguments = argparse.ArgumentParser()
arguments.add_argument("--server", default="127.0.0.1:8080", help="host:port of the inference port")
arguments.add_argument("--model", default="mlp")
arguments.add_argument("--row", default="0.1,-2.5,3,0.001", help="numbers between commas")
given = arguments.parse_args()
key = os.environ.get("TORCHRELAY_KEY")
headers = {"Authorization": f"Bearer {key}"} if key else {}

with triton.InferenceServerClient(given.server, concurrency=4) as client:
    print("server ready:", client.is_server_ready(headers))
    metadata = client.get_model_metadata(given.model, headers=headers)
    print("versions:", metadata["versions"])
    print("inputs:", metadata["inputs"])
    print("outputs:", metadata["outputs"])
    name = metadata["inputs"][0]["name"]

    def tensor(row):
        asked = triton.InferInput(name, list(row.shape), "FP32")
        asked.set_data_from_numpy(row)
        return asked

    row = np.array(given.row.split(","), dtype=np.float32)
    answer = client.infer(given.model, [tensor(row)], headers=headers)
    print("infer:", answer.as_numpy("output"))

    best = triton.InferRequestedOutput("output", class_count=1)
    answer = client.infer(given.model, [tensor(row)], outputs=[best], headers=headers)
    print("the best class as score:index:", answer.as_numpy("output")[0].decode())

    rows = [row * factor for factor in np.float32([1, 2, 3])]
    waiting = [client.async_infer(given.model, [tensor(row)], headers=headers) for row in rows]
    for index, one in enumerate(waiting):
        print(f"async_infer {index}:", one.get_result().as_numpy("output"))

    try:
        client.infer(given.model, [tensor(np.zeros(5, dtype=np.float32))], headers=headers)
    except InferenceServerException as error:
        print("five numbers:", error.status(), "-", error.message())
