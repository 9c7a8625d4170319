//! What a request says beside its picture: parameters in and out of range, known and unknown, in forms and in queries; how a
//! picture lies, and how large it may be.

use std::fs;

use image_ops::{DecodeLimits, DecodeOptions, decode, decode_with, encode_jpeg, encode_png};
use serde_json::{Value, json};

use crate::client::Request;
use crate::cover::{bench, form, quadrat, quadrat_prepared, start};
use crate::fixtures::own;
use crate::harness::Bench;

/// All parameters of the services that the artifacts come from, as these give them where nobody says anything.
const DEFAULTS: [(&str, &str); 11] = [
    ("max-img-size", "1000000"),
    ("batch-size", "1"),
    ("device", "cpu"),
    ("precision", "fp32"),
    ("min-subgraph-size", "3"),
    ("cpu-threads", "10"),
    ("use-trt", "false"),
    ("enable-auto-tune", "false"),
    ("enable-mkldnn", "false"),
    ("benchmark", "false"),
    ("print-detail", "false"),
];

fn photo() -> Vec<u8> {
    fs::read(own("quadrats/mixed.png")).expect("a picture")
}

#[test]
fn what_cannot_be_had_is_refused_by_name() {
    let daemon = start(bench(&quadrat()));
    let photo = photo();
    let check = |name: &str, value: &str, expected: &str| {
        let fields = [("with-argmax", "true"), (name, value)];
        let fields = if name == "with-argmax" {
            &fields[1..]
        } else {
            &fields[..]
        };
        let answer = daemon.send(&form(&photo, fields));
        assert_eq!(answer.status, 400, "{name}={value}: {}", answer.text());
        let message = answer.json()["message"].as_str().expect("text").to_owned();
        let expected = format!("input `{name}`: {expected}");
        assert!(message.contains(&expected), "{expected}: {message}");
    };
    check(
        "with-argmax",
        "perhaps",
        "expected true or false, found `perhaps`",
    );
    // The network gives scores.
    check(
        "with-argmax",
        "false",
        "expected true, found false: the segmenter gives scores",
    );
    check(
        "max-img-size",
        "many",
        "expected a whole number, found `many`",
    );
    check(
        "max-img-size",
        "-2",
        "expected a whole number from 1 on, or -1 for any, found -2",
    );
    check(
        "max-img-size",
        "0",
        "expected a whole number from 1 on, or -1 for any, found 0",
    );
    for name in ["batch-size", "cpu-threads"] {
        check(name, "0", "expected a number from 1 to 1024, found 0");
        check(name, "two", "expected a whole number, found `two`");
    }
    check(
        "device",
        "gpu",
        "expected cpu, where the model is, found `gpu`",
    );
    check(
        "device",
        "tpu",
        "expected one of any, cpu, gpu, found `tpu`",
    );
    check(
        "precision",
        "fp16",
        "expected fp32, found `fp16`: the network computes in",
    );
    check(
        "min-subgraph-size",
        "5",
        "expected 3, found `5`: there is no TensorRT",
    );
    for name in [
        "use-trt",
        "enable-auto-tune",
        "enable-mkldnn",
        "benchmark",
        "print-detail",
    ] {
        check(name, "true", "expected false, found `true`: ");
        check(name, "maybe", "expected true or false, found `maybe`");
    }
}

#[test]
fn what_can_be_had_is_taken_and_recorded() {
    let daemon = start(bench(&quadrat()));
    let photo = photo();
    let mine = [("with-argmax", "true"), ("model-name", "reef")];
    let fields = [&DEFAULTS[..], &mine].concat();
    let record = daemon.send(&form(&photo, &fields)).prediction();
    let parameters = &record["provenance"]["run"]["parameters"];
    assert_eq!(parameters["batch-size"], 1);
    assert_eq!(parameters["cpu-threads"], 10);
    assert_eq!(parameters["device"], "cpu");
    assert_eq!(parameters["use-trt"], false);
    assert_eq!(parameters["model-name"], "reef");
    // How it was run changes nothing of what came of it.
    let plain = daemon.send(&form(&photo, &mine)).prediction();
    assert_eq!(record["cover"], plain["cover"]);
}

#[test]
fn a_query_brings_inputs_and_what_nothing_takes_is_told() {
    let daemon = start(bench(&quadrat()));
    let photo = photo();
    let ask = |query: &str| {
        let path = format!("/wfpredict/cover?{query}");
        daemon.send(&Request::post(&path, photo.clone()).content_type("image/png"))
    };
    let answer = ask("with-argmax=true&max-img-size=10000");
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-ignored"), None);
    let parameters = &answer.prediction()["provenance"]["run"]["parameters"];
    assert_eq!(parameters["max-img-size"], 10_000);
    let refused = ask("with-argmax=true&max-img-size=0");
    assert_eq!(refused.status, 400, "{}", refused.text());

    let answer = ask("with-argmax=true&max-image-size=5&explain=1&run=x");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut ignored: Vec<_> = answer
        .header("x-ignored")
        .expect("a header")
        .split(',')
        .collect();
    ignored.sort_unstable();
    assert_eq!(ignored, ["max-image-size", "run"]);
    let mut warnings: Vec<Value> = answer.prediction()["explain"]["warnings"]
        .as_array()
        .expect("a list")
        .clone();
    warnings.sort_by_key(Value::to_string);
    assert_eq!(
        warnings,
        [
            json!("the server itself gives the input `run`"),
            json!("there is no input `max-image-size`; nearest is `max-img-size`"),
        ]
    );
    let answer = daemon.send(&Request::new("POST", "/wfpredict/cover").multipart(&[
        ("images", Some("a"), &photo),
        ("with-argmax", None, b"true"),
    ]));
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .text()
            .contains("input `image`: it is missing (there is a part `images`)"),
        "{}",
        answer.text()
    );
}

#[test]
fn a_command_wants_its_parameters_known() {
    let bench = bench(&quadrat());
    bench.write("one.png", &photo());
    let check = |param: &str, expected: &str| {
        let ran = bench.run(&[
            "run",
            "store/cover.yaml",
            "--image",
            "one.png",
            "--out",
            "out",
            "--param",
            "with-argmax=true",
            "--param",
            param,
        ]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.join("\n").contains(expected), "{ran:?}");
        assert!(!bench.path("out").exists(), "{param}");
    };
    check(
        "with-arg-max=true",
        "--param with-arg-max: there is no input `with-arg-max`; nearest is `with-argmax`",
    );
    check("zzz=1", "--param zzz: there is no input `zzz`");
    check(
        "run={}",
        "--param run: the server itself gives the input `run`",
    );
    check("image=x", "--param image: this input is the picture");
}

/// The file with EXIF data that say how it is to be turned.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let tiff = [
        &b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..],
        &[orientation, 0, 0, 0],
        &[0; 4],
    ]
    .concat();
    let length = u16::try_from(tiff.len() + 2).expect("short").to_be_bytes();
    [&jpeg[..2], &[0xFF, 0xE1], &length, &tiff, &jpeg[2..]].concat()
}

/// Whoever is not reduced is turned as its EXIF data say, and whoever is reduced is not.
#[test]
fn a_picture_is_turned_unless_it_is_reduced() {
    // Without a size of its own, the network's mask is as large as the picture.
    let daemon = start(bench(&quadrat_prepared("  - {type: Normalize}\n")));
    let drawn = demo::Quadrat::sized(5, 96, 64);
    let drawn = image_ops::Image::new(96, 64, 3, drawn.rgb).expect("a picture");
    let jpeg = encode_jpeg(&drawn, 95).expect("a file");
    let lying = with_orientation(&jpeg, 6);
    let ask = |file: &[u8], budget: &str| {
        let fields = [("with-argmax", "true"), ("max-img-size", budget)];
        let answer = daemon.send(&form(file, &fields));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let record = answer.prediction();
        (
            json!([record["width"], record["height"]]),
            record["cover"].clone(),
        )
    };

    let options = DecodeOptions {
        apply_orientation: true,
        ..DecodeOptions::default()
    };
    let upright = decode_with(&lying, &options).expect("a picture");
    let upright = encode_png(&upright).expect("a file");
    for budget in ["-1", "6144"] {
        let turned = ask(&lying, budget);
        assert_eq!(turned.0, json!([64, 96]), "{budget}");
        assert_eq!(turned, ask(&upright, budget), "{budget}");
    }

    let as_stored = decode(&jpeg, &DecodeLimits::default()).expect("a picture");
    let as_stored = encode_png(&as_stored).expect("a file");
    let reduced = ask(&lying, "1536");
    assert_eq!(reduced.0, json!([48, 32]));
    assert_eq!(reduced, ask(&as_stored, "1536"));
}

/// A file whose head promises 400 million pixels. It is cut short, so that nobody decodes them.
fn huge() -> Vec<u8> {
    let small = image_ops::Image::new(8, 8, 3, vec![9; 192]).expect("a picture");
    let mut jpeg = encode_jpeg(&small, 90).expect("a file");
    let frame = jpeg
        .windows(2)
        .position(|marker| marker == [0xFF, 0xC0])
        .expect("a frame header");
    let side = 20_000u16.to_be_bytes();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[side, side].concat());
    jpeg.truncate(jpeg.len() - 2);
    jpeg
}

#[test]
fn the_bound_on_pixels_is_the_servers_for_functions_too() {
    let check = |setting: &str, expected: &str| {
        let bench = Bench::new().config(&format!("limit_max_image_pixels={setting}"));
        bench.write(
            "store/size.yaml",
            b"inputs: {image: image}\nnodes: {answer: {function: size_of, in: image}}\noutput: answer\n",
        );
        let daemon = bench.start_with(&["--model-store", "store", "--workflows", "size.yaml"]);
        daemon.wait_for_ok("/ready");
        let answer = daemon.post("/wfpredict/size", &huge());
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(
            answer.text().contains(expected),
            "{setting}: {}",
            answer.text()
        );
    };
    check("true", "178956970 pixels");
    check("false", "cut short");
}
