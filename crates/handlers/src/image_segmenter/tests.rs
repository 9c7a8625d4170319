use image_ops::{Image, encode_png};
use proptest::prelude::*;
use servable::{Input, Tensor, Value};

use crate::testing::{batch_as_alone, handler, on_tensor, refusal, tensor};
use tensor_ops::{Mask, Scores};

fn picture(width: u32, height: u32) -> Input {
    let data = (0..width * height * 3)
        .map(|n| (n * 40 % 256) as u8)
        .collect();
    let image = Image::new(width, height, 3, data).expect("as many samples");
    Input::body(
        "image/png",
        bytes::Bytes::from(encode_png(&image).expect("a PNG")),
    )
}

/// The channels themselves as scores of three classes, under the name that torchvision gives them.
fn channels(batch: &Tensor) -> Value {
    Value::map([("out", batch.clone().into())])
}

#[test]
fn torchserves_form_is_class_and_probability() {
    let mut handler = handler(
        "image_segmenter",
        "{resize: none, mean: 0, std: 1, scale: 0.1}",
    );
    let answers = batch_as_alone(&mut *handler, &mut on_tensor(channels), &[picture(2, 1)]);
    // Scores 0, 4, 8 and 12, 16, 20: the last class leads by 4 and 8.
    let share = 1. / (1. + (-4f64).exp() + (-8f64).exp());
    let found: Vec<Vec<[f64; 2]>> = serde_json::from_str(&answers[0]).expect("nested lists");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].len(), 2);
    for [class, probability] in &found[0] {
        assert_eq!(*class, 2.);
        assert!(
            (probability - share).abs() < 1e-6,
            "{probability} for {share}"
        );
    }
}

#[test]
fn the_map_form_is_cut_back_to_the_picture() {
    let settings = "{resize: none, pad_to: [4, 3], pad_value: 255, mean: 0, std: 1, output: map}";
    let mut handler = handler("image_segmenter", settings);
    let inputs = [picture(2, 1), picture(4, 3), picture(1, 1)];
    let mut shapes = Vec::new();
    let mut network = on_tensor(|batch| {
        shapes.push(batch.shape().to_vec());
        channels(batch)
    });
    let answers = batch_as_alone(&mut *handler, &mut network, &inputs);
    drop(network);
    assert_eq!(
        shapes[0],
        [3, 3, 3, 4],
        "padding lets pictures of all sizes share a run"
    );
    let answer: serde_json::Value = serde_json::from_str(&answers[0]).expect("JSON");
    assert_eq!(
        answer,
        serde_json::json!({
            "image_size": [2, 1],
            "seg_map": [[2, 2]],
            "cover": [
                {"id": 0, "name": "0", "cover": 0.0},
                {"id": 1, "name": "1", "cover": 0.0},
                {"id": 2, "name": "2", "cover": 1.0},
            ],
        })
    );
}

#[test]
fn class_numbers_of_the_network_are_taken_as_they_are() {
    let check = |numbers: &'static [i64], expected: &str| {
        let mut handler = handler("image_segmenter", "{resize: none, output: map}");
        let mut network = on_tensor(|_| tensor(&[1, 1, 2], numbers).into());
        let answers = batch_as_alone(&mut *handler, &mut network, &[picture(2, 1)]);
        let start = answers[0].find("seg_map").map_or(0, |start| start + 10);
        assert!(answers[0][start..].starts_with(expected), "{}", answers[0]);
    };
    check(&[0, 3], "[[0, 3]]");
    check(&[300, 3], "[[300, 3]]");
    check(
        &[-1, 3],
        "the network's result is not class numbers: found -1",
    );
}

#[test]
fn a_result_of_another_size_fails_the_request() {
    let mut handler = handler("image_segmenter", "{resize: none}");
    let mut network = on_tensor(|_| tensor(&[1, 3, 2, 2], &[0f32; 12]).into());
    let answers = batch_as_alone(&mut *handler, &mut network, &[picture(2, 1)]);
    assert_eq!(
        answers,
        [
            "the network's result does not fit its input: expected one cell per pixel of [3, 1, 2], found shape [3, 2, 2]"
        ]
    );
}

#[test]
fn the_form_is_checked_when_the_model_is_loaded() {
    assert_eq!(
        refusal("image_segmenter", "output: mask"),
        "handler.output: expected one of probabilities, map, found `mask`"
    );
}

proptest! {
    /// Scores are few, so that ties are many.
    #[test]
    fn masks_agree_with_the_naive_way(
        classes in 1usize..6, rows in 1usize..5, columns in 1usize..20, cut in 0usize..3, seed in any::<u64>(),
    ) {
        let (width, height) = (columns.saturating_sub(cut).max(1), rows.saturating_sub(cut).max(1));
        let scores: Vec<f32> = (0..classes * rows * columns)
            .map(|n| ((n as u64 + 1).wrapping_mul(seed | 1) >> 40) as f32 % 4.)
            .collect();
        let score = |class: usize, x: usize, y: usize| scores[(class * rows + y) * columns + x];
        let mut classes_of = Vec::new();
        let mut probabilities = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let mut best = 0;
                for class in 1..classes {
                    if score(class, x, y) > score(best, x, y) {
                        best = class;
                    }
                }
                let sum: f64 = (0..classes).map(|class| f64::from(score(class, x, y)).exp()).sum();
                classes_of.push(best as u8);
                probabilities.push(f64::from(score(best, x, y)).exp() / sum);
            }
        }
        let tensor = tensor(&[classes, rows, columns], &scores);
        let mask = Mask::of(&tensor, (width, height)).expect("a mask");
        let map = mask.tensor().expect("a map");
        prop_assert_eq!(map.shape(), [height, width]);
        prop_assert_eq!(map.elements::<u8>(), Some(classes_of.as_slice()));
        for (class, share) in mask.cover(classes).into_iter().enumerate() {
            let count = classes_of.iter().filter(|found| usize::from(**found) == class).count();
            prop_assert!((share - count as f64 / (width * height) as f64).abs() < 1e-12);
        }
        let pairs = Scores::of(&tensor, (width, height)).expect("scores").probabilities().expect("pairs");
        let pairs = pairs.elements::<f32>().expect("float32");
        for ((pair, class), probability) in pairs.chunks(2).zip(&classes_of).zip(&probabilities) {
            prop_assert_eq!(pair[0], f32::from(*class));
            prop_assert!((f64::from(pair[1]) - probability).abs() < 1e-5);
        }
    }
}
