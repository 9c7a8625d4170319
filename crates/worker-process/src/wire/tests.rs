use servable::DType;

use super::*;

#[test]
fn heads_are_read_back() {
    let head = Head {
        kind: b'A',
        body: 1 << 20,
        descriptors: 3,
        flags: 1,
        number: 77,
    };
    assert_eq!(head.to_bytes(), *b"TR2A\0\x10\0\0\0\x03\0\x01\0\0\0\x4d");
    assert_eq!(Head::read(head.to_bytes()).expect("whole"), head);
    let check = |change: fn(&mut Head), magic: u8, expected: &str| {
        let mut head = head;
        change(&mut head);
        let mut bytes = head.to_bytes();
        bytes[0] = magic;
        let error = Head::read(bytes).expect_err("wrong").to_string();
        assert_eq!(error, format!("it broke the protocol: {expected}"));
    };
    check(|_| (), b'X', r#"a frame begins with "XR2""#);
    check(
        |head| head.body = (16 << 20) + 1,
        b'T',
        "a frame of 16777217 bytes and 3 descriptors is larger than one may be",
    );
    check(
        |head| head.descriptors = 65,
        b'T',
        "a frame of 1048576 bytes and 65 descriptors is larger than one may be",
    );
}

#[test]
fn types_have_the_numbers_that_workers_know() {
    let names = [
        "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32",
        "float64",
    ];
    assert_eq!(TYPES.map(DType::name), names);
}
