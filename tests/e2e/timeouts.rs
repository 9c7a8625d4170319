//! Clients that stall or vanish: each costs a bounded time and nothing else.

use std::time::{Duration, Instant};

use crate::client::Request;
use crate::fixtures::{Model, own, pictures};
use crate::harness::Bench;

/// The timeouts here are one second; a busy machine may be late, but not early.
fn check_took_a_second(start: Instant) {
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(900), "{took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn a_body_that_stalls_is_answered_with_408() {
    let daemon = Bench::new()
        .config("body_timeout=1")
        .with(&Model::double())
        .start();
    let request = Request::post("/predictions/double", "[1.5, 2.5]");
    let mut connection = daemon.connect();
    let start = Instant::now();
    connection.send(&request.head());
    connection.send(b"[1.5,");
    let answer = connection.answer();
    check_took_a_second(start);
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (408, "Request Timeout")
    );
    assert_eq!(answer.json()["type"], "RequestTimeoutException");
    assert!(answer.message().contains("body"), "{}", answer.message());
    connection.expect_end();
    daemon.check_serves();
}

#[test]
fn a_head_that_stalls_ends_its_connection() {
    let daemon = Bench::new()
        .config("header_timeout=1")
        .with(&Model::double())
        .start();
    let mut fresh = daemon.connect();
    let mut used = daemon.connect();
    let mut quiet = daemon.connect();
    let ping = Request::new("GET", "/ping");
    assert_eq!(used.request(&ping).status, 200);
    assert_eq!(quiet.request(&ping).status, 200);
    let start = Instant::now();
    fresh.send(b"GET /ping HTTP/1.1\r\nHos");
    used.send(b"G");
    for connection in [&mut fresh, &mut used] {
        let status = connection.answer_or_end();
        assert!(matches!(status, None | Some(408)), "{status:?}");
        check_took_a_second(start);
    }
    // Between two requests another bound holds.
    assert_eq!(quiet.request(&ping).status, 200);
    daemon.check_serves();
}

#[test]
fn a_connection_that_idles_is_closed() {
    let daemon = Bench::new()
        .config("idle_timeout=1")
        .with(&Model::double())
        .start();
    let start = Instant::now();
    let mut fresh = daemon.connect();
    let mut used = daemon.connect();
    assert_eq!(used.request(&Request::new("GET", "/ping")).status, 200);
    for connection in [&mut fresh, &mut used] {
        connection.expect_end();
        check_took_a_second(start);
    }
    daemon.check_serves();
}

#[test]
fn clients_that_hang_up_leave_nothing_behind() {
    let daemon = Bench::new()
        .config("max_connections=16")
        .with(&Model::double())
        .with(&Model::quadrat())
        .start();
    let (_, picture) = pictures(&own("quadrats")).swap_remove(0);
    let request = Request::post("/predictions/quadrat", picture);
    let bytes = request.bytes();
    // More of each kind than there may be connections, so that a place that is kept shows.
    for _ in 0..20 {
        daemon.connect();
        daemon.connect().send(b"POST /predictions/qua");
        daemon.connect().send(&bytes[..bytes.len() / 2]);
        daemon.connect().send(&bytes);
    }
    let answer = daemon.send(&request).prediction();
    assert!(answer["cover"].is_array(), "{answer}");
    daemon.check_serves();
}

#[test]
fn more_connections_than_allowed_wait_for_their_turn() {
    let daemon = Bench::new()
        .config("max_connections=2")
        .with(&Model::double())
        .start();
    let held = [daemon.connect(), daemon.connect()];
    let mut waiting = daemon.connect();
    waiting.send(&Request::new("GET", "/ping").bytes());
    drop(held);
    assert_eq!(waiting.answer().status, 200);
}
