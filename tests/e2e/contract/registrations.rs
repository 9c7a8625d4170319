//! Registering a model over the network: what may be asked for, and everything that can be wrong with it. Archives that
//! are downloaded first are in `../sources.rs`.

use std::{fs, thread};

use serde_json::json;

use super::management::PROCESSING;
use super::{Api, BAD, INTERNAL, NO_MODEL, NOT_ALLOWED, check_failure};
use crate::client::Request;
use crate::cue::{self, busy, poll};
use crate::fixtures::{Model, own};
use crate::harness::{Bench, Daemon};

/// A daemon without models that has `double`, `mlp` and `unloadable` in its store.
fn empty_daemon() -> Daemon {
    let bench = Bench::new().config("enable_model_api=true");
    let unloadable = Model::unloadable(&bench);
    bench
        .with(&Model::double())
        .with(&Model::mlp())
        .with(&unloadable)
        .start_with(&["--model-store", "store"])
}

#[test]
fn c_3_1_register() {
    let daemon = empty_daemon();
    let api = Api::management(&daemon);
    let conflict = "Model version 1.0 is already registered for model double";
    let none =
        "registered with 0 initial workers. Use scale workers API to add workers for the model.";
    let registered = |name: &str, rest: &str| format!("Model \"{name}\" Version: 1.0 {rest}");
    let double = registered("double", none);
    api.check_said(&[("POST /models?url=double.mar", 200, &double)]);
    api.check_failed(&[(
        "POST /models?url=double.mar&model_name=double&initial_workers=1",
        409,
        "ConflictStatusException",
        conflict,
    )]);
    for (name, parameters, rest) in [
        (
            "one",
            "initial_workers=1",
            "registered with 1 initial workers",
        ),
        (
            "two",
            "initial_workers=2&synchronous=TRUE",
            "registered with 2 initial workers",
        ),
        ("zero", "initial_workers=0&synchronous=false", none),
        ("negative", "initial_workers=-1", none),
        ("many", "initial_workers=many", none),
        ("unhurried", "startup_timeout=0", none),
        ("lsp", "runtime=LSP&handler=base_handler", none),
    ] {
        let line = format!("POST /models?url=double.mar&model_name={name}&{parameters}");
        api.check_said(&[(&line, 200, &registered(name, rest))]);
    }
    let later = "POST /models?url=double.mar&model_name=later&initial_workers=1&synchronous=false";
    api.check_said(&[(later, 202, PROCESSING)]);
    daemon.wait_for_ok("/ready/later");
    for name in ["one", "two", "later"] {
        let answer = daemon.post(&format!("/predictions/{name}"), b"[1.5]");
        assert_eq!(answer.prediction(), json!([3.0]), "{name}");
    }
    assert_eq!(daemon.post("/predictions/zero", b"[1.5]").status, 503);
}

#[test]
fn c_3_1_a_registration_that_fails_is_taken_back() {
    let daemon = empty_daemon();
    let api = Api::management(&daemon);
    let check_fails = |line: &str, message: &str| {
        let answer = api.ask(line);
        assert_eq!(answer.status, 500, "{line}: {}", answer.text());
        assert_eq!(answer.json()["type"], INTERNAL, "{line}");
        let found = answer.message();
        assert!(found.starts_with(message), "{line}: {found}");
    };
    // No time to start in: it fails, and its name is free again.
    let late = "POST /models?url=mlp.mar&initial_workers=1&startup_timeout=0";
    let failed = "Failed to start workers for model mlp version: 1.0 (";
    check_fails(late, failed);
    check_fails(late, failed);
    let registered = "Model \"mlp\" Version: 1.0 registered with 1 initial workers";
    api.check_said(&[(
        "POST /models?url=mlp.mar&initial_workers=1",
        200,
        registered,
    )]);
    // Not even libtorch can load it.
    let broken = "POST /models?url=unloadable.mar&initial_workers=1";
    let failed = "Failed to start workers for model unloadable version: 1.0 (libtorch cannot load ";
    check_fails(broken, failed);
    check_fails(broken, failed);
    let absent = "Model not found: unloadable";
    api.check_failed(&[("GET /models/unloadable", 404, NO_MODEL, absent)]);
    // Whoever does not wait for the outcome finds it there, without workers that serve.
    api.check_said(&[(&format!("{broken}&synchronous=false"), 202, PROCESSING)]);
    daemon.log().wait_for("is given up");
    api.check_described("/models/unloadable", &json!({"minWorkers": 1}));
    assert_eq!(api.ask("DELETE /models/unloadable").status, 200);
}

#[test]
fn c_3_1_mistakes() {
    let daemon = empty_daemon();
    daemon.bench.write("store/text.mar", b"not an archive");
    let api = Api::management(&daemon);
    let url = "Parameter url is required.";
    api.check_failed(&[
        ("POST /models", 400, BAD, url),
        ("POST /models?model_name=x", 400, BAD, url),
        ("POST /models?url=", 404, NO_MODEL, "empty url"),
        (
            "POST /models?url=x.mar",
            404,
            NO_MODEL,
            "Model not found at: x.mar",
        ),
        (
            "POST /models?url=../x.mar",
            404,
            NO_MODEL,
            "Relative path is not allowed in url: ../x.mar",
        ),
        (
            "POST /models?url=a/../double.mar",
            404,
            NO_MODEL,
            "Relative path is not allowed in url: a/../double.mar",
        ),
        (
            "POST /models?url=/etc/passwd",
            404,
            NO_MODEL,
            "Model not found at: /etc/passwd",
        ),
        (
            "POST /models?url=ftp://h/x.mar",
            404,
            NO_MODEL,
            "Model not found at: ftp://h/x.mar",
        ),
        (
            "POST /models?url=double.mar&runtime=go",
            400,
            BAD,
            "Invalid RuntimeType value: go",
        ),
    ]);
    for (url, words) in [
        ("text.mar", "text.mar: not a model archive"),
        (
            "double.mar&handler=mine.py",
            "the archive has no file mine.py",
        ),
        (
            "double.mar&handler=base_handlr",
            "did you mean `base_handler`?",
        ),
    ] {
        let answer = api.ask(&format!("POST /models?url={url}"));
        assert_eq!(answer.status, 400, "{url}");
        assert_eq!(answer.json()["type"], "InvalidModelException", "{url}");
        assert!(answer.message().contains(words), "{}", answer.message());
    }
    let list = api.ask("GET /models").json();
    assert_eq!(list["models"], json!([]));
}

#[test]
fn c_3_1_parameters_come_from_the_query_or_from_a_json_body() {
    let daemon = empty_daemon();
    let api = Api::management(&daemon);
    let query = "POST /models?url=mlp.mar&model_name=query&handler=base_handler&runtime=python3&batch_size=4\
                 &max_batch_delay=50&initial_workers=2&response_timeout=30&startup_timeout=60&s3_sse_kms=false";
    let registered = "Model \"query\" Version: 1.0 registered with 2 initial workers";
    api.check_said(&[(query, 200, registered)]);
    let expected = json!({
        "modelName": "query", "modelVersion": "1.0", "modelUrl": "mlp.mar", "runtime": "python3", "minWorkers": 2,
        "maxWorkers": 2, "batchSize": 4, "maxBatchDelay": 50, "responseTimeout": 30, "startupTimeout": 60,
        "loadedAtStartup": false,
    });
    api.check_described("/models/query", &expected);

    // A JSON body replaces the query: what it leaves out has its default.
    let body = json!({"url": "mlp.mar", "model_name": "body", "batch_size": 3, "initial_workers": "1",
        "synchronous": true, "response_timeout": 40});
    let answer = api.post_json(
        "/models?url=absent.mar&batch_size=9&startup_timeout=60",
        &body,
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let expected = json!({
        "batchSize": 3, "maxBatchDelay": 100, "minWorkers": 1, "responseTimeout": 40, "startupTimeout": 120,
        "runtime": "python",
    });
    api.check_described("/models/body", &expected);
    let without = api.post_json("/models?url=mlp.mar", &json!({"model_name": "x"}));
    check_failure(&without, "no url", 400, BAD, "Parameter url is required.");
    for text in ["{", "[]", "\"mlp.mar\"", ""] {
        let request = Request::post("/models?url=mlp.mar", text).content_type("application/json");
        let answer = api.send(&request);
        assert_eq!(answer.status, 500, "{text}: {}", answer.text());
        assert_eq!(answer.json()["type"], "JsonSyntaxException", "{text}");
    }
}

#[test]
fn c_3_1_names_and_places() {
    let daemon = empty_daemon();
    let api = Api::management(&daemon);
    let weights = fs::read(own("double.pt")).expect("a fixture");
    let manifest = json!({"model": {"serializedFile": "w.pt", "envelope": "json"}}).to_string();
    for folder in ["store/plain", "elsewhere/outside", "store/my-net.v2"] {
        let file = |name: &str| format!("{folder}/{name}");
        daemon
            .bench
            .write(&file("MAR-INF/MANIFEST.json"), manifest.as_bytes());
        daemon.bench.write(&file("w.pt"), &weights);
    }
    let outside = daemon.bench.path("elsewhere/outside").display().to_string();
    // Neither manifest nor request names the model: the file does.
    for (url, name) in [
        ("plain", "plain"),
        (outside.as_str(), "outside"),
        ("my-net.v2", "my_net"),
    ] {
        let line = format!("POST /models?url={url}&initial_workers=1&handler=base_handler");
        let text = format!("Model \"{name}\" Version: 1.0 registered with 1 initial workers");
        api.check_said(&[(&line, 200, &text)]);
        api.check_described(&format!("/models/{name}"), &json!({"modelUrl": url}));
        let answer = daemon.post(&format!("/predictions/{name}"), b"[1.5]");
        assert_eq!(answer.prediction(), json!([3.0]), "{name}");
    }
}

#[test]
fn c_3_1_registering_is_off_until_it_is_enabled() {
    let bench = Bench::new().config("default_workers_per_model=1");
    let daemon = bench.with(&Model::double()).start();
    let api = Api::management(&daemon);
    let (kind, message) = NOT_ALLOWED;
    api.check_failed(&[
        ("POST /models?url=double.mar", 405, kind, message),
        ("POST /models", 405, kind, message),
        ("DELETE /models/double", 405, kind, message),
        ("DELETE /models/absent", 405, kind, message),
    ]);
    // These are not gated.
    let set = "Default version successfully updated for model \"double\" to \"1.0\"";
    api.check_said(&[
        ("PUT /models/double?min_worker=2", 202, PROCESSING),
        ("PUT /models/double/1.0/set-default", 200, set),
    ]);
    let enabled = Bench::new().with(&Model::double()).start_with(&[
        "--model-store",
        "store",
        "--enable-model-api",
    ]);
    let answer = Api::management(&enabled).ask("POST /models?url=double.mar");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn c_3_1_a_name_is_free_while_its_last_requests_are_finished() {
    let daemon = cue::daemon("", "enable_model_api=true");
    let api = Api::management(&daemon);
    let mut inside = busy(&daemon, "[3000, 1]");
    thread::scope(|scope| {
        let unregistering = scope.spawn(|| api.ask("DELETE /models/cue"));
        poll("it is gone for new requests", || {
            api.ask("GET /models/cue").status == 404
        });
        let registered = "Model \"cue\" Version: 1.0 registered with 1 initial workers";
        api.check_said(&[("POST /models?url=cue.mar", 200, registered)]);
        let answer = daemon.send(&cue::ask("[0, 1]"));
        assert_eq!(answer.prediction(), json!([0.0, 2.0]));
        assert_eq!(inside.answer().prediction(), json!([6000.0, 2.0]));
        let unregistered = unregistering.join().expect("an answer");
        assert_eq!(unregistered.json()["status"], "Model \"cue\" unregistered");
    });
}

#[test]
fn c_3_1_more_workers_than_anybody_means_and_names_of_nothing() {
    let bench = Bench::new().config("enable_model_api=true");
    let crowded = Model::double()
        .named("crowded")
        .configured("minWorkers: 5000\n");
    let daemon = bench
        .with(&Model::double())
        .with(&crowded)
        .start_with(&["--model-store", "store"]);
    let api = Api::management(&daemon);
    api.check_failed(&[
        (
            "POST /models?url=double.mar&initial_workers=5000",
            400,
            BAD,
            "initial_workers cannot be more than 1024.",
        ),
        (
            "POST /models?url=crowded.mar",
            400,
            "InvalidModelException",
            "model crowded version 1.0: 5000 workers are asked for, and 1024 are the most",
        ),
    ]);
    api.check_said(&[(
        "POST /models?url=double.mar&model_name=&initial_workers=1",
        200,
        "Model \"double\" Version: 1.0 registered with 1 initial workers",
    )]);
    daemon.check_serves();
}
