//! Waiting for a worker: who is taken, who is refused and with which words, and who gives up.

use serde_json::json;

use crate::cue::{ask, busy, check_refused, daemon, queued};

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
fn a_full_queue_says_when_to_come_again() {
    let daemon = daemon("jobQueueSize: 1\n", "");
    let mut first = busy(&daemon, "[3000, 1]");
    let mut second = queued(&daemon, &ask("[0, 2]"));
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
    let mut second = queued(&daemon, &ask(&heavy));
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
