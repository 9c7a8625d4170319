"""Small things that handlers import: labels, classes, contexts of tests, frames."""

import json
import os
import sys
import tempfile
import types
import unittest
import warnings

from torchrelay_worker import Image, Tensor
from torchrelay_worker.headers import Headers
from ts.context import Context, RequestProcessor
from ts.handler_utils.utils import import_class
from ts.protocol import otf_message_handler as frames
from ts.torch_handler.contractions import CONTRACTION_MAP
from ts.utils import util


class Labels(unittest.TestCase):
    def check_file(self, content, expected) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "index_to_name.json")
            with open(path, "w") as file:
                file.write(content if isinstance(content, str) else json.dumps(content))
            if expected is Exception:
                self.assertRaises(Exception, util.load_label_mapping, path)
            else:
                self.assertEqual(util.load_label_mapping(path), expected)

    def test_files(self):
        self.assertIsNone(util.load_label_mapping("/absent/index_to_name.json"))
        for content, expected in [
            ({"0": "a"}, {"0": "a"}),
            ({"0": ["id", "a"]}, {"0": "a"}),
            ({"object_type_names": ["q", "r"]}, {"0": "q", "1": "r"}),
            ({"0": 1}, Exception),
            ({"0": []}, Exception),
            (["a"], Exception),
            ('{"0"', Exception),
        ]:
            with self.subTest(content):
                self.check_file(content, expected)

    def test_rows(self):
        labels = {"0": "a", "1": "b"}
        for arguments, expected in [
            (([[0.1, 0.9]],), [{"0": 0.1, "1": 0.9}]),
            (([[0.1, 0.9]], labels), [{"a": 0.1, "b": 0.9}]),
            (([[0.9, 0.1]], labels, [[1, 0]]), [{"b": 0.9, "a": 0.1}]),
            (([[0.9, 0.1]], None, [[1, 0]]), [{"1": 0.9, "0": 0.1}]),
        ]:
            with self.subTest(arguments):
                found = util.map_class_to_label(*arguments)
                self.assertEqual([list(row.items()) for row in found], [list(row.items()) for row in expected])
        self.assertRaises(KeyError, util.map_class_to_label, [[1, 2, 3]], labels)
        self.assertRaises(Exception, util.map_class_to_label, [[1]], ["a"])


class Helpers(unittest.TestCase):
    def test_classes_of_a_module(self):
        self.assertIn(util.PredictionException, util.list_classes_from_module(util))
        self.assertEqual(util.list_classes_from_module(util, Exception), [util.PredictionException])
        self.assertEqual(import_class("json.JSONDecoder"), json.JSONDecoder)
        self.assertEqual(import_class("JSONDecoder", "json"), json.JSONDecoder)
        for name in ("JSONDecoder", "json.Absent", "absent_module.Class"):
            self.assertRaises(ImportError, import_class, name)

    def test_prediction_exceptions(self):
        error = util.PredictionException("not so", 3)
        self.assertEqual(
            (str(error), error.message, error.error_code, error.args), ("not so : 3", "not so", 3, ("not so",))
        )
        self.assertEqual(util.PredictionException("x").error_code, 500)

    def test_compilers_and_deprecation(self):
        self.assertTrue(util.check_valid_pt2_backend("inductor"))
        self.assertFalse(util.check_valid_pt2_backend("INDUCTOR"))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.assertEqual(util.deprecated("0.9", "other")(lambda: 1)(), 1)
        self.assertEqual([w.category for w in caught], [PendingDeprecationWarning])

    def test_contractions(self):
        for short, full in [
            ("can't", "cannot"),
            ("i'm", "I am"),
            ("they'd've", "they would have"),
            ("who's", "who is"),
            ("shouldn't've", "should not have"),
        ]:
            self.assertEqual(CONTRACTION_MAP[short], full)

    def test_a_context_outside_the_worker(self):
        context = Context("m", "/dir", {"model": {}}, 2, None, "0.12.0")
        context.request_processor = [RequestProcessor({"a": "b"}), RequestProcessor({})]
        context.set_all_response_status(202, "k")
        context.set_response_status(code=201, phrase="c", idx=1)
        context.set_response_content_type(0, "a/b")
        self.assertEqual(context.get_response_status(0), (202, "k"))
        self.assertEqual(context.get_response_status(1), (201, "c"))
        self.assertEqual(context.get_response_headers(0), {"content-type": "a/b"})
        self.assertEqual((context.get_request_header(0, "a"), context.get_request_header(1, "a")), ("b", None))
        self.assertEqual(context.model_yaml_config, {})
        self.assertIsNone(context.get_request_id())

    def test_frames(self):
        one = b"\0\0\0\xc8\0\0\0\1m\0\0\0\1i\0\0\0\0\0\0\0\xc8\0\0\0\0\0\0\0\0\0\0\0\1a\xff\xff\xff\xff"
        self.assertEqual(bytes(frames.create_predict_response(["a"], {0: "i"}, "m", 200)), one)
        failed = b"\0\0\1\x90\0\0\0\1m\0\0\0\1i\0\0\0\0\0\0\1\x90\0\0\0\0\0\0\0\0\0\0\0\5error\xff\xff\xff\xff"
        self.assertEqual(bytes(frames.create_predict_response(None, {0: "i"}, "m", 400)), failed)
        self.assertEqual(bytes(frames.create_load_model_response(3, "x")), b"\0\0\0\3\0\0\0\1x\xff\xff\xff\xff")

    def test_modules_that_are_not_here_come_from_an_installed_torchserve(self):
        with tempfile.TemporaryDirectory() as folder:
            package = os.path.join(folder, "ts", "torch_handler")
            os.makedirs(package)
            for path in (os.path.join(folder, "ts"), package):
                open(os.path.join(path, "__init__.py"), "w").close()
            with open(os.path.join(package, "another_handler.py"), "w") as file:
                file.write("NAME = 'another'\n")
            names = [name for name in sys.modules if name == "ts" or name.startswith("ts.")]
            kept = {name: sys.modules.pop(name) for name in names}
            sys.path.append(folder)
            try:
                import ts.torch_handler.another_handler as found

                self.assertIsInstance(found, types.ModuleType)
                self.assertEqual(found.NAME, "another")
            finally:
                sys.path.remove(folder)
                for name in [name for name in sys.modules if name == "ts" or name.startswith("ts.")]:
                    del sys.modules[name]
                sys.modules.update(kept)

    def test_values(self):
        self.assertEqual(Tensor("int16", (2, 1), b"\1\0\2\0").view().tolist(), [[1], [2]])
        self.assertEqual(Tensor("float32", (0, 3), b"").view().tolist(), [])
        for dtype, shape, data in [("int16", (2,), b"123"), ("int7", (1,), b"1"), ("int8", (-1, -1), b"1")]:
            self.assertRaises(ValueError, Tensor, dtype, shape, data)
        self.assertRaises(TypeError, Tensor("bfloat16", (1,), b"12").view)
        self.assertRaises(ValueError, Image)


class RequestHeaders(unittest.TestCase):
    def test_names_are_found_in_any_case(self):
        headers = Headers({"x-mine": "1", "Both": "2", "both": "3"})
        expectations = {"x-mine": "1", "X-Mine": "1", "Both": "2", "both": "3", "BOTH": "2", "other": None}
        for name, expected in expectations.items():
            self.assertEqual(headers.get(name), expected, name)
            self.assertEqual(name in headers, expected is not None, name)
        self.assertEqual(headers["X-MINE"], "1")
        self.assertRaises(KeyError, lambda: headers["other"])
        self.assertEqual(list(headers), ["x-mine", "Both", "both"])
        self.assertEqual((headers.get("other", "-"), headers.get(3)), ("-", None))
