"""The default handlers and their base, with real networks. Needs torch; some cases torchvision, Pillow and captum, too.

Expected values are computed here from the description of each handler.
"""

import importlib.util
import io
import json
import os
import unittest
from typing import Any, Dict

from .harness import GENUINE, Daemon, Request
from .harness_two import DaemonTwo, as_image, as_tensor, at, batch, memory, request

MISSING = [name for name in ("torch", "torchvision", "PIL") if importlib.util.find_spec(name) is None]
NO_CAPTUM = importlib.util.find_spec("captum") is None

NUMBERS = """
import torch
from ts.torch_handler.base_handler import BaseHandler
class Handler(BaseHandler):
    def preprocess(self, data):
        return torch.as_tensor([row["body"] for row in data], dtype=torch.float32)
    {more}
"""
MODEL = """
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 3)
    def forward(self, x):
        return self.layer(x)
"""


def numbers(more: str = "pass") -> str:
    return NUMBERS.format(more=more)


def number_request(values, id="r1", headers=()) -> Request:
    return Request(id, (("body", "application/json", json.dumps(values).encode()),), headers)


@unittest.skipIf(MISSING, "not installed: %s" % ", ".join(MISSING))
class DefaultHandlers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        import torch
        from PIL import Image

        torch.manual_seed(3)
        cls.torch = torch
        cls.net = torch.nn.Linear(2, 3).eval()
        picture = Image.new("RGB", (300, 260))
        picture.putdata([(x % 256, y % 256, (x * y) % 256) for y in range(260) for x in range(300)])
        cls.picture = picture
        cls.png = cls.encoded(picture)

    @staticmethod
    def encoded(picture) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()

    def saved(self, module) -> bytes:
        buffer = io.BytesIO()
        self.torch.jit.save(self.torch.jit.script(module), buffer)
        return buffer.getvalue()

    def state(self, value) -> bytes:
        buffer = io.BytesIO()
        self.torch.save(value, buffer)
        return buffer.getvalue()

    def answers(self, files: Dict[str, Any], model: dict, handler: str, *requests: Request, **more):
        """The bodies of the answers as JSON, and what was printed."""
        batch = more.pop("batch", False)
        with Daemon(files, manifest=json.dumps({"model": model}), **more) as daemon:
            daemon.connect()
            loaded = daemon.load(handler, batch_size=len(requests) if batch else 1)
            self.assertEqual(loaded[:2], (200, "loaded model m"), daemon.output())
            groups = [requests] if batch else [[request] for request in requests]
            found = []
            for group in groups:
                response = daemon.predict(*group)
                self.assertEqual(response.code, 200, daemon.output())
                found += [json.loads(prediction.body) for prediction in response.predictions]
            return found, daemon.end().stdout

    def assert_close(self, found, expected) -> None:
        found, expected = self.torch.tensor(found), self.torch.as_tensor(expected)
        self.assertEqual(found.shape, expected.shape)
        self.assertTrue(self.torch.allclose(found, expected, atol=1e-5), (found, expected))

    def test_torchscript(self):
        files = {"h.py": numbers(), "m.pt": self.saved(self.net)}
        requests = [number_request([1, 2], "a"), number_request([3, 4], "b")]
        found, printed = self.answers(files, {"serializedFile": "m.pt"}, "h.py", *requests, batch=True)
        self.assert_close(found, self.net(self.torch.tensor([[1.0, 2.0], [3.0, 4.0]])))
        self.assertRegex(
            printed, r"\[METRICS\]HandlerTime\.Milliseconds:[0-9.]+\|#ModelName:m,Level:Model\|#type:GAUGE\|"
        )

    def test_eager(self):
        state = self.state({"layer.weight": self.net.weight.detach(), "layer.bias": self.net.bias.detach()})
        files = {"h.py": numbers(), "net.py": MODEL, "m.pt": state}
        model = {"serializedFile": "m.pt", "modelFile": "net.py"}
        found, _ = self.answers(files, model, "h.py", number_request([1, 2]))
        self.assert_close(found, self.net(self.torch.tensor([[1.0, 2.0]])))

    def test_loads_that_fail(self):
        for name, files, model, said in [
            ("two classes", {"net.py": MODEL + "class Other: pass\n"}, {"modelFile": "net.py"}, "ValueError"),
            ("no model file", {}, {"modelFile": "net.py"}, "RuntimeError"),
            ("no TorchScript", {"m.pt": b"x"}, {"serializedFile": "m.pt"}, "m"),
        ]:
            with self.subTest(name), Daemon(
                dict(files, **{"h.py": numbers()}), manifest=json.dumps({"model": model})
            ) as daemon:
                daemon.connect()
                try:
                    self.assertEqual(daemon.load().code, 500)
                except EOFError:
                    pass
                ended = daemon.wait()
                self.assertEqual(ended.code, 1)
                self.assertIn(said, ended.stdout)

    @unittest.skipIf(GENUINE, "TorchServe's base handler leaves sessions to its children")
    @unittest.skipIf(
        importlib.util.find_spec("onnx") is None or importlib.util.find_spec("onnxruntime") is None,
        "onnx is not installed",
    )
    def test_onnx(self):
        from onnx import TensorProto, helper

        value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2])
        graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", [value("x")], [value("y")])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        files = {"h.py": numbers(), "m.onnx": model.SerializeToString()}
        found, _ = self.answers(files, {"serializedFile": "m.onnx"}, "h.py", number_request([1, 2]))
        self.assertEqual(found, [[2.0, 4.0]])

    def test_compiled_eagerly(self):
        for section in (
            "pt2: {compile: {enable: true, backend: eager}}\n",
            "pt2: {compile: {enable: true, backend: unknown}}\n",
        ):
            files = {"h.py": numbers(), "m.pt": self.saved(self.net), "c.yaml": section, "net.py": MODEL}
            state = self.state({"layer.weight": self.net.weight.detach(), "layer.bias": self.net.bias.detach()})
            files["m.pt"] = state
            model = {"serializedFile": "m.pt", "modelFile": "net.py", "configFile": "c.yaml"}
            with self.subTest(section):
                found, _ = self.answers(files, model, "h.py", number_request([1, 2]))
                self.assert_close(found, self.net(self.torch.tensor([[1.0, 2.0]])))

    def test_description_and_explanation(self):
        more = "def describe_handle(self): return {'inputs': 2}\n    def get_insights(self, tensor, inputs, target): return [[inputs, target]]"
        files = {"h.py": numbers(more), "m.pt": self.saved(self.net)}
        requests = [
            number_request([1, 2], headers=(("describe", "True"),)),
            number_request([1, 2], headers=(("explain", "True"),)),
            number_request([1, 2], headers=(("explain", "False"), ("describe", "False"))),
        ]
        found, _ = self.answers(files, {"serializedFile": "m.pt"}, "h.py", *requests)
        self.assertEqual(found[:2], [{"inputs": 2}, [[1, 2], 0]])
        self.assertEqual(len(found[2]), 3)

    def test_times_of_the_steps(self):
        files = {"h.py": numbers(), "m.pt": self.saved(self.net), "c.yaml": "handler: {profile: true}\n"}
        model = {"serializedFile": "m.pt", "configFile": "c.yaml"}
        _, printed = self.answers(files, model, "h.py", number_request([1, 2]))
        self.assertRegex(
            printed, r"\[METRICS\]ts_handler_inference\.Milliseconds:[0-9.e-]+\|#ModelName:m,Level:Model\|#type:GAUGE"
        )
        self.assertIn("ts_handler_postprocess", printed)

    @unittest.skipIf(GENUINE, "TorchServe's threads keep its worker from ending")
    def test_micro_batches(self):
        more = (
            "def initialize(self, context):\n"
            "        super().initialize(context)\n"
            "        from ts.handler_utils.micro_batching import MicroBatching\n"
            "        self.handle = MicroBatching(self, 2, {'inference': 2})\n"
            "    def postprocess(self, data):\n"
            "        return [[len(data)] + row for row in data.tolist()]"
        )
        files = {"h.py": numbers(more), "m.pt": self.saved(self.net)}
        requests = [number_request([n, n], str(n)) for n in range(5)]
        found, _ = self.answers(files, {"serializedFile": "m.pt"}, "h.py", *requests, batch=True)
        self.assertEqual([row[0] for row in found], [2, 2, 2, 2, 1])
        self.assert_close([row[1:] for row in found], self.net(self.torch.tensor([[float(n)] * 2 for n in range(5)])))

    def normalised(self):
        from torchvision import transforms

        steps = [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]
        steps.append(transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
        return transforms.Compose(steps)(self.picture).unsqueeze(0)

    def classifier(self):
        nn = self.torch.nn
        return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 7)).eval()

    def test_image_classifier(self):
        import base64

        net = self.classifier()
        labels = {str(n): ["n%d" % n, "label %d" % n] for n in range(7)}
        files = {"m.pt": self.saved(net), "index_to_name.json": json.dumps(labels)}
        samples = self.normalised()
        requests = [
            Request(parameters=(("data", "image/png", self.png),)),
            Request(parameters=(("body", "", self.png),)),
            Request(parameters=(("body", "text/plain", base64.b64encode(self.png)),)),
            number_request(samples[0].tolist()),
        ]
        found, _ = self.answers(files, {"serializedFile": "m.pt"}, "image_classifier", *requests)
        probabilities = self.torch.softmax(net(samples), dim=1)[0]
        order = probabilities.argsort(descending=True)[:5].tolist()
        for answer in found:
            self.assertEqual(list(answer), ["label %d" % n for n in order])
            self.assert_close(list(answer.values()), probabilities[order].detach())

    @unittest.skipIf(GENUINE, "TorchServe's worker speaks protocol one alone")
    def test_image_classifier_takes_typed_values(self):
        net = self.classifier()
        samples = self.normalised()[0].contiguous()
        pixels = self.picture.tobytes()
        manifest = json.dumps({"model": {"serializedFile": "m.pt"}})
        with DaemonTwo({"m.pt": self.saved(net)}, manifest=manifest) as daemon:
            daemon.start(handler="image_classifier")
            self.assertEqual(daemon.agreed["tensors"], "torch")
            expected = self.torch.softmax(net(samples.unsqueeze(0)), dim=1)[0].topk(5)
            for data, value in [
                (self.png, as_image(at(0, 0, len(self.png)))),
                (pixels, as_image(b"", (260, 300), at(0, 0, len(pixels)))),
                (samples.numpy().tobytes(), as_tensor("float32", tuple(samples.shape), at(0, 0, samples.numel() * 4))),
            ]:
                kept = memory(data)
                found = daemon.ask(batch(request(("data", "", value)), sizes=[len(data)]), True, [kept])
                os.close(kept)
                kind, answer = found.predictions[0][5]
                self.assertEqual((kind, list(answer)), ("json", [str(n) for n in expected.indices.tolist()]))
                self.assert_close(list(answer.values()), expected.values.detach())

    def test_image_classifier_without_labels_and_in_batches(self):
        files = {"m.pt": self.saved(self.classifier())}
        requests = [Request(name, (("data", "", self.png),)) for name in "ab"]
        found, _ = self.answers(files, {"serializedFile": "m.pt"}, "image_classifier", *requests, batch=True)
        self.assertEqual(found[0], found[1])
        self.assertTrue(set(found[0]) <= set("0123456"))

    @unittest.skipIf(NO_CAPTUM, "captum is not installed")
    def test_image_classifier_explains(self):
        net = self.classifier()
        files = {"m.pt": self.saved(net)}
        parts = (("data", "", self.png), ("target", "application/json", b"2"))
        found, _ = self.answers(
            files, {"serializedFile": "m.pt"}, "image_classifier", Request("r", parts, (("explain", "True"),))
        )
        # The network is linear, so the attribution is weight times input, whatever the number of steps.
        samples = self.normalised().requires_grad_()
        (gradient,) = self.torch.autograd.grad(net(samples)[0, 2], samples)
        self.assert_close(found[0], (gradient * samples)[0].detach())

    def test_image_segmenter(self):
        class Net(self.torch.nn.Module):
            def forward(self, x):
                return {"out": x[:, :2] * 3.0}

        files = {"m.pt": self.saved(Net())}
        found, _ = self.answers(
            files, {"serializedFile": "m.pt"}, "image_segmenter", Request(parameters=(("data", "", self.png),))
        )
        probabilities, classes = self.torch.softmax(self.normalised()[0, :2] * 3, dim=0).max(dim=0)
        self.assert_close(found[0], self.torch.stack([classes.float(), probabilities], dim=2))

    def test_object_detector(self):
        source = (
            "import torch\n"
            "class Net(torch.nn.Module):\n"
            "    def forward(self, images):\n"
            "        boxes = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])\n"
            "        return [{'boxes': boxes, 'labels': torch.tensor([1, 2]), 'scores': torch.tensor([0.75, 0.25])} for _ in images]\n"
        )
        files = {"net.py": source, "index_to_name.json": json.dumps({"1": "cat", "2": "dog"})}
        found, _ = self.answers(
            files, {"modelFile": "net.py"}, "object_detector", Request(parameters=(("data", "", self.png),))
        )
        self.assertEqual(found, [[{"cat": [1.0, 2.0, 3.0, 4.0], "score": 0.75}]])

    def text_files(self):
        words = ["<unk>", "i", "am", "not", "it", "is", "good", "cannot", "i am", "am not", "is not", "not good"]
        vocabulary = {word: number for number, word in enumerate(words)}
        source = (
            "import torch\n"
            "class Net(torch.nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__()\n"
            "        self.embedding = torch.nn.EmbeddingBag(12, 3)\n"
            "    def forward(self, ids, offsets):\n"
            "        return self.embedding(ids, offsets)\n"
        )
        weights = self.torch.randn(12, 3)
        files = {"net.py": source, "m.pt": self.state({"embedding.weight": weights})}
        files["source_vocab.pt"] = self.state(vocabulary)
        files["index_to_name.json"] = json.dumps({"0": "a", "1": "b", "2": "c"})
        return files, weights, vocabulary

    @unittest.skipIf(GENUINE, "TorchServe's handler needs torchtext")
    def test_text_classifier(self):
        files, weights, vocabulary = self.text_files()
        model = {"serializedFile": "m.pt", "modelFile": "net.py", "sourceVocab": "source_vocab.pt"}
        request = Request(parameters=(("data", "", "<b>I'm</b> not g\u00f6od!&amp;".encode()),))
        found, _ = self.answers(files, model, "text_classifier", request)
        ids = [vocabulary[gram] for gram in ("i", "am", "not", "good", "i am", "am not", "not good")]
        expected = self.torch.softmax(weights[ids].mean(dim=0), dim=0)
        self.assertEqual(list(found[0]), ["a", "b", "c"])
        self.assert_close(list(found[0].values()), expected)
