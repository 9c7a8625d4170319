//! Every kind of handler in Python, and every kind of answer and failure: once with our worker, once with TorchServe's, once
//! by TorchServe's server itself, from the very same archives. What is expected is written down once; where one of the three
//! differs on purpose, the case says so.

mod answers;
mod loading;

use std::path::PathBuf;

use archive::{PackOptions, Plan};
use serde_json::Value;

use crate::client::{Answer, Request};
use crate::fixtures::own;
use crate::harness::Bench;
use crate::torchserve::Who;

/// What is packed into one archive beside its network.
struct Archive {
    name: &'static str,
    handler: &'static str,
    /// Of `tests/fixtures/python/matrix`, between commas.
    extra: &'static str,
    config: &'static str,
    network: Option<&'static str>,
}

fn fixture(file: &str) -> PathBuf {
    own("python/matrix").join(file)
}

impl Archive {
    fn pack(&self, bench: &Bench) {
        let extra = self.extra.split(',').filter(|file| !file.is_empty());
        let extra: Vec<String> = extra
            .map(|file| fixture(file).display().to_string())
            .collect();
        let config = (!self.config.is_empty()).then(|| {
            let file = format!("stage/{}.yaml", self.name);
            bench.write(&file, self.config.as_bytes());
            bench.path(&file)
        });
        let plan = Plan::check(PackOptions {
            model_name: self.name.to_owned(),
            version: "1.0".to_owned(),
            handler: fixture(self.handler).display().to_string(),
            serialized_file: self.network.map(own),
            extra_files: (!extra.is_empty()).then(|| extra.join(",")),
            config_file: config,
            export_path: bench.path("store"),
            ..PackOptions::default()
        });
        let plan = plan.unwrap_or_else(|error| panic!("{}: {error}", self.name));
        archive::pack(&plan, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// A body that is expected.
#[derive(Debug, Clone)]
enum Body {
    Bytes(Vec<u8>),
    /// Whatever its spaces are.
    Json(Value),
    /// A failure with this message.
    Failure(&'static str),
    /// A failure whose message begins so.
    FailureFrom(&'static str),
}

/// What one request gets.
#[derive(Debug, Clone)]
struct Expected {
    status: u16,
    body: Body,
}

/// One request and its answer.
struct Case {
    name: &'static str,
    request: Request,
    expected: Expected,
    /// Who answers otherwise, and how.
    unlike: Vec<(Who, Expected)>,
    /// Of the answer; `None` where there must be none of that name.
    headers: Vec<(&'static str, Option<&'static str>)>,
    reason: Option<&'static str>,
}

impl Case {
    fn new(name: &'static str, request: Request, status: u16, body: Body) -> Self {
        Case {
            name,
            request,
            expected: Expected { status, body },
            unlike: Vec::new(),
            headers: Vec::new(),
            reason: None,
        }
    }

    fn unlike(mut self, who: Who, status: u16, body: Body) -> Self {
        self.unlike.push((who, Expected { status, body }));
        self
    }

    fn header(mut self, name: &'static str, value: Option<&'static str>) -> Self {
        self.headers.push((name, value));
        self
    }

    fn reason(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// What is wrong with an answer.
    fn mistakes(&self, who: Who, answer: &Answer) -> Option<String> {
        let unlike = self.unlike.iter().find(|(them, _)| *them == who);
        let expected = unlike.map_or(&self.expected, |(_, expected)| expected);
        let is_body = match &expected.body {
            Body::Bytes(bytes) => answer.body == *bytes,
            Body::Json(value) => {
                serde_json::from_slice::<Value>(&answer.body).is_ok_and(|found| found == *value)
            }
            Body::Failure(message) => serde_json::from_slice::<Value>(&answer.body)
                .is_ok_and(|found| found["code"] == answer.status && found["message"] == *message),
            Body::FailureFrom(message) => {
                serde_json::from_slice::<Value>(&answer.body).is_ok_and(|found| {
                    let said = found["message"].as_str();
                    said.is_some_and(|said| said.starts_with(message))
                })
            }
        };
        let is_head = self.reason.is_none_or(|reason| answer.reason == reason)
            && self
                .headers
                .iter()
                .all(|(name, value)| answer.header(name) == *value);
        if answer.status == expected.status && is_body && is_head {
            return None;
        }
        let body = String::from_utf8_lossy(&answer.body);
        Some(format!(
            "{who:?}, {}: {} {} {:?} {body:?}, expected {expected:?} {:?} {:?}",
            self.name, answer.status, answer.reason, answer.headers, self.headers, self.reason
        ))
    }
}

#[track_caller]
fn check_all(mistakes: Vec<String>) {
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}
