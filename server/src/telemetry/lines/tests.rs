//! Events through the layer into files: the form of lines, and which line is where.

use std::fs;
use std::path::Path;
use std::time::Duration;

use regex::Regex;
use tracing::{debug, error, error_span, info, warn};
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::telemetry::line_filter;
use crate::telemetry::settings::LogSettings;

/// What these events leave in the file.
fn logged(format: LogFormat, file: &str, events: impl FnOnce()) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = LogSettings::new(folder.path(), Path::new("/dev/null/nowhere"));
    settings.rust_log = Some(
        "server=info,serving=info,torch_engine=debug,model_log=info,access_log=info".to_owned(),
    );
    // Two logs in one file.
    settings.files[LogFile::Model as usize] = folder.path().join("ts_log.log");
    let mut complaints = Vec::new();
    let outlets = Outlets::open(&settings, &mut complaints).quiet();
    assert_eq!(
        complaints,
        [
            "/dev/null/nowhere: no log files can be written there: Not a directory (os error 20); the log goes on \
             without them"
        ]
    );
    let filter = line_filter(&settings, &mut complaints);
    let lines = Lines::new(format, outlets.clone()).with_filter(filter);
    let subscriber = tracing_subscriber::registry().with(lines);
    tracing::subscriber::with_default(subscriber, events);
    outlets.close(Duration::from_secs(60));
    let text = fs::read_to_string(folder.path().join(file)).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// The only line that the events leave in the file matches this expression, with the time put in its place.
fn check(file: &str, expected: &str, events: impl FnOnce()) {
    let lines = logged(LogFormat::Text, file, events);
    let [line] = &lines[..] else {
        panic!("{file}: {lines:#?}");
    };
    let time = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3}";
    let (_, rest) = line.split_at(23);
    assert!(Regex::new(time).unwrap().is_match(line), "{line}");
    let thread = std::thread::current();
    let expected = expected.replace("THREAD", thread.name().unwrap());
    assert_eq!(rest, expected);
}

#[test]
fn lines_have_the_form_of_torchserve() {
    check(
        "ts_log.log",
        " [INFO ] THREAD serving::pool - loaded worker=7 name=\"a b\" odd=C:\\n",
        || info!(target: "serving::pool", worker = 7, name = "a b", odd = %r"C:\n", "loaded"),
    );
    check(
        "ts_log.log",
        " [WARN ] THREAD server - a\\u{1b}[31mb",
        || {
            warn!(target: "server", "a\x1b[31mb");
        },
    );
    check(
        "ts_log.log",
        " [DEBUG] THREAD torch_engine::module - said",
        || debug!(target: "torch_engine::module", "said"),
    );
    check("ts_log.log", " [ERROR] THREAD MODEL_LOG - said", || {
        error!(target: "model_log", "said");
    });
    check(
        "ts_log.log",
        " [INFO ] W-9000-m_1.0-stdout MODEL_LOG - printed",
        || info!(target: "model_log", thread = "W-9000-m_1.0-stdout", "printed"),
    );
}

#[test]
fn lines_for_programs_have_neither_level_nor_thread_nor_span() {
    check(
        "access_log.log",
        " - /127.0.0.1:36408 \"GET /ping HTTP/1.1\" 200 1",
        || {
            let _entered = error_span!("request", id = "x").entered();
            info!(target: "access_log", "/127.0.0.1:36408 \"GET /ping HTTP/1.1\" 200 1");
        },
    );
}

#[test]
fn fields_of_spans_stand_behind_the_message() {
    check(
        "ts_log.log",
        " [INFO ] THREAD server - said a=1 step=2 id=x more=3",
        || {
            let span = error_span!("request", id = %"x", more = tracing::field::Empty, otel.name = "GET /");
            span.record("more", 3);
            let _entered = span.entered();
            let _inner = error_span!("inner", step = 2).entered();
            info!(target: "server", a = 1, "said");
        },
    );
}

#[test]
fn a_json_line_is_an_object() {
    let lines = logged(LogFormat::Json, "ts_log.log", || {
        info!(target: "server", "said \"\u{1b}\n");
        let span =
            error_span!("request", id = %"x", more = tracing::field::Empty, otel.name = "GET /");
        span.record("more", 3);
        let _entered = span.entered();
        let _inner = error_span!("inner").entered();
        warn!(target: "server", whole = 1, part = 1.5, none = f64::NAN, yes = true, text = "t", "said");
    });
    let objects: Vec<serde_json::Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .map(|mut object: serde_json::Value| {
            let time = object["timestamp"].take();
            let time = time.as_str().expect("a text");
            assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
            object
        })
        .collect();
    let thread = std::thread::current();
    let thread = thread.name().unwrap();
    assert_eq!(
        objects,
        [
            serde_json::json!({
                "timestamp": null, "level": "INFO", "thread": thread, "target": "server", "message": "said \"\u{1b}\n",
            }),
            serde_json::json!({
                "timestamp": null, "level": "WARN", "thread": thread, "target": "server", "message": "said",
                "fields": {"whole": 1, "part": 1.5, "none": null, "yes": true, "text": "t"},
                "spans": {"inner": {}, "request": {"id": "x", "more": 3}},
            }),
        ]
    );
}

#[test]
fn the_id_of_a_request_survives_any_choice_of_levels() {
    // No level is said for the part that makes the span.
    check(
        "ts_log.log",
        " [INFO ] THREAD torch_engine - said id=x",
        || {
            let span = error_span!(target: "elsewhere", "request", id = %"x");
            let _entered = span.entered();
            let _other = error_span!(target: "elsewhere", "other", of = 1).entered();
            info!(target: "torch_engine", "said");
            info!(target: "elsewhere", "not said");
        },
    );
}
