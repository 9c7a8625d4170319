//! Tensor in, tensor out: JSON, NumPy's files, raw elements, and every pair of the three.

use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};

const PATH: &str = "/predictions/double";
const NPY: &str = "application/x-npy";
const RAW: &str = "application/octet-stream";

/// A float32 file as NumPy 1 writes it.
fn npy(shape: &str, elements: &[f32]) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).expect("short");
    let head = [b"\x93NUMPY\x01\x00".as_slice(), &length.to_le_bytes()].concat();
    [head, header.into_bytes(), raw(elements)].concat()
}

fn raw(elements: &[f32]) -> Vec<u8> {
    elements.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn daemon() -> Daemon {
    Bench::new().with(&Model::double()).start()
}

fn check_json(daemon: &Daemon, body: &Value, expected: &Value) {
    let request = Request::post(PATH, body.to_string());
    for request in [request.clone(), request.content_type("application/json")] {
        assert_eq!(&daemon.send(&request).prediction(), expected, "{body}");
    }
}

#[test]
fn json_goes_in_and_comes_out() {
    let daemon = daemon();
    check_json(&daemon, &json!([1.5, -2.5]), &json!([3.0, -5.0]));
    check_json(
        &daemon,
        &json!([[1, 2], [3, 4]]),
        &json!([[2.0, 4.0], [6.0, 8.0]]),
    );
    check_json(&daemon, &json!({"data": [0.5]}), &json!([1.0]));
    check_json(&daemon, &json!({"instances": [[0.5]]}), &json!([[1.0]]));
    check_json(&daemon, &json!({"inputs": [1e30], "x": 1}), &json!([2e30]));
    let long: Vec<i32> = (0..100_000).collect();
    let doubled: Vec<f64> = long.iter().map(|x| 2.0 * f64::from(*x)).collect();
    check_json(&daemon, &json!(long), &json!(doubled));
}

/// The three forms in which the same tensor, `[[0.5, 1, 1.5]]`, can be sent.
fn forms() -> [Request; 3] {
    let elements = [0.5, 1.0, 1.5];
    [
        Request::post(PATH, "[[0.5, 1.0, 1.5]]").content_type("application/json"),
        Request::post(PATH, npy("(1, 3)", &elements)).content_type(NPY),
        Request::post(PATH, raw(&elements))
            .content_type(RAW)
            .header("X-Tensor-Shape", "1,3")
            .header("X-Tensor-Dtype", "float32"),
    ]
}

#[test]
fn every_form_is_answered_in_every_form() {
    let daemon = daemon();
    let doubled = [1.0, 2.0, 3.0];
    for request in forms() {
        let ask = |accept: &str| -> Answer {
            let answer = daemon.send(&request.clone().header("Accept", accept));
            assert_eq!(answer.status, 200, "{request:?}: {answer:?}");
            answer
        };
        assert_eq!(ask("*/*").prediction(), json!([doubled]));

        let answer = ask(NPY);
        assert_eq!(answer.header("content-type"), Some(NPY));
        assert_eq!(answer.body, npy("(1, 3, )", &doubled));

        let answer = ask(RAW);
        assert_eq!(answer.header("content-type"), Some(RAW));
        assert_eq!(answer.header("x-tensor-shape"), Some("1,3"));
        assert_eq!(answer.header("x-tensor-dtype"), Some("float32"));
        assert_eq!(answer.body, raw(&doubled));
    }
}

#[test]
fn an_npy_file_is_told_by_its_first_bytes() {
    let daemon = daemon();
    let file = npy("(2,)", &[1.0, 2.0]);
    let bare = Request::post(PATH, file.clone());
    assert_eq!(daemon.send(&bare).prediction(), json!([2.0, 4.0]));
    let field = Request::post(PATH, "").multipart(&[("data", Some("x.npy"), &file)]);
    assert_eq!(daemon.send(&field).prediction(), json!([2.0, 4.0]));
}

#[test]
fn settings_of_the_archive_shape_request_and_answer() {
    let model = Model::double().configured(
        "handler:\n  dtype: float32\n  shape: [-1, 2]\n  batched: true\n  answer_key: data\n",
    );
    let daemon = Bench::new().with(&model).start();
    let check = |body: &str, expected: Value| {
        assert_eq!(daemon.post(PATH, body.as_bytes()).prediction(), expected);
    };
    check(
        "[[1, 2], [3, 4]]",
        json!({"data": [[2.0, 4.0], [6.0, 8.0]]}),
    );
    check("[]", json!({"data": []}));
    let answer = daemon.post(PATH, b"[[1, 2, 3]]");
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.message(),
        "request part `body`: expected shape [any, 2], found [1, 3]"
    );
}
