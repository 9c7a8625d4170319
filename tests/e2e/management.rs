//! The management API on the real daemon: what an operator asks for, and what comes back.

use serde_json::{Value, json};

use crate::client::{Answer, Connection, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};

/// A daemon that serves `double` 1.0 with one worker, and has `mlp` and a version 2.0 of `double` in its store.
fn daemon(config: &str) -> Daemon {
    let second = Model {
        version: "2.0".into(),
        ..Model::double()
    };
    let second = Model {
        name: "double2".into(),
        ..second
    };
    Bench::new()
        .config(config)
        .with(&Model::double())
        .with(&second)
        .with(&Model::mlp())
        .start_with(&["--model-store", "store", "--models", "double.mar"])
}

const OPEN: &str = "enable_model_api=true\ndefault_workers_per_model=1";

struct Management<'a>(&'a Daemon);

impl Management<'_> {
    fn ask(&self, method: &str, path: &str) -> Answer {
        let address = self.0.address_of("management_address");
        Connection::open(address).request(&Request::new(method, path))
    }

    #[track_caller]
    fn check(&self, method: &str, path: &str, status: u16, text: &str) {
        let answer = self.ask(method, path);
        let found = answer.json();
        let member = if status < 400 { "status" } else { "message" };
        assert_eq!(
            (answer.status, found[member].as_str()),
            (status, Some(text)),
            "{method} {path}: {found}"
        );
    }

    #[track_caller]
    fn check_failure(&self, method: &str, path: &str, status: u16, kind: &str, text: &str) {
        self.check(method, path, status, text);
        let found = self.ask(method, path).json();
        assert_eq!(
            (&found["code"], &found["type"]),
            (&json!(status), &json!(kind)),
            "{path}"
        );
    }

    fn described(&self, path: &str) -> Vec<Value> {
        let answer = self.ask("GET", path);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json().as_array().expect("always a list").clone()
    }
}

#[test]
fn a_model_is_described_with_torchserves_members_in_their_order() {
    let daemon = daemon(OPEN);
    daemon.check_serves();
    let described = Management(&daemon).described("/models/double");
    let [model] = described.as_slice() else {
        panic!("the default version alone")
    };
    let members: Vec<&str> = model
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        members.join(" "),
        "modelName modelVersion modelUrl runtime minWorkers maxWorkers batchSize maxBatchDelay responseTimeout \
         startupTimeout maxRetryTimeoutInSec clientTimeoutInMills parallelType parallelLevel deviceType \
         continuousBatching useJobTicket useVenv stateful sequenceMaxIdleMSec sequenceTimeoutMSec maxNumSequence \
         maxSequenceJobQueueSize loadedAtStartup workers jobQueueStatus"
    );
    let expected = json!({
        "modelName": "double", "modelVersion": "1.0", "modelUrl": "double.mar", "runtime": "python", "minWorkers": 1,
        "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 100, "responseTimeout": 120, "deviceType": "cpu",
        "loadedAtStartup": true, "jobQueueStatus": { "remainingCapacity": 100, "pendingRequests": 0 },
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&model[name], value, "{name}");
    }
    let worker = &model["workers"][0];
    assert_eq!(worker["id"], "9000");
    assert_eq!(
        (&worker["status"], &worker["gpu"]),
        (&json!("READY"), &json!(false))
    );
    assert!(
        worker["pid"].as_u64() > Some(1) && worker["memoryUsage"].as_u64() > Some(1_000_000),
        "{worker}"
    );
    let started = worker["startTime"].as_str().expect("a time");
    assert!(started.len() == 24 && started.ends_with('Z'), "{started}");
    let customized = Management(&daemon).described("/models/double?customized=true");
    assert_eq!(customized[0]["customizedMetadata"], json!({}));
}

#[test]
fn a_model_is_registered_scaled_and_unregistered() {
    let daemon = daemon(OPEN);
    let api = Management(&daemon);
    let registered = "Model \"mlp\" Version: 1.0 registered with 1 initial workers";
    api.check(
        "POST",
        "/models?url=mlp.mar&initial_workers=1",
        200,
        registered,
    );
    let answer = daemon.post("/predictions/mlp", b"[1.0, 2.0, 3.0, 4.0]");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let taken = "Model version 1.0 is already registered for model mlp";
    api.check_failure(
        "POST",
        "/models?url=mlp.mar",
        409,
        "ConflictStatusException",
        taken,
    );
    let scaled = "Workers scaled to 3 for model: mlp";
    api.check(
        "PUT",
        "/models/mlp?min_worker=3&synchronous=true",
        200,
        scaled,
    );
    let workers = |path: &str| api.described(path)[0]["workers"].as_array().map(Vec::len);
    assert_eq!(workers("/models/mlp"), Some(3));
    api.check(
        "PUT",
        "/models/mlp/1.0?min_worker=0",
        202,
        "Processing worker updates...",
    );
    assert_eq!(workers("/models/mlp"), Some(0));
    assert_eq!(
        daemon
            .post("/predictions/mlp", b"[1.0, 2.0, 3.0, 4.0]")
            .status,
        503
    );
    let version = "Workers scaled to 1 for model: mlp, version: 1.0";
    api.check(
        "PUT",
        "/models/mlp/1.0?min_worker=1&synchronous=true",
        200,
        version,
    );
    assert_eq!(
        daemon
            .post("/predictions/mlp", b"[1.0, 2.0, 3.0, 4.0]")
            .status,
        200
    );
    api.check("DELETE", "/models/mlp", 200, "Model \"mlp\" unregistered");
    assert_eq!(daemon.post("/predictions/mlp", b"[1.0]").status, 404);
    api.check_failure(
        "DELETE",
        "/models/mlp",
        404,
        "ModelNotFoundException",
        "Model not found: mlp",
    );
    daemon.check_serves();
}

#[test]
fn versions_stand_side_by_side_and_one_is_the_default() {
    let daemon = daemon(OPEN);
    let api = Management(&daemon);
    let registered = "Model \"double\" Version: 2.0 registered with 1 initial workers";
    api.check(
        "POST",
        "/models?url=double2.mar&model_name=double&initial_workers=1",
        200,
        registered,
    );
    let versions = |path: &str| -> Vec<String> {
        let described = api.described(path);
        described
            .iter()
            .map(|model| {
                model["modelVersion"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(versions("/models/double"), ["1.0"]);
    assert_eq!(versions("/models/double/2.0"), ["2.0"]);
    assert_eq!(versions("/models/double/all"), ["1.0", "2.0"]);
    let default = "Cannot remove default version for model double";
    api.check_failure(
        "DELETE",
        "/models/double",
        403,
        "InvalidModelVersionException",
        default,
    );
    let updated = "Default version successfully updated for model \"double\" to \"2.0\"";
    api.check("PUT", "/models/double/2.0/set-default", 200, updated);
    assert_eq!(versions("/models/double"), ["2.0"]);
    api.check(
        "DELETE",
        "/models/double/1.0",
        200,
        "Model \"double\" unregistered",
    );
    assert_eq!(versions("/models/double/all"), ["2.0"]);
    let absent = "Model version 1.0 does not exist for model double";
    api.check("PUT", "/models/double/1.0/set-default", 404, absent);
    daemon.check_serves();
}

#[test]
fn models_are_listed_page_by_page() {
    let daemon = daemon(OPEN);
    let api = Management(&daemon);
    api.ask("POST", "/models?url=mlp.mar");
    let check = |query: &str, names: &[&str], token: Option<&str>| {
        let list = api.ask("GET", &format!("/models{query}")).json();
        let found: Vec<_> = list["models"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|model| &model["modelName"])
            .collect();
        assert_eq!(found, names, "{query}");
        assert_eq!(list["nextPageToken"].as_str(), token, "{query}");
    };
    check("", &["double", "mlp"], None);
    check("?limit=1", &["double"], Some("1"));
    check("?limit=1&next_page_token=1", &["mlp"], Some("2"));
    check("?limit=0", &[], Some("0"));
    check("?limit=-1&next_page_token=-1", &["double", "mlp"], None);
    check("?limit=many", &["double", "mlp"], None);
}

#[test]
fn mistakes_are_named_and_leave_nothing_behind() {
    let daemon = daemon(OPEN);
    daemon.bench.write("store/broken.mar", b"not an archive");
    let api = Management(&daemon);
    let (bad, absent) = ("BadRequestException", "ModelNotFoundException");
    let check = |method: &str, path: &str, status: u16, kind: &str, text: &str| {
        api.check_failure(method, path, status, kind, text);
    };
    check("POST", "/models", 400, bad, "Parameter url is required.");
    check("POST", "/models?url=", 404, absent, "empty url");
    check(
        "POST",
        "/models?url=x.mar",
        404,
        absent,
        "Model not found at: x.mar",
    );
    check(
        "POST",
        "/models?url=../x.mar",
        404,
        absent,
        "Relative path is not allowed in url: ../x.mar",
    );
    check(
        "POST",
        "/models?url=mlp.mar&runtime=go",
        400,
        bad,
        "Invalid RuntimeType value: go",
    );
    check("PUT", "/models/x", 404, absent, "Model not found: x");
    check(
        "PUT",
        "/models/double?min_worker=2&max_worker=1",
        400,
        bad,
        "max_worker cannot be less than min_worker.",
    );
    assert_eq!(api.ask("PUT", "/models/double?min_worker=-1").status, 500);
    assert_eq!(
        api.ask("PUT", "/models/double?min_worker=99999").status,
        400
    );
    let version = "Model version: 9.9 does not exist for model: double";
    check(
        "GET",
        "/models/double/9.9",
        404,
        "ModelVersionNotFoundException",
        version,
    );
    let broken = api.ask("POST", "/models?url=broken.mar");
    assert_eq!(
        (broken.status, broken.json()["type"].as_str()),
        (400, Some("InvalidModelException"))
    );
    assert!(
        broken.message().contains("not a model archive"),
        "{}",
        broken.message()
    );
    // No time to start in: it fails, and its name is free again.
    let late = api.ask(
        "POST",
        "/models?url=mlp.mar&initial_workers=1&startup_timeout=0",
    );
    assert_eq!(late.status, 500, "{}", late.text());
    assert!(
        late.message()
            .starts_with("Failed to start workers for model mlp version: 1.0")
    );
    let registered = "Model \"mlp\" Version: 1.0 registered with 1 initial workers";
    api.check(
        "POST",
        "/models?url=mlp.mar&initial_workers=1",
        200,
        registered,
    );
    check(
        "PATCH",
        "/models",
        405,
        "MethodNotAllowedException",
        NOT_ALLOWED,
    );
    check(
        "GET",
        "/models/a/b/c",
        404,
        "ResourceNotFoundException",
        NO_ROUTE,
    );
    check("GET", "/ping", 404, "ResourceNotFoundException", NO_ROUTE);
    daemon.check_serves();
}

const NOT_ALLOWED: &str = "Requested method is not allowed, please refer to API document.";
const NO_ROUTE: &str = "Requested resource is not found, please refer to API document.";

#[test]
fn registering_is_off_until_it_is_enabled() {
    let daemon = daemon("default_workers_per_model=1");
    let api = Management(&daemon);
    for (method, path) in [
        ("POST", "/models?url=mlp.mar"),
        ("DELETE", "/models/double"),
    ] {
        api.check_failure(method, path, 405, "MethodNotAllowedException", NOT_ALLOWED);
    }
    api.check(
        "PUT",
        "/models/double?min_worker=2",
        202,
        "Processing worker updates...",
    );
    assert_eq!(
        api.ask("GET", "/v1/models/double").json(),
        json!({ "name": "double", "ready": true })
    );
    let document = api.ask("OPTIONS", "/models/double").json();
    assert_eq!(
        document["info"]["title"],
        "RESTful Management API for: double"
    );
}
