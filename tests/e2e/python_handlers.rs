//! Archives whose handler is in Python: they run as they are, in processes whose end costs a request and no daemon.

use std::process::Command;

use serde_json::json;

use crate::fixtures::Model;
use crate::harness::Bench;

const HANDLER: &str = "
import os

def handle(data, context):
    if data is None:
        return None
    answers = []
    for row in data:
        asked = row.get('data') or row.get('body')
        text = asked if isinstance(asked, str) else bytes(asked).decode()
        if text == 'raise':
            raise ValueError('as asked')
        if text == 'die':
            os.abort()
        answers.append({'said': text})
    return answers
";

#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
pub(crate) fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: there is no python3");
    }
    found
}

#[test]
fn a_handler_answers_fails_and_dies_without_hurting_anybody() {
    if !has_python() {
        return;
    }
    let bench = Bench::new().with(&Model::double());
    let model = json!({"modelName": "echo", "modelVersion": "1.0", "handler": "mine.py:handle"});
    let manifest = json!({"runtime": "python", "model": model}).to_string();
    bench.write("store/echo/MAR-INF/MANIFEST.json", manifest.as_bytes());
    bench.write("store/echo/mine.py", HANDLER.as_bytes());
    let daemon = bench.start();
    daemon.wait_for_ok("/ready");
    let check = |body: &str, status: u16, words: &str| {
        let answer = daemon.post("/predictions/echo", body.as_bytes());
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.text().contains(words), "{body}: {}", answer.text());
    };
    check("hello", 200, "\"said\": \"hello\"");
    check("raise", 503, "Prediction failed");
    check("die", 500, "Worker died.");
    check("hello again", 200, "hello again");
    daemon.check_serves();
}
