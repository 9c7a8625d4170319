//! Who waits, with whom, and for how long. What this server adds of its own is tested in `../queueing.rs`.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::client::{Connection, Request};
use crate::cue::{ask, batches, busy, check_refused, daemon, pending, poll, queued, taken};
use crate::harness::{Daemon, Stream};

/// Connections with requests that wait behind one that keeps the only worker busy, and that one.
fn line_up(daemon: &Daemon, bodies: &[&str]) -> (Connection, Vec<Connection>) {
    let first = busy(daemon, "[3000, 1]");
    let waiting = bodies.iter().map(|body| queued(daemon, &ask(body)));
    (first, waiting.collect())
}

#[test]
fn c_12_first_come_first_served() {
    let daemon = daemon("batchSize: 1\n", "");
    let mut first = busy(&daemon, "[3000, 1]");
    // Each takes long enough for its answer to be well before the next one.
    let numbers = ["1", "2", "3"];
    let waiting = numbers.map(|number| {
        let path = format!("/predictions/cue?number={number}");
        queued(&daemon, &Request::post(&path, "[1500, 1]"))
    });
    assert_eq!(pending(&daemon), 3);
    assert_eq!(first.answer().status, 200);
    for mut connection in waiting {
        assert_eq!(connection.answer().status, 200);
    }
    assert_eq!((batches(&daemon), taken(&daemon)), (4, 4));
    let answered = |line: String| Some(line.split_once("cue?number=")?.1[..1].to_owned());
    for number in numbers {
        daemon.log().wait_for(&format!("cue?number={number}"));
    }
    let log = daemon.log().of(Stream::Out);
    let order: Vec<String> = log.into_iter().filter_map(answered).collect();
    assert_eq!(order, numbers);
}

#[test]
fn c_12_requests_that_wait_share_batches() {
    let daemon = daemon("batchSize: 4\nmaxBatchDelay: 600000\n", "");
    // A full batch does not wait for the delay, and nor does a lone request while nothing else runs.
    let bodies = ["[0, 1]", "[0, 2]", "[0, 3]", "[0, 4]"];
    let (mut first, waiting) = line_up(&daemon, &bodies);
    assert_eq!(first.answer().prediction(), json!([6000.0, 2.0]));
    for (mut connection, number) in waiting.into_iter().zip([1.0, 2.0, 3.0, 4.0]) {
        let answer = connection.answer().prediction();
        assert_eq!(answer, json!([0.0, 2.0 * number]));
    }
    assert_eq!((batches(&daemon), taken(&daemon)), (2, 5));
}

#[test]
fn c_12_a_batch_holds_no_more_than_its_size() {
    let daemon = daemon("batchSize: 2\nmaxBatchDelay: 0\n", "");
    let (mut first, waiting) = line_up(&daemon, &["[0, 1]", "[0, 2]", "[0, 3]"]);
    assert_eq!(first.answer().status, 200);
    for mut connection in waiting {
        assert_eq!(connection.answer().status, 200);
    }
    assert_eq!((batches(&daemon), taken(&daemon)), (3, 4));
}

#[test]
fn c_12_a_queue_has_its_bound() {
    let daemon = daemon("", "job_queue_size=2");
    let (mut first, waiting) = line_up(&daemon, &["[0, 1]", "[0, 2]"]);
    let refused = daemon.send(&ask("[0, 3]"));
    check_refused(&refused, "its queue holds 2 requests, which is its bound");
    daemon.check_serves();
    assert_eq!(first.answer().status, 200);
    for mut connection in waiting {
        assert_eq!(connection.answer().status, 200);
    }
}

#[test]
fn c_12_a_model_says_how_long_its_clients_wait() {
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
fn c_12_with_job_tickets_only_an_idle_worker_takes_a_request() {
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
fn c_12_requests_of_a_sequence_follow_each_other_until_it_ends() {
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
fn c_12_a_sequence_has_its_bounds() {
    let daemon = daemon(
        "sequenceMaxIdleMSec: 200\nmaxSequenceJobQueueSize: 1\nmaxNumSequence: 2\n",
        "",
    );
    let step = |body: &str| ask(body).header("ts_request_sequence_id", "a");
    let start = |body: &str| step(body).header("ts_request_sequence_start", "true");
    // While one of its requests is computed, one more may wait.
    let mut connection = daemon.connect();
    connection.send(&start("[3000, 1]").bytes());
    poll("a worker takes it", || batches(&daemon) == 1);
    let mut second = queued(&daemon, &step("[0, 1]"));
    let full = "sequence a has 1 requests waiting, which is its bound";
    check_refused(&daemon.send(&step("[0, 1]")), full);
    assert_eq!(connection.answer().status, 200);
    assert_eq!(second.answer().status, 200);
    // Nothing for too long: it has expired, and its place is free for another.
    thread::sleep(Duration::from_millis(500));
    for id in ["b", "c"] {
        let other = ask("[0, 1]").header("ts_request_sequence_id", id);
        let answer = daemon.send(&other.header("ts_request_sequence_start", "TRUE"));
        assert_eq!(answer.status, 200, "{id}: {}", answer.text());
    }
    let not_open = "sequence a is not open: it was never started, has ended or has expired";
    check_refused(&daemon.send(&step("[0, 1]")), not_open);
    // Marks are true only as `true`.
    let unmarked = step("[0, 1]").header("ts_request_sequence_start", "1");
    check_refused(&daemon.send(&unmarked), not_open);
}

#[test]
fn c_12_the_headers_of_sequences_can_be_renamed() {
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
