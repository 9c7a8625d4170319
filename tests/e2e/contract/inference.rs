//! The inference API: every way to ask for a prediction, what comes back, and how it fails.

use std::fs;

use serde_json::json;

use super::{Api, BAD, INTERNAL, NO_MODEL, NO_ROUTE, NO_VERSION, NOT_ALLOWED};
use crate::client::Request;
use crate::fixtures::{Model, own};
use crate::harness::{Bench, Daemon};

/// `[1, 2]`, doubled.
#[track_caller]
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
fn c_2_1_health() {
    let bench = Bench::new();
    let broken = Model::unloadable(&bench).versioned("2.0");
    // The later of two names, so that its version is not the default one.
    let daemon = bench.with(&Model::double()).with(&broken).start_with(&[
        "--model-store",
        "store",
        "--models",
        "double.mar,double=unloadable.mar",
    ]);
    let (inference, management) = (Api::inference(&daemon), Api::management(&daemon));
    daemon.log().wait_for("is given up");
    let healthy = [
        ("GET /ping", 200, "Healthy"),
        ("DELETE /ping/anything/else", 200, "Healthy"),
    ];
    inference.check_said(&healthy);
    // Only default versions count.
    let set_default = |version: &str| {
        let line = format!("PUT /models/double/{version}/set-default");
        assert_eq!(management.ask(&line).status, 200, "{line}");
    };
    set_default("2.0");
    inference.check_said(&[("GET /ping", 500, "Unhealthy")]);
    set_default("1.0");
    inference.check_said(&healthy);
    // A model that is to have no workers lacks none.
    let scaled = management.ask("PUT /models/double/1.0?min_worker=0");
    assert_eq!(scaled.status, 202);
    inference.check_said(&healthy);
}

#[test]
fn c_2_2_routes_to_a_prediction() {
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
fn c_2_2_what_leads_to_no_prediction() {
    let daemon = two_models();
    let inference = Api::inference(&daemon);
    for (path, name) in [
        ("/predictions/absent", "absent"),
        ("/predictions/absent/1.0/", "absent"),
        ("/predictions/a%20b", "a b"),
        ("/explanations/absent", "absent"),
        ("/models/absent/invoke", "absent"),
        ("/absent/predict", "absent"),
        ("/invocations?model_name=absent", "absent"),
    ] {
        let message = format!("Model not found: {name}");
        inference.check_failed(&[(&format!("POST {path}"), 404, NO_MODEL, &message)]);
    }
    for path in ["/predictions/double/9.9", "/double/9.9/predict"] {
        let message = "Model version: 9.9 does not exist for model: double";
        inference.check_failed(&[(&format!("POST {path}"), 404, NO_VERSION, message)]);
    }
    let (kind, message) = NO_ROUTE;
    for path in [
        "/nowhere",
        "/predictions",
        "/predictions/",
        "/explanations",
        "/models",
        "/models/double",
        "/models/double/other",
    ] {
        inference.check_failed(&[(&format!("GET {path}"), 404, kind, message)]);
    }
    inference.check_failed(&[
        ("GET /", 405, NOT_ALLOWED.0, NOT_ALLOWED.1),
        (
            "POST /invocations",
            400,
            BAD,
            "Parameter model_name is required.",
        ),
    ]);
}

#[test]
fn c_2_2_sagemakers_route_finds_its_model_in_the_body_or_takes_the_only_one() {
    let daemon = two_models();
    let form = Request::post("/invocations", "model_name=double&data=%5B1%2C+2%5D")
        .content_type("application/x-www-form-urlencoded");
    check_doubles(&daemon, &form);
    let multipart = Request::post("/invocations", "")
        .multipart(&[("model_name", None, b"double"), ("data", None, b"[1, 2]")]);
    check_doubles(&daemon, &multipart);

    // The only one is the only one of those that were loaded at start.
    let bench = Bench::new().config("enable_model_api=true");
    let daemon = bench
        .with(&Model::double())
        .with(&Model::mlp())
        .start_with(&["--model-store", "store", "--models", "double.mar"]);
    let bare = Request::post("/invocations", "[1, 2]");
    check_doubles(&daemon, &bare);
    let management = Api::management(&daemon);
    let registered = management.ask("POST /models?url=mlp.mar&initial_workers=1");
    assert_eq!(registered.status, 200, "{}", registered.text());
    check_doubles(&daemon, &bare);
    assert_eq!(management.ask("DELETE /models/double").status, 200);
    let answer = daemon.send(&bare);
    assert_eq!(answer.message(), "Parameter model_name is required.");
}

#[test]
fn c_2_2_versions_of_a_model_are_served_side_by_side() {
    let bench = Bench::new().with(&Model::double());
    // A folder as somebody may write it by hand, of another name than the model in it.
    let manifest = json!({
        "model": {"modelName": "double", "modelVersion": "2.0", "serializedFile": "weights.pt"}
    });
    let weights = fs::read(own("mlp.pt")).expect("a fixture");
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

/// What the parts of a body become is tested beside the code (`server/src/http/body.rs`).
#[test]
fn c_2_3_a_form_field_named_data_or_body_is_the_payload() {
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
    // A content type with parameters, one that is none, and none.
    let plain = Request::post("/predictions/double", "[1, 2]");
    for content_type in ["application/json; charset=utf-8", "application/JSON", "x"] {
        check_doubles(&daemon, &plain.clone().content_type(content_type));
    }
    check_doubles(&daemon, &plain);
    // An empty row, and an empty body.
    for (request, message) in [
        (
            form("x"),
            "expected a request part `data` or `body`, found none (a form of 1 byte without fields was sent: with curl, send a file with -T FILE or -F data=@FILE, and JSON with -H 'Content-Type: application/json')",
        ),
        (plain.body(""), "request part `body` is empty"),
    ] {
        let answer = daemon.send(&request);
        assert_eq!((answer.status, answer.message()), (400, message.to_owned()));
    }
    // Query parameters are parts where a route hands them on; the body's own come first.
    let query = Request::new("POST", "/models/double/invoke?data=[1,2]")
        .content_type("application/x-www-form-urlencoded");
    check_doubles(&daemon, &query);
    let both = Request::post("/double/predict?data=[7]", "data=[1,2]")
        .content_type("application/x-www-form-urlencoded");
    check_doubles(&daemon, &both);
}

#[test]
fn c_2_4_answers() {
    let daemon = Bench::new().with(&Model::double()).start();
    let answer = daemon.post("/predictions/double", b"[1, 2]");
    assert_eq!((answer.status, answer.reason.as_str()), (200, ""));
    assert_eq!(answer.header("content-type"), None);
    assert_eq!(answer.header("content-length"), Some("10"));
    assert_eq!(answer.text(), "[2.0, 4.0]");
    // Not numbers of JSON, but of Python's.
    let answer = daemon.post("/predictions/double", b"[1e38, 3e38]");
    assert_eq!(answer.text(), "[2e38, Infinity]");
}

#[test]
fn c_2_4_the_content_type_of_json_can_be_asked_for() {
    let daemon = Bench::new()
        .config("prediction_content_type=true")
        .with(&Model::double())
        .start();
    let answer = daemon.post("/predictions/double", b"[1, 2]");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.prediction(), json!([2.0, 4.0]));
}

#[test]
fn c_2_5_failures() {
    let bench = Bench::new();
    let (cue, hungry) = (Model::cue(&bench), Model::hungry(&bench));
    let idle = Model::double().named("idle");
    let models = [cue, hungry, Model::double(), idle];
    let daemon = models.iter().fold(bench, Bench::with).start();
    let scaled = Api::management(&daemon).ask("PUT /models/idle?min_worker=0");
    assert_eq!(scaled.status, 202);
    let unavailable = "ServiceUnavailableException";
    let no_worker = "has no worker to serve inference request. Please use scale workers API to add workers. \
                     If this is a sequence inference, please check if it is closed, or expired; or exceeds \
                     maxSequenceJobQueueSize (it has been given no workers)";
    let named = format!("Model \"idle\" {no_worker}");
    // The stray quote is TorchServe's.
    let versioned = format!("Model \"idle\" Version 1.0\" {no_worker}");
    let cases: [(&str, &str, u16, &str, &str); 5] = [
        (
            "/predictions/cue",
            "[-1.0, 1.0]",
            503,
            INTERNAL,
            "Prediction failed: as the cue says",
        ),
        (
            "/predictions/hungry",
            "[1e18]",
            507,
            INTERNAL,
            "Out of resources: ",
        ),
        ("/predictions/idle", "[1]", 503, unavailable, &named),
        ("/predictions/idle/1.0", "[1]", 503, unavailable, &versioned),
        (
            "/predictions/cue",
            "cue",
            400,
            BAD,
            "request part `body` is not JSON",
        ),
    ];
    for (path, body, status, kind, message) in cases {
        let answer = daemon.post(path, body.as_bytes());
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.json()["type"], kind, "{path}");
        let found = answer.message();
        assert!(found.starts_with(message), "{path}: {found}");
    }
    // Each of them costs its own request alone.
    for path in ["/predictions/cue", "/predictions/hungry"] {
        let answer = daemon.post(path, b"[0.0, 1.0]").prediction();
        assert_eq!(answer, json!([0.0, 2.0]), "{path}");
    }
    daemon.check_serves();
}

#[test]
fn c_2_5_an_explanation_is_refused_with_a_reason() {
    let daemon = two_models();
    Api::inference(&daemon).check_failed(&[(
        "POST /explanations/double/1.0/x",
        501,
        "NotImplementedException",
        "explanations are not supported by native handlers",
    )]);
    daemon.check_serves();
}

/// The document's title and version, and paths that it has.
fn check_document(daemon: &Daemon, line: &str, (title, version): (&str, &str), paths: &[&str]) {
    let answer = Api::inference(daemon).ask(line);
    assert_eq!(answer.status, 200, "{line}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document = answer.json();
    assert_eq!(document["openapi"], "3.0.1", "{line}");
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
fn c_18_the_api_describes_itself() {
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
        "OPTIONS /",
        "GET /api-description",
        "POST /api-description/",
    ] {
        check_document(&daemon, asked, whole, &paths);
    }
    check_document(
        &daemon,
        "OPTIONS /predictions/double",
        ("RESTful API for: double", "1.0.0"),
        &["/prediction/double"],
    );
    Api::inference(&daemon).check_failed(&[(
        "OPTIONS /predictions/absent",
        404,
        NO_MODEL,
        "Model not found: absent",
    )]);
}

#[test]
fn c_2_5_an_answer_over_the_bound() {
    let daemon = Bench::new()
        .config("max_response_size=12")
        .with(&Model::double())
        .start();
    let answer = daemon.post("/predictions/double", b"[1.5]");
    assert_eq!((answer.status, answer.text()), (200, "[3.0]"));
    let answer = daemon.post("/predictions/double", b"[1.5, 2.5, 3.5]");
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["type"], INTERNAL);
    let message =
        "Worker died. (the answer holds 15 bytes, more than max_response_size, which is 12)";
    assert_eq!(answer.message(), message);
}
