"""What handlers record, and the lines that the daemon reads of it."""

import re
import unittest
from typing import NamedTuple, Sequence

from .harness import GENUINE, Daemon, Request
from .test_predicting import handler

# What the daemon reads lines with.
LINE = re.compile(
    r"\s*([\w\s]+)\.([\w\s]+):([0-9\-,.e]+)\|#([^|]*)(\|#type:([^|,]+))?\|#hostname:([^,]+),([^,]+)(,(.*))?$"
)
OWN = "ModelName:m,Level:Model"


class Case(NamedTuple):
    """Statements on `m`, and the lines: name.unit, value, dimensions, type, request ids."""

    statement: str
    lines: Sequence[tuple]
    requests: Sequence[Request] = (Request(),)


RECORDED = [
    Case("m.add_counter('C', 1)", [("C.Count", "1", OWN, "COUNTER", "r1")]),
    Case("m.add_counter('C', 3, 0)", [("C.Count", "3", OWN, "COUNTER", "r1")]),
    Case("m.add_counter('C', 3, 7)", [("C.Count", "3", OWN, "COUNTER", "r1")]),
    Case("m.add_time('T', 1.23456)", [("T.Milliseconds", "1.23456", OWN, "GAUGE", "r1")]),
    Case("m.add_time('T', 5, None, 's')", [("T.Seconds", "5", OWN, "GAUGE", "r1")]),
    Case("m.add_size('S', 7)", [("S.Megabytes", "7", OWN, "GAUGE", "r1")]),
    Case("m.add_size('S', 7, 0, 'GB')", [("S.Gigabytes", "7", OWN, "GAUGE", "r1")]),
    Case("m.add_size('S', 7, unit='kB')", [("S.Kilobytes", "7", OWN, "GAUGE", "r1")]),
    Case("m.add_size('S', 7, unit='B')", [("S.Bytes", "7", OWN, "GAUGE", "r1")]),
    Case("m.add_percent('P', 50)", [("P.Percent", "50", OWN, "GAUGE", "r1")]),
    Case("m.add_error('E', 1)", [("E.unit", "1", "Level:Error", "COUNTER", None)]),
    Case("m.add_metric('M', 3, 'furlong')", [("M.furlong", "3", OWN, "COUNTER", "r1")]),
    Case("m.add_metric('M', 3, '')", [("M.unit", "3", OWN, "COUNTER", "r1")]),
    Case(
        "m.add_counter('C', 1, None, [D('a', 'b'), D('c', 'd')])",
        [("C.Count", "1", "a:b,c:d," + OWN, "COUNTER", "r1")],
    ),
    Case("m.add_error('E', 1, [D('a', 'b')])", [("E.unit", "1", "a:b,Level:Error", "COUNTER", None)]),
    # Listed metrics have the unit of the list; another type is another metric.
    Case("m.add_metric('Listed', 3, 'ms')", [("Listed.Count", "3", OWN, "COUNTER", "r1")]),
    Case("m.add_size('Sizes', 3)", [("Sizes.Megabytes", "3", OWN, "GAUGE", "r1")]),
    Case(
        "m.get_metric('Sizes', T.HISTOGRAM).add_or_update(4, ['big'], 'rq')",
        [("Sizes.Megabytes", "4", "Shape:big", "HISTOGRAM", "rq")],
    ),
    Case(
        "m.get_metric('Listed').add_or_update(0, ['a', 'b'])",
        [("Listed.Count", "0", "ModelName:a,Level:b", "COUNTER", None)],
    ),
    Case(
        "m.add_metric_to_cache('N', 'ms', ['D'], T.GAUGE).add_or_update(-1.5, ['v'])",
        [("N.Milliseconds", "-1.5", "D:v", "GAUGE", None)],
    ),
    Case(
        "m.add_counter('C', 1); m.add_counter('D', 1, 1)",
        [("C.Count", "1", OWN, "COUNTER", "a,b"), ("D.Count", "1", OWN, "COUNTER", "b")],
        (Request("a"), Request("b")),
    ),
    # Dropped, and the prediction goes on.
    Case("m.add_counter('C', -1)", []),
    Case("m.get_metric('Listed').add_or_update(1, ['a'])", []),
]

RAISED = [
    ("m.get_metric('absent')", "KeyError"),
    ("m.get_metric('Sizes')", "KeyError"),
    ("m.get_metric(3)", "TypeError"),
    ("m.get_metric('Sizes', 'histogram')", "TypeError"),
    ("m.add_counter(3, 1)", "TypeError"),
    ("m.add_counter('C', '1')", "TypeError"),
    ("m.add_time('T', 1, None, 'h')", "ValueError"),
    ("m.add_size('S', 1, None, 'TB')", "ValueError"),
    ("m.add_metric('M', 1, 3)", "TypeError"),
    ("m.add_metric_to_cache('M', 'ms', 'D')", "TypeError"),
]

HEAD = "from ts.metrics.dimension import Dimension as D\nfrom ts.metrics.metric_type_enum import MetricTypes as T\nm = context.metrics\n"


class Metrics(unittest.TestCase):
    def check(self, case: Case) -> None:
        with Daemon({"h.py": handler(HEAD + case.statement + "\nreturn ['x' for _ in data]")}) as daemon:
            daemon.connect()
            daemon.load(batch_size=len(case.requests))
            self.assertEqual(daemon.predict(*case.requests).code, 200)
            printed = daemon.end().stdout
        found = []
        for line in printed.splitlines():
            if not line.startswith("[METRICS]") or "Failed" in line:
                continue
            match = LINE.match(line[len("[METRICS]") :])
            self.assertIsNotNone(match, line)
            name, unit, value, dimensions, _, kind, _, _, _, ids = match.groups()
            found.append(("%s.%s" % (name, unit), value, dimensions, kind, ids))
        ids = ",".join(request.id for request in case.requests)
        *recorded, prediction = found
        self.assertEqual(recorded, list(case.lines))
        self.assertEqual((prediction[0],) + prediction[2:], ("PredictionTime.Milliseconds", OWN, "GAUGE", ids))

    def test_lines(self):
        for case in RECORDED:
            with self.subTest(case.statement):
                self.check(case)

    def test_mistakes_raise(self):
        statements = "\n".join(
            "try:\n    %s\n    print('no error')\nexcept %s: print('raised')" % case for case in RAISED
        )
        with Daemon({"h.py": handler(HEAD + statements + "\nreturn ['x']")}) as daemon:
            daemon.connect()
            daemon.load()
            self.assertEqual(daemon.predict().code, 200)
            printed = daemon.end().stdout
        self.assertEqual(printed.count("raised"), len(RAISED), printed)

    def test_no_metric_of_a_batch_that_failed(self):
        for body in ("raise ValueError()", "return None", "return []"):
            with self.subTest(body), Daemon({"h.py": handler(body)}) as daemon:
                daemon.connect()
                daemon.load()
                daemon.predict()
                self.assertNotIn("PredictionTime", daemon.end().stdout)

    def test_other_files(self):
        for text, code in [
            ("model_metrics: {gauge: [{name: Q, unit: s, dimensions: [A]}]}\n", 200),
            ('{"model_metrics": {"gauge": [{"name": "Q", "unit": "s", "dimensions": ["A"]}]}}\n', 200),
        ]:
            body = "from ts.metrics.metric_type_enum import MetricTypes as T\ncontext.metrics.get_metric('Q', T.GAUGE)\nreturn ['x']"
            with self.subTest(text), Daemon({"h.py": handler(body)}, metrics=text) as daemon:
                daemon.connect()
                daemon.load()
                self.assertEqual(daemon.predict().code, code)

    @unittest.skipIf(GENUINE, "TorchServe's worker ends here")
    def test_a_file_without_metrics_or_with_broken_ones_costs_nothing(self):
        for text in (
            "",
            "{}\n",
            "model_metrics:\n",
            "model_metrics:\n  gauge:\n    - name: a\n",
            "a: [\n",
            "model_metrics: 3\n",
        ):
            with self.subTest(text), Daemon(
                {"h.py": handler("context.metrics.add_counter('C', 1)\nreturn ['x']")}, metrics=text
            ) as daemon:
                daemon.connect()
                daemon.load()
                self.assertEqual(daemon.predict().code, 200)
                self.assertIn("[METRICS]C.Count:1|", daemon.end().stdout)

    def test_samples_of_the_old_kind(self):
        body = """
        from ts.metrics.dimension import Dimension
        from ts.metrics.metric import Metric
        from ts.metrics.metrics_store import MetricsStore
        from ts.service import emit_metrics
        store = MetricsStore(context.request_ids, "mm")
        store.add_counter("c", 1)
        store.add_time("t", 2, 0)
        emit_metrics(store.store)
        print(str(Metric("n", 1, "ms", [Dimension("a", "b")], "r")).split("|#hostname")[0])
        return ["x"]
        """
        with Daemon({"h.py": handler(body)}) as daemon:
            daemon.connect()
            daemon.load()
            self.assertEqual(daemon.predict().code, 200)
            printed = daemon.end().stdout
        self.assertIn("[METRICS]c.Count:1|#ModelName:mm,Level:Model|#hostname:", printed)
        self.assertIn("[METRICS]t.Milliseconds:2|#ModelName:mm,Level:Model|#hostname:", printed)
        self.assertIn("n.Milliseconds:1|#a:b\n", printed)
