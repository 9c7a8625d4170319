//! The management API without its registrations: what an operator asks for, and what comes back.

use serde_json::{Value, json};

use super::{Api, BAD, INTERNAL, NO_MODEL, NO_ROUTE, NO_VERSION, NOT_ALLOWED};
use crate::cue::{self, FOREVER, busy, check_refused, queued};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};

/// A daemon that serves `double` 1.0 with one worker, and has `mlp` and a version 2.0 of `double` in its store.
fn daemon() -> Daemon {
    let second = Model::double().versioned("2.0").named("double2");
    Bench::new()
        .config("enable_model_api=true\ndefault_workers_per_model=1")
        .with(&Model::double())
        .with(&second)
        .with(&Model::mlp())
        .start_with(&["--model-store", "store", "--models", "double.mar"])
}

pub(super) const PROCESSING: &str = "Processing worker updates...";

#[test]
fn c_3_2_scale() {
    let daemon = daemon();
    let api = Api::management(&daemon);
    let ids = || api.workers("/models/double");
    assert_eq!(ids(), ["9000"]);
    // Parameters, status, text, and then the workers: it grows to the minimum, shrinks to the maximum from its newest
    // worker on, and keeps its size in between.
    let cases: [(&str, u16, &str, &[&str]); 8] = [
        (
            "?min_worker=3&synchronous=true",
            200,
            "Workers scaled to 3 for model: double",
            &["9000", "9001", "9002"],
        ),
        (
            "/1.0?min_worker=1&max_worker=2&synchronous=true",
            200,
            "Workers scaled to 1 for model: double, version: 1.0",
            &["9000", "9001"],
        ),
        (
            "?model_version=1.0&min_worker=1&max_worker=5&synchronous=true",
            200,
            "Workers scaled to 1 for model: double, version: 1.0",
            &["9000", "9001"],
        ),
        ("?number_gpu=1&timeout=-1", 202, PROCESSING, &["9000"]),
        ("?min_worker=0&max_worker=3", 202, PROCESSING, &["9000"]),
        ("?min_worker=0", 202, PROCESSING, &[]),
        (
            "?min_worker=0&synchronous=true",
            200,
            "Workers scaled to 0 for model: double",
            &[],
        ),
        (
            "?min_worker=many&synchronous=true",
            200,
            "Workers scaled to 1 for model: double",
            &["9003"],
        ),
    ];
    for (parameters, status, text, expected) in cases {
        let line = format!("PUT /models/double{parameters}");
        api.check_said(&[(&line, status, text)]);
        assert_eq!(ids(), expected, "{line}");
        let answer = daemon.post("/predictions/double", b"[1.5]");
        let served = if expected.is_empty() { 503 } else { 200 };
        assert_eq!(answer.status, served, "{line}");
    }
    let less = "max_worker cannot be less than min_worker.";
    api.check_failed(&[
        ("PUT /models/x", 404, NO_MODEL, "Model not found: x"),
        (
            "PUT /models/double/9.9?min_worker=2",
            404,
            NO_VERSION,
            "Model version: 9.9 does not exist for model: double",
        ),
        (
            "PUT /models/double?min_worker=2&max_worker=1",
            400,
            BAD,
            less,
        ),
        ("PUT /models/double?max_worker=-1", 400, BAD, less),
        ("PUT /models/double?max_worker=0", 400, BAD, less),
        (
            "PUT /models/double?min_worker=-1",
            500,
            INTERNAL,
            "min_worker cannot be negative: -1",
        ),
        (
            "PUT /models/double?min_worker=99999",
            400,
            BAD,
            "min_worker cannot be more than 1024.",
        ),
    ]);
    assert_eq!(ids(), ["9003"]);
    daemon.check_serves();
}

#[test]
fn c_3_2_workers_that_go_finish_first() {
    let daemon = cue::daemon("", "");
    let api = Api::management(&daemon);
    let mut inside = busy(&daemon, "[3000, 1]");
    let mut waiting = queued(&daemon, &cue::ask("[0, 2]"));
    api.check_said(&[("PUT /models/cue?min_worker=0", 202, PROCESSING)]);
    assert_eq!(inside.answer().prediction(), json!([6000.0, 2.0]));
    check_refused(&waiting.answer(), "it has been given no workers");
}

#[test]
fn c_3_3_list() {
    let daemon = daemon();
    let api = Api::management(&daemon);
    let check = |query: &str, names: &[&str], token: Option<&str>| {
        let list = api.ask(&format!("GET /models{query}")).json();
        let models = list["models"].as_array().expect("a list");
        let found: Vec<_> = models.iter().map(|model| &model["modelName"]).collect();
        assert_eq!(found, names, "{query}");
        assert_eq!(list.get("nextPageToken"), token.map(Value::from).as_ref());
    };
    for name in ["mlp", "Zebra", "again"] {
        let line = format!("POST /models?url=mlp.mar&model_name={name}");
        assert_eq!(api.ask(&line).status, 200);
    }
    let all = ["Zebra", "again", "double", "mlp"];
    check("", &all, None);
    check("?limit=2", &all[..2], Some("2"));
    // A full last page carries a token, too, and so does an empty one.
    check("?limit=2&next_page_token=2", &all[2..], Some("4"));
    check("?limit=4", &all, Some("4"));
    check("?limit=2&next_page_token=4", &[], None);
    check("?limit=3&next_page_token=3", &all[3..], None);
    check("?limit=0", &[], Some("0"));
    check("?next_page_token=99", &[], None);
    // What lies out of bounds is the default.
    for query in [
        "?limit=-1",
        "?limit=101",
        "?limit=many",
        "?next_page_token=-1",
    ] {
        check(query, &all, None);
    }
    // The url is that of the default version.
    let line = "POST /models?url=double2.mar&model_name=double";
    assert_eq!(api.ask(line).status, 200);
    let url = || api.ask("GET /models").json()["models"][2]["modelUrl"].clone();
    assert_eq!(url(), "double.mar");
    assert_eq!(api.ask("PUT /models/double/2.0/set-default").status, 200);
    assert_eq!(url(), "double2.mar");
}

#[test]
fn c_3_4_describe() {
    let daemon = daemon();
    daemon.check_serves();
    let api = Api::management(&daemon);
    let described = api.described("/models/double");
    let [model] = described.as_slice() else {
        panic!("the default version alone")
    };
    let members = |value: &Value| -> String {
        let members = value.as_object().expect("an object").keys();
        members.cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        members(model),
        "modelName modelVersion modelUrl runtime minWorkers maxWorkers batchSize maxBatchDelay responseTimeout \
         startupTimeout maxRetryTimeoutInSec clientTimeoutInMills parallelType parallelLevel deviceType \
         continuousBatching useJobTicket useVenv stateful sequenceMaxIdleMSec sequenceTimeoutMSec maxNumSequence \
         maxSequenceJobQueueSize loadedAtStartup workers jobQueueStatus"
    );
    let expected = json!({
        "modelName": "double", "modelVersion": "1.0", "modelUrl": "double.mar", "runtime": "python", "minWorkers": 1,
        "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 100, "responseTimeout": 120, "startupTimeout": 120,
        "maxRetryTimeoutInSec": 300, "clientTimeoutInMills": 0, "parallelType": "", "parallelLevel": 0,
        "deviceType": "cpu", "continuousBatching": false, "useJobTicket": false, "useVenv": false, "stateful": false,
        "sequenceMaxIdleMSec": 0, "sequenceTimeoutMSec": 0, "maxNumSequence": 0, "maxSequenceJobQueueSize": 0,
        "loadedAtStartup": true, "jobQueueStatus": { "remainingCapacity": 100, "pendingRequests": 0 },
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&model[name], value, "{name}");
    }
    let worker = &model["workers"][0];
    assert_eq!(
        members(worker),
        "id startTime status memoryUsage pid gpu gpuUsage"
    );
    for (name, value) in [
        ("id", json!("9000")),
        ("status", json!("READY")),
        ("gpu", json!(false)),
        ("gpuUsage", json!("N/A")),
    ] {
        assert_eq!(worker[name], value, "{name}");
    }
    assert!(worker["pid"].as_u64() > Some(1), "{worker}");
    assert!(worker["memoryUsage"].as_u64() > Some(1_000_000), "{worker}");
    let started = worker["startTime"].as_str().expect("a time");
    let shape: String = started
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
}

#[test]
fn c_3_4_describe_versions_and_what_the_model_says_of_itself() {
    let daemon = daemon();
    let api = Api::management(&daemon);
    let registered = api.ask("POST /models?url=double2.mar&model_name=double&initial_workers=0");
    assert_eq!(registered.status, 200, "{}", registered.text());
    let versions = |path: &str| -> Vec<Value> {
        let described = api.described(path);
        let versions = described.iter().map(|model| model["modelVersion"].clone());
        versions.collect()
    };
    assert_eq!(versions("/models/double"), ["1.0"]);
    assert_eq!(versions("/models/double/2.0"), ["2.0"]);
    assert_eq!(versions("/models/double/all"), ["1.0", "2.0"]);
    assert_eq!(
        versions("/models/double/all?customized=true"),
        ["1.0", "2.0"]
    );
    api.check_failed(&[
        ("GET /models/x", 404, NO_MODEL, "Model not found: x"),
        ("GET /models/x/all", 404, NO_MODEL, "Model not found: x"),
        (
            "GET /models/double/9.9",
            404,
            NO_VERSION,
            "Model version: 9.9 does not exist for model: double",
        ),
        (
            "GET /models/double/2.0?customized=true",
            503,
            "ServiceUnavailableException",
            "Model \"double\" has no worker to serve describe request. Please use scale workers API to add workers.",
        ),
    ]);
    daemon.wait_for_ok("/ready/double");
    let customized = api.described("/models/double?customized=true");
    let last = customized[0]
        .as_object()
        .and_then(|model| model.iter().next_back());
    let (name, value) = last.expect("members");
    assert_eq!((name.as_str(), value), ("customizedMetadata", &json!({})));
    let all = api.described("/models/double/all?customized=true");
    assert!(all[0].get("customizedMetadata").is_none());
}

#[test]
fn c_3_5_unregister() {
    let daemon = daemon();
    let api = Api::management(&daemon);
    let registered = api.ask("POST /models?url=double2.mar&model_name=double&initial_workers=1");
    assert_eq!(registered.status, 200, "{}", registered.text());
    let forbidden = "InvalidModelVersionException";
    let default = "Cannot remove default version for model double";
    let version = "Model version: 9.9 does not exist for model: double";
    api.check_failed(&[
        ("DELETE /models/x", 404, NO_MODEL, "Model not found: x"),
        ("DELETE /models/double/9.9", 404, NO_VERSION, version),
        ("DELETE /models/double", 403, forbidden, default),
        ("DELETE /models/double/1.0", 403, forbidden, default),
    ]);
    let gone = "Model \"double\" unregistered";
    api.check_said(&[("DELETE /models/double/2.0", 200, gone)]);
    assert_eq!(daemon.post("/predictions/double/2.0", b"[1]").status, 404);
    daemon.check_serves();
    api.check_said(&[("DELETE /models/double", 200, gone)]);
    api.check_failed(&[(
        "DELETE /models/double",
        404,
        NO_MODEL,
        "Model not found: double",
    )]);
    assert_eq!(daemon.post("/predictions/double", b"[1]").status, 404);
}

#[test]
fn c_3_5_unregistering_has_its_time() {
    let daemon = cue::daemon("", "enable_model_api=true\nunregister_model_timeout=1");
    let api = Api::management(&daemon);
    let _inside = busy(&daemon, FOREVER);
    api.check_failed(&[
        (
            "DELETE /models/cue",
            408,
            "RequestTimeoutException",
            "Timed out while cleaning resources: cue",
        ),
        // It is gone all the same.
        ("DELETE /models/cue", 404, NO_MODEL, "Model not found: cue"),
    ]);
    daemon.check_serves();
}

#[test]
fn c_3_6_set_default() {
    let daemon = daemon();
    let api = Api::management(&daemon);
    let registered = api.ask("POST /models?url=double2.mar&model_name=double&initial_workers=1");
    assert_eq!(registered.status, 200, "{}", registered.text());
    // The first version of a name is its default, and a later one is not.
    api.check_described("/models/double", &json!({"modelVersion": "1.0"}));
    let updated = "Default version successfully updated for model \"double\" to \"2.0\"";
    api.check_said(&[("PUT /models/double/2.0/set-default", 200, updated)]);
    api.check_described("/models/double", &json!({"modelVersion": "2.0"}));
    api.check_failed(&[
        (
            "PUT /models/x/1.0/set-default",
            404,
            NO_MODEL,
            "Model not found: x",
        ),
        // One colon less than elsewhere.
        (
            "PUT /models/double/9.9/set-default",
            404,
            NO_VERSION,
            "Model version 9.9 does not exist for model double",
        ),
    ]);
    // Now the first may go.
    assert_eq!(api.ask("DELETE /models/double/1.0").status, 200);
    daemon.check_serves();
}

#[test]
fn c_3_7_others() {
    let daemon = daemon();
    let api = Api::management(&daemon);
    let document = api.ask("OPTIONS /models/double").json();
    assert_eq!(
        document["info"]["title"],
        "RESTful Management API for: double"
    );
    let ready = |expected: bool| {
        let answer = api.ask("GET /v1/models/double");
        let body = json!({ "name": "double", "ready": expected });
        assert_eq!((answer.status, answer.json()), (200, body));
    };
    ready(true);
    assert_eq!(api.ask("PUT /models/double?min_worker=0").status, 202);
    ready(false);
    let (no_method, no_route) = (NOT_ALLOWED, NO_ROUTE);
    for (status, (kind, message), lines) in [
        (
            405,
            no_method,
            &[
                "PATCH /models",
                "DELETE /models",
                "PUT /models",
                "POST /models/double",
                "PATCH /models/double/1.0",
                "POST /models/double/1.0/set-default",
                "POST /v1/models/double",
                "GET /",
            ][..],
        ),
        (
            404,
            no_route,
            &[
                "GET /models/a/b/c",
                "GET /ping",
                "GET /nowhere",
                "POST /predictions/double",
                "GET /token",
            ][..],
        ),
    ] {
        for line in lines {
            api.check_failed(&[(line, status, kind, message)]);
        }
    }
    api.check_failed(&[
        ("GET /v1/models/x", 404, NO_MODEL, "Model not found: x"),
        ("OPTIONS /models/x", 404, NO_MODEL, "Model not found: x"),
    ]);
}
