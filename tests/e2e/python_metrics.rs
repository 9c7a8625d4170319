//! Metrics that handlers in Python emit, as whoever scrapes the daemon sees them and as they stand in its log.

use serde_json::json;

use crate::client::{Connection, Request};
use crate::cue::poll;
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};
use crate::python_handlers::has_python;

const LIST: &str = "
dimensions:
  - &model_name \"ModelName\"
  - &level \"Level\"
ts_metrics:
  counter:
    - { name: Requests2XX, unit: Count, dimensions: [Level, Hostname] }
model_metrics:
  counter:
    - { name: Cats, unit: Count, dimensions: [*model_name, *level] }
  gauge:
    - { name: HandlerTime, unit: ms, dimensions: [*model_name, *level] }
    - { name: PredictionTime, unit: ms, dimensions: [*model_name, *level] }
    - { name: Thinking, unit: ms, dimensions: [*model_name, *level] }
  histogram:
    - { name: Whiskers, unit: cm, dimensions: [Side] }
";

const HANDLER: &str = "
from ts.metrics.metric_type_enum import MetricTypes
from ts.metrics.dimension import Dimension

def handle(data, context):
    if data is None:
        return None
    metrics = context.metrics
    for row in data:
        metrics.add_counter('Cats', 2)
        metrics.add_time('Thinking', 12.5)
        whiskers = metrics.get_metric('Whiskers', MetricTypes.HISTOGRAM)
        whiskers.add_or_update(7.5, ['left'])
        metrics.add_size('Milk', 3, None, 'kB', [Dimension('Bowl', 'blue')])
        # Of other dimensions than the list has it.
        metrics.get_metric('Cats').update(100, '', [Dimension('Colour', 'black')])
    return ['done'] * len(data)
";

fn daemon(lines: &str) -> Daemon {
    let bench = Bench::new().with(&Model::double());
    let model = json!({"modelName": "cats", "modelVersion": "1.0", "handler": "cats.py:handle"});
    let manifest = json!({"runtime": "python", "model": model}).to_string();
    bench.write("store/cats/MAR-INF/MANIFEST.json", manifest.as_bytes());
    bench.write("store/cats/cats.py", HANDLER.as_bytes());
    bench.write("metrics.yaml", LIST.as_bytes());
    let list = bench.path("metrics.yaml");
    let lines = format!("metrics_config={}\n{lines}", list.display());
    let logs = bench.path("logs").display().to_string();
    let daemon = bench.config(&lines).env("LOG_LOCATION", logs).start();
    daemon.wait_for_ok("/ready");
    for _ in 0..2 {
        let answer = daemon.post("/predictions/cats", b"{}");
        assert_eq!(answer.text(), "done", "{}", answer.status);
    }
    daemon
}

fn scrape(daemon: &Daemon) -> String {
    let mut metrics = Connection::open(daemon.address_of("metrics_address"));
    let answer = metrics.request(&Request::new("GET", "/metrics"));
    answer.text().to_owned()
}

/// The samples of handlers' metrics, with the host's name left out.
fn samples(daemon: &Daemon) -> Vec<String> {
    let text = scrape(daemon);
    let ours = ["Cats", "Thinking", "Whiskers_", "Milk"];
    let lines = text
        .lines()
        .filter(|line| ours.iter().any(|name| line.starts_with(name)) && !line.contains("_bucket"));
    let cut = |line: &str| {
        let (labels, value) = line.split_once("Hostname=").expect("the last label");
        let value = value.rsplit_once(' ').expect("a value").1;
        format!("{labels} {value}")
    };
    lines.map(cut).collect()
}

#[test]
fn what_handlers_emit_is_scraped_and_gone_with_the_model() {
    if !has_python() {
        return;
    }
    let daemon =
        daemon("metrics_mode=prometheus\nmodel_metrics_auto_detect=true\nenable_model_api=true\n");
    // Read from the worker's output beside its answers.
    let expected = [
        "Cats{ModelName=\"cats\",Level=\"Model\", 4.0",
        "Milk{Bowl=\"blue\",ModelName=\"cats\",Level=\"Model\", 3.0",
        "Thinking{ModelName=\"cats\",Level=\"Model\", 12.5",
        "Whiskers_count{Side=\"left\", 2.0",
        "Whiskers_sum{Side=\"left\", 15.0",
    ];
    poll("the metrics", || samples(&daemon) == expected);
    let text = scrape(&daemon);
    for line in [
        "# TYPE Cats counter",
        "# TYPE Milk gauge",
        "# TYPE Thinking gauge",
        "# TYPE Whiskers histogram",
        "# HELP Milk Torchserve prometheus gauge metric with unit: Kilobytes",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(text.contains("PredictionTime{ModelName=\"cats\""), "{text}");
    // The worker's own time of its handler, which has no base handler to measure it.
    assert!(!text.contains("HandlerTime{ModelName=\"cats\""), "{text}");
    let line = daemon.log().wait_for("its metric Cats");
    assert!(line.contains("found Colour"), "{line}");
    assert_eq!(daemon.manage("DELETE", "/models/cats").status, 200);
    poll("an end of the metrics", || samples(&daemon).is_empty());
}

#[test]
fn what_handlers_emit_is_logged_where_metrics_are() {
    if !has_python() {
        return;
    }
    let daemon = daemon("");
    let unlisted = daemon.log().wait_for("its metric Milk is left out");
    assert!(unlisted.contains("model_metrics_auto_detect"), "{unlisted}");
    assert!(samples(&daemon).is_empty());
    let file = daemon.bench.path("logs/model_metrics.log");
    let has = |wanted: &str| {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text.lines().any(|line| line.contains(wanted))
    };
    for line in [
        "Cats.Count:2.0|#ModelName:cats,Level:Model|#hostname:",
        "Whiskers.cm:7.5|#Side:left|#hostname:",
    ] {
        poll(line, || has(line));
    }
    assert!(!has("Milk") && !has("Colour"));
}
