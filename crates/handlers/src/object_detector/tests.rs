use std::num::NonZeroUsize;

use image_ops::{Image, encode_png};
use servable::{BatchError, Input, Tensor, Value};

use crate::testing::{ONE, batch_as_alone, handler, handler_in, refusal, tensor};

fn picture(width: u32, height: u32) -> Input {
    let image = Image::filled(width, height, 3, 255).expect("a picture");
    Input::body(
        "image/png",
        bytes::Bytes::from(encode_png(&image).expect("a PNG")),
    )
}

/// One object as large as the picture, class 1, score 0.75, and one of class 0 that scores lower.
fn found(picture: &Tensor) -> Value {
    let [3, height, width] = *picture.shape() else {
        panic!("a picture is [3, height, width], not {picture:?}");
    };
    let (width, height) = (width as f32, height as f32);
    Value::map([
        (
            "boxes",
            tensor(&[2, 4], &[0., 0., width, height, 0., 0., 1., 1.]).into(),
        ),
        ("labels", tensor(&[2], &[1i64, 0]).into()),
        ("scores", tensor(&[2], &[0.75f32, 0.25]).into()),
    ])
}

fn network(with_losses: bool) -> impl FnMut(&[Value], NonZeroUsize) -> Result<Value, BatchError> {
    move |arguments, _| {
        let [Value::List(pictures)] = arguments else {
            panic!("expected one list, found {arguments:?}");
        };
        let detections = Value::list(pictures.iter().map(|picture| {
            let Value::Tensor(picture) = picture else {
                panic!("expected a tensor, found {picture:?}");
            };
            found(picture)
        }));
        Ok(if with_losses {
            Value::list([Value::map::<String>([]), detections])
        } else {
            detections
        })
    }
}

fn check(settings: &str, inputs: &[Input], expected: &[serde_json::Value]) {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("index_to_name.json"), r#"["score", "cat"]"#).expect("a file");
    for with_losses in [false, true] {
        let mut handler = handler_in(dir.path(), "object_detector", settings);
        let answers = batch_as_alone(&mut *handler, &mut network(with_losses), inputs);
        let answers: Vec<_> = answers
            .iter()
            .map(|answer| serde_json::from_str(answer).unwrap_or_else(|_| answer.as_str().into()))
            .collect::<Vec<serde_json::Value>>();
        assert_eq!(answers, expected);
    }
}

#[test]
fn objects_that_score_high_enough_are_named() {
    use serde_json::json;
    check(
        "{}",
        &[picture(4, 2), picture(3, 3)],
        &[
            json!([{"cat": [0., 0., 4., 2.], "score": 0.75}]),
            json!([{"cat": [0., 0., 3., 3.], "score": 0.75}]),
        ],
    );
    check(
        "threshold: 0.25",
        &[picture(4, 2), Input::body("", "%")],
        &[
            json!([
                {"cat": [0., 0., 4., 2.], "score": 0.75},
                {"score (0)": [0., 0., 1., 1.], "score": 0.25},
            ]),
            json!(
                "request part `body` is text, but not base64 of a picture (invalid character at offset 0)"
            ),
        ],
    );
    check(
        "threshold: 0.8",
        &[picture(1, 1), picture(1, 1)],
        &[json!([]), json!([])],
    );
}

#[test]
fn boxes_lie_in_the_picture_as_it_came() {
    let expected = serde_json::json!([{"cat": [0., 0., 4., 2.], "score": 0.75}]);
    check("resize: {exact: [8, 8]}", &[picture(4, 2)], &[expected]);
    assert_eq!(
        refusal("object_detector", "crop: 3"),
        "handler.crop: a detector looks at the whole picture"
    );
}

#[test]
fn a_result_of_other_length_fails_the_batch() {
    let mut handler = handler("object_detector", "{}");
    let mut network = |_: &[Value], _| Ok(Value::list([]));
    let error = handler
        .predict(&mut network, &[picture(1, 1)], ONE)
        .expect_err("one picture, no result");
    assert_eq!(error.message, "number of batch response mismatched");
    let mut network = |_: &[Value], _| Ok(Value::list([Value::map([("boxes", Value::Null)])]));
    let answers = batch_as_alone(&mut *handler, &mut network, &[picture(1, 1)]);
    assert_eq!(
        answers,
        ["the network's result for a picture holds no tensor `boxes`"]
    );
}
