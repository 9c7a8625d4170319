//! The workflows that ship in `workflows/`, as they lie there: served by the real program over the demo models, asked as
//! their heads say, and compared with what a test can work out by itself.

use std::fs;
use std::path::Path;

use image_ops::{DecodeLimits, decode};
use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::fixtures::{Model, json as read_json, own, pictures};
use crate::harness::{Bench, Daemon};

/// A daemon with the demo models under their own names and every shipped workflow.
fn daemon() -> Daemon {
    let workflows = Path::new(env!("CARGO_MANIFEST_DIR")).join("../workflows");
    Bench::new()
        .with(&Model::quadrat())
        .with(&Model::substrate())
        .with(&Model::colour())
        .with(&Model::tag_finder())
        .with(&Model::tag_reader())
        .config(&format!("workflow_store={}", workflows.display()))
        .start_with(&[
            "--model-store",
            "store",
            "--models",
            "all",
            "--workflows",
            "all",
        ])
}

#[test]
fn all_of_them_are_registered_without_a_warning() {
    let daemon = daemon();
    daemon.wait_for_ok("/ready");
    let listed = daemon.manage("GET", "/workflows").prediction();
    let names: Vec<&str> = listed["workflows"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|workflow| workflow["workflowName"].as_str())
        .collect();
    assert_eq!(names, ["detect_read", "ensemble", "segment_cover"]);
    for name in names {
        let described = daemon.manage("GET", &format!("/workflows/{name}"));
        assert_eq!(described.prediction()[0]["warnings"], json!([]), "{name}");
    }
}

fn ask(daemon: &Daemon, workflow: &str, picture: &[u8], accept: &str) -> Answer {
    let path = format!("/wfpredict/{workflow}");
    daemon.send(&Request::post(&path, picture).header("Accept", accept))
}

/// Sand, seagrass and rock of a list `[{id, name, cover}]`.
fn covers(cover: &Value) -> [f64; 3] {
    ["sand", "seagrass", "rock"].map(|class| {
        let classes = cover.as_array().expect("a list of classes");
        let found = classes.iter().find(|found| found["name"] == class);
        let cover = found.and_then(|found| found["cover"].as_f64());
        cover.unwrap_or_else(|| panic!("no cover of {class}: {cover:?}"))
    })
}

/// The share of each class in a mask `[[0, 2, …], …]`, counted one by one.
fn counted(mask: &Value) -> [f64; 3] {
    let rows = mask.as_array().expect("rows");
    let classes = rows.iter().flat_map(|row| row.as_array().expect("a row"));
    let classes: Vec<u64> = classes.filter_map(Value::as_u64).collect();
    [0, 1, 2].map(|class| {
        let count = classes.iter().filter(|found| **found == class).count();
        count as f64 / classes.len() as f64
    })
}

#[track_caller]
fn check_close(case: &str, found: [f64; 3], expected: [f64; 3], tolerance: f64) {
    for (found, expected) in found.iter().zip(expected) {
        let off = (found - expected).abs();
        assert!(off <= tolerance, "{case}: {found} for {expected}");
    }
}

/// The reference is the mask that the segmenter gives when it is asked alone about the picture as it came, counted here;
/// the picture's own truth, which the segmenter knows within 0.05, stands beside it.
#[test]
fn segment_cover_tells_the_share_of_each_class() {
    let daemon = daemon();
    daemon.wait_for_ok("/ready");
    for (name, picture) in pictures(&own("quadrats")) {
        let answer = ask(&daemon, "segment_cover", &picture, "application/json");
        let cover = covers(&answer.prediction()["cover"]);
        let alone = daemon.post("/predictions/quadrat", &picture).prediction();
        check_close(&name, cover, counted(&alone["seg_map"]), 0.02);
        let truth = &read_json(&own(&format!("quadrats/{name}.json")))["cover"];
        let truth =
            ["sand", "seagrass", "rock"].map(|class| truth[class].as_f64().expect("a share"));
        check_close(&name, cover, truth, 0.05);
    }
}

#[test]
fn segment_cover_draws_the_mask_for_who_accepts_pictures() {
    const COLOURS: [[u8; 3]; 3] = [[226, 202, 118], [46, 139, 87], [112, 112, 124]];
    let daemon = daemon();
    daemon.wait_for_ok("/ready");
    let picture = fs::read(own("quadrats/mixed.png")).expect("a picture");
    let drawn = ask(&daemon, "segment_cover", &picture, "image/png");
    assert_eq!(drawn.header("content-type"), Some("image/png"));
    let drawn = decode(&drawn.body, &DecodeLimits::default()).expect("a PNG");
    assert_eq!((drawn.width(), drawn.height()), (256, 256));
    let pixels = drawn.data().chunks_exact(3);
    let shares = COLOURS.map(|colour| {
        let count = pixels.clone().filter(|pixel| *pixel == colour).count();
        count as f64 / (256.0 * 256.0)
    });
    let told = ask(&daemon, "segment_cover", &picture, "application/json").prediction();
    check_close("mixed", shares, covers(&told["cover"]), 1e-9);
}

#[test]
fn ensemble_is_what_both_say_alone() {
    let daemon = daemon();
    daemon.wait_for_ok("/ready");
    for (name, picture) in pictures(&own("substrates")) {
        let both = ask(&daemon, "ensemble", &picture, "*/*").prediction();
        for (node, model) in [("texture", "substrate"), ("colours", "colour")] {
            let alone = daemon.post(&format!("/predictions/{model}"), &picture);
            let alone = alone.prediction();
            for class in ["sand", "seagrass", "rock"] {
                let probability = |answer: &Value| answer[class].as_f64().expect("a probability");
                let off = probability(&both[node]) - probability(&alone);
                assert!(off.abs() < 1e-4, "{name}, {node}: {both} for {alone}");
            }
            let (true_class, _) = name.split_once('-').expect("named after its class");
            let best = both[node].as_object().and_then(|all| all.keys().next());
            assert_eq!(best.map(String::as_str), Some(true_class), "{name}, {node}");
        }
        assert_eq!(both.as_object().map(serde_json::Map::len), Some(2));
    }
}

/// Tags as they were drawn, or as they were found: corners to the nearest pixel, and the digit; from left to right.
type Tags = Vec<([i64; 4], String)>;

fn drawn(name: &str) -> Tags {
    let truth = read_json(&own(&format!("tags/{name}.json")));
    let tags = truth["tags"].as_array().expect("tags").iter();
    let mut tags: Tags = tags
        .map(|tag| {
            let corner = |index: usize| tag["box"][index].as_i64().expect("a corner");
            (std::array::from_fn(corner), tag["digit"].to_string())
        })
        .collect();
    tags.sort();
    tags
}

fn read(answer: &Value) -> Tags {
    let boxes = answer["boxes"].as_array().expect("boxes");
    let digits = answer["digits"].as_array().expect("digits");
    assert_eq!(boxes.len(), digits.len(), "{answer}");
    let mut tags: Tags = boxes
        .iter()
        .zip(digits)
        .map(|(found, digit)| {
            let corner = |index: usize| found[index].as_f64().expect("a corner").round() as i64;
            let best = digit.as_object().and_then(|best| best.keys().next());
            (std::array::from_fn(corner), best.expect("a digit").clone())
        })
        .collect();
    tags.sort();
    tags
}

#[test]
fn detect_read_reads_what_was_drawn() {
    let daemon = daemon();
    daemon.wait_for_ok("/ready");
    for name in ["one", "three"] {
        let picture = fs::read(own(&format!("tags/{name}.png"))).expect("a picture");
        let answer = ask(&daemon, "detect_read", &picture, "*/*").prediction();
        let (found, expected) = (read(&answer), drawn(name));
        assert_eq!(found.len(), expected.len(), "{name}: {answer}");
        for ((corners, digit), (true_corners, true_digit)) in found.iter().zip(&expected) {
            let off = corners.iter().zip(true_corners).map(|(a, b)| (a - b).abs());
            assert!(off.max() <= Some(2), "{name}: {found:?} for {expected:?}");
            assert_eq!(digit, true_digit, "{name}: {answer}");
        }
    }
    let nothing = fs::read(own("quadrats/meadow.png")).expect("a picture");
    let answer = ask(&daemon, "detect_read", &nothing, "*/*");
    assert_eq!(answer.prediction(), json!({"boxes": [], "digits": []}));
}

#[test]
fn what_is_no_picture_is_refused() {
    let daemon = daemon();
    daemon.wait_for_ok("/ready");
    for workflow in ["segment_cover", "ensemble", "detect_read"] {
        let answer = ask(&daemon, workflow, b"no picture", "*/*");
        assert_eq!(answer.status, 400, "{workflow}: {}", answer.text());
    }
}
