"""Envelope `kservev2`: version 2 of KServe's protocol, also what gRPC's ModelInfer becomes. One request at a time."""

from typing import Any, List, Tuple

from ._bodies import body
from .base import BaseEnvelope

_DATATYPES = {"bool": "BOOL", "float16": "FP16", "float32": "FP32", "float64": "FP64"}
_DATATYPES.update(
    {"%s%d" % (kind, bits): "%s%d" % (kind.upper(), bits) for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
)


class KServev2Envelope(BaseEnvelope):
    """Remembers id and names of the request."""

    def parse_input(self, data):
        """The inputs as they came, their data in the shape that they tell; of BYTES the first element."""
        self._body = body(data[0])
        inputs = self._body["inputs"]
        self._names = [tensor["name"] for tensor in inputs]
        return [dict(tensor, data=_shaped(tensor)) for tensor in inputs]

    def format_output(self, data):
        """One output for each element of the handler's answer, named as the inputs are."""
        model = (self.context.manifest or {}).get("model", {})
        outputs = [_output(self._names[index], value) for index, value in enumerate(data)]
        return [
            {
                "id": self._body.get("id") or self.context.get_request_id(0),
                "model_name": model.get("modelName", self.context.model_name),
                "model_version": model.get("modelVersion", "1.0"),
                "outputs": outputs,
            }
        ]


def _shaped(tensor: dict) -> Any:
    values, shape = tensor["data"], tensor["shape"]
    if tensor["datatype"] == "BYTES":
        return values[0]
    flat = _flat(values)
    count = 1
    for size in shape:
        count *= size
    if count != len(flat) or any(size < 0 for size in shape):
        raise ValueError("input %s has %d values, its shape %s asks for %d" % (tensor["name"], len(flat), shape, count))
    for size in reversed(shape[1:]):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)] if size else []
    return flat


def _output(name: str, value: Any) -> dict:
    datatype, flat = _typed(value)
    return {"name": name, "datatype": datatype, "data": flat, "shape": [len(flat)]}


def _typed(value: Any) -> Tuple[str, List[Any]]:
    """A datatype that holds all values, and the values one after the other."""
    dtype = getattr(value, "dtype", None)
    if dtype is not None and hasattr(value, "tolist"):
        name = str(dtype).replace("torch.", "")
        if name not in _DATATYPES:
            raise ValueError("an output of type %s has no datatype" % name)
        return _DATATYPES[name], _flat(value.tolist())
    flat = _flat(value)
    if any(isinstance(item, (bytes, bytearray)) for item in flat):
        raise ValueError("an output is bytes, which JSON cannot hold")
    kinds = {type(item) for item in flat}
    if kinds and kinds <= {bool}:
        return "BOOL", flat
    if kinds and kinds <= {bool, int}:
        return "INT64", [int(item) for item in flat]
    if kinds <= {bool, int, float}:
        return "FP64", [float(item) for item in flat]
    return "BYTES", flat


def _flat(value: Any) -> List[Any]:
    if not isinstance(value, (list, tuple)):
        return [value.item() if hasattr(value, "item") else value]
    return [item for member in value for item in _flat(member)]
