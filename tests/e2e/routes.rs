//! Every way to ask for the same prediction: routes, methods, forms, and how a body travels.

use serde_json::json;

use crate::client::Request;
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};

/// `[1, 2]`, doubled.
fn check_doubles(daemon: &Daemon, request: &Request) {
    let answer = daemon.send(request);
    assert_eq!(answer.status, 200, "{request:?}: {}", answer.text());
    assert_eq!(answer.json(), json!([2.0, 4.0]), "{request:?}");
}

fn two_models() -> Daemon {
    Bench::new()
        .with(&Model::double())
        .with(&Model::mlp())
        .start()
}

#[test]
fn a_prediction_has_many_routes() {
    let daemon = two_models();
    let paths = [
        "/predictions/double",
        "/predictions/double/",
        "/predictions/double//",
        "/predictions/d%6Fuble",
        "/predictions/double?any=thing",
        "/predictions/double/1.0",
        "/predictions/double/1.0/",
        "/predictions/double/1.0/foo/bar%20baz/",
        "/invocations?model_name=double",
        "/models/double/invoke",
        "/double/predict",
        "/double/1.0/predict",
        "/double/1.0/predict/",
    ];
    for path in paths {
        check_doubles(&daemon, &Request::post(path, "[1, 2]"));
    }
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let request = Request::new(method, "/predictions/double").body("[1, 2]");
        check_doubles(&daemon, &request);
    }
}

#[test]
fn sagemakers_route_finds_its_model_in_the_body_or_takes_the_only_one() {
    let daemon = two_models();
    let form = Request::post("/invocations", "model_name=double&data=%5B1%2C+2%5D")
        .content_type("application/x-www-form-urlencoded");
    check_doubles(&daemon, &form);
    let multipart = Request::post("/invocations", "")
        .multipart(&[("model_name", None, b"double"), ("data", None, b"[1, 2]")]);
    check_doubles(&daemon, &multipart);
    let alone = Bench::new().with(&Model::double()).start();
    check_doubles(&alone, &Request::post("/invocations", "[1, 2]"));
}

#[test]
fn a_form_field_named_data_or_body_is_the_payload() {
    let daemon = two_models();
    let form = |body: &str| {
        Request::post("/predictions/double", body).content_type("application/x-www-form-urlencoded")
    };
    check_doubles(&daemon, &form("data=[1,2]"));
    check_doubles(&daemon, &form("body=%5B1%2C%202%5D&other=x"));
    check_doubles(&daemon, &form("data=[7]&data=[1,2]"));
    let multipart = |fields: &[_]| Request::post("/predictions/double", "").multipart(fields);
    check_doubles(&daemon, &multipart(&[("data", None, b"[1,2]")]));
    check_doubles(&daemon, &multipart(&[("body", Some("x.json"), b"[1,2]")]));
    check_doubles(
        &daemon,
        &multipart(&[("type", None, b"undefined"), ("data", None, b"[1,2]")]),
    );
}

#[test]
fn a_body_may_come_in_chunks_or_after_a_go_ahead() {
    let daemon = two_models();
    let mut connection = daemon.connect();
    let chunked =
        Request::new("POST", "/predictions/double").header("Transfer-Encoding", "chunked");
    connection.send(&chunked.head());
    connection.send(b"3\r\n[1,\r\n3\r\n 2]\r\n0\r\n\r\n");
    assert_eq!(connection.answer().prediction(), json!([2.0, 4.0]));

    let expecting = Request::post("/predictions/double", "[1, 2]").header("Expect", "100-continue");
    connection.send(&expecting.head());
    assert_eq!(connection.answer().status, 100);
    connection.send(b"[1, 2]");
    assert_eq!(connection.answer().prediction(), json!([2.0, 4.0]));
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let daemon = two_models();
    let mut connection = daemon.connect();
    for number in 0..20 {
        let body = json!([number]).to_string();
        let answer = connection.request(&Request::post("/predictions/double", body));
        assert_eq!(answer.prediction(), json!([2.0 * f64::from(number)]));
    }
    // Two at once: the second is answered after the first.
    let pair = [
        Request::post("/predictions/double", "[1]").bytes(),
        Request::post("/predictions/double", "[2]").bytes(),
    ];
    connection.send(&pair.concat());
    assert_eq!(connection.answer().prediction(), json!([2.0]));
    assert_eq!(connection.answer().prediction(), json!([4.0]));
}
