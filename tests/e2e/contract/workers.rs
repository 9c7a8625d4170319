//! The life of a worker, and what is heard of it.

use serde_json::json;

use super::{Api, INTERNAL};
use crate::cue::{FOREVER, ask, daemon};
use crate::fixtures::Model;
use crate::harness::Bench;

#[test]
fn c_15_a_model_that_throws_fails_its_own_request_and_goes_on() {
    let daemon = daemon("", "");
    let answer = daemon.send(&ask("[-1, 1]"));
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["type"], INTERNAL);
    let message = answer.message();
    assert!(message.starts_with("Prediction failed"), "{message}");
    assert!(message.contains("as the cue says"), "{message}");
    assert_eq!(daemon.send(&ask("[0, 1]")).prediction(), json!([0.0, 2.0]));
}

#[test]
fn c_15_a_worker_that_hangs_is_replaced() {
    let daemon = daemon("responseTimeout: 1\n", "");
    let answer = daemon.send(&ask(FOREVER));
    assert_eq!(answer.status, 408);
    assert_eq!(
        answer.message(),
        "Model \"cue\" gave no answer within 1000 ms"
    );
    daemon
        .log()
        .wait_for("Number or consecutive unsuccessful inference 1");
    daemon.log().wait_for("Auto recovery start timestamp: ");
    daemon.log().wait_for("Retry worker: ");
    daemon
        .log()
        .wait_for("Auto recovery succeeded, reset recoveryStartTS");
    daemon.wait_for_ok("/ready/cue");
    assert_eq!(daemon.send(&ask("[0, 1]")).prediction(), json!([0.0, 2.0]));
    daemon.check_serves();
}

#[test]
fn c_15_a_worker_that_was_given_up_comes_back_when_it_is_scaled() {
    let bench = Bench::new();
    let broken = Model::unloadable(&bench).named("broken");
    let daemon = bench.with(&broken).with(&Model::double()).start();
    let api = Api::management(&daemon);
    let inference = Api::inference(&daemon);
    daemon.log().wait_for("is given up");
    inference.check_said(&[("GET /ping", 500, "Unhealthy")]);
    let answer = daemon.post("/predictions/broken", b"[1]");
    assert_eq!(answer.status, 503);
    let message = answer.message();
    assert!(
        message.contains("it failed to load: libtorch cannot load "),
        "{message}"
    );
    let described = api.described("/models/broken");
    assert_eq!(described[0]["workers"][0]["status"], "UNLOADING");
    // To none, which is healthy, and up again, which fails again and says so.
    api.check_said(&[(
        "PUT /models/broken?min_worker=0&synchronous=true",
        200,
        "Workers scaled to 0 for model: broken",
    )]);
    inference.check_said(&[("GET /ping", 200, "Healthy")]);
    let answer = api.ask("PUT /models/broken?min_worker=1&synchronous=true");
    assert_eq!(
        (answer.status, answer.json()["type"].as_str()),
        (500, Some(INTERNAL))
    );
    assert!(
        answer
            .message()
            .starts_with("Failed to start workers for model broken version: 1.0 ("),
        "{}",
        answer.text()
    );
    inference.check_said(&[("GET /ping", 500, "Unhealthy")]);
    daemon.check_serves();
}
