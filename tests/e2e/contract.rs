//! What TorchServe 0.12.0 does, statement by statement, on the real daemon; docs/compatibility.md lists where this one
//! differs on purpose, and then the difference is what is tested.
//!
//! Functions are named after their subject in this order: 1 HTTP (1 transport, 2 routing, 3 headers, 4 JSON, 5 statuses);
//! 2 inference (1 health, 2 routes, 3 bodies, 4 answers, 5 failures); 3 management (1 register, 2 scale, 3 list,
//! 4 describe, 5 unregister, 6 set default, 7 others); 4 tokens; 5 workflows (1 archives, 2 specs, 3 management,
//! 4 inference); 6 metrics (1 endpoint, 2 text, 3 names, 4 list of metrics,
//! 5 log); 8 configuration (1 sources, 2 keys, 3 `models`, 4 `load_models`); 11 `model-config.yaml`; 12 queueing;
//! 15 workers; 18 descriptions of the API. Of 9, snapshots, and 16, logs, the functions stand in `snapshots.rs`, `restarts.rs`
//! and `logs.rs` beside this.

mod configuration;
mod http;
mod inference;
mod management;
mod metrics;
mod models;
mod queueing;
mod registrations;
mod token;
mod workers;
mod workflows;

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::client::{Answer, Connection, Request};
use crate::harness::Daemon;

const BAD: &str = "BadRequestException";
const NO_MODEL: &str = "ModelNotFoundException";
const NO_VERSION: &str = "ModelVersionNotFoundException";
const INTERNAL: &str = "InternalServerException";

/// The type and message of a path that leads nowhere.
const NO_ROUTE: (&str, &str) = (
    "ResourceNotFoundException",
    "Requested resource is not found, please refer to API document.",
);

/// The type and message of a method that does not belong to its path.
const NOT_ALLOWED: (&str, &str) = (
    "MethodNotAllowedException",
    "Requested method is not allowed, please refer to API document.",
);

/// One API of a daemon. Requests are lines such as `GET /ping`.
struct Api(SocketAddr);

impl Api {
    fn inference(daemon: &Daemon) -> Self {
        Api(daemon.address)
    }

    fn management(daemon: &Daemon) -> Self {
        Api(daemon.address_of("management_address"))
    }

    fn metrics(daemon: &Daemon) -> Self {
        Api(daemon.address_of("metrics_address"))
    }

    /// One request on a connection of its own.
    fn send(&self, request: &Request) -> Answer {
        Connection::open(self.0).request(request)
    }

    fn ask(&self, line: &str) -> Answer {
        self.send(&request(line))
    }

    /// A `POST` with a JSON body.
    fn post_json(&self, path: &str, body: &Value) -> Answer {
        let request = Request::post(path, body.to_string());
        self.send(&request.content_type("application/json"))
    }

    /// Each line is answered with this status and the short form `{"status": …}`, to the letter.
    #[track_caller]
    fn check_said(&self, cases: &[(&str, u16, &str)]) {
        for (line, status, text) in cases {
            let answer = self.ask(line);
            let body = format!("{{\n  \"status\": {}\n}}\n", json!(text));
            assert_eq!((answer.status, answer.text()), (*status, &*body), "{line}");
        }
    }

    /// Each line is answered with this status, type and message, to the letter, and its connection ends.
    #[track_caller]
    fn check_failed(&self, cases: &[(&str, u16, &str, &str)]) {
        for (line, status, kind, message) in cases {
            let mut connection = Connection::open(self.0);
            let answer = connection.request(&request(line));
            check_failure(&answer, line, *status, kind, message);
            connection.expect_end();
        }
    }

    /// The list that a description always is.
    #[track_caller]
    fn described(&self, path: &str) -> Vec<Value> {
        let answer = self.ask(&format!("GET {path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json().as_array().expect("always a list").clone()
    }

    /// The only description of a path has these members.
    #[track_caller]
    fn check_described(&self, path: &str, expected: &Value) {
        let described = self.described(path);
        let [model] = described.as_slice() else {
            panic!("{path}: one version is described: {described:?}")
        };
        for (name, value) in expected.as_object().expect("an object") {
            assert_eq!(&model[name], value, "{name} of {path}");
        }
    }

    /// The ids of a model's workers.
    #[track_caller]
    fn workers(&self, path: &str) -> Vec<String> {
        let described = self.described(path);
        let workers = described[0]["workers"].as_array().expect("a list");
        let ids = workers.iter().map(|worker| worker["id"].as_str());
        ids.map(|id| id.expect("an id").to_owned()).collect()
    }
}

/// The request of a line such as `GET /ping`.
fn request(line: &str) -> Request {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    Request::new(method, path)
}

#[track_caller]
fn check_failure(answer: &Answer, case: &str, status: u16, kind: &str, message: &str) {
    let body = format!(
        "{{\n  \"code\": {status},\n  \"type\": \"{kind}\",\n  \"message\": {}\n}}\n",
        json!(message)
    );
    assert_eq!((answer.status, answer.text()), (status, &*body), "{case}");
    assert_ne!(answer.reason, "", "{case}");
    let header = |name| answer.header(name);
    assert_eq!(header("content-type"), Some("application/json"), "{case}");
    assert_eq!(header("connection"), Some("close"), "{case}");
}
