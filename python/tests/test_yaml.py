"""YAML without PyYAML: what it reads, and that it refuses what it does not. Expected values are PyYAML's."""

import math
import unittest

from torchrelay_worker.yaml_text import load_plainly

READ = [
    ("", None),
    ("# nothing\n", None),
    ("5", 5),
    ("[1, 2]", [1, 2]),
    ("a: 1\nb:\n- 1\n- 2\n", {"a": 1, "b": [1, 2]}),
    ("---\na: 1\n", {"a": 1}),
    ("a:\n\n  b: 1\n # note\n  d: 2\n", {"a": {"b": 1, "d": 2}}),
    ("- - 1\n  - 2\n- a: 1\n  b: 2\n-\n  c: 3\n", [[1, 2], {"a": 1, "b": 2}, {"c": 3}]),
    ("a: [1,\n  2]\nb: {c: 1,\n d: 'x, y'}\n", {"a": [1, 2], "b": {"c": 1, "d": "x, y"}}),
    (
        "a: yes\nb: No\nc: ~\nd: null\ne:\nf: tRue\n",
        {"a": True, "b": False, "c": None, "d": None, "e": None, "f": "tRue"},
    ),
    (
        "a: 1e3\nb: 1.5e+3\nc: 0x1F\nd: 010\ne: 1_000\nf: -.5\n",
        {"a": "1e3", "b": 1500.0, "c": 31, "d": 8, "e": 1000, "f": -0.5},
    ),
    ("a: .inf\n", {"a": math.inf}),
    ("a: 'it''s'\nb: \"x: y # z\\n\\u00e9\" # note\nc: a#b\n", {"a": "it's", "b": "x: y # z\n\u00e9", "c": "a#b"}),
    ("a: &n [1]\nb: *n\nc: [*n, &m x, *m]\n", {"a": [1], "b": [1], "c": [[1], "x", "x"]}),
    ("x: &a {p: 1, r: 2}\ny:\n  <<: *a\n  r: 3\n", {"x": {"p": 1, "r": 2}, "y": {"p": 1, "r": 3}}),
    ("a: |\n  x\n   y\n\n  z\nb: >-\n  p\n  q\n\n  r\n", {"a": "x\n y\n\nz\n", "b": "p q\nr"}),
    ("a: http://x:80/y\nb c: d e\n", {"a": "http://x:80/y", "b c": "d e"}),
    ('{"a": [1, {"b": null}], "c": true}', {"a": [1, {"b": None}], "c": True}),
]

REFUSED = [
    ("a: !tag 1\n", "line 1"),
    ("a:\n\tb: 1\n", "line 2 is indented with a tab"),
    ("a: b\n  c\n", "line 2 goes on"),
    ("a: 1\n? b\n", "line 2"),
    ("a: *none\n", "'none'"),
    ("a: [1\n", "does not end"),
    ("a: 1\n  b: 2\n", "line 2"),
    ("a: [1] x\n", "goes on"),
    ("a: @x\n", "line 1"),
    ('a: "\\q"\n', "escape"),
    ("a: " + "[" * 100 + "]" * 100, "nested too deeply"),
]


class Yaml(unittest.TestCase):
    def test_read(self):
        for text, expected in READ:
            with self.subTest(text):
                found = load_plainly(text, "f.yaml")
                self.assertEqual(
                    repr(found) if not isinstance(found, dict) else found,
                    repr(expected) if not isinstance(expected, dict) else expected,
                )

    def test_refused(self):
        for text, said in REFUSED:
            with self.subTest(text), self.assertRaises(ValueError) as raised:
                load_plainly(text, "f.yaml")
            self.assertTrue(str(raised.exception).startswith("f.yaml: line "), raised.exception)
            self.assertIn(said, str(raised.exception))
