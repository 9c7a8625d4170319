//! A daemon whose model `cue` can be kept busy, so that what waits, leaves or is refused behind it can be looked at.

use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Answer, Connection, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};

/// A body that keeps a worker longer than any test waits.
pub(crate) const FOREVER: &str = "[1000000000, 1]";

/// A daemon with the model `cue`, which has one worker and these lines in its configuration, and `double`.
pub(crate) fn daemon(config: &str, properties: &str) -> Daemon {
    let bench = Bench::new().config(&format!("metrics_mode=prometheus\n{properties}"));
    let cue = Model::cue(&bench).configured(&format!(
        "minWorkers: 1\nmaxWorkers: 1\nhandler:\n  dtype: float32\n{config}"
    ));
    let daemon = bench.with(&cue).with(&Model::double()).start();
    daemon.wait_for_ok("/ready");
    daemon
}

pub(crate) fn ask(body: &str) -> Request {
    Request::post("/predictions/cue", body)
}

/// A connection whose request an idle worker has taken.
pub(crate) fn busy(daemon: &Daemon, body: &str) -> Connection {
    let before = batches(daemon);
    let mut connection = daemon.connect();
    connection.send(&ask(body).bytes());
    poll("a worker takes it", || batches(daemon) > before);
    connection
}

/// A connection whose request waits behind others.
pub(crate) fn queued(daemon: &Daemon, request: &Request) -> Connection {
    let before = pending(daemon);
    let mut connection = daemon.connect();
    connection.send(&request.bytes());
    poll("it is queued", || pending(daemon) > before);
    connection
}

/// How many requests to `cue` wait.
pub(crate) fn pending(daemon: &Daemon) -> u64 {
    let management = daemon.address_of("management_address");
    let answer = Connection::open(management).request(&Request::new("GET", "/models/cue"));
    let pending = &answer.json()[0]["jobQueueStatus"]["pendingRequests"];
    pending.as_u64().expect("a number")
}

/// How many batches of `cue` workers have taken.
pub(crate) fn batches(daemon: &Daemon) -> u64 {
    count(daemon, "torchrelay_batch_size_count")
}

/// How many requests to `cue` workers have taken.
pub(crate) fn taken(daemon: &Daemon) -> u64 {
    count(daemon, "torchrelay_batch_size_sum")
}

fn count(daemon: &Daemon, name: &str) -> u64 {
    let metrics = daemon.address_of("metrics_address");
    let answer = Connection::open(metrics).request(&Request::new("GET", "/metrics"));
    let start = format!("{name}{{model_name=\"cue\"");
    let mut lines = answer.text().lines();
    let line = lines.find(|line| line.starts_with(&start));
    line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .map_or(0, |count| count as u64)
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn poll(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Refused for want of a worker, with that cause at the end of the one sentence for all causes.
#[track_caller]
pub(crate) fn check_refused(answer: &Answer, cause: &str) {
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(answer.json()["type"], "ServiceUnavailableException");
    let sentence = "Model \"cue\" has no worker to serve inference request. Please use scale workers API to add workers. \
                    If this is a sequence inference, please check if it is closed, or expired; or exceeds \
                    maxSequenceJobQueueSize";
    assert_eq!(answer.message(), format!("{sentence} ({cause})"));
}
