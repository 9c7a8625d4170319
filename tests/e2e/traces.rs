//! Traces of requests: a small collector takes them and decodes as much as a test looks at.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use crate::client::Request;
use crate::harness::Stream;
use crate::logs::{bench, start, stop};

/// A collector: says where it is, and hands out the bodies that are posted to it.
fn collector() -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (sender, bodies) = sync_channel(64);
    // Ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            while let Some(body) = next_body(&mut reader) {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                if reader.get_mut().write_all(answer).is_err() || sender.send(body).is_err() {
                    break;
                }
            }
        }
    });
    (format!("http://{address}"), bodies)
}

fn next_body(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

/// Fields of a protobuf message that are bytes, by number: enough to walk down to a span.
fn parts(message: &[u8], number: u64) -> Vec<&[u8]> {
    fn varint(message: &[u8], at: &mut usize) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = message[*at];
            *at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    let mut at = 0;
    while at < message.len() {
        let tag = varint(message, &mut at);
        match tag & 7 {
            0 => drop(varint(message, &mut at)),
            1 => at += 8,
            2 => {
                let length = usize::try_from(varint(message, &mut at)).expect("short");
                if tag >> 3 == number {
                    found.push(&message[at..at + length]);
                }
                at += length;
            }
            5 => at += 4,
            kind => panic!("wire type {kind}"),
        }
    }
    found
}

/// What a test looks for in a span; ids in hexadecimal.
#[derive(Debug)]
struct Span {
    name: String,
    trace: String,
    id: String,
    parent: String,
    attributes: BTreeSet<String>,
}

/// The spans in a body that was exported.
fn spans(body: &[u8]) -> Vec<Span> {
    let one = |message: &[u8], number| -> Vec<u8> {
        let parts = parts(message, number);
        parts.first().copied().unwrap_or_default().to_owned()
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("a text");
    let hex = |bytes: Vec<u8>| -> String {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect()
    };
    let resources = parts(body, 1).into_iter();
    let scopes = resources.flat_map(|resource| parts(resource, 2));
    scopes
        .flat_map(|scope| parts(scope, 2))
        .map(|span| Span {
            trace: hex(one(span, 1)),
            id: hex(one(span, 2)),
            parent: hex(one(span, 4)),
            name: text(one(span, 5)),
            attributes: parts(span, 9)
                .into_iter()
                .map(|attribute| text(one(attribute, 1)))
                .collect(),
        })
        .collect()
}

#[test]
fn traces_of_requests_reach_a_collector() {
    let (endpoint, bodies) = collector();
    let mut daemon = bench(&format!("otlp_endpoint={endpoint}")).start();
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let request = Request::post("/predictions/double", "[1.5]")
        .header("traceparent", &format!("00-{trace}-{parent}-01"));
    assert_eq!(daemon.send(&request).status, 200);
    assert_eq!(daemon.get("/ping").status, 200);
    // What is left is sent at the end.
    stop(&mut daemon);
    let spans: Vec<Span> = bodies.try_iter().flat_map(|body| spans(&body)).collect();
    let of = |name: &str| {
        let found = spans.iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("no {name}: {spans:#?}"))
    };
    let request = of("POST /predictions/{model}");
    assert_eq!((&*request.trace, &*request.parent), (trace, parent));
    for name in [
        "id",
        "http.request.method",
        "http.route",
        "url.path",
        "http.response.status_code",
    ] {
        assert!(request.attributes.contains(name), "{name}: {request:?}");
    }
    for name in ["queue", "inference"] {
        let part = of(name);
        assert_eq!((&*part.trace, &part.parent), (trace, &request.id), "{name}");
    }
    let ping = of("GET /ping");
    assert!(ping.trace.len() == 32 && ping.trace != trace, "{ping:?}");
    assert_eq!(ping.parent, "");
    assert_eq!(spans.len(), 4, "{spans:#?}");
}

#[test]
fn a_collector_that_is_not_there_costs_a_warning() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.local_addr().expect("bound")
    };
    let bench = bench(&format!("otlp_endpoint=http://{nobody}"));
    let mut daemon = start(bench, &[("OTEL_BSP_SCHEDULE_DELAY", Path::new("20"))]);
    for _ in 0..20 {
        daemon.check_serves();
    }
    let text = format!("otlp_endpoint: http://{nobody}/v1/traces takes no traces: ");
    daemon.log().wait_for(&text);
    daemon.check_serves();
    stop(&mut daemon);
    let out = daemon.log().of(Stream::Out);
    assert_eq!(
        out.iter().filter(|line| line.contains(&text)).count(),
        1,
        "{out:#?}"
    );
}
