//! Rules common to all ports. Bodies over the limit are tested in `bad_input.rs`, TLS and Unix sockets in `listeners.rs`,
//! addresses that refuse the start in `start_up.rs`.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::{Api, BAD, INTERNAL, NO_MODEL, NO_ROUTE, NO_VERSION, NOT_ALLOWED, request};
use crate::client::{Answer, Connection, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon, Process, START};

#[test]
fn c_1_1_a_body_may_come_in_chunks_or_after_a_go_ahead() {
    let daemon = Bench::new().with(&Model::double()).start();
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
fn c_1_1_a_connection_serves_one_request_after_the_other() {
    let daemon = Bench::new().with(&Model::double()).start();
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

#[test]
fn c_1_1_equal_addresses_share_a_listener() {
    let socket = "unix:$$TMPDIR$$/both";
    let bench = Bench::new()
        .config(&format!(
            "inference_address={socket}\nmanagement_address={socket}\nmetrics_mode=prometheus"
        ))
        .with(&Model::double());
    let all = ["--model-store", "store", "--models", "all"];
    let process = Process::start(bench.command(&[&START[..], &all].concat()));
    process.log.wait_for("Model server started.");
    let ask = |line: &str| {
        let stream = UnixStream::connect(bench.path("tmp/both")).expect("the daemon accepts");
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).expect("positive");
        Connection::over(stream).request(&request(line))
    };
    for (line, status, words) in [
        ("GET /ping", 200, "Healthy"),
        ("GET /models", 200, "double.mar"),
        ("GET /models/double", 200, "\"modelVersion\": \"1.0\""),
        ("GET /metrics", 200, "Requests2XX{"),
        ("POST /models/double/invoke", 400, "is empty"),
        ("GET /nowhere", 404, NO_ROUTE.0),
    ] {
        let answer = ask(line);
        assert_eq!(answer.status, status, "{line}: {}", answer.text());
        assert!(answer.text().contains(words), "{line}: {}", answer.text());
    }
    // The metrics listener is opened all the same.
    let metrics = Api(process.log.address_of("metrics_address"));
    assert!(metrics.ask("GET /metrics").text().contains("Requests2XX{"));
}

#[test]
fn c_1_1_the_metrics_listener_shares_with_nobody() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let bench = Bench::new().config(&format!(
        "inference_address=http://{address}\nmetrics_address=http://{address}"
    ));
    let ran = bench.run(&[&START[..], &["--model-store", "store"]].concat());
    let taken = format!(
        "metrics_address: cannot listen on http://{address}: Address already in use (os error 98)"
    );
    assert_eq!((ran.code, ran.stderr), (Some(1), vec![taken]));
}

#[test]
fn c_1_2_routing() {
    let daemon = Bench::new()
        .with(&Model::double())
        .with(&Model::mlp())
        .start();
    let listed = |query: &str| {
        let list = Api::management(&daemon).ask(&format!("GET /models{query}"));
        let models = list.json()["models"].as_array().map(Vec::len);
        models.unwrap_or_else(|| panic!("no list: {}", list.text()))
    };
    // Trailing empty segments vanish, segments are decoded, the last value of a parameter wins, and a number that is
    // none is the default.
    for (query, count) in [
        ("", 2),
        ("/", 2),
        ("//?limit=1", 1),
        ("?limit=2&limit=1", 1),
        ("?limit=1&limit=2", 2),
        ("?limit=x", 2),
        ("?limit=1&limit=", 2),
        ("?lim%69t=1", 1),
    ] {
        assert_eq!(listed(query), count, "{query}");
    }
    // A flag is set by `true` alone, in any case.
    let management = Api::management(&daemon);
    daemon.wait_for_ok("/ready/double");
    for (value, set) in [("true", true), ("TRUE", true), ("1", false), ("yes", false)] {
        let described = management.described(&format!("/models/d%6Fuble/?customized={value}"));
        let customized = described[0].get("customizedMetadata");
        assert_eq!(customized.is_some(), set, "{value}");
    }
    let undecodable = "Invalid URL: Invalid UTF-8 in `model`";
    let inference = Api::inference(&daemon);
    inference.check_failed(&[
        ("POST /predictions/%ff", 400, BAD, undecodable),
        ("GET /ready/%ff", 400, BAD, undecodable),
    ]);
    management.check_failed(&[
        ("GET /models/%ff", 400, BAD, undecodable),
        ("PUT /models/%ff/1.0/set-default", 400, BAD, undecodable),
    ]);
}

/// Header names in lower case, without `date`, which a server may send.
fn header_names(answer: &Answer) -> BTreeSet<String> {
    let names = answer.headers.iter().map(|(name, _)| name.to_lowercase());
    names.filter(|name| name != "date").collect()
}

#[test]
fn c_1_3_headers_of_every_answer() {
    let daemon = Bench::new().start();
    let mut connection = daemon.connect();
    let mut ids = BTreeSet::new();
    let requests = [("GET", "/ping"), ("POST", "/ping/"), ("PUT", "/ping/any")];
    for (method, path) in requests {
        let sent = Request::new(method, path).header("x-request-id", "mine");
        let answer = connection.request(&sent);
        assert_eq!((answer.status, answer.reason.as_str()), (200, "OK"));
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
    for api in [Api::management(&daemon), Api::metrics(&daemon)] {
        let answer = api.ask("GET /nowhere");
        for name in ["pragma", "cache-control", "expires", "x-request-id"] {
            assert!(answer.header(name).is_some(), "{name}: {answer:?}");
        }
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

#[test]
fn c_1_3_a_connection_lasts_as_long_as_the_client_wants() {
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
            let answer = connection.request(&request("GET /ping"));
            assert_eq!(answer.status, 200);
        }
    };
    check("GET /ping HTTP/1.1\r\nHost: x", "keep-alive");
    let closing = "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close";
    check(closing, "close");
    let among_others = "GET /ping HTTP/1.1\r\nHost: x\r\nConnection: te, Close";
    check(among_others, "close");
    check("GET /ping HTTP/1.0", "close");
    check("GET /ping HTTP/1.0\r\nConnection: keep-alive", "keep-alive");
}

#[test]
fn c_1_3_cross_origin_headers_are_on_every_answer_when_configured() {
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
    let (inference, management) = (Api::inference(&daemon), Api::management(&daemon));
    let answers = [
        (200, inference.ask("GET /ping")),
        (404, inference.ask("GET /nowhere")),
        // There is no preflight logic: this is the description of the model.
        (200, inference.ask("OPTIONS /predictions/double")),
        (200, daemon.post("/predictions/double", b"[1]")),
        (200, management.ask("GET /models")),
        (200, Api::metrics(&daemon).ask("GET /metrics")),
    ];
    for (status, answer) in answers {
        assert_eq!(answer.status, status);
        for (name, value) in expected {
            assert_eq!(answer.header(name), Some(value), "{name} of {status}");
        }
    }
}

#[test]
fn c_1_4_json() {
    let daemon = Bench::new().with(&Model::double()).start();
    let (inference, management) = (Api::inference(&daemon), Api::management(&daemon));
    let failed = "{\n  \"code\": 404,\n  \"type\": \"ModelNotFoundException\",\n  \"message\": \"Model not found: x\"\n}\n";
    // An absent member, here `nextPageToken`, is left out.
    let list = "{\n  \"models\": [\n    {\n      \"modelName\": \"double\",\n      \"modelUrl\": \"double.mar\"\n    }\n  ]\n}\n";
    for (api, line, text) in [
        (&inference, "GET /ping", "{\n  \"status\": \"Healthy\"\n}\n"),
        (&inference, "POST /predictions/x", failed),
        (&management, "GET /models/x", failed),
        (&management, "GET /models", list),
    ] {
        let answer = api.ask(line);
        assert_eq!(answer.text(), text, "{line}");
        let content_type = answer.header("content-type");
        assert_eq!(content_type, Some("application/json"), "{line}");
    }
}

/// A status for each kind of failure; those of tokens, of time limits and of models that fail are tested with these.
#[test]
fn c_1_5_statuses_of_failures() {
    let second = Model::double().versioned("2.0").named("double2");
    let daemon: Daemon = Bench::new()
        .config("enable_model_api=true\ndefault_workers_per_model=1")
        .with(&Model::double())
        .with(&second)
        .start_with(&[
            "--model-store",
            "store",
            "--models",
            "double=double.mar,double=double2.mar",
        ]);
    let version = "Model version: 9.9 does not exist for model: double";
    let (no_route, no_method) = (NO_ROUTE, NOT_ALLOWED);
    Api::inference(&daemon).check_failed(&[
        ("GET /nowhere", 404, no_route.0, no_route.1),
        ("POST /predictions/x", 404, NO_MODEL, "Model not found: x"),
        ("POST /predictions/double/9.9", 404, NO_VERSION, version),
        (
            "POST /invocations",
            400,
            BAD,
            "request part `body` is empty",
        ),
        ("GET /", 405, no_method.0, no_method.1),
        (
            "POST /explanations/double",
            501,
            "NotImplementedException",
            "explanations are not supported by native handlers",
        ),
    ]);
    let management = Api::management(&daemon);
    management.check_failed(&[
        ("POST /models", 400, BAD, "Parameter url is required."),
        (
            "DELETE /models/double",
            403,
            "InvalidModelVersionException",
            "Cannot remove default version for model double",
        ),
        (
            "PUT /models/double/9.9/set-default",
            404,
            NO_VERSION,
            "Model version 9.9 does not exist for model double",
        ),
        ("PATCH /models", 405, no_method.0, no_method.1),
        (
            "POST /models?url=double.mar",
            409,
            "ConflictStatusException",
            "Model version 1.0 is already registered for model double",
        ),
        (
            "PUT /models/double?min_worker=-1",
            500,
            INTERNAL,
            "min_worker cannot be negative: -1",
        ),
    ]);
    // The status line of a success of a model has no reason phrase; those of the server have.
    let prediction = daemon.post("/predictions/double", b"[1]");
    assert_eq!((prediction.status, &*prediction.reason), (200, ""));
    for (line, reason) in [("GET /models", "OK"), ("GET /models/x", "Not Found")] {
        assert_eq!(management.ask(line).reason, reason, "{line}");
    }
}
