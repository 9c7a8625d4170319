//! Answers that come in parts, over sockets and from real networks.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::client::{Request, tcp};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};

fn daemon() -> Daemon {
    let bench = Bench::new();
    let config = "handler: {batched: true, dtype: float32, stream_rows: 1}\n";
    let cue = Model {
        config: Some(config.to_owned()),
        ..Model::cue(&bench)
    };
    bench.with(&cue).start()
}

/// Sends numbers and asks for events; what comes is read until the daemon closes.
fn ask(daemon: &Daemon, body: &str) -> TcpStream {
    let mut stream = tcp(daemon.address);
    let length = body.len();
    let head = format!(
        "POST /predictions/cue HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nConnection: close\r\nContent-Type: \
         application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("the daemon reads");
    stream.write_all(body.as_bytes()).expect("the daemon reads");
    stream
}

fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    text
}

#[test]
fn rows_come_as_events_and_a_failure_is_the_last_of_them() {
    let daemon = daemon();
    let answer = rest(ask(&daemon, "[[0, 1], [0, 2], [0, 3]]"));
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let data: Vec<&str> = body
        .lines()
        .filter(|line| line.starts_with("data: "))
        .collect();
    assert_eq!(
        data,
        ["data: [0.0, 2.0]", "data: [0.0, 4.0]", "data: [0.0, 6.0]"]
    );
    assert!(
        body.ends_with("0\r\n\r\n"),
        "the last chunk ends it: {body}"
    );
    let answer = rest(ask(&daemon, "[[0, 1], [-1, 2], [0, 3], [0, 4]]"));
    assert!(
        answer.contains("event: error") && answer.contains("as the cue says"),
        "{answer}"
    );
}

#[test]
fn a_client_that_leaves_stops_the_rest_of_its_rows() {
    let daemon = daemon();
    // Together they would take minutes.
    let rows = vec!["[2000, 1]"; 500].join(", ");
    let mut stream = ask(&daemon, &format!("[[0, 1], [0, 2], {rows}]"));
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("data: [0.0, 2.0]") {
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).expect("an event");
        assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..count]);
    }
    drop(stream);
    let request = Request::post("/predictions/cue", "[[0, 7]]").content_type("application/json");
    let answer = daemon.send(&request);
    assert_eq!(answer.prediction(), serde_json::json!([[0.0, 14.0]]));
    let statistics = daemon.get("/v2/models/cue/stats").json();
    let of_cue = &statistics["model_stats"][0]["inference_stats"];
    // The one that left was never answered.
    assert_eq!(of_cue["success"]["count"], 1);
}
