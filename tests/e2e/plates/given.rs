//! The networks on tensors that are given: what each stage makes of the one before, and two hundred plates whose texts are
//! known. Some of the texts turn on a grey level, so they hold the decoder of JPEG to that of the reference.

use std::fs;
use std::path::Path;

use image_ops::{DecodeLimits, decode};
use serde_json::{Value, json};

use super::{guide, networks, pack, picture, plates, steps};
use crate::client::Request;
use crate::fixtures::{Model, json as read_json};
use crate::harness::{Bench, Daemon};

/// The numbers of a `.npy` file of single precision.
fn numbers(npy: &[u8]) -> Vec<f32> {
    let length = usize::from(u16::from_le_bytes([npy[8], npy[9]]));
    let bytes = npy[10 + length..].chunks_exact(4);
    bytes
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

#[track_caller]
fn check_stage(daemon: &Daemon, data: &Path, model: &str, from: &str, to: &str) {
    let file = |name: &str| fs::read(data.join("expected").join(name)).expect("a tensor");
    let npy = "application/x-npy";
    let request = Request::post(&format!("/predictions/{model}"), file(from));
    let answer = daemon.send(&request.content_type(npy).header("Accept", npy));
    assert_eq!(answer.status, 200, "{from}");
    let (found, expected) = (numbers(&answer.body), numbers(&file(to)));
    assert_eq!(found.len(), expected.len(), "{to}");
    let off = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    let off = off.fold(0.0, f32::max);
    assert!(off < 1e-3, "{to}: off by {off}");
}

#[test]
fn every_network_gives_the_numbers_of_the_reference() {
    let Some(data) = plates() else { return };
    let [_, stn, lprnet] = networks(&data);
    let daemon = Bench::new().with(&stn).with(&lprnet).start();
    for case in [
        "car.rgb",
        "car.bgr",
        "car.published_boxes",
        "street_one_plate",
    ] {
        let stage = |name: &str| format!("{case}.{name}.npy");
        check_stage(
            &daemon,
            &data,
            "stn_network",
            &stage("crops"),
            &stage("stn"),
        );
        check_stage(
            &daemon,
            &data,
            "lprnet_network",
            &stage("stn"),
            &stage("logits"),
        );
    }
}

#[test]
fn given_plates_have_exactly_their_texts() {
    let Some(data) = plates() else { return };
    let [_, _, lprnet] = steps(&data);
    let daemon = Bench::new().with(&lprnet).start();
    for (case, texts) in [
        ("car.rgb", &["B840CK197"][..]),
        ("car.bgr", &["B840OK197"]),
        ("street_one_plate", &[""]),
        // Four in one batch, which the reference read as one.
        ("car.published_boxes", &["B840CK197", "", "", ""]),
    ] {
        let file = data.join("expected").join(format!("{case}.stn.npy"));
        let numbers = numbers(&fs::read(file).expect("a tensor"));
        let rows: Vec<&[f32]> = numbers.chunks_exact(94).collect();
        let planes: Vec<&[&[f32]]> = rows.chunks_exact(24).collect();
        let plates: Vec<_> = planes.chunks_exact(3).collect();
        let body = json!({"data": plates}).to_string();
        let found = daemon
            .post("/predictions/lprnet", body.as_bytes())
            .prediction();
        assert_eq!(found, json!({"data": texts}), "{case}");
    }
}

/// A reader of Chinese plates, which keeps every text.
fn chinese(data: &Path) -> Model {
    let alphabet = read_json(&data.join("labels/cn_characters.json"));
    let config = format!(
        "merge: false
batchSize: 16
handler:
  pipeline:
    inputs: {{plates: 'tensor<f32>[n, 3, 24, 94]'}}
    nodes:
      scores: {{model: network, in: plates}}
      read: {{function: ctc_greedy, in: {{scores: scores}}, with: {{alphabet: {alphabet}}}}}
    output: read.texts
"
    );
    Model::new("chinese", data.join("models/lprnet_cn.pt"), "pipeline").configured(&config)
}

/// A plate of 94 x 24 as the reader takes it: the first channel is blue.
fn plate(data: &Path, file: &str) -> Value {
    let bytes = fs::read(data.join("plates_cn").join(file)).expect("a picture");
    let image = decode(&bytes, &DecodeLimits::default())
        .expect("a picture")
        .into_rgb();
    assert_eq!((image.width(), image.height()), (94, 24), "{file}");
    let plane = |channel: usize| -> Vec<Vec<f32>> {
        let sample = |pixel: &[u8]| (f32::from(pixel[channel]) - 127.5) * 0.007_812_5;
        let row = |row: &[u8]| row.chunks_exact(3).map(sample).collect();
        image.data().chunks_exact(94 * 3).map(row).collect()
    };
    json!([plane(2), plane(1), plane(0)])
}

#[test]
fn two_hundred_plates_have_their_texts_alone_and_in_batches() {
    let Some(data) = plates() else { return };
    // A hundred plates as JSON are some ten megabytes.
    let bench = Bench::new().config("max_request_size=50000000");
    let daemon = bench.with(&chinese(&data)).start();
    let expected = read_json(&data.join("expected/plates_cn.json"));
    let rows = expected["rows"].as_array().expect("plates");
    assert_eq!(rows.len(), 200);
    let files: Vec<&str> = rows.iter().filter_map(|row| row["file"].as_str()).collect();
    let plates: Vec<Value> = files.iter().map(|file| plate(&data, file)).collect();
    let read = |plates: &[Value]| -> Vec<String> {
        let body = json!(plates).to_string();
        let answer = daemon
            .post("/predictions/chinese", body.as_bytes())
            .prediction();
        serde_json::from_value(answer).expect("texts")
    };
    let texts =
        |key: &str| -> Vec<&str> { rows.iter().filter_map(|row| row[key].as_str()).collect() };
    // Four clients at once: whatever waits at the same time, no two requests may share a batch.
    let mut alone = vec![Vec::new(); plates.len()];
    std::thread::scope(|scope| {
        for (plates, found) in plates.chunks(50).zip(alone.chunks_mut(50)) {
            let read = &read;
            scope.spawn(move || {
                for (plate, found) in plates.iter().zip(found) {
                    *found = read(std::slice::from_ref(plate));
                }
            });
        }
    });
    assert_eq!(alone.concat(), texts("text"));
    let together: Vec<String> = plates.chunks(100).flat_map(read).collect();
    assert_eq!(together, texts("text_in_batch"));
    // What a plate's text is depends on the others of its batch.
    let changed =
        |one: &[String], other: &[String]| one.iter().zip(other).filter(|(a, b)| a != b).count();
    assert!(changed(&alone.concat(), &together) >= 10);
}

/// The detector at the picture's own size, and every text as it is, against what the reference says of three plates together. The
/// second is no more than guessed at, and a grey level changes it, so it is only counted.
#[test]
fn a_detector_may_look_at_pictures_as_they_are() {
    let Some(data) = plates() else { return };
    let [detector, stn, lprnet] = networks(&data);
    let detector = detector.configured("handler: {dtype: float32, batched: true}");
    let spec = guide("plate_recognition_typed.yaml")
        .replace("confidence: 0.57", "confidence: 0.25")
        .replace("size: 1280", "size: 640")
        .replace(
            "in: scaled, with: {size: 640",
            "in: picture, with: {size: 640",
        )
        .replace("image: scaled", "image: picture")
        .replace(", max_score: -85, lengths: [8, 9]", "");
    let bench = Bench::new().with(&detector).with(&stn).with(&lprnet);
    pack(&bench, "native", &spec);
    let daemon = bench.start_with(&["--model-store", "store", "--workflows", "native.war"]);
    daemon.wait_for_ok("/ready");
    let file = picture(&data, "street_three_plates.png");
    let found = daemon.post("/wfpredict/native", &file).prediction();
    let expected = read_json(&data.join("expected/detector_only.json"));
    let expected = &expected["street_three_plates.png"];
    let boxes = expected["boxes_xyxy_conf_cls"].as_array().expect("boxes");
    let places = found["coordinates"].as_array().expect("places");
    assert_eq!(places.len(), boxes.len(), "{found}");
    for (place, expected) in places.iter().zip(boxes) {
        for (side, name) in ["xmin", "ymin", "xmax", "ymax"].iter().enumerate() {
            let number = |value: &Value| value.as_f64().expect("a number");
            let off = (number(&place[name]) - number(&expected[side]).trunc()).abs();
            assert!(off <= 2.0, "{place} for {expected}");
        }
    }
    let (texts, expected) = (&found["texts"], &expected["russian_text_one_batch"]);
    assert_eq!(texts.as_array().map(Vec::len), Some(3), "{found}");
    assert_eq!((&texts[0], &texts[2]), (&expected[0], &expected[2]));
}
