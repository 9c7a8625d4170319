use image_ops::{Image, encode_png};
use servable::{Input, Tensor, Value};

use crate::testing::{batch_as_alone, handler, handler_in, on_tensor, tensor};
use tensor_ops::numbers;

fn grey(level: u8) -> Input {
    let image = Image::filled(2, 2, 3, level).expect("a picture");
    Input::body(
        "image/png",
        bytes::Bytes::from(encode_png(&image).expect("a PNG")),
    )
}

/// Scores from a picture's mean `m`: 0, ln 3 * m, 0.
fn network(batch: &Tensor) -> Value {
    let scores: Vec<f32> = (0..batch.shape()[0])
        .flat_map(|row| {
            let row = batch.row(row).expect("a row");
            let numbers = numbers(&row);
            let mean = numbers.iter().sum::<f32>() / numbers.len() as f32;
            [0., 3f32.ln() * mean, 0.]
        })
        .collect();
    tensor(&[batch.shape()[0], 3], &scores).into()
}

fn check(settings: &str, labels: &str, expected: &[&[(&str, f64)]]) {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("index_to_name.json"), labels).expect("a file");
    let plain = format!("{{input_size: [2, 2], mean: 0, std: 1, {settings}}}");
    let mut handler = handler_in(dir.path(), "image_classifier", &plain);
    let answers = batch_as_alone(
        &mut *handler,
        &mut on_tensor(network),
        &[grey(0), grey(255)],
    );
    for (answer, expected) in answers.iter().zip(expected) {
        let found: serde_json::Map<_, _> = serde_json::from_str(answer).expect("an object");
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        let wanted: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, wanted);
        for (name, share) in *expected {
            let found = found[*name].as_f64().expect("a number");
            assert!((found - share).abs() < 1e-6, "{name}: {found} for {share}");
        }
    }
}

#[test]
fn the_best_classes_come_first() {
    let third = 1. / 3.;
    check(
        "topk: 2",
        r#"{"0": "cat", "1": "dog", "2": "cow"}"#,
        &[
            &[("cat", third), ("dog", third)],
            &[("dog", 0.6), ("cat", 0.2)],
        ],
    );
    check(
        "",
        r#"["cat", "dog", "cat"]"#,
        &[
            &[("cat", third), ("dog", third), ("cat (2)", third)],
            &[("dog", 0.6), ("cat", 0.2), ("cat (2)", 0.2)],
        ],
    );
    check("topk: 1", "{}", &[&[("0", third)], &[("1", 0.6)]]);
}

#[test]
fn without_settings_the_network_sees_imagenets_224() {
    let mut handler = handler("image_classifier", "{}");
    let mut seen = Vec::new();
    let mut network = on_tensor(|batch| {
        seen.push((batch.shape().to_vec(), numbers(batch)[0]));
        tensor(&[1, 1], &[0f32]).into()
    });
    let answer = batch_as_alone(&mut *handler, &mut network, &[grey(255)]);
    assert_eq!(answer, ["{\n  \"0\": 1.0\n}"]);
    drop(network);
    assert_eq!(seen[0].0, [1, 3, 224, 224]);
    assert!((seen[0].1 - (1. - 0.485) / 0.229).abs() < 1e-5);
}

#[test]
fn a_result_that_is_no_row_of_scores_fails_the_request() {
    let mut handler = handler("image_classifier", "input_size: [2, 2]");
    let answers = batch_as_alone(
        &mut *handler,
        &mut on_tensor(|batch| batch.clone().into()),
        &[grey(0)],
    );
    assert_eq!(
        answers,
        ["the network's result is not one score per class: a row has shape [3, 2, 2]"]
    );
}
