//! Waiting for a worker: who is taken, who is refused and with which words, and who gives up.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Answer, Connection, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};

/// A daemon with the model `cue`, which has one worker and these lines in its configuration, and `double`.
fn daemon(config: &str, properties: &str) -> Daemon {
    let bench = Bench::new().config(&format!("metrics_mode=prometheus\n{properties}"));
    let cue = Model::cue(&bench).configured(&format!(
        "minWorkers: 1\nmaxWorkers: 1\nhandler:\n  dtype: float32\n{config}"
    ));
    let daemon = bench.with(&cue).with(&Model::double()).start();
    daemon.wait_for_ok("/ready");
    daemon
}

/// Longer than any test waits.
const FOREVER: &str = "[1000000000, 1]";

fn ask(body: &str) -> Request {
    Request::post("/predictions/cue", body)
}

/// A connection whose request the only worker has taken.
fn busy(daemon: &Daemon, body: &str) -> Connection {
    let before = batches(daemon);
    let mut connection = daemon.connect();
    connection.send(&ask(body).bytes());
    poll("the worker takes it", || batches(daemon) > before);
    connection
}

/// A connection whose request waits behind another.
fn queued(daemon: &Daemon, body: &str) -> Connection {
    let mut connection = daemon.connect();
    connection.send(&ask(body).bytes());
    let management = daemon.address_of("management_address");
    poll("it is queued", || {
        let answer = Connection::open(management).request(&Request::new("GET", "/models/cue"));
        answer.json()[0]["jobQueueStatus"]["pendingRequests"] == 1
    });
    connection
}

/// How many batches of `cue` a worker has taken.
fn batches(daemon: &Daemon) -> u64 {
    let metrics = daemon.address_of("metrics_address");
    let answer = Connection::open(metrics).request(&Request::new("GET", "/metrics"));
    let name = "torchrelay_batch_size_count{model_name=\"cue\"";
    let line = answer
        .text()
        .lines()
        .find(|line| line.starts_with(name))
        .map(str::to_owned);
    line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .map_or(0, |count| count as u64)
}

fn poll(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn check_refused(answer: &Answer, cause: &str) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()["type"], "ServiceUnavailableException");
    let message = answer.message();
    assert!(message.starts_with("Model \"cue\" has no worker to serve inference request."));
    assert!(message.ends_with(&format!("({cause})")), "{message}");
}

#[test]
fn a_client_says_how_long_it_waits() {
    let daemon = daemon("responseTimeout: 60\n", "");
    let answer = daemon.send(&ask("[5000, 1]").header("X-Request-Timeout-Ms", "100"));
    assert_eq!(answer.status, 408);
    assert_eq!(answer.json()["type"], "RequestTimeoutException");
    assert_eq!(
        answer.message(),
        "Model \"cue\" gave no answer within 100 ms"
    );
    for wrong in ["0", "-1", "soon", "1.5", ""] {
        let answer = daemon.send(&ask("[0, 1]").header("X-Request-Timeout-Ms", wrong));
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(
            answer.message().contains("header x-request-timeout-ms"),
            "{wrong}"
        );
    }
    let answer = daemon.send(&ask("[0, 1.5]").header("X-Request-Timeout-Ms", "60000"));
    assert_eq!(answer.prediction(), json!([0.0, 3.0]));
    daemon.check_serves();
}

#[test]
fn a_model_says_how_long_its_clients_wait() {
    let daemon = daemon("clientTimeoutInMills: 150\n", "");
    let answer = daemon.send(&ask("[5000, 1]"));
    assert_eq!(answer.status, 408);
    assert_eq!(
        answer.message(),
        "Model \"cue\" gave no answer within 150 ms"
    );
    daemon.check_serves();
}

#[test]
fn with_job_tickets_only_an_idle_worker_takes_a_request() {
    let daemon = daemon("useJobTicket: true\n", "");
    assert_eq!(daemon.send(&ask("[0, 1]")).prediction(), json!([0.0, 2.0]));
    let mut first = busy(&daemon, "[3000, 1]");
    let refused = daemon.send(&ask("[0, 1]"));
    check_refused(
        &refused,
        "no worker is idle, and it takes a request only when one is",
    );
    assert_eq!(first.answer().status, 200);
    assert_eq!(daemon.send(&ask("[0, 1]")).status, 200);
}

#[test]
fn a_full_queue_says_when_to_come_again() {
    let daemon = daemon("jobQueueSize: 1\n", "");
    let mut first = busy(&daemon, "[3000, 1]");
    let mut second = queued(&daemon, "[0, 2]");
    let refused = daemon.send(&ask("[0, 3]"));
    check_refused(&refused, "its queue holds 1 requests, which is its bound");
    let after: u64 = refused
        .header("retry-after")
        .expect("sent")
        .parse()
        .expect("seconds");
    assert!((1..=60).contains(&after), "{after}");
    assert_eq!(first.answer().prediction(), json!([6000.0, 2.0]));
    assert_eq!(second.answer().prediction(), json!([0.0, 4.0]));
}

#[test]
fn a_heavy_queue_refuses_and_so_does_a_full_memory() {
    let daemon = daemon("", "job_queue_bytes=400\nrequest_memory=100000");
    let mut first = busy(&daemon, "[3000, 1]");
    let heavy = format!("[0, 2{}]", " ".repeat(250));
    let mut second = queued(&daemon, &heavy);
    let refused = daemon.send(&ask(&heavy));
    check_refused(
        &refused,
        "its queue holds more than 400 bytes, which is its bound",
    );
    let huge = format!("[0, 2{}]", " ".repeat(200_000));
    let refused = daemon.send(&ask(&huge));
    assert_eq!(refused.status, 503);
    assert_eq!(
        refused.message(),
        "the requests inside hold more than 100000 bytes, which is their bound"
    );
    assert_eq!(first.answer().status, 200);
    assert_eq!(second.answer().prediction(), json!([0.0, 4.0]));
    daemon.check_serves();
}

#[test]
fn a_model_that_throws_fails_its_own_request_and_goes_on() {
    let daemon = daemon("", "");
    let answer = daemon.send(&ask("[-1, 1]"));
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["type"], "InternalServerException");
    let message = answer.message();
    assert!(message.starts_with("Prediction failed"), "{message}");
    assert!(message.contains("as the cue says"), "{message}");
    assert_eq!(daemon.send(&ask("[0, 1]")).prediction(), json!([0.0, 2.0]));
}

#[test]
fn a_worker_that_hangs_is_replaced() {
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
fn requests_of_a_sequence_follow_each_other_until_it_ends() {
    let daemon = daemon("sequenceMaxIdleMSec: 60000\nmaxNumSequence: 2\n", "");
    let step = |id: &str, mark: &str| {
        let request = ask("[0, 1]").header("ts_request_sequence_id", id);
        match mark {
            "" => daemon.send(&request),
            mark => daemon.send(&request.header(&format!("ts_request_sequence_{mark}"), "true")),
        }
    };
    let not_open = "sequence a is not open: it was never started, has ended or has expired";
    check_refused(&step("a", ""), not_open);
    for mark in ["start", "", "", "end"] {
        let answer = step("a", mark);
        assert_eq!(answer.prediction(), json!([0.0, 2.0]));
        assert_eq!(answer.header("ts_request_sequence_id"), Some("a"));
    }
    check_refused(&step("a", ""), not_open);
    // One that names no sequence opens its own, and is told its name.
    let answer = daemon.send(&ask("[0, 1]"));
    let id = answer
        .header("ts_request_sequence_id")
        .expect("a name")
        .to_owned();
    assert!(id.starts_with("ts-seq-"), "{id}");
    assert_eq!(step(&id, "").status, 200);
    assert_eq!(step("b", "start").status, 200);
    check_refused(
        &step("c", "start"),
        "2 sequences are open, which is the bound",
    );
    assert_eq!(step(&id, "end").status, 200);
    assert_eq!(step("c", "start").status, 200);
}

#[test]
fn the_headers_of_sequences_can_be_renamed() {
    let daemon = daemon(
        "sequenceMaxIdleMSec: 60000\n",
        "ts_header_key_sequence_id=x-talk\nts_header_key_sequence_start=x-talk-start",
    );
    let request = ask("[0, 1]")
        .header("x-talk", "a")
        .header("x-talk-start", "true");
    let answer = daemon.send(&request);
    assert_eq!(answer.prediction(), json!([0.0, 2.0]));
    assert_eq!(answer.header("x-talk"), Some("a"));
}
