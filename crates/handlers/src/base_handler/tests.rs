use std::sync::Arc;

use bytes::Bytes;
use servable::{
    BatchError, Copied, DType, Input, PartSink, Parts, Reason, Rope, Tensor, Unwanted, Value,
};

use crate::testing::{
    ONE, batch_as_alone, body, handler, json_input, on_tensor, predict, refusal, tensor,
};

/// Sends JSON bodies as one batch through a network that gives its argument back.
fn check(settings: &str, bodies: &[&str], expected: &[&str]) {
    let inputs: Vec<_> = bodies.iter().map(|body| json_input(body)).collect();
    let mut network = on_tensor(|batch| batch.clone().into());
    let answers = batch_as_alone(
        &mut *handler("base_handler", settings),
        &mut network,
        &inputs,
    );
    assert_eq!(answers, expected);
}

#[test]
fn a_request_is_a_row() {
    check(
        "{}",
        &["[1.5, 2]", "{\"data\": [3, 4.0]}", "[1, 2, 3]", "7"],
        &["[1.5, 2.0]", "[3.0, 4.0]", "[1, 2, 3]", "7"],
    );
    check(
        "{}",
        &[
            "[[true], [false]]",
            "{\"id\": \"x\", \"instances\": [1]}",
            "{\"inputs\": [1]}",
        ],
        &["[[true], [false]]", "[1]", "[1]"],
    );
}

#[test]
fn a_batched_request_is_its_own_batch() {
    check(
        "batched: true",
        &["[[1, 2], [3, 4]]", "[[5, 6]]", "[]", "{\"data\": []}"],
        &["[[1, 2], [3, 4]]", "[[5, 6]]", "[]", "[]"],
    );
    check(
        "{batched: true, answer_key: data, shape: [-1, 2]}",
        &["[[1, 2]]", "[]", "[[1]]"],
        &[
            "{\n  \"data\": [[1, 2]]\n}",
            "{\n  \"data\": []\n}",
            "request part `body`: expected shape [any, 2], found [1, 1]",
        ],
    );
    check(
        "batched: true",
        &["3"],
        &["request part `body`: expected a list of rows, found a single number"],
    );
}

#[test]
fn batches_of_several_requests_are_joined() {
    let calls = |settings: &str| {
        let mut shapes = Vec::new();
        let mut network = on_tensor(|batch| {
            shapes.push(batch.shape().to_vec());
            batch.clone().into()
        });
        let inputs = [json_input("[[1], [2]]"), json_input("[[3]]")];
        predict(
            &mut *handler("base_handler", settings),
            &mut network,
            &inputs,
        );
        drop(network);
        shapes
    };
    assert_eq!(calls("batched: true"), [[3, 1]]);
    assert_eq!(calls("{}"), [[1, 2, 1], [1, 1, 1]]);
}

#[test]
fn the_settings_choose_the_type() {
    check(
        "dtype: float32",
        &["[1, 2]", "[0.5, 1]"],
        &["[1.0, 2.0]", "[0.5, 1.0]"],
    );
    check("dtype: int64", &["[1, 2.0]"], &["[1, 2]"]);
    check(
        "dtype: int64",
        &["[1, 2.5]"],
        &["body[1]: expected an integer, found 2.5"],
    );
    check(
        "dtype: uint8",
        &["[255]", "[256]"],
        &["[255]", "body: expected uint8, found 256"],
    );
    check("dtype: bool", &["[1, true]"], &["[true, true]"]);
    check("dtype: float64", &["[0.1, 1]"], &["[0.1, 1.0]"]);
    check("dtype: float16", &["[0.5]"], &["[0.5]"]);
}

#[test]
fn what_is_no_tensor_is_the_clients_fault() {
    check(
        "shape: [2]",
        &[
            "[1, 2, 3]",
            "{\"x\": 1}",
            "[1,",
            "[]",
            "\"text\"",
            "{\"data\": [null, 1]}",
        ],
        &[
            "request part `body`: expected shape [2], found [3]",
            "body: expected a list of numbers or an object with `data`, `instances` or `inputs`",
            "request part `body` is not JSON: EOF while parsing a value at line 1 column 3",
            "request part `body`: expected shape [2], found [0]",
            "body: expected a number or a list, found text",
            "data[0]: expected a number or a list, found null",
        ],
    );
    check(
        "{}",
        &["[]"],
        &["request part `body`: expected numbers, found none (shape [0])"],
    );
    let mut network = on_tensor(|batch| batch.clone().into());
    let inputs = [Input::default(), Input::body("", Bytes::new())];
    let answers = predict(&mut *handler("base_handler", "{}"), &mut network, &inputs);
    assert_eq!(
        answers.into_iter().map(body).collect::<Vec<_>>(),
        [
            "expected a request part `data` or `body`, found none",
            "request part `body` is empty",
        ]
    );
}

#[test]
fn an_empty_form_is_told_how_to_be_json() {
    let check = |content_type: &str, expected: &str| {
        let input = Input {
            headers: vec![("Content-Type".into(), content_type.into())],
            ..Input::default()
        };
        let mut network = on_tensor(|batch| batch.clone().into());
        let answer = predict(&mut *handler("base_handler", "{}"), &mut network, &[input]).remove(0);
        assert_eq!(body(answer), expected);
    };
    let hinted = "expected a request part `data` or `body`, found none (a form without fields was sent: with curl, send a \
                  file with -T FILE or -F data=@FILE, and JSON with -H 'Content-Type: application/json')";
    check("application/x-www-form-urlencoded", hinted);
    check("Application/X-WWW-Form-Urlencoded; charset=utf-8", hinted);
    check("multipart/form-data; boundary=x", hinted);
    check(
        "application/json",
        "expected a request part `data` or `body`, found none",
    );
}

#[test]
fn integers_that_a_network_cannot_take_are_named() {
    let check = |settings: &str, sent: &str, raised: &str, hinted: bool| {
        let mut network =
            |_: &[Value], _| -> Result<Value, _> { Err(BatchError::new(Reason::Failed, raised)) };
        let error = handler("base_handler", settings)
            .predict(&mut network, &[json_input(sent)], ONE)
            .expect_err("the network fails");
        let hint = " (integers were sent; send 1.0 rather than 1, \
                    or set `dtype: float32` in the handler section)";
        let expected = format!("{raised}{}", if hinted { hint } else { "" });
        assert_eq!(error.message, expected, "{settings} {sent}");
    };
    let mismatch = "mat1 and mat2 must have the same dtype, but got Long and Float";
    check("{}", "[1, 2]", mismatch, true);
    check(
        "{}",
        "[1]",
        "expected scalar type Float but found Long",
        true,
    );
    check(
        "{}",
        "[1]",
        "Input type (long int) and bias type (float) should be the same",
        true,
    );
    check("{}", "[1.0, 2]", mismatch, false);
    check("dtype: int64", "[1, 2]", mismatch, false);
    check(
        "{}",
        "[1]",
        "mat1 and mat2 shapes cannot be multiplied",
        false,
    );
}

/// Sends a value as another model of a workflow does.
fn check_value(settings: &str, value: impl Into<Value>, expected: &str) {
    let mut network = on_tensor(|batch| batch.clone().into());
    let inputs = [Input::body("", value)];
    let answer = predict(
        &mut *handler("base_handler", settings),
        &mut network,
        &inputs,
    )
    .remove(0);
    assert_eq!(body(answer), expected);
}

#[test]
fn values_of_a_workflow_need_no_text() {
    let row = || Value::from(tensor(&[2], &[1f32, 2.]));
    check_value("{}", row(), "[1.0, 2.0]");
    check_value("dtype: int64", row(), "[1, 2]");
    check_value("dtype: float32", tensor(&[2], &[1u8, 2]), "[1.0, 2.0]");
    check_value(
        "{}",
        Value::list([row(), row()]),
        "[[1.0, 2.0], [1.0, 2.0]]",
    );
    check_value(
        "{}",
        Value::map([("data", Value::list([Value::Int(1), Value::Float(0.5)]))]),
        "[1.0, 0.5]",
    );
    check_value(
        "{}",
        Value::list([row(), tensor(&[1], &[1f32]).into()]),
        "body[1]: expected float32[2], found float32[1]",
    );
    check_value(
        "{}",
        Value::list([Value::Null]),
        "body[0]: expected a number or a list, found null",
    );
    check_value("{}", "[3]", "[3]");
}

fn binary(content_type: &str, headers: &[(&str, &str)], bytes: impl Into<Bytes>) -> Input {
    Input {
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        ..Input::body(content_type, bytes.into())
    }
}

#[test]
fn raw_tensors_come_and_go_with_headers() {
    let bytes: Vec<u8> = [1f32, 2., 3., 4.]
        .iter()
        .flat_map(|n| n.to_le_bytes())
        .collect();
    let check = |settings: &str, headers: &[(&str, &str)], expected: &str| {
        let mut network = on_tensor(|batch| batch.clone().into());
        let input = binary("application/octet-stream", headers, bytes.clone());
        let answer = predict(
            &mut *handler("base_handler", settings),
            &mut network,
            &[input],
        )
        .remove(0);
        assert_eq!(body(answer), expected);
    };
    check(
        "{}",
        &[("X-Tensor-Shape", "2,2"), ("X-Tensor-Dtype", "float32")],
        "[[1.0, 2.0], [3.0, 4.0]]",
    );
    check(
        "{dtype: float32, shape: [-1, 2]}",
        &[],
        "[[1.0, 2.0], [3.0, 4.0]]",
    );
    check(
        "{dtype: float32, shape: [4]}",
        &[("x-tensor-shape", "[2, -1]")],
        "request part `body`: expected shape [4], found [2, 2]",
    );
    check(
        "{}",
        &[("x-tensor-shape", "3"), ("x-tensor-dtype", "float32")],
        "request part `body`: shape [3] of float32 needs 12 bytes, found 16",
    );
    check(
        "{}",
        &[("x-tensor-shape", "2"), ("x-tensor-dtype", "float")],
        "request part `body`: header `x-tensor-dtype`: unknown type `float`",
    );
    check(
        "{dtype: float32, shape: [-1, -1]}",
        &[],
        "request part `body`: the settings leave 2 sides free: send the header x-tensor-shape",
    );
    check(
        "{}",
        &[],
        "request part `body` is neither .npy nor JSON; for a raw tensor send the headers x-tensor-shape and x-tensor-dtype",
    );

    let mut network = on_tensor(|batch| batch.clone().into());
    let headers = [
        ("x-tensor-shape", "2,2"),
        ("x-tensor-dtype", "float32"),
        ("Accept", "application/octet-stream"),
    ];
    let input = binary("application/octet-stream", &headers, bytes.clone());
    let output = predict(&mut *handler("base_handler", "{}"), &mut network, &[input])
        .remove(0)
        .expect("an answer");
    assert_eq!(
        output.headers,
        [
            ("x-tensor-shape".into(), "2,2".into()),
            ("x-tensor-dtype".into(), "float32".to_string())
        ]
    );
    assert_eq!(output.value.into_body(), bytes);
}

#[test]
fn npy_comes_and_goes() {
    let sent = super::binary::write_npy(&tensor(&[2, 1], &[1i64, -2]));
    let input = binary(
        "application/x-npy",
        &[("accept", "application/x-npy;q=1, */*")],
        sent.clone(),
    );
    let mut network = on_tensor(|batch| batch.clone().into());
    let answer = predict(&mut *handler("base_handler", "{}"), &mut network, &[input]).remove(0);
    let output = answer.expect("an answer");
    assert_eq!(output.content_type.as_deref(), Some("application/x-npy"));
    assert_eq!(output.value.into_body(), sent);

    let several = |batch: &Tensor| Value::list([batch.clone().into()]);
    let input = binary("", &[("accept", "application/x-npy")], sent);
    let answer = predict(
        &mut *handler("base_handler", "{}"),
        &mut on_tensor(several),
        &[input],
    )
    .remove(0);
    assert_eq!(
        body(answer),
        "header `Accept`: this model answers with several tensors (list), which application/x-npy cannot hold"
    );
}

#[test]
fn settings_are_checked_when_the_model_is_loaded() {
    let check = |settings: &str, expected: &str| {
        assert_eq!(refusal("base_handler", settings), expected);
    };
    check("dtype: float", "handler.dtype: unknown type `float`");
    check(
        "shape: [2, -3]",
        "handler.shape: expected a list of sizes, -1 for any, found [2, -3]",
    );
    check(
        "batch: true",
        "handler.batch: unknown parameter, did you mean `batched`?",
    );
    check("zzz: true", "handler.zzz: unknown parameter");
    check(
        "batched: 1",
        "handler.batched: expected true or false, found 1",
    );
    check(
        "[1]",
        "handler: expected a section of keys and values, found [1]",
    );
    handler("base_handler", "{profile: true, shape: [null, 2]}");
}

/// Where the elements of the network's arguments lay.
#[derive(Default)]
struct Watching {
    writes: bool,
    seen: Vec<(Vec<usize>, *const u8)>,
}

impl crate::Network for Watching {
    fn forward(
        &mut self,
        arguments: &[Value],
        _: std::num::NonZeroUsize,
    ) -> Result<Value, BatchError> {
        let [Value::Tensor(batch)] = arguments else {
            panic!("expected one tensor");
        };
        assert!(batch.is_ready(), "a network is given whole, aligned memory");
        self.seen
            .push((batch.shape().to_vec(), batch.bytes().as_ptr()));
        Ok(batch.clone().into())
    }

    fn writes_arguments(&self) -> bool {
        self.writes
    }
}

/// A tensor of 2,100 numbers that came in that many chunks, of which none begins where an element does but the first.
fn in_chunks(chunks: usize, copied: &Copied) -> Tensor {
    let numbers: Vec<f32> = (0..2100).map(|number| number as f32).collect();
    let bytes = Bytes::from_owner(
        numbers
            .iter()
            .flat_map(|n| n.to_ne_bytes())
            .collect::<Vec<_>>(),
    );
    let mut rope = Rope::new(copied.clone());
    for chunk in 0..chunks {
        let cut =
            |index: usize| (index * bytes.len() / chunks + usize::from(index > 0)).min(bytes.len());
        rope.push(bytes.slice(cut(chunk)..cut(chunk + 1)));
    }
    Tensor::from_rope(DType::F32, vec![2100], rope).expect("as many bytes")
}

#[test]
fn what_came_in_chunks_is_copied_once_on_its_way_into_the_batch() {
    let length = 2100 * 4;
    for (requests, writes) in [(1, true), (1, false), (3, true), (3, false)] {
        let copied = Copied::counted();
        let inputs: Vec<_> = (0..requests)
            .map(|_| Input::body("", in_chunks(700, &copied)))
            .collect();
        let mut network = Watching {
            writes,
            ..Watching::default()
        };
        let answers = predict(&mut *handler("base_handler", "{}"), &mut network, &inputs);
        assert_eq!(copied.bytes(), requests * length, "{requests} requests");
        assert_eq!(network.seen[0].0, [requests as usize, 2100]);
        for answer in answers {
            let Value::Tensor(row) = answer.expect("an answer").value else {
                panic!("expected a tensor");
            };
            assert_eq!(row.elements::<f32>().expect("numbers")[2099], 2099.0);
        }
    }
}

#[test]
fn a_lone_tensor_is_its_batch_unless_the_network_writes() {
    let check = |settings: &str, writes: bool, expected: &[usize], in_place: bool| {
        let tensor = tensor(&[4, 2], &[1f32; 8]);
        let place = tensor.bytes().as_ptr();
        let mut network = Watching {
            writes,
            ..Watching::default()
        };
        let inputs = [Input::body("", tensor)];
        predict(
            &mut *handler("base_handler", settings),
            &mut network,
            &inputs,
        );
        let (shape, found) = &network.seen[0];
        assert_eq!(
            (shape.as_slice(), *found == place),
            (expected, in_place),
            "{settings} {writes}"
        );
    };
    check("{}", false, &[1, 4, 2], true);
    check("batched: true", false, &[4, 2], true);
    check("{}", true, &[1, 4, 2], false);
    check("batched: true", true, &[4, 2], false);
    check("dtype: float64", false, &[1, 4, 2], false);
}

/// Keeps the parts that it is given, up to so many.
#[derive(Default)]
struct Keeping {
    most: usize,
    kept: std::sync::Mutex<Vec<String>>,
}

impl PartSink for Keeping {
    fn put(&self, part: servable::Output) -> Result<(), Unwanted> {
        if self.is_unwanted() {
            return Err(Unwanted);
        }
        self.kept.lock().expect("whole").push(body(Ok(part)));
        Ok(())
    }

    fn is_unwanted(&self) -> bool {
        self.kept.lock().expect("whole").len() == self.most
    }

    fn has_begun(&self) -> bool {
        !self.kept.lock().expect("whole").is_empty()
    }
}

/// A request whose rows' answers go to a sink that takes so many.
fn row_by_row(text: &str, most: usize) -> (Input, Arc<Keeping>) {
    let keeping = Arc::new(Keeping {
        most,
        ..Keeping::default()
    });
    let input = Input {
        parts_to: Some(Parts::new(Arc::clone(&keeping) as Arc<dyn PartSink>)),
        ..json_input(text)
    };
    (input, keeping)
}

/// Sends `[[1], [2], [3], [4], [5]]` to be answered row by row, and a plain request beside it. `calls` are the rows that the
/// network saw at a time; it fails at a 9.
fn check_rows(
    settings: &str,
    text: &str,
    most: usize,
    parts: &[&str],
    last: &str,
    calls: &[usize],
) {
    let mut seen = Vec::new();
    let mut network = |arguments: &[Value], _: std::num::NonZeroUsize| {
        let [Value::Tensor(batch)] = arguments else {
            panic!("expected one tensor");
        };
        seen.push(batch.shape()[0]);
        let numbers = batch.elements::<i64>().expect("integers");
        if numbers.contains(&9) {
            return Err(BatchError::new(Reason::Failed, "no nines"));
        }
        Ok(Value::from(batch.clone()))
    };
    let (input, kept) = row_by_row(text, most);
    let inputs = [input, json_input("[[7], [8]]")];
    let answers = predict(
        &mut *handler("base_handler", settings),
        &mut network,
        &inputs,
    );
    let answers: Vec<_> = answers.into_iter().map(body).collect();
    let mate = if settings.contains("answer_key") {
        "{\n  \"row\": [[7], [8]]\n}"
    } else {
        "[[7], [8]]"
    };
    assert_eq!(answers, [last, mate], "{settings} {text}");
    assert_eq!(
        *kept.kept.lock().expect("whole"),
        parts,
        "{settings} {text}"
    );
    assert_eq!(seen, calls, "{settings} {text}");
}

#[test]
fn a_batched_request_is_answered_row_by_row_for_whoever_takes_that() {
    let five = "[[1], [2], [3], [4], [5]]";
    let two = "{batched: true, stream_rows: 2}";
    // The request beside it goes first, and as a whole.
    check_rows(
        two,
        five,
        10,
        &["[1]", "[2]", "[3]", "[4]"],
        "[5]",
        &[2, 2, 2, 1],
    );
    check_rows(
        "batched: true",
        five,
        10,
        &["[1]", "[2]", "[3]", "[4]"],
        "[5]",
        &[2, 5],
    );
    check_rows(
        "{batched: true, answer_key: row}",
        "[[1], [2]]",
        10,
        &["{\n  \"row\": [1]\n}"],
        "{\n  \"row\": [2]\n}",
        &[2, 2],
    );
    // One row, and none, are answered as ever; so is what is no batch.
    check_rows(two, "[[1]]", 10, &[], "[[1]]", &[3]);
    check_rows(two, "[]", 10, &[], "[]", &[2]);
    check_rows("{}", "[[1], [2]]", 10, &[], "[[1], [2]]", &[2]);
}

#[test]
fn rows_stop_where_nobody_takes_them_or_one_fails() {
    let two = "{batched: true, stream_rows: 2}";
    let five = "[[1], [2], [3], [4], [5]]";
    let gone = "nobody waits for the rest of the answer";
    check_rows(two, five, 1, &["[1]"], gone, &[2, 2]);
    check_rows(two, five, 2, &["[1]", "[2]"], gone, &[2, 2]);
    let nine = "[[1], [2], [3], [9], [5]]";
    check_rows(two, nine, 10, &["[1]", "[2]"], "no nines", &[2, 2, 2]);
}
