"""The function node of the workflow: places from the detector, texts from the reader."""

import json


def aggregate(data, context):
    if data is None:
        return None
    return [joined(row) for row in data]


def joined(row):
    found, read = (given if isinstance(given, dict) else json.loads(given) for given in (row["yolo"], row["lprnet"]))
    return {"coordinates": found["coordinates"], "texts": read["data"]}
