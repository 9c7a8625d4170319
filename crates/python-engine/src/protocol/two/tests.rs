use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use proptest::prelude::*;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use servable::{Image, Input, Tensor, Value};
use worker_process::wire::Frame;

use super::*;
use crate::message::requests;

/// A memory of those bytes, under those seals.
fn memory(bytes: &[u8], seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("test", flags).expect("memory"));
    file.write_all(bytes).expect("written");
    fcntl_add_seals(&file, seals).expect("sealed");
    file.into()
}

fn sealed(bytes: &[u8]) -> OwnedFd {
    memory(
        bytes,
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )
}

/// An answer with one prediction, whose value follows. As the page that lays the protocol down has it.
fn body(sizes: &[u64], value: &[u8]) -> Bytes {
    let mut out: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
    out.extend(200i32.to_be_bytes());
    out.extend(0u32.to_be_bytes());
    out.extend(1u32.to_be_bytes());
    out.extend(b"\0\0\0\x01r\0\0\0\0");
    out.extend(200i32.to_be_bytes());
    out.extend(b"\0\0\0\0\0\0\0\0");
    out.extend(value);
    out.into()
}

fn frame(body: Bytes, descriptors: Vec<OwnedFd>, flags: u16) -> Frame {
    Frame {
        kind: ANSWER,
        flags,
        number: 1,
        body,
        descriptors,
    }
}

fn decoded(value: &[u8], memories: Vec<(u64, OwnedFd)>) -> Result<Value, String> {
    let (sizes, memories): (Vec<u64>, Vec<OwnedFd>) = memories.into_iter().unzip();
    let answer = answer::decode(frame(body(&sizes, value), memories, 0))?;
    Ok(answer.predictions.into_iter().next().expect("one").value)
}

fn check(value: &[u8], expected: Result<&str, &str>) {
    let found = decoded(value, vec![]);
    let found = found.map(|value| String::from_utf8_lossy(&value.to_json_line()).into_owned());
    assert_eq!(
        found.as_deref().map_err(String::as_str),
        expected,
        "{}",
        value.escape_ascii()
    );
}

#[test]
fn values_are_read() {
    check(b"\x01\0\0\0\0\x09[1, null]", Ok("[1, null]"));
    check(
        b"\x01\0\0\0\0\x0f[1e3, {\"a\": 1}]",
        Ok("[1000.0, {\"a\": 1}]"),
    );
    check(b"\x02\0\0\0\0\x01t", Ok("\"t\""));
    check(b"\x03\0\0\0\0\x01b", Ok("\"b\""));
    check(
        b"\x04\x01\x01\0\0\0\0\0\0\0\x02\0\0\0\0\x02\x07\x08",
        Ok("[7, 8]"),
    );
    check(
        b"\x06\0\0\0\x02\x02\0\0\0\0\x01t\x06\0\0\0\0",
        Ok("[\"t\", []]"),
    );
    check(
        b"\x07\0\0\0\x01\0\0\0\x01k\x08\x7f\xf0\0\0\0\0\0\0",
        Ok("{\"k\": Infinity}"),
    );
}

#[test]
fn values_that_are_none_are_named() {
    check(b"", Err("an answer ends 0 bytes on, where 1 are needed"));
    check(
        b"\x01\0\0\0\0\x03NaN",
        Err("a JSON value is none: expected value at index 0"),
    );
    check(
        b"\x01\0\0\0\0\x0d{\"a\":1,\"a\":2}",
        Err("a JSON object has two members of one name"),
    );
    check(b"\x09", Err("a value is of the unknown kind 9"));
    check(b"\x02\x02", Err("a value is at the unknown place 2"));
    check(
        b"\x02\0\xff\xff\xff\xffx",
        Err("an answer ends 1 bytes on, where 4294967295 are needed"),
    );
    check(
        b"\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
        Err("there is no memory 0"),
    );
    check(
        b"\x02\0\0\0\0\x01t!",
        Err("1 bytes are left after an answer"),
    );
    check(b"\x04\x0a\0", Err("a tensor is of the unknown type 10"));
    check(
        b"\x04\x01\x11",
        Err("a tensor has 17 dimensions, and 16 are the most"),
    );
    let mut large = b"\x04\x01\x02".to_vec();
    large.extend([0xff; 16]);
    check(&large, Err("a tensor is larger than one may be"));
    check(
        b"\x04\x01\x01\0\0\0\0\0\0\0\x03\0\0\0\0\x02\x07\x08",
        Err("shape [3] of uint8 needs 3 bytes, found 2"),
    );
    check(
        b"\x04\0\0\0\0\0\0\x01\x02",
        Err("expected bool, found a byte other than 0 and 1"),
    );
    check(
        b"\x05\0",
        Err("a picture has the forms 0, expected 1, 2 or 3"),
    );
    check(
        b"\x05\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0",
        Err("a picture has 0 x 1 pixels"),
    );
    check(
        &[6; 5].repeat(40),
        Err("an answer has 101058054 members of a list, and 65536 are the most"),
    );
    let nested: Vec<u8> = b"\x06\0\0\0\x01".repeat(40);
    check(&nested, Err("lists and maps are nested more than 32 deep"));
    check(
        b"\x07\0\0\0\x02\0\0\0\x01k\x06\0\0\0\0\0\0\0\x01k\x06\0\0\0\0",
        Err("an object has two members of one name"),
    );
}

#[test]
fn memory_is_what_was_announced_and_can_never_change() {
    let at = |offset: u64, length: u64| {
        let mut value = b"\x03\x01\0\0".to_vec();
        value.extend(offset.to_be_bytes());
        value.extend(length.to_be_bytes());
        value
    };
    let check = |value: &[u8], memory: (u64, OwnedFd), expected: Result<&str, &str>| {
        let found = decoded(value, vec![memory]).map(Value::into_body);
        let found = found.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let found = found
            .as_deref()
            .map_err(|error| error.split(':').next().unwrap_or(error));
        assert_eq!(found, expected);
    };
    check(&at(2, 3), (6, sealed(b"abcdef")), Ok("cde"));
    check(&at(6, 0), (6, sealed(b"abcdef")), Ok(""));
    check(
        &at(2, 5),
        (6, sealed(b"abcdef")),
        Err("5 bytes from 2 do not lie within a memory of 6"),
    );
    let end = u64::MAX;
    let beyond = format!("{end} bytes from 2 do not lie within a memory of 6");
    check(&at(2, end), (6, sealed(b"abcdef")), Err(&beyond));
    check(
        &at(0, 1),
        (5, sealed(b"abcdef")),
        Err("a memory has 6 bytes, announced were 5"),
    );
    check(
        &at(0, 1),
        (0, sealed(b"")),
        Err("a memory has 0 bytes, announced were 0"),
    );
    for missing in [
        SealFlags::WRITE,
        SealFlags::SHRINK,
        SealFlags::GROW,
        SealFlags::SEAL,
    ] {
        let seals =
            (SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL) - missing;
        check(
            &at(0, 1),
            (6, memory(b"abcdef", seals)),
            Err("a memory is not sealed"),
        );
    }
    let pipe = std::io::pipe().expect("a pipe").0;
    check(
        &at(0, 1),
        (6, pipe.into()),
        Err("a descriptor is no memory"),
    );
    let memory = vec![sealed(&vec![0; 2 << 20])];
    let body = body(&[2 << 20], &at(0, 1));
    let Err(error) = answer::read(frame(body, memory, 0), 1 << 20) else {
        panic!("too large");
    };
    assert!(
        error
            .0
            .ends_with("and 1048576 are the most (max_response_size)"),
        "{}",
        error.0
    );
}

#[test]
fn a_batch_puts_large_things_into_sealed_memory() {
    let large = vec![7u8; limits::INLINE + 1];
    let inputs = [Input {
        id: "r".into(),
        ..Input::body("", Value::Bytes(large.clone().into()))
    }];
    let Encoded { body, memory } = batch(&requests(&inputs)).expect("it fits");
    assert!(body.len() < 100);
    let memory = memory.expect("large things need one");
    let seals = fcntl_get_seals(&memory).expect("seals");
    assert!(
        seals.contains(SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL),
        "{seals:?}"
    );
    assert!(
        File::from(memory.try_clone().expect("a clone"))
            .set_len(1)
            .is_err()
    );
    let mut bytes = vec![0; large.len()];
    let memory = File::from(memory);
    memory.read_exact_at(&mut bytes, 0).expect("as many bytes");
    assert!(bytes == large);
    let small = [Input::body("", Value::Bytes("small".into()))];
    let memory = batch(&requests(&small)).expect("it fits").memory;
    assert!(memory.is_none());
}

#[test]
fn what_does_not_fit_is_not_sent() {
    let check = |value: Value, expected: &str| {
        let inputs = [Input::body("", value)];
        let error = batch(&requests(&inputs)).expect_err("too much");
        assert!(matches!(error, Broken::Unsendable(_)), "{error}");
        assert_eq!(error.to_string(), expected);
    };
    let bytes = || Value::Bytes("b".into());
    let deep = (0..40).fold(bytes(), |inner, _| Value::list([inner]));
    check(deep, "lists and maps are nested more than 32 deep");
    check(
        Value::list((0..65_536).map(|_| bytes())),
        "a batch has more than 65536 values",
    );
    check(
        Value::list((0..65_537).map(|_| bytes())),
        "a batch has 65537 members of a list, and 65536 are the most",
    );
    let tensor = Tensor::new(vec![1; 17], vec![0u8]).expect("one");
    check(
        Value::Tensor(tensor),
        "a tensor has 17 dimensions, and 16 are the most",
    );
    let inputs = [Input {
        headers: vec![("k".into(), "v".repeat(17 << 20))],
        ..Input::default()
    }];
    let error = batch(&requests(&inputs)).expect_err("too much").to_string();
    assert!(error.starts_with("a batch takes 178258"), "{error}");
}

/// The table, ids and lengths before the value of a batch of one body.
fn value_of(inputs: &[Input]) -> (Vec<u8>, Option<OwnedFd>) {
    let Encoded { body, memory } = batch(&requests(inputs)).expect("it fits");
    let table = if memory.is_some() { 8 } else { 0 };
    // One request "r" without headers, one part "body" without a type.
    let before = table + 4 + 5 + 4 + 4 + 8 + 4;
    (body[before..].to_vec(), memory)
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Float),
        ".{0,8}".prop_map(Value::from),
        prop::collection::vec(any::<u8>(), 0..200_000).prop_map(|bytes| Value::Bytes(bytes.into())),
        prop::collection::vec(any::<i16>(), 0..50_000).prop_map(|numbers| Value::Tensor(
            Tensor::new(vec![numbers.len()], numbers).expect("as many")
        )),
        (1..9usize, 1..9usize).prop_map(|(height, width)| {
            let pixels = Tensor::new(vec![height, width, 3], vec![9u8; height * width * 3]);
            Value::Image(Image::from_pixels(pixels.expect("as many")).expect("a picture"))
        }),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::list),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..4).prop_map(Value::map),
        ]
    })
}

/// Types, shapes and bytes of all that is in it.
fn all_of(value: &Value) -> String {
    match value {
        Value::Bytes(bytes) => format!("bytes {}", bytes.escape_ascii()),
        Value::Float(number) => format!(
            "float {}",
            if number.is_nan() {
                u64::MAX
            } else {
                number.to_bits()
            }
        ),
        Value::Tensor(tensor) => format!(
            "{:?} {:?} {}",
            tensor.dtype(),
            tensor.shape(),
            tensor.bytes().escape_ascii()
        ),
        Value::Image(image) => format!(
            "{:?} {}",
            image.file(),
            all_of(&Value::Tensor(image.decoded().expect("pixels")))
        ),
        Value::List(items) => format!(
            "[{}]",
            items.iter().map(all_of).collect::<Vec<_>>().join(", ")
        ),
        Value::Map(items) => {
            let items = items
                .iter()
                .map(|(name, item)| format!("{name}: {}", all_of(item)));
            format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
        }
        plain @ (Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_)) => {
            format!("{plain:?}")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_value_is_read_back_as_it_was(value in values()) {
        let inputs = [Input { id: "r".into(), ..Input::body("", value.clone()) }];
        let (written, memory) = value_of(&inputs);
        let size = memory.as_ref().map(|memory| rustix::fs::fstat(memory).expect("memory").st_size as u64);
        let memories = size.into_iter().zip(memory).collect();
        let found = decoded(&written, memories).expect("as it was written");
        prop_assert!(all_of(&found) == all_of(&value));
    }

    #[test]
    fn hostile_bodies_are_an_answer_or_an_error(value in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decoded(&value, vec![]);
        let _ = answer::read(frame(value.into(), vec![], 0), 1 << 20);
    }

    #[test]
    fn a_value_with_a_byte_changed_is_a_value_or_an_error(value in values(), at in any::<usize>(), byte in any::<u8>()) {
        let inputs = [Input { id: "r".into(), ..Input::body("", value) }];
        let (mut written, memory) = value_of(&inputs);
        let at = at % written.len().min(64);
        written[at] = byte;
        let size = memory.as_ref().map(|memory| rustix::fs::fstat(memory).expect("memory").st_size as u64);
        let memories = size.into_iter().zip(memory).collect();
        let _ = decoded(&written, memories);
    }
}

#[test]
fn an_answer_that_cannot_be_read_fails_its_batch_alone() {
    let found = answer::read(frame(body(&[], b"\x09"), vec![], MORE), 1 << 20)
        .ok()
        .expect("small");
    let message = "the model's answer cannot be read: a value is of the unknown kind 9";
    assert_eq!(
        (found.code, found.message.as_str(), found.more),
        (503, message, true)
    );
}
