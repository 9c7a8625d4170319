//! What handlers print, and parts of their answers.

use std::io::Write;
use std::sync::{Arc, Mutex};

use python_engine::MetricKind;
use servable::{Input, Output, PartSink, Parts, Unwanted};
use tracing_subscriber::fmt::MakeWriter;

use crate::harness::{Model, ask, body, predict, python_or_return, text};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("a lock").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Log;

    fn make_writer(&'w self) -> Log {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("a lock")).into_owned()
    }
}

/// The only test of this binary that looks at the log, which threads of its own write to.
#[test]
fn lines_go_to_the_log_and_metrics_to_the_sink() {
    let python = python_or_return!();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("the first");
    let handler = "
import sys
def handle(data, context):
    if data is None:
        return None
    print('said by a handler')
    print('complained by a handler', file=sys.stderr)
    print('z' * 20000)
    context.metrics.add_counter('Mine', 3, None)
    return ['x'] * len(data)
";
    let model = Model::new(python, handler);
    let mut servable = model.load().expect("loaded");
    ask(servable.as_mut(), "").expect("an answer");
    let metrics = model.metrics(2);
    let (of, mine) = metrics
        .iter()
        .find(|(_, metric)| metric.name == "Mine")
        .expect("it came");
    assert_eq!(
        (of.as_str(), mine.value, mine.kind),
        ("m", 3.0, Some(MetricKind::Counter))
    );
    assert_eq!(mine.dimensions[0], ("ModelName".into(), "m".into()));
    assert_eq!(mine.request_id.as_deref(), Some("r1"));
    assert!(
        metrics
            .iter()
            .any(|(_, metric)| metric.name == "PredictionTime"),
        "{metrics:?}"
    );
    drop(servable);
    let text = log.text();
    let line = |wanted: &str| {
        text.lines()
            .find(|line| line.contains(wanted))
            .unwrap_or_else(|| panic!("{text}"))
    };
    assert!(line("said by a handler").contains("INFO model_log: said by a handler thread="));
    assert!(
        line("complained by a handler").contains("WARN model_log: complained by a handler thread=")
    );
    assert!(line("zzz").contains("... (11808 more bytes)"));
    assert!(!text.contains("[METRICS]"));
}

#[test]
fn endless_output_holds_nothing_up() {
    let handler = "
import os, sys, threading
def shout(to, text):
    while True:
        to.write(text)
class H:
    def initialize(self, context):
        threading.Thread(target=shout, args=(sys.stderr, 'y' * 4096), daemon=True).start()
    def handle(self, data, context):
        for _ in range(100):
            sys.stdout.write('x' * 100000 + '\\n')
        return ['done'] * len(data)
";
    let model = Model::new(python_or_return!(), handler);
    let mut servable = model.load().expect("loaded");
    for _ in 0..3 {
        assert_eq!(ask(servable.as_mut(), "").as_deref(), Ok("done"));
    }
    let before = resident();
    for _ in 0..10 {
        assert_eq!(ask(servable.as_mut(), "").as_deref(), Ok("done"));
    }
    let grown = resident().saturating_sub(before);
    assert!(
        grown < 64 << 20,
        "{grown} bytes more after 100 MB of output"
    );
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: u64 = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .expect("pages");
    pages * 4096
}

/// Keeps parts, and wants no more after so many.
struct Kept {
    parts: Mutex<Vec<String>>,
    most: usize,
}

impl PartSink for Kept {
    fn put(&self, part: Output) -> Result<(), Unwanted> {
        let mut parts = self.parts.lock().expect("a lock");
        if parts.len() == self.most {
            return Err(Unwanted);
        }
        let more = part
            .headers
            .iter()
            .any(|(name, value)| name == "ts_stream_next" && value == "true");
        parts.push(format!("{} {more}", body(&part)));
        Ok(())
    }

    fn is_unwanted(&self) -> bool {
        false
    }

    fn has_begun(&self) -> bool {
        !self.parts.lock().expect("a lock").is_empty()
    }
}

const STREAMS: &str = "
from ts.handler_utils.utils import send_intermediate_predict_response
def handle(data, context):
    if data is None:
        return None
    for n in range(3):
        send_intermediate_predict_response(['p%d' % n] * len(data), context.request_ids, 'a part', 200, context)
    return ['last'] * len(data)
";

#[test]
fn parts_come_before_the_answer() {
    for protocol in [1, 2] {
        parts_come_by(protocol);
    }
}

fn parts_come_by(protocol: u8) {
    let mut model = Model::new(python_or_return!(), STREAMS);
    model.settings.protocol = protocol;
    let mut servable = model.load().expect("loaded");
    let kept = Arc::new(Kept {
        parts: Mutex::default(),
        most: 10,
    });
    let streamed = Input {
        parts_to: Some(Parts::new(Arc::clone(&kept) as Arc<dyn PartSink>)),
        ..text("a")
    };
    // Beside one whose client takes no parts, and gets all of it in the end.
    let results = predict(servable.as_mut(), &[streamed, text("b")]).expect("a batch");
    let bodies: Vec<String> = results
        .iter()
        .map(|result| body(result.as_ref().expect("an answer")))
        .collect();
    assert_eq!(bodies, ["last", "p0p1p2last"]);
    assert_eq!(
        *kept.parts.lock().expect("a lock"),
        ["p0 true", "p1 true", "p2 true"]
    );
}

#[test]
fn a_client_that_leaves_ends_neither_the_worker_nor_the_others() {
    let model = Model::new(python_or_return!(), STREAMS);
    let mut servable = model.load().expect("loaded");
    let kept = Arc::new(Kept {
        parts: Mutex::default(),
        most: 1,
    });
    let leaves = Input {
        parts_to: Some(Parts::new(Arc::clone(&kept) as Arc<dyn PartSink>)),
        ..text("a")
    };
    let results = predict(servable.as_mut(), &[leaves, text("b")]).expect("a batch");
    assert_eq!(results.len(), 2);
    assert_eq!(ask(servable.as_mut(), "c").as_deref(), Ok("p0p1p2last"));
}

#[test]
fn an_answer_that_is_too_large_costs_the_worker() {
    let handler = "
def handle(data, context):
    return data and ['x' * int(bytes(row['body']) if not isinstance(row['body'], str) else row['body']) for row in data]
";
    let mut model = Model::new(python_or_return!(), handler);
    model.settings.most_answer = 1 << 20;
    let mut servable = model.load().expect("loaded");
    assert_eq!(
        ask(servable.as_mut(), "1000000").map(|body| body.len()),
        Ok(1_000_000)
    );
    let error = ask(servable.as_mut(), "1048576").expect_err("too large");
    assert!(error.dead);
    let detail = error.detail.unwrap_or_default();
    assert!(
        detail.contains("bytes, and 1048576 are the most (max_response_size)"),
        "{detail}"
    );
}
