use proptest::prelude::*;
use servable::{Input, Tensor};

use super::*;
use crate::message::requests;

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as i32).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Id, status, headers and body.
type Record<'r> = (&'r str, i32, &'r [(&'r str, &'r str)], &'r str);

/// An answer as a worker writes it, from the page that lays the protocol down.
fn answer(code: i32, message: &str, records: &[Record<'_>]) -> Vec<u8> {
    let mut out = code.to_be_bytes().to_vec();
    text(&mut out, message);
    for (id, status, headers, body) in records {
        text(&mut out, id);
        text(&mut out, "a/b");
        out.extend_from_slice(&status.to_be_bytes());
        text(&mut out, "phrase");
        out.extend_from_slice(&(headers.len() as i32).to_be_bytes());
        for (name, value) in *headers {
            text(&mut out, name);
            text(&mut out, value);
        }
        text(&mut out, body);
    }
    out.extend_from_slice(&(-1i32).to_be_bytes());
    out
}

fn shown(answer: &Answer) -> String {
    let mut out = format!("{} {} {}", answer.code, answer.message, answer.more);
    for record in &answer.predictions {
        let Value::Bytes(body) = &record.value else {
            panic!("{record:?}");
        };
        out += &format!(
            " [{} {} {} {} {:?} {}]",
            record.id,
            record.content_type,
            record.status,
            record.phrase,
            record.headers,
            body.escape_ascii()
        );
    }
    out
}

fn check(bytes: &[u8], most: usize, expected: &str) {
    let found = match decode(&mut &*bytes, most) {
        Ok(answer) => shown(&answer),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected);
}

#[test]
fn answers_are_read() {
    check(&answer(200, "ok", &[]), 100, "200 ok false");
    let two = answer(
        200,
        "ok",
        &[
            ("a", 200, &[("k", "v")], "1"),
            ("b", -4, &[("ts_stream_next", "true")], ""),
        ],
    );
    check(
        &two,
        1000,
        r#"200 ok true [a a/b 200 phrase [("k", "v")] 1] [b a/b -4 phrase [("ts_stream_next", "true")] ]"#,
    );
}

#[test]
fn what_is_no_answer_is_refused_before_anything_is_reserved_for_it() {
    let whole = answer(200, "ok", &[("a", 200, &[], "12345")]);
    let closed = "it closed its connection";
    for cut in 0..whole.len() {
        check(&whole[..cut], 1000, closed);
    }
    let too_large = "it broke the protocol: an answer has more than 40 bytes (max_response_size)";
    check(&whole, 40, too_large);
    let mut lengths = 200i32.to_be_bytes().to_vec();
    lengths.extend_from_slice(&i32::MAX.to_be_bytes());
    check(
        &lengths,
        1000,
        "it broke the protocol: an answer has more than 1000 bytes (max_response_size)",
    );
    let mut below = 200i32.to_be_bytes().to_vec();
    below.extend_from_slice(&(-2i32).to_be_bytes());
    check(
        &below,
        1000,
        "it broke the protocol: a length is -2, expected none below 0",
    );
    // No end of empty records.
    let mut empty = 200i32.to_be_bytes().to_vec();
    empty.resize(1 << 20, 0);
    check(
        &empty,
        1 << 30,
        "it broke the protocol: an answer has more than 4096 records",
    );
}

#[test]
fn messages_are_as_torchserve_writes_them() {
    let load = Load {
        model: "m",
        folder: "/f",
        batch_size: 4,
        handler: "h.py",
        gpu: None,
        envelope: "",
        limit_pixels: true,
    };
    let expected = b"L\0\0\0\x01m\0\0\0\x02/f\0\0\0\x04\0\0\0\x04h.py\xff\xff\xff\xff\0\0\0\0\x01";
    assert_eq!(encode_load(&load).expect("short"), expected);
    let inputs = [Input {
        id: "r".into(),
        headers: vec![("k".into(), "v".into())],
        ..Input::body("t/x", Value::Bytes("b".into()))
    }];
    let mut message = Vec::new();
    put_request(&mut message, &requests(&inputs)[0]).expect("short");
    let expected = b"\0\0\0\x01r\0\0\0\x01k\0\0\0\x01v\xff\xff\xff\xff\0\0\0\x04body\0\0\0\x03t/x\0\0\0\x01b\xff\xff\xff\xff";
    assert_eq!(message, expected);
}

/// As what a value travels.
fn check_body(content_type: &str, value: Value, expected: (&str, &str)) {
    let (spoken, bytes) = body(content_type, &value);
    assert_eq!((spoken, &bytes[..]), (expected.0, expected.1.as_bytes()));
}

#[test]
fn values_travel_as_bytes() {
    check_body("image/png", Value::Bytes("p".into()), ("image/png", "p"));
    check_body("", Value::Bytes("p".into()), ("", "p"));
    check_body("", Value::from("t"), ("text/plain", "t"));
    check_body("", Value::Int(1), ("application/json", "1"));
    let tensor = Tensor::new(vec![2], vec![1u8, 2]).expect("two");
    check_body("", Value::Tensor(tensor), ("application/json", "[1, 2]"));
}

proptest! {
    #[test]
    fn hostile_bytes_are_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&mut &bytes[..], 1 << 20);
    }

    #[test]
    fn an_answer_with_a_byte_changed_is_an_answer_or_an_error(at in 0..120usize, byte in any::<u8>()) {
        let mut bytes = answer(200, "ok", &[("a", 200, &[("k", "v")], "12345"), ("b", 200, &[], "678")]);
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = decode(&mut &bytes[..], 1 << 20);
    }
}
