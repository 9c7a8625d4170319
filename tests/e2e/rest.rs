//! What clients of TorchServe see of every answer: status line, headers, bodies of failures, descriptions of the API.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;
use uuid::Uuid;

use crate::client::{Answer, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};

/// Header names in lower case, without `date`, which a server may send.
fn header_names(answer: &Answer) -> BTreeSet<String> {
    let names = answer.headers.iter().map(|(name, _)| name.to_lowercase());
    names.filter(|name| name != "date").collect()
}

#[test]
fn health_is_answered_with_the_headers_of_every_answer() {
    let daemon = Bench::new().start();
    let mut connection = daemon.connect();
    let mut ids = BTreeSet::new();
    let requests = [("GET", "/ping"), ("POST", "/ping/"), ("PUT", "/ping/any")];
    for (method, path) in requests {
        let sent = Request::new(method, path).header("x-request-id", "mine");
        let answer = connection.request(&sent);
        assert_eq!((answer.status, answer.reason.as_str()), (200, "OK"));
        assert_eq!(answer.text(), "{\n  \"status\": \"Healthy\"\n}\n");
        let expected = [
            ("content-type", "application/json"),
            ("content-length", "26"),
            ("pragma", "no-cache"),
            (
                "cache-control",
                "no-cache; no-store, must-revalidate, private",
            ),
            ("expires", "Thu, 01 Jan 1970 00:00:00 UTC"),
            ("connection", "keep-alive"),
        ];
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        let id = answer.header("x-request-id").expect("always sent");
        Uuid::parse_str(id).expect("an id of the server's own");
        ids.insert(id.to_owned());
        let mut names: BTreeSet<String> = expected.map(|(name, _)| name.to_owned()).into();
        names.insert("x-request-id".to_owned());
        assert_eq!(header_names(&answer), names);
    }
    assert_eq!(ids.len(), requests.len(), "ids are fresh");
}

#[test]
fn a_connection_lasts_as_long_as_the_client_wants() {
    let daemon = Bench::new().with(&Model::double()).start();
    let check = |head: &str, expected: &str| {
        let mut connection = daemon.connect();
        connection.send(format!("{head}\r\n\r\n").as_bytes());
        let answer = connection.answer();
        assert_eq!(answer.status, 200, "{head:?}");
        assert_eq!(answer.header("connection"), Some(expected), "{head:?}");
        if expected == "close" {
            connection.expect_end();
        } else {
            assert_eq!(
                connection.request(&Request::new("GET", "/ping")).status,
                200
            );
        }
    };
    check("GET /ping HTTP/1.1\r\nHost: x", "keep-alive");
    check(
        "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close",
        "close",
    );
    check(
        "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: te, Close",
        "close",
    );
    check("GET /ping HTTP/1.0", "close");
    check("GET /ping HTTP/1.0\r\nConnection: keep-alive", "keep-alive");
}

#[test]
fn cross_origin_headers_are_on_every_answer_when_configured() {
    let expected = [
        ("access-control-allow-origin", "https://example.org"),
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", "X-Custom"),
    ];
    let daemon = Bench::new()
        .config(
            "cors_allowed_origin=https://example.org\ncors_allowed_methods=GET, POST\n\
             cors_allowed_headers=X-Custom",
        )
        .with(&Model::double())
        .start();
    let answers = [
        (200, daemon.get("/ping")),
        (404, daemon.get("/nowhere")),
        (
            200,
            daemon.send(&Request::new("OPTIONS", "/predictions/double")),
        ),
        (200, daemon.post("/predictions/double", b"[1]")),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status);
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value), "{name} of {status}");
        }
    }
}

/// The failure has TorchServe's body to the letter, and the connection ends with it.
fn check_failure(
    daemon: &Daemon,
    (method, path): (&str, &str),
    (status, reason): (u16, &str),
    kind: &str,
    message: &str,
) {
    let mut connection = daemon.connect();
    let answer = connection.request(&Request::new(method, path));
    let case = format!("{method} {path}");
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (status, reason),
        "{case}"
    );
    let body = format!(
        "{{\n  \"code\": {status},\n  \"type\": \"{kind}\",\n  \"message\": {}\n}}\n",
        json!(message)
    );
    assert_eq!(answer.text(), body, "{case}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{case}"
    );
    assert_eq!(answer.header("connection"), Some("close"), "{case}");
    connection.expect_end();
}

#[test]
fn failures_carry_code_type_and_message() {
    let daemon = Bench::new()
        .with(&Model::double())
        .with(&Model::mlp())
        .start();
    let no_model = |path, name: &str| {
        let message = format!("Model not found: {name}");
        let status = (404, "Not Found");
        check_failure(
            &daemon,
            ("POST", path),
            status,
            "ModelNotFoundException",
            &message,
        );
    };
    no_model("/predictions/absent", "absent");
    no_model("/predictions/absent/1.0/", "absent");
    no_model("/predictions/a%20b", "a b");
    no_model("/explanations/absent", "absent");
    no_model("/models/absent/invoke", "absent");
    no_model("/absent/predict", "absent");
    no_model("/invocations?model_name=absent", "absent");
    for path in ["/predictions/double/9.9", "/double/9.9/predict"] {
        check_failure(
            &daemon,
            ("POST", path),
            (404, "Not Found"),
            "ModelVersionNotFoundException",
            "Model version: 9.9 does not exist for model: double",
        );
    }
    let no_routes = [
        "/nowhere",
        "/predictions",
        "/predictions/",
        "/models",
        "/models/double",
        "/models/double/other",
        "/v1/models/double",
    ];
    for path in no_routes {
        check_failure(
            &daemon,
            ("GET", path),
            (404, "Not Found"),
            "ResourceNotFoundException",
            "Requested resource is not found, please refer to API document.",
        );
    }
    check_failure(
        &daemon,
        ("GET", "/"),
        (405, "Method Not Allowed"),
        "MethodNotAllowedException",
        "Requested method is not allowed, please refer to API document.",
    );
    check_failure(
        &daemon,
        ("POST", "/predictions/%ff"),
        (400, "Bad Request"),
        "BadRequestException",
        "Invalid URL: Invalid UTF-8 in `model`",
    );
    check_failure(
        &daemon,
        ("POST", "/invocations"),
        (400, "Bad Request"),
        "BadRequestException",
        "Parameter model_name is required.",
    );
}

/// The document's title and version, and paths that it has.
fn check_document(
    daemon: &Daemon,
    (method, path): (&str, &str),
    (title, version): (&str, &str),
    paths: &[&str],
) {
    let answer = daemon.send(&Request::new(method, path));
    assert_eq!(answer.status, 200, "{method} {path}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    assert_eq!(document["openapi"], "3.0.1", "{method} {path}");
    assert_eq!(
        document["info"],
        json!({"title": title, "version": version})
    );
    for path in paths {
        let item = &document["paths"][path];
        assert!(
            item.as_object().is_some_and(|methods| !methods.is_empty()),
            "{path}: {document}"
        );
    }
}

#[test]
fn the_api_describes_itself() {
    let daemon = Bench::new().with(&Model::double()).start();
    let paths = [
        "/",
        "/ping",
        "/predictions/{model_name}",
        "/predictions/{model_name}/{model_version}",
        "/api-description",
    ];
    let whole = ("TorchServe APIs", "0.12.0");
    for asked in [
        ("OPTIONS", "/"),
        ("GET", "/api-description"),
        ("POST", "/api-description/"),
    ] {
        check_document(&daemon, asked, whole, &paths);
    }
    check_document(
        &daemon,
        ("OPTIONS", "/predictions/double"),
        ("RESTful API for: double", "1.0.0"),
        &["/prediction/double"],
    );
    let absent = daemon.send(&Request::new("OPTIONS", "/predictions/absent"));
    assert_eq!(absent.status, 404);
    assert_eq!(absent.message(), "Model not found: absent");
}

#[test]
fn a_prediction_has_an_empty_reason_phrase_and_no_content_type() {
    let daemon = Bench::new().with(&Model::double()).start();
    let answer = daemon.post("/predictions/double", b"[1, 2]");
    assert_eq!((answer.status, answer.reason.as_str()), (200, ""));
    assert_eq!(answer.header("content-type"), None);
    assert_eq!(answer.prediction(), json!([2.0, 4.0]));
}

#[test]
fn the_content_type_of_json_can_be_asked_for() {
    let daemon = Bench::new()
        .config("prediction_content_type=true")
        .with(&Model::double())
        .start();
    let answer = daemon.post("/predictions/double", b"[1, 2]");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.prediction(), json!([2.0, 4.0]));
}

#[test]
fn an_explanation_is_refused_with_a_reason() {
    let daemon = Bench::new().with(&Model::double()).start();
    let answer = daemon.post("/explanations/double", b"[1]");
    assert_eq!(answer.status, 501);
    assert_eq!(
        answer.message(),
        "explanations are not supported by native handlers"
    );
    daemon.check_serves();
}

#[test]
fn versions_of_a_model_are_served_side_by_side() {
    let bench = Bench::new().with(&Model::double());
    // A folder as somebody may write it by hand, of another name than the model in it.
    let manifest = json!({
        "model": {"modelName": "double", "modelVersion": "2.0", "serializedFile": "weights.pt"}
    });
    let weights = fs::read(Model::mlp().weights).expect("a fixture");
    bench.write(
        "store/next/MAR-INF/MANIFEST.json",
        manifest.to_string().as_bytes(),
    );
    bench.write("store/next/weights.pt", &weights);
    let daemon = bench.start();
    let check = |path: &str, expected: usize| {
        let answer = daemon.post(path, b"[1.0, 2.0, 3.0, 4.0]").prediction();
        assert_eq!(answer.as_array().map(Vec::len), Some(expected), "{path}");
    };
    check("/predictions/double/1.0", 4);
    check("/predictions/double/2.0", 3);
    // The first that was registered is the default.
    check("/predictions/double", 4);
}
