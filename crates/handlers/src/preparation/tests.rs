use image_ops::encode_png;
use servable::Value;

use super::*;
use crate::testing::tensor;

fn load(settings: &str, defaults: &Defaults) -> Result<Preparation, LoadError> {
    let settings = serde_yaml::from_str(settings).expect("YAML");
    let context = ModelContext {
        settings: Some(&settings),
        ..ModelContext::new(std::path::Path::new("."))
    };
    let parameters = Parameters::read(&context)?;
    let preparation = Preparation::load(&context, &parameters, defaults)?;
    parameters.finish().map(|()| preparation)
}

fn picture(width: u32, height: u32) -> Input {
    let data = (0..width * height * 3).map(|n| (n % 251) as u8).collect();
    let image = Image::new(width, height, 3, data).expect("as many samples");
    Input::body(
        "image/png",
        bytes::Bytes::from(encode_png(&image).expect("a PNG")),
    )
}

fn check_shape(settings: &str, (width, height): (u32, u32), expected: &[usize]) {
    let preparation = load(settings, &IMAGENET).expect("settings");
    let prepared = preparation
        .prepare(&picture(width, height))
        .expect("a picture");
    assert_eq!(prepared.layout().item, expected, "{settings}");
    let tensor = preparation.tensor(&prepared).expect("numbers");
    assert_eq!(tensor.shape(), expected);
}

#[test]
fn settings_say_what_becomes_of_a_picture() {
    check_shape("{}", (300, 200), &[3, 224, 224]);
    check_shape("{}", (20, 20), &[3, 224, 224]);
    check_shape("resize: 24", (30, 20), &[3, 224, 224]);
    check_shape("{resize: 10, crop: none}", (30, 20), &[3, 10, 15]);
    check_shape("{resize: {longest_side: 10}}", (30, 20), &[3, 6, 10]);
    check_shape("{resize: {exact: [7, 5]}}", (30, 20), &[3, 5, 7]);
    check_shape("{resize: [7, 5]}", (30, 20), &[3, 5, 7]);
    check_shape("{input_size: [7, 5], channels: 1}", (30, 20), &[1, 5, 7]);
    check_shape("{resize: none}", (30, 20), &[3, 20, 30]);
    check_shape("{resize: none, crop: [4, 2]}", (30, 20), &[3, 2, 4]);
    check_shape("{resize: none, crop: 40}", (30, 20), &[3, 40, 40]);
    check_shape("{resize: none, pad_to: [32, 10]}", (30, 20), &[3, 20, 32]);
    check_shape("{pad_to: [400, 400]}", (300, 200), &[3, 400, 400]);
}

fn check_numbers(settings: &str, image: Image, expected: &[f32]) {
    let preparation = load(settings, &TO_TENSOR).expect("settings");
    let bytes = encode_png(&image).expect("a PNG");
    let prepared = preparation
        .prepare(&Input::body("", bytes::Bytes::from(bytes)))
        .expect("a picture");
    let tensor = preparation.tensor(&prepared).expect("numbers");
    let found = tensor.elements::<f32>().expect("float32");
    assert_eq!(found.len(), expected.len(), "{settings}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-5,
            "{settings}: {found} for {expected}"
        );
    }
}

#[test]
fn numbers_are_normalised_channel_by_channel() {
    let red = || Image::new(1, 1, 3, vec![255, 0, 51]).expect("one pixel");
    check_numbers("{}", red(), &[1., 0., 0.2]);
    check_numbers("{colour_order: bgr}", red(), &[0.2, 0., 1.]);
    check_numbers("{mean: 0.5, std: [0.5, 1, 2]}", red(), &[1., -0.5, -0.15]);
    check_numbers("{scale: 1}", red(), &[255., 0., 51.]);
    check_numbers(
        "{channels: 1, mean: 0.1307, std: 0.3081}",
        red(),
        &[0.619_502],
    );
    check_numbers(
        "{pad_to: [2, 1], pad_value: 127.5, mean: 0.5, std: 0.5}",
        red(),
        &[1., 0., -1., 0., -0.6, 0.],
    );
    let grey = Image::new(1, 1, 1, vec![51]).expect("one pixel");
    check_numbers("{}", grey, &[0.2, 0.2, 0.2]);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let check = |settings: &str, expected: &str| {
        let error = load(settings, &IMAGENET).expect_err("refused").to_string();
        assert_eq!(error, expected);
    };
    check("channels: 2", "handler.channels: expected 1 or 3, found 2");
    check(
        "std: [1, 0, 1]",
        "handler.std: a deviation of 0 divides by nothing",
    );
    check(
        "mean: [1, 2]",
        "handler.mean: expected a number or a list of 1 or 3 numbers, found [1, 2]",
    );
    check(
        "resize: big",
        "handler.resize: expected a side from 1 to 16384, or [width, height], found `big`",
    );
    check(
        "resize: 0",
        "handler.resize: expected a side from 1 to 16384, or [width, height], found 0",
    );
    check(
        "resize: {}",
        "handler.resize: expected one of longest_side, shortest_side and exact",
    );
    check(
        "resize: {longest: 3}",
        "handler.resize.longest: unknown parameter",
    );
    check(
        "resize: {longest_sde: 3}",
        "handler.resize.longest_sde: unknown parameter, did you mean `longest_side`?",
    );
    check(
        "resize: {longest_side: 3, asked_by: side}",
        "handler.resize.asked_by: needs `most`, the largest side to grant",
    );
    check(
        "resize: {longest_side: 3, most: 9}",
        "handler.resize.least and most: go with `asked_by`",
    );
    check(
        "resize: {longest_side: 3, asked_by: side, least: 10, most: 9}",
        "handler.resize.least: 10 is more than most, which is 9",
    );
    check(
        "resize: {exact: [3, 3], asked_by: side, most: 9}",
        "handler.resize.asked_by: goes with longest_side or shortest_side",
    );
    check(
        "{resize: 3, input_size: [1, 1]}",
        "handler.input_size: says the same as `resize`: give only one",
    );
    check(
        "colour_order: gbr",
        "handler.colour_order: expected one of rgb, bgr, found `gbr`",
    );
    check(
        "kernel: bilinear",
        "handler.kernel: unknown resize kernel \"bilinear\", expected one of cv_linear, cv_area, cv_cubic, pil_bilinear, pil_bicubic, pil_lanczos",
    );
    check(
        "color_order: rgb",
        "handler.color_order: unknown parameter, did you mean `colour_order`?",
    );
}

#[test]
fn a_request_says_how_large_its_picture_becomes() {
    let settings = "{resize: {longest_side: 20, asked_by: side, least: 8, most: 32}}";
    let preparation = load(settings, &TO_TENSOR).expect("settings");
    let check = |side: Option<Value>, expected: &str| {
        let mut input = picture(30, 15);
        input.parts.extend(side.map(|value| servable::Part {
            name: "side".into(),
            content_type: String::new(),
            value,
        }));
        let found = match preparation.prepare(&input) {
            Ok(prepared) => format!("{:?}", prepared.size()),
            Err(error) => error.message,
        };
        assert_eq!(found, expected);
    };
    let refused = |found: &str| {
        format!("request part `side`: expected a whole number from 8 to 32, found {found}")
    };
    check(None, "(20, 10)");
    check(Some("32".into()), "(32, 16)");
    check(Some(bytes::Bytes::from_static(b"8").into()), "(8, 4)");
    check(Some(Value::Int(10)), "(10, 5)");
    check(Some("33".into()), &refused("\"33\""));
    check(Some("7".into()), &refused("\"7\""));
    check(Some("".into()), &refused("\"\""));
    check(Some(Value::Int(-9)), &refused("-9"));
    check(Some(Value::Null), &refused("null"));
}

/// What a payload is taken for: the shape of the picture, or the error.
fn check_payload(content_type: &str, value: impl Into<Value>, expected: &str) {
    let preparation = load("{}", &TO_TENSOR).expect("settings");
    let found = match preparation.prepare(&Input::body(content_type, value)) {
        Ok(prepared) => format!("{:?}", prepared.layout().item),
        Err(error) => error.message,
    };
    assert_eq!(found, expected);
}

#[test]
fn a_picture_comes_in_many_forms() {
    use base64::Engine as _;
    let image = Image::new(2, 1, 3, vec![7; 6]).expect("two pixels");
    let png = encode_png(&image).expect("a PNG");
    let text = base64::engine::general_purpose::STANDARD.encode(&png);
    let bytes = |text: String| bytes::Bytes::from(text);
    check_payload("image/png", bytes::Bytes::from(png.clone()), "[3, 1, 2]");
    check_payload("application/json", bytes::Bytes::from(png), "[3, 1, 2]");
    check_payload("", text.clone(), "[3, 1, 2]");
    check_payload("text/plain", bytes(text.clone()), "[3, 1, 2]");
    check_payload("", format!("data:image/png;base64,{text}\n"), "[3, 1, 2]");
    check_payload(
        "application/json",
        bytes(format!("\"{text}\"")),
        "[3, 1, 2]",
    );
    check_payload(
        "application/json",
        bytes(format!("{{\"b64\": \"{text}\"}}")),
        "[3, 1, 2]",
    );
    check_payload("application/json", bytes("[[[1, 2]]]".into()), "[1, 1, 2]");
    check_payload("", tensor(&[2, 3, 3], &[0u8; 18]), "[3, 2, 3]");
    check_payload("", tensor(&[3, 2, 3], &[0f32; 18]), "[3, 2, 3]");
    check_payload("", tensor(&[3, 2, 3], &[0i64; 18]), "[3, 2, 3]");
}

#[test]
fn what_is_no_picture_is_the_clients_fault() {
    let bytes = |text: &'static str| bytes::Bytes::from_static(text.as_bytes());
    check_payload(
        "application/json",
        bytes("{\"a\": 1}"),
        "request part `body` is not a picture (found JSON)",
    );
    check_payload(
        "",
        bytes("{\"a\": 1}"),
        "request part `body` is not a picture (found JSON)",
    );
    for content_type in ["", "application/json"] {
        check_payload(
            content_type,
            bytes("{oops"),
            "request part `body` is neither a picture nor JSON (key must be a string at line 1 column 2)",
        );
    }
    let not_base64 = |text: &str, reason: &str| {
        let expected =
            format!("request part `body` is text, but not base64 of a picture ({reason})");
        check_payload("", text, &expected);
    };
    not_base64("!AAA", "invalid character at offset 0");
    not_base64(
        "data:image/png;base64,AA\n A!",
        "invalid character at offset 27",
    );
    not_base64(
        "AAAAA",
        "cut short: 5 characters cannot be a whole number of bytes",
    );
    not_base64("AA", "the `=` at its end are missing or too many");
    check_payload(
        "application/json",
        bytes("[[1], [2, 3]]"),
        "request part `body` is not a picture (body[1]: expected a list of 1 numbers, found 2)",
    );
    check_payload(
        "",
        bytes("GIF8"),
        "request part `body` cannot be used: the bytes are not a picture: expected JPEG, PNG, BMP, WebP or GIF",
    );
    check_payload(
        "",
        Value::Int(1),
        "request part `body` is not a picture (found integer)",
    );
    check_payload(
        "",
        tensor(&[2, 2, 2], &[0u8; 8]),
        "request part `body` is not a picture: expected uint8 of shape [height, width, 1 or 3], found uint8[2, 2, 2]",
    );
    check_payload(
        "application/json",
        bytes("[1, 2]"),
        "request part `body` is not a picture: expected numbers of shape [channels, height, width], found [2]",
    );
}

/// The reference pictures, prepared by torchvision's steps; probes of the network's input are given to five digits.
#[test]
fn reference_pictures_give_the_reference_numbers() {
    let data = std::path::Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/torchserve-basics"
    ));
    let Ok(expected) = std::fs::read(data.join("expected/classification.json")) else {
        eprintln!("skipped: {} is absent", data.display());
        return;
    };
    let expected: serde_json::Value = serde_json::from_slice(&expected).expect("JSON");
    let preparation = load("{}", &IMAGENET).expect("no settings");
    for (name, expected) in expected.as_object().expect("pictures by name") {
        let bytes = std::fs::read(data.join("images").join(name)).expect("the picture");
        let input = Input::body("", bytes::Bytes::from(bytes));
        let prepared = preparation.prepare(&input).expect("a picture");
        let tensor = preparation.tensor(&prepared).expect("numbers");
        let numbers = tensor.elements::<f32>().expect("float32");
        let probes = expected["input_tensor_probes"].as_array().expect("probes");
        assert!(!probes.is_empty());
        for probe in probes {
            let [c, y, x] =
                ["c", "y", "x"].map(|key| probe[key].as_u64().expect("an index") as usize);
            let found = f64::from(numbers[(c * 224 + y) * 224 + x]);
            let wanted = probe["v"].as_f64().expect("a number");
            // One grey level is 0.0175 at most; decoders of JPEG differ by another.
            assert!(
                (found - wanted).abs() < 0.04,
                "{name} {c} {y} {x}: {found} for {wanted}"
            );
        }
    }
}
