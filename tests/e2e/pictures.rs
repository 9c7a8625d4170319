//! Pictures in, labels or cover out: real networks against written-down answers, however the picture is sent.

use std::fs;

use archive::ArchiveFormat;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::Request;
use crate::fixtures::{Model, basics, best, class, json as read_json, own, pictures};
use crate::harness::Bench;

/// One picture in every way a client may send it.
fn ways(path: &str, picture: &[u8]) -> Vec<(&'static str, Request)> {
    let encoded = STANDARD.encode(picture);
    let json_type = "application/json";
    let url = format!("data:image/png;base64,{encoded}");
    vec![
        ("PUT", Request::new("PUT", path).body(picture)),
        ("POST", Request::post(path, picture)),
        (
            "typed",
            Request::post(path, picture).content_type("image/png"),
        ),
        (
            "multipart",
            Request::post(path, "").multipart(&[("data", Some("x.png"), picture)]),
        ),
        (
            "base64",
            Request::post(path, encoded.as_bytes()).content_type("text/plain"),
        ),
        (
            "data url",
            Request::post(path, url).content_type("text/plain; charset=utf-8"),
        ),
        (
            "JSON string",
            Request::post(path, json!(encoded).to_string()).content_type(json_type),
        ),
        (
            "JSON object",
            Request::post(path, json!({"b64": encoded}).to_string()).content_type(json_type),
        ),
    ]
}

/// The labels of an answer with their probabilities, best first.
fn labels(answer: &Value) -> Vec<(&str, f64)> {
    let labels = answer.as_object().expect("labels");
    labels
        .iter()
        .map(|(label, probability)| (label.as_str(), probability.as_f64().expect("a number")))
        .collect()
}

fn check_classes(case: &str, answer: &Value, expected: &Value) {
    let (answer, expected) = (labels(answer), labels(expected));
    assert_eq!(answer.len(), expected.len(), "{case}: {answer:?}");
    assert_eq!(answer[0].0, expected[0].0, "{case}: {answer:?}");
    for (label, probability) in expected {
        let found = answer.iter().find(|(name, _)| *name == label);
        // The last of the best five may change places with the sixth.
        let found = found.map_or(0.0, |(_, probability)| *probability);
        assert!(
            (found - probability).abs() < 0.02,
            "{case}: {label}: expected {probability}, found {found}"
        );
    }
    assert!(
        answer.is_sorted_by(|(_, a), (_, b)| a >= b),
        "{case}: {answer:?}"
    );
}

#[test]
fn imagenets_classes_are_those_of_the_reference() {
    let (Some(basics), Some(model)) = (basics(), Model::mobilenet()) else {
        return;
    };
    let folder = model.clone().named("plain").packed(ArchiveFormat::Folder);
    let daemon = Bench::new().with(&model).with(&folder).start();
    let expected = read_json(&basics.join("expected/classification.json"));
    for (name, expected) in expected.as_object().expect("pictures") {
        let picture = fs::read(basics.join("images").join(name)).expect("a picture");
        let expected = &expected["response_as_torchserve"];
        for model in ["mobilenet_v2", "plain"] {
            let path = format!("/predictions/{model}");
            let answer = daemon.post(&path, &picture).prediction();
            check_classes(&format!("{model}, {name}"), &answer, expected);
        }
    }
    let kitten = fs::read(basics.join("images/kitten.jpg")).expect("a picture");
    let expected = &expected["kitten.jpg"]["response_as_torchserve"];
    for (way, request) in ways("/predictions/mobilenet_v2", &kitten) {
        check_classes(way, &daemon.send(&request).prediction(), expected);
    }
}

#[test]
fn handwritten_digits_are_read() {
    let (Some(basics), Some(model)) = (basics(), Model::digits()) else {
        return;
    };
    let daemon = Bench::new().with(&model).start();
    let expected = read_json(&basics.join("expected/digits.json"));
    for (name, expected) in expected.as_object().expect("pictures") {
        let picture = fs::read(basics.join("digits").join(name)).expect("a picture");
        let answer = daemon.post("/predictions/digits", &picture).prediction();
        let digit = expected["digit"].as_u64().expect("a digit");
        let (label, probability) = best(&answer);
        assert_eq!(label, digit.to_string(), "{name}");
        let index = usize::try_from(digit).expect("one digit");
        let expected = expected["log_probabilities"][index]
            .as_f64()
            .expect("a number");
        assert!(
            (probability - expected.exp()).abs() < 0.02,
            "{name}: {answer}"
        );
    }
}

#[test]
fn substrates_are_told_apart_however_they_are_sent() {
    let daemon = Bench::new().with(&Model::substrate()).start();
    for (name, picture) in pictures(&own("substrates")) {
        for (way, request) in ways("/predictions/substrate", &picture) {
            let answer = daemon.send(&request).prediction();
            let (label, probability) = best(&answer);
            assert_eq!(label, class(&name), "{name}, {way}: {answer}");
            assert!(probability > 0.5, "{name}, {way}: {answer}");
            let sum: f64 = labels(&answer).iter().map(|(_, p)| p).sum();
            assert!((sum - 1.0).abs() < 1e-3, "all three classes: {answer}");
        }
    }
}

#[test]
fn the_cover_of_a_quadrat_is_measured() {
    let daemon = Bench::new().with(&Model::quadrat()).start();
    for (name, picture) in pictures(&own("quadrats")) {
        let truth = read_json(&own("quadrats").join(format!("{name}.json")));
        let answer = daemon.post("/predictions/quadrat", &picture).prediction();
        let cover = answer["cover"].as_array().expect("a list");
        assert_eq!(cover.len(), 3, "{name}");
        for class in cover {
            let expected = &truth["cover"][class["name"].as_str().expect("a name")];
            let (found, expected) = (class["cover"].as_f64(), expected.as_f64());
            let difference = found.expect("a share") - expected.expect("a share");
            assert!(difference.abs() < 0.05, "{name}: {cover:?}, {truth}");
        }
        let rows = answer["seg_map"].as_array().expect("rows");
        let columns = rows[0].as_array().expect("columns");
        assert_eq!(answer["image_size"], json!([columns.len(), rows.len()]));
    }
}
