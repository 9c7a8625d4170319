"""What the clients of the Open Inference Protocol have in common, whichever way they come."""

import json
import urllib.request

import ml_dtypes
import numpy as np

ROW = np.array([0.1, -2.5, 3.0, 1e-3], dtype=np.float32)

# Every type of number that the engine has.
DATATYPES = {
    "UINT8": np.uint8,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "FP32": np.float32,
    "FP64": np.float64,
}


def prediction(address, model, body, content_type="application/json"):
    """What a model answers on TorchServe's own route."""
    request = urllib.request.Request(
        f"http://{address}/predictions/{model}", body, {"Content-Type": content_type}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def check_doubled(infer):
    """Whole numbers become single precision on the way. `infer` gives an answer's array and its datatype."""
    for datatype, dtype in DATATYPES.items():
        row = np.array([1, 2, 3, 0], dtype=dtype)
        found, told = infer(row, datatype)
        expected = datatype if "FP" in datatype or datatype == "BF16" else "FP32"
        assert told == expected and (found == 2 * row).all(), (datatype, told, found)
