//! What requests bring to a pipeline: inputs by name and by type, and pictures in every form.

use image_ops::{Image, encode_png};
use servable::{Input, Part, Value};

use super::{compact, doubled};
use crate::testing::{body, handler, json_input, on_tensor, predict, tensor};

#[test]
fn inputs_are_read_as_what_they_are_declared() {
    let settings = "{pipeline: {
        inputs: {
            x: 'tensor<f32>[n, 1]',
            factor: {type: int, default: 2, min: 1, max: 9},
            name: {type: text, default: a, options: [a, b]},
            exact: {type: bool, default: false}},
        nodes: {
            network: {in: x},
            answer: {function: merge, in: {data: network, factor: factor, name: name, exact: exact}}}}}";
    let mut handler = handler("pipeline", settings);
    let mut check = |parts: &[(&str, &str)], expected: &str| {
        let part = |(name, text): &(&str, &str)| Part {
            name: (*name).into(),
            content_type: String::new(),
            value: Value::Bytes(bytes::Bytes::copy_from_slice(text.as_bytes())),
        };
        let input = Input {
            parts: parts.iter().map(part).collect(),
            ..Input::default()
        };
        let answer = predict(&mut *handler, &mut on_tensor(doubled), &[input]).remove(0);
        assert_eq!(compact(&body(answer)), expected, "{parts:?}");
    };
    let x = ("data", "[[1]]");
    check(
        &[x],
        r#"{"data":[[2.0]],"factor":2,"name":"a","exact":false}"#,
    );
    check(
        &[
            ("x", "[[1]]"),
            ("factor", " 3"),
            ("name", "b"),
            ("exact", "1"),
        ],
        r#"{"data":[[2.0]],"factor":3,"name":"b","exact":true}"#,
    );
    check(
        &[x, ("factor", "many")],
        "input `factor`: expected a whole number, found `many`",
    );
    check(
        &[x, ("factor", "10")],
        "input `factor`: expected a number from 1 to 9, found 10",
    );
    check(
        &[x, ("name", "c")],
        "input `name`: expected one of a, b, found `c`",
    );
    check(
        &[("factor", "3")],
        "expected a request part `x`, `data` or `body`, found `factor`",
    );
    check(
        &[("x", "[[1"), ("factor", "3")],
        "request part `x` is not JSON: EOF while parsing a list at line 1 column 3",
    );
}

#[test]
fn pictures_come_in_all_the_forms_of_other_handlers() {
    let settings = "{pipeline: {
        inputs: {image: image},
        nodes: {
            picture: {function: decode_image, in: image},
            planes: {function: normalize, in: picture, with: {scale: 1}},
            network: {in: planes}}}}";
    let mut handler = handler("pipeline", settings);
    let image = Image::new(1, 1, 3, vec![1, 2, 3]).expect("one pixel");
    let file = encode_png(&image).expect("encoded");
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &file);
    let samples = tensor(&[1, 1, 3], &[1u8, 2, 3]);
    let mut check = |input: Input, expected: &str| {
        let answer = predict(&mut *handler, &mut on_tensor(doubled), &[input]).remove(0);
        assert_eq!(compact(&body(answer)), expected);
    };
    let planes = "[[[[2.0]],[[4.0]],[[6.0]]]]";
    check(Input::body("image/png", bytes::Bytes::from(file)), planes);
    check(Input::body("text/plain", text.as_str()), planes);
    check(json_input(&format!("{{\"b64\": \"{text}\"}}")), planes);
    check(
        json_input(&format!("\"data:image/png;base64,{text}\"")),
        planes,
    );
    check(Input::body("", samples.clone()), planes);
    let image = servable::Image::from_pixels(samples).expect("a picture");
    check(Input::body("", image), planes);
    check(
        Input::body("", bytes::Bytes::from_static(b"hello")),
        "node `picture`: input `image` cannot be used: the bytes are not a picture: expected JPEG, PNG, BMP, WebP or GIF",
    );
    let named = |name: &str| Input {
        parts: vec![Part {
            name: name.into(),
            content_type: String::new(),
            value: Value::Bytes(bytes::Bytes::new()),
        }],
        ..Input::default()
    };
    for name in ["data", "body", "image"] {
        check(
            named(name),
            &format!(
                "input `image`: request part `{name}`: the picture is empty: no bytes were sent"
            ),
        );
    }
    check(
        named("photo"),
        "expected a request part `image`, `data` or `body`, found `photo`",
    );
    check(
        json_input("{\"a\": 1}"),
        "request part `body` is not a picture (found JSON)",
    );
    check(
        Input::body("", tensor(&[2], &[0f32; 2])),
        "request part `body` is not a picture: expected uint8[height, width, 3], found float32[2]",
    );
}
