//! Being told to stop: requests inside are answered, nobody new comes in, nothing stays on the disk.

use std::io::{BufRead, BufReader, ErrorKind};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::client::{Connection, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon, files_below};

fn daemon(config: &str) -> Daemon {
    Bench::new().config(config).with(&Model::double()).start()
}

/// A connection whose request the daemon has begun to read, and the rest of the request's body.
fn request_inside(daemon: &Daemon) -> (Connection, &'static [u8]) {
    let body = b"[1.5, 2.5]";
    let request = Request::post("/predictions/double", body).header("Expect", "100-continue");
    let mut connection = daemon.connect();
    connection.send(&request.head());
    // It asks for the body once an endpoint reads it.
    assert_eq!(connection.answer().status, 100);
    connection.send(&body[..4]);
    (connection, &body[4..])
}

/// Polls until nobody listens on the port any more.
fn wait_until_refused(daemon: &Daemon) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match TcpStream::connect(daemon.address) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return,
            // It stopped listening between the two halves of a connection.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => panic!("{error}"),
            Ok(_) => assert!(Instant::now() < deadline, "still accepts"),
        }
        std::thread::yield_now();
    }
}

fn check_stops_gracefully(signal: Signal) {
    let mut daemon = daemon("");
    let unpacked = files_below(&daemon.bench.path("tmp"));
    let is_model = |path: &PathBuf| path.extension().is_some_and(|end| end == "pt");
    assert!(unpacked.iter().any(is_model), "{unpacked:?}");
    assert!(daemon.bench.path("tmp/.model_server.pid").exists());
    let mut idle = daemon.connect();
    assert_eq!(idle.request(&Request::new("GET", "/ping")).status, 200);
    let (mut connection, rest) = request_inside(&daemon);

    daemon.process.signal(signal);
    daemon.log().wait_for("stopping: ");
    wait_until_refused(&daemon);
    idle.expect_end();

    connection.send(rest);
    let answer = connection.answer();
    assert_eq!(answer.prediction(), json!([3.0, 5.0]));
    let last = answer.header("connection").expect("always sent");
    assert!(last.ends_with("close"), "{last}");
    connection.expect_end();
    let status = daemon.process.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    daemon.log().wait_for("stopped");
    let left = files_below(&daemon.bench.path("tmp"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn with_a_drain_delay_everything_goes_on_while_ready_says_no() {
    let daemon = daemon("drain_delay=60");
    daemon.wait_for_ok("/ready");
    assert_eq!(daemon.get("/ready/double").status, 200);
    assert_eq!(daemon.get("/ready/double/1.0").status, 200);
    let unknown = daemon.get("/ready/triple");
    assert_eq!(
        (unknown.status, unknown.message()),
        (404, "Model not found: triple".into())
    );
    daemon.process.signal(Signal::TERM);
    daemon
        .log()
        .wait_for("not ready any more; serving on for 60 s");
    let answer = daemon.get("/ready");
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json(), json!({"ready": false, "stopping": true}));
    assert_eq!(daemon.get("/ready/double").status, 503);
    assert_eq!(daemon.get("/live").status, 200);
    daemon.check_serves();
}

#[test]
fn a_request_inside_is_answered_before_the_end() {
    check_stops_gracefully(Signal::TERM);
}

#[test]
fn an_interrupt_is_as_good() {
    check_stops_gracefully(Signal::INT);
}

#[test]
fn a_request_that_never_ends_is_given_up_after_the_grace_period() {
    let mut daemon = daemon("grace_period=1");
    let (mut connection, _) = request_inside(&daemon);
    let start = Instant::now();
    daemon.process.signal(Signal::TERM);
    let status = daemon.process.wait();
    assert_eq!(status.code(), Some(0), "{status}");
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(900), "{took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    let line = daemon.log().wait_for("still open");
    assert!(line.contains("1 connections"), "{line}");
    connection.expect_end();
    let left = files_below(&daemon.bench.path("tmp"));
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut daemon = daemon("grace_period=600");
    let (_connection, _) = request_inside(&daemon);
    daemon.process.signal(Signal::TERM);
    daemon.log().wait_for("stopping: ");
    daemon.process.signal(Signal::TERM);
    let status = daemon.process.wait();
    assert_eq!(status.code(), Some(130), "{status}");
}

#[test]
fn a_daemon_whose_output_nobody_reads_serves_and_stops() {
    let bench = Bench::new().with(&Model::double());
    let mut command = bench.command(&[
        "--start",
        "--foreground",
        "--ts-config",
        "config.properties",
        "--model-store",
        "store",
        "--models",
        "all",
    ]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut daemon = command.spawn().expect("the daemon");
    let mut address = None;
    let output = BufReader::new(daemon.stdout.take().expect("piped"));
    for line in output.lines().map_while(Result::ok) {
        if let Some((_, rest)) = line.split_once(" inference_address: listening on http://") {
            address = rest.trim().parse().ok();
        }
        if line == "Model server started." {
            break;
        }
    }
    // The reader of its output is gone with the loop; the one of its errors goes now.
    drop(daemon.stderr.take());
    let mut connection = Connection::open(address.expect("the daemon says where it listens"));
    for _ in 0..3 {
        let answer = connection.request(&Request::new("GET", "/ping"));
        assert_eq!(answer.status, 200);
    }
    let pid = Pid::from_child(&daemon);
    kill_process(pid, Signal::TERM).expect("it lives");
    let status = daemon.wait().expect("a child");
    assert_eq!(status.code(), Some(0), "{status}");
}
