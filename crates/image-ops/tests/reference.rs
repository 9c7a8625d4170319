//! The crate against numbers made by OpenCV, Pillow, torchvision and the models' original services.
//!
//! The data lie outside the repository; without them these tests say so and pass.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests, which the allowance for tests does not reach"
)]

use std::fs;
use std::path::PathBuf;

use image_ops::{DecodeLimits, Image, Kernel, Normalize, Window, decode, letterbox, resize, size};
use serde_json::Value;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// The bytes of a file of the reference data, or `None` with a word on stderr.
fn data(path: &str) -> Option<Vec<u8>> {
    let path = PathBuf::from(DATA).join(path);
    if !path.exists() {
        eprintln!("skipped: {} is absent", path.display());
        return None;
    }
    Some(fs::read(path).unwrap())
}

fn json(path: &str) -> Option<Value> {
    Some(serde_json::from_slice(&data(path)?).unwrap())
}

/// The cases of a vector file; it must not be empty, or the test would check nothing.
fn cases(path: &str) -> Vec<Value> {
    let Some(value) = json(path) else {
        return Vec::new();
    };
    let cases = value.as_array().unwrap().clone();
    assert!(!cases.is_empty(), "{path} holds no cases");
    cases
}

fn pair(value: &Value) -> (u32, u32) {
    (number(&value[0]), number(&value[1]))
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

/// `[rows][columns][channels]` as a picture.
fn picture(rows: &Value) -> Image {
    let rows = rows.as_array().unwrap();
    let (height, width) = (rows.len(), rows[0].as_array().unwrap().len());
    let pixels = rows.iter().flat_map(|row| row.as_array().unwrap());
    let samples = pixels.flat_map(|pixel| pixel.as_array().unwrap());
    let data = samples.map(|v| u8::try_from(v.as_u64().unwrap()).unwrap());
    Image::new(width as u32, height as u32, 3, data.collect()).unwrap()
}

#[test]
fn resize_kernels() {
    for case in cases("vectors/image_resize.json") {
        let kernel = Kernel::from_name(case["kernel"].as_str().unwrap()).unwrap();
        let (width, height) = pair(&case["output_wh"]);
        let tolerance = number(&case["tolerance"]);
        let (input, expected) = (picture(&case["input_hwc"]), picture(&case["output_hwc"]));
        let label = format!("{kernel} {input:?} to {width}x{height}");

        let found = resize(&input, width, height, kernel).unwrap();
        check_close(&found, &expected, tolerance, &label);

        // Channels do not touch each other, so each alone, as a grey picture, must give the same.
        for c in 0..3 {
            let found = resize(&channel(&input, c), width, height, kernel).unwrap();
            check_close(
                &found,
                &channel(&expected, c),
                tolerance,
                &format!("{label}, channel {c}"),
            );
        }
    }
}

fn channel(image: &Image, c: usize) -> Image {
    let data = image.data().iter().skip(c).step_by(3).copied().collect();
    Image::new(image.width(), image.height(), 1, data).unwrap()
}

fn check_close(found: &Image, expected: &Image, tolerance: u32, label: &str) {
    assert_eq!(
        (found.width(), found.height()),
        (expected.width(), expected.height()),
        "{label}"
    );
    let pairs = found.data().iter().zip(expected.data());
    let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
    assert!(
        u32::from(worst) <= tolerance,
        "{label}: off by {worst} grey levels"
    );
}

#[test]
fn longest_side_rule() {
    for case in cases("vectors/fit_longest_side_rule.json") {
        let (w, h) = pair(&case["input_wh"]);
        let found = size::fit_longest_side(w, h, number(&case["image_size"]));
        assert_eq!(found, pair(&case["output_wh"]), "{case}");
    }
}

#[test]
fn pixel_budget_rule() {
    for case in cases("vectors/max_img_size_rule.json") {
        let (w, h) = pair(&case["input_wh"]);
        let found = size::pixel_budget(w, h, case["max_img_size"].as_i64().unwrap());
        assert_eq!(found, pair(&case["output_wh"]), "{case}");
        assert_eq!(
            found != (w, h),
            case["reduced"].as_bool().unwrap(),
            "{case}"
        );
    }
}

#[test]
fn letterbox_geometry() {
    for case in cases("vectors/letterbox_geometry.json") {
        let (w, h) = pair(&case["input_wh"]);
        let found = size::letterbox(w, h, number(&case["size"]), number(&case["stride"]));
        assert_eq!(
            (found.width, found.height),
            pair(&case["output_wh"]),
            "{case}"
        );
        assert_eq!(
            (found.scaled_width, found.scaled_height),
            pair(&case["resized_wh"]),
            "{case}"
        );
        let borders = [found.left, found.right, found.top, found.bottom];
        let names = ["pad_left", "pad_right", "pad_top", "pad_bottom"];
        assert_eq!(borders, names.map(|name| number(&case[name])), "{case}");
        assert!(
            (found.r - case["ratio"].as_f64().unwrap()).abs() < 1e-12,
            "{case}"
        );

        let boxed = letterbox(&Image::filled(w, h, 3, 200).unwrap(), &found).unwrap();
        let fill = number(&case["fill"]) as u8;
        let filled = boxed.data().iter().filter(|&&v| v == fill).count();
        let inside = found.scaled_width as usize * found.scaled_height as usize * 3;
        assert_eq!(filled, boxed.data().len() - inside, "{case}");
    }
}

/// The whole preprocess of an image classifier: decode, shorter side to 256, middle 224, ImageNet's mean.
#[test]
fn classifier_input() {
    let Some(expected) = json("torchserve-basics/expected/classification.json") else {
        return;
    };
    let pictures = expected.as_object().unwrap();
    assert_eq!(pictures.len(), 4);
    for (name, facts) in pictures {
        let Some(bytes) = data(&format!("torchserve-basics/images/{name}")) else {
            return;
        };
        let image = decode(&bytes, &DecodeLimits::default()).unwrap();
        assert_eq!(
            (image.width(), image.height()),
            pair(&facts["input_wh"]),
            "{name}"
        );
        let (w, h) = size::fit_shortest_side(image.width(), image.height(), 256);
        assert_eq!((w, h), pair(&facts["resized_wh"]), "{name}");
        let resized = resize(&image, w, h, Kernel::PilBilinear).unwrap();
        let window = Window::centred(&resized, 224, 224).unwrap();
        let mut tensor = vec![0.0; 3 * 224 * 224];
        Normalize::imagenet()
            .write_window(&resized, window, &mut tensor)
            .unwrap();

        // JPEG decoders differ by a few grey levels, one of which is about 0.017; BMP is exact.
        let tolerance = if name.ends_with(".bmp") { 0.02 } else { 0.05 };
        for probe in facts["input_tensor_probes"].as_array().unwrap() {
            let [c, y, x] = ["c", "y", "x"].map(|key| number(&probe[key]) as usize);
            let found = f64::from(tensor[(c * 224 + y) * 224 + x]);
            let expected = probe["v"].as_f64().unwrap();
            let difference = (found - expected).abs();
            assert!(difference <= tolerance, "{name} {probe}: found {found}");
        }
    }
}
