//! Requests that cannot be answered: each is refused with one line that names what is wrong, and costs nobody else.

use std::fs;

use serde_json::json;

use crate::client::{Answer, Request};
use crate::fixtures::{Model, own, pictures};
use crate::harness::{Bench, Daemon};

fn daemon() -> Daemon {
    Bench::new()
        .config("max_request_size=100000")
        .with(&Model::double())
        .with(&Model::mlp())
        .with(&Model::substrate())
        .with(&Model::quadrat())
        .start()
}

/// Refused with that status and a line with these words in it; the daemon serves on.
#[track_caller]
fn check(daemon: &Daemon, request: &Request, status: u16, words: &[&str]) {
    let answer = daemon.send(request);
    let text = answer.text();
    assert_eq!(answer.status, status, "{words:?}: {text}");
    let message = answer.message();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
    daemon.check_serves();
}

#[test]
fn what_is_no_picture_is_refused() {
    let daemon = daemon();
    let (_, picture) = pictures(&own("substrates")).swap_remove(0);
    let half = &picture[..picture.len() / 2];
    for path in ["/predictions/substrate", "/predictions/quadrat"] {
        let post = |body: &[u8]| Request::post(path, body);
        let json = |body: &str| post(body.as_bytes()).content_type("application/json");
        check(&daemon, &post(b"hello"), 400, &["`body`", "not a picture"]);
        check(&daemon, &post(b""), 400, &["`body`", "empty"]);
        check(&daemon, &post(half), 400, &["`body`", "PNG"]);
        check(&daemon, &post(&picture[..20]), 400, &["`body`", "PNG"]);
        let text = post(b"hello!").content_type("text/plain");
        check(&daemon, &text, 400, &["`body`", "base64"]);
        check(&daemon, &json("{\"a\": 1}"), 400, &["`body`", "found JSON"]);
        check(
            &daemon,
            &json("[1, 2]"),
            400,
            &["`body`", "[channels, height, width]"],
        );
        check(
            &daemon,
            &json("[[[1], [2, 3]]]"),
            400,
            &["body[0][1]", "found 2"],
        );
        let field = Request::post(path, "").multipart(&[("image", Some("x.png"), &picture)]);
        check(&daemon, &field, 400, &["`data` or `body`", "`image`"]);
    }
}

#[test]
fn a_jpeg_that_was_cut_short_is_refused() {
    let Some(basics) = crate::fixtures::basics() else {
        return;
    };
    let daemon = daemon();
    let kitten = fs::read(basics.join("images/kitten.jpg")).expect("a picture");
    for length in [3, 200, 30_000, 90_000] {
        let request = Request::post("/predictions/substrate", &kitten[..length]);
        check(&daemon, &request, 400, &["`body`", "JPEG"]);
    }
}

/// A BMP of that many pixels, of which it has none.
fn boast(width: u32, height: u32) -> Vec<u8> {
    let mut picture = vec![0; 54];
    picture[..2].copy_from_slice(b"BM");
    for (offset, word) in [(10, 54), (14, 40), (18, width), (22, height)] {
        picture[offset..offset + 4].copy_from_slice(&u32::to_le_bytes(word));
    }
    picture[26] = 1;
    picture[28] = 24;
    picture
}

#[test]
fn a_picture_is_as_large_as_it_says_only_up_to_a_limit() {
    let daemon = daemon();
    let post = |width, height| Request::post("/predictions/substrate", boast(width, height));
    check(
        &daemon,
        &post(20_000, 20_000),
        400,
        &["`body`", "20000x20000"],
    );
    check(&daemon, &post(100, 100), 400, &["`body`", "BMP"]);
    check(&daemon, &post(0, 100), 400, &["`body`"]);
}

#[test]
fn what_is_no_tensor_is_refused() {
    let daemon = daemon();
    let post = |body: &str| Request::post("/predictions/double", body);
    let cases: [(&str, &[&str]); 12] = [
        ("", &["`body`", "empty"]),
        ("hello", &["`body`", "not JSON"]),
        ("[1, 2", &["`body`", "not JSON"]),
        ("[1] [2]", &["`body`", "not JSON"]),
        ("[]", &["`body`", "expected numbers, found none"]),
        (
            "\"text\"",
            &["body", "expected a number or a list, found text"],
        ),
        ("{\"a\": [1]}", &["body", "`data`, `instances` or `inputs`"]),
        ("[1, null]", &["body[1]", "found null"]),
        ("[1, [2]]", &["body[1]", "expected a number, found a list"]),
        (
            "[[1, 2], [3]]",
            &["body[1]", "expected a list of 2 numbers, found 1"],
        ),
        ("{\"data\": [[1, 2], 3]}", &["data[1]"]),
        ("[1e999]", &["body"]),
    ];
    for (body, words) in cases {
        check(&daemon, &post(body), 400, words);
    }
    check(
        &daemon,
        &post(&"[".repeat(50_000)),
        400,
        &["nested more than 16 deep"],
    );
    let empty_row = post("x").content_type("application/x-www-form-urlencoded");
    check(
        &daemon,
        &empty_row,
        400,
        &["`data` or `body`", "found none"],
    );
}

#[test]
fn binary_tensors_are_checked_against_their_heads() {
    let daemon = daemon();
    let raw = |shape: &str, dtype: &str, length: usize| {
        Request::post("/predictions/double", vec![0; length])
            .content_type("application/octet-stream")
            .header("x-tensor-shape", shape)
            .header("x-tensor-dtype", dtype)
    };
    check(&daemon, &raw("2,2", "float32", 15), 400, &["`body`", "15"]);
    check(
        &daemon,
        &raw("2,x", "float32", 16),
        400,
        &["x-tensor-shape", "x"],
    );
    check(
        &daemon,
        &raw("4", "float99", 16),
        400,
        &["x-tensor-dtype", "float99"],
    );
    let huge = "4294967296,4294967296";
    check(&daemon, &raw(huge, "float32", 16), 400, &["`body`"]);
    let npy = |bytes: &[u8]| {
        Request::post("/predictions/double", bytes).content_type("application/x-npy")
    };
    check(&daemon, &npy(b"hello"), 400, &["`body`"]);
    check(
        &daemon,
        &npy(b"\x93NUMPY\x01\x00\xff\xff{'descr'"),
        400,
        &["`body`"],
    );
}

/// What libtorch says of a wrong shape comes with pages of frames, of which a client sees one line.
#[test]
fn what_the_network_refuses_is_told_in_one_line() {
    let daemon = daemon();
    for body in ["[1.0, 2.0]", "1.0", "[[[[[1.0, 2.0, 3.0]]]]]"] {
        let answer = daemon.post("/predictions/mlp", body.as_bytes());
        assert!(matches!(answer.status, 400 | 503), "{}", answer.text());
        let message = answer.message();
        assert!(message.len() < 400, "{message}");
        for noise in ["frame #", "c10::", ".cpp", "Traceback", "Exception raised"] {
            assert!(!message.contains(noise), "{message}");
        }
        assert!(message.starts_with("Prediction failed: "), "{message}");
        assert!(message.len() > "Prediction failed: ".len(), "{message}");
    }
    let good = daemon.post("/predictions/mlp", b"[1.0, 2.0, 3.0, 4.0]");
    assert_eq!(good.prediction().as_array().map(Vec::len), Some(3));
}

#[test]
fn a_body_over_the_limit_is_refused_without_a_word() {
    let daemon = daemon();
    let too_large = |answer: Answer| {
        assert_eq!((answer.status, answer.text()), (413, ""));
        assert_eq!(answer.header("content-length"), Some("0"));
        assert_eq!(answer.header("connection"), Some("close"));
    };
    let large = Request::post("/predictions/double", vec![b' '; 100_001]);
    too_large(daemon.send(&large));

    let mut connection = daemon.connect();
    connection.send(&large.clone().header("Expect", "100-continue").head());
    too_large(connection.answer());

    let mut connection = daemon.connect();
    let chunked =
        Request::new("POST", "/predictions/double").header("Transfer-Encoding", "chunked");
    connection.send(&chunked.head());
    let chunk = [b"c350\r\n".as_slice(), &[b' '; 0xc350], b"\r\n"].concat();
    for _ in 0..3 {
        connection.send_as_far_as_possible(&chunk);
    }
    too_large(connection.answer());

    // Up to the limit is fine.
    let spaces = format!("{}[1.5]", " ".repeat(100_000 - 5));
    let answer = daemon.post("/predictions/double", spaces.as_bytes());
    assert_eq!(answer.prediction(), json!([3.0]));
}

#[test]
fn a_malformed_form_is_refused() {
    let daemon = daemon();
    let form = |content_type: &str, body: &str| {
        Request::post("/predictions/double", body).content_type(content_type)
    };
    let bounded = "multipart/form-data; boundary=Z";
    let opened = "--Z\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n[1, 2]";
    for (content_type, body) in [
        ("multipart/form-data", opened),
        (bounded, "no boundary in here"),
        (bounded, opened),
        (bounded, "--Z\r\nno header\r\n\r\n[1]\r\n--Z--\r\n"),
    ] {
        check(
            &daemon,
            &form(content_type, body),
            400,
            &["malformed multipart body"],
        );
    }
}

#[test]
fn what_is_no_http_gets_no_further() {
    let daemon = daemon();
    let requests: [&[u8]; 4] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /ping HTTP/9.9\r\n\r\n",
        b"POST /predictions/double HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
    ];
    for request in requests {
        let mut connection = daemon.connect();
        connection.send(request);
        let status = connection.answer_or_end();
        assert!(status.is_none_or(|status| status == 400), "{status:?}");
    }
    let long = Request::new("GET", "/ping").header("X-Long", &"x".repeat(1 << 20));
    let mut connection = daemon.connect();
    connection.send_as_far_as_possible(&long.head());
    assert!(matches!(connection.answer_or_end(), None | Some(431)));
    daemon.check_serves();
}
