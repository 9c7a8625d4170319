//! The written-down handlers for number plates, around networks that say what a test wants.

use std::path::Path;

use image_ops::{Image, encode_png};
use servable::{Input, Tensor, Value};

use crate::testing::{body, handler, json_input, on_tensor, predict, tensor};
use crate::{Handler, Network};

/// A handler as docs/guides/plates describes it.
fn written(name: &str) -> Box<dyn Handler> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/plates");
    let text = std::fs::read_to_string(folder.join(name)).expect("a file of the guide");
    let document: serde_yaml::Value = serde_yaml::from_str(&text).expect("YAML");
    let settings = document.get("handler").expect("settings of a handler");
    handler("pipeline", &serde_yaml::to_string(settings).expect("YAML"))
}

/// A picture that is red on its left half and blue on its right.
fn picture() -> Input {
    let (width, height) = (192u32, 108u32);
    let pixel = |x: u32| {
        if x < width / 2 {
            [200u8, 0, 0]
        } else {
            [0, 0, 200]
        }
    };
    let samples = (0..width * height)
        .flat_map(|at| pixel(at % width))
        .collect();
    let image = Image::new(width, height, 3, samples).expect("as many samples");
    Input::body("", bytes::Bytes::from(encode_png(&image).expect("encoded")))
}

/// A detector that finds these plates: left, top, right, bottom in the picture of 1920 x 1080, confidence.
fn detector(plates: &'static [[f32; 5]]) -> impl Network {
    on_tensor(move |given| {
        let &[count, 3, 736, 1280] = given.shape() else {
            panic!("{given:?}");
        };
        // Eight rows of border above, as the picture fits in.
        let row = |&[left, top, right, bottom, confidence]: &[f32; 5]| {
            let [left, top, right, bottom] =
                [left, top + 12.0, right, bottom + 12.0].map(|v| v / 1.5);
            let (x, y) = ((left + right) / 2.0, (top + bottom) / 2.0);
            [x, y, right - left, bottom - top, confidence, 1.0, 0.0]
        };
        let rows: Vec<f32> = plates.iter().flat_map(row).collect();
        tensor(&[count, plates.len(), 7], &rows.repeat(count)).into()
    })
}

fn ask(plates: &'static [[f32; 5]], input: Input) -> Value {
    let mut handler = written("yolo.yaml");
    let mut answers = predict(&mut *handler, &mut detector(plates), &[input]);
    answers.remove(0).expect("an answer").value
}

fn crops(answer: &Value) -> &Tensor {
    match answer.get("data") {
        Some(Value::Tensor(crops)) => crops,
        other => panic!("{other:?}"),
    }
}

fn coordinates(answer: &Value) -> String {
    let json = answer.get("coordinates").expect("coordinates").to_json();
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    json.to_string()
}

#[test]
fn plates_are_cut_out_surest_first() {
    let answer = ask(
        &[
            [1200.5, 800.5, 1300.5, 830.5, 0.6],
            [100.5, 500.25, 200.75, 530.5, 0.875],
            [600.0, 600.0, 700.0, 630.0, 0.5],
        ],
        picture(),
    );
    assert_eq!(
        coordinates(&answer),
        r#"[{"xmin":100,"ymin":500,"xmax":200,"ymax":530,"confidence":0.875},{"xmin":1200,"ymin":800,"xmax":1300,"ymax":830,"confidence":0.6}]"#
    );
    let crops = crops(&answer);
    assert_eq!(crops.shape(), [2, 3, 24, 94]);
    // Red, green and blue of the first plate, which lies in the red half.
    let planes: Vec<f32> = (0..3)
        .map(|plane| crops.elements::<f32>().expect("floats")[plane * 24 * 94])
        .collect();
    assert_eq!(planes, [72.5 / 128.0, -127.5 / 128.0, -127.5 / 128.0]);
}

#[test]
fn the_order_of_channels_comes_with_the_request() {
    let mut input = picture();
    input.parts[0].name = "data".into();
    let order = servable::Part {
        name: "order".into(),
        content_type: String::new(),
        value: Value::Bytes("bgr".into()),
    };
    input.parts.push(order);
    let answer = ask(&[[100.0, 500.0, 200.0, 530.0, 0.9]], input);
    let first = crops(&answer).elements::<f32>().expect("floats")[0];
    assert_eq!(first, -127.5 / 128.0, "blue comes first, and is not there");
}

#[test]
fn plates_at_the_edge_and_of_no_size_keep_their_places() {
    let answer = ask(
        &[
            [100.5, 2.5, 200.5, 32.5, 0.9],
            [300.25, 40.5, 300.75, 70.5, 0.8],
            [-5.0, 1070.5, 90.5, 1100.0, 0.7],
        ],
        picture(),
    );
    assert_eq!(
        coordinates(&answer),
        r#"[{"xmin":100,"ymin":2,"xmax":200,"ymax":32,"confidence":0.9},{"xmin":300,"ymin":40,"xmax":300,"ymax":70,"confidence":0.8},{"xmin":0,"ymin":1070,"xmax":90,"ymax":1080,"confidence":0.7}]"#
    );
    let crops = crops(&answer);
    let empty = |place| {
        let crop = crops.row(place).expect("a plate");
        crop.elements::<f32>()
            .expect("floats")
            .iter()
            .all(|number| *number == 0.0)
    };
    assert_eq!([0, 1, 2].map(empty), [false, true, false]);
}

#[test]
fn no_plates_are_empty_lists_all_the_way() {
    let found = ask(&[], picture());
    let text = |value: Value| {
        let json: serde_json::Value = serde_json::from_slice(&value.to_json()).expect("JSON");
        json.to_string()
    };
    assert_eq!(text(found.clone()), r#"{"data":[],"coordinates":[]}"#);
    let mut never = on_tensor(|given| panic!("asked about {given:?}"));
    for name in ["stn.yaml", "lprnet.yaml"] {
        let mut handler = written(name);
        for input in [Input::body("", found.clone()), json_input("{\"data\": []}")] {
            let answer = predict(&mut *handler, &mut never, &[input]).remove(0);
            assert_eq!(text(answer.expect(name).value), r#"{"data":[]}"#, "{name}");
        }
    }
}

#[test]
fn what_is_no_plate_is_read_as_nothing() {
    // Every step of a plate says `digit`, or the blank where the digit before stands.
    let reader = |given: &Tensor| {
        let count = given.shape()[0];
        let mut scores = vec![0f32; count * 23 * 18];
        for plate in 0..count {
            let level = given
                .row(plate)
                .expect("a plate")
                .elements::<f32>()
                .expect("floats")[0];
            for step in 0..18 {
                let class = if step % 2 == 1 { 22 } else { (step / 2) % 10 };
                scores[(plate * 23 + class) * 18 + step] = 10.0 * level;
            }
        }
        Value::from(tensor(&[count, 23, 18], &scores))
    };
    let plates: Vec<f32> = [0.0, 1.0, 0.25]
        .iter()
        .flat_map(|level| [*level; 3 * 24 * 94])
        .collect();
    let value = Value::map([("data", Value::from(tensor(&[3, 3, 24, 94], &plates)))]);
    let mut handler = written("lprnet.yaml");
    let answer = predict(
        &mut *handler,
        &mut on_tensor(reader),
        &[Input::body("", value)],
    )
    .remove(0);
    // Nothing was left of the first, and the third is too unsure.
    assert_eq!(
        body(answer).split_whitespace().collect::<String>(),
        r#"{"data":["","012345678",""]}"#
    );
}
