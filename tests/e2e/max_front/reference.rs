//! Masks, sizes and labels against the reference's, through the front and beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use image_ops::{DecodeLimits, palette};
use serde_json::{Value, json};

use super::{Front, bench, data, voc_labels};
use crate::client::Request;
use crate::fixtures::json as read_json;

#[test]
fn masks_are_those_of_the_reference() {
    let Some(data) = data() else { return };
    let front = Front::of(bench(&data));
    let cases = cases(&data);
    assert!(cases.len() >= 12, "{} cases", cases.len());
    for case in &cases {
        let of_the_front = case.kind == "mobile" && case.size == 513;
        let answer = if of_the_front {
            let answer = front.segment(&case.picture).prediction();
            let keys: Vec<&String> = answer.as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["status", "image_size", "seg_map"]);
            assert_eq!(answer["status"], "ok");
            answer
        } else {
            // A client of the inference API says the size itself.
            let path = format!("/predictions/max-image-segmenter-{}", case.kind);
            let size = case.size.to_string();
            let fields: [(&str, Option<&str>, &[u8]); 2] = [
                ("data", Some("picture"), &case.picture),
                ("image_size", None, size.as_bytes()),
            ];
            let request = Request::new("POST", &path).multipart(&fields);
            front.daemon.send(&request).prediction()
        };
        check_mask(case, &answer);
        if case.name == "stc_jpg.513.mobile" {
            assert_eq!(answer["image_size"], json!([513, 256]));
            assert_eq!(answer["seg_map"][0][0], 0);
            assert_eq!(answer["seg_map"][130][170], 15);
        }
    }
}

#[test]
fn the_environment_chooses_network_and_size() {
    let Some(data) = data() else { return };
    let bench = bench(&data)
        .env("MODEL_TYPE", "full".to_owned())
        .env("IMAGE_SIZE", "513".to_owned());
    let front = Front::of(bench);
    let cases = cases(&data);
    let mut full = cases
        .iter()
        .filter(|case| case.kind == "full" && case.size == 513)
        .peekable();
    assert!(full.peek().is_some());
    for case in full {
        check_mask(case, &front.segment(&case.picture).prediction());
    }
    let bench = front.daemon.end(rustix::process::Signal::TERM);
    let front = Front::of(
        bench
            .env("MODEL_TYPE", String::new())
            .env("IMAGE_SIZE", "333".to_owned()),
    );
    let mut small = cases
        .iter()
        .filter(|case| case.kind == "mobile" && case.size == 333)
        .peekable();
    assert!(small.peek().is_some());
    for case in small {
        check_mask(case, &front.segment(&case.picture).prediction());
    }
    // Above 513 the network sees more.
    let bench = front.daemon.end(rustix::process::Signal::TERM);
    let front = Front::of(bench.env("IMAGE_SIZE", "700".to_owned()));
    let answer = front.segment(&cases[0].picture).prediction();
    assert_eq!(answer["image_size"][0], 700);
}

#[test]
fn labels_are_those_of_pascal_voc() {
    let Some(data) = data() else { return };
    let front = Front::of(bench(&data));
    let expected = read_json(&data.join("labels/pascal_voc_labels.json"));
    assert_eq!(front.get("/model/labels").json(), expected);
}

/// One case of the reference, as its file's name says: `cow_jpg.513.mobile`.
struct Case {
    name: String,
    picture: Vec<u8>,
    size: u64,
    /// As the front calls it.
    kind: &'static str,
    expected: Value,
    /// Class numbers, row by row.
    mask: Vec<u8>,
}

fn cases(data: &Path) -> Vec<Case> {
    let entries = fs::read_dir(data.join("expected")).expect("a folder");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|suffix| suffix == "json"));
    files.sort();
    let case = |path: &PathBuf| {
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let expected = read_json(path);
        let picture = name.split('.').next().expect("the picture");
        let (stem, suffix) = picture.rsplit_once('_').expect("its suffix");
        let picture = data.join("images").join(format!("{stem}.{suffix}"));
        Case {
            picture: fs::read(picture).expect("a picture"),
            size: expected["image_size_setting"].as_u64().expect("a side"),
            kind: if expected["model"] == "mobile" {
                "mobile"
            } else {
                "full"
            },
            mask: mask(&path.with_extension("png")),
            expected,
            name,
        }
    };
    files.iter().map(case).collect()
}

/// The class numbers of a palette picture.
fn mask(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).expect("a mask");
    let image = image_ops::decode(&bytes, &DecodeLimits::default()).expect("a picture");
    let colours = palette::voc_classic();
    let mut colours = colours.chunks(3).take(21).map(<[u8]>::to_vec);
    let classes: BTreeMap<Vec<u8>, u8> = (0..21)
        .map(|class| (colours.next().expect("21 colours"), class))
        .collect();
    let pixels = image.data().chunks(3);
    pixels.map(|pixel| classes[pixel]).collect()
}

/// Within the tolerances of the reference: the size exactly, 98.5 % of the pixels, every probe, shares to a hundredth.
#[track_caller]
fn check_mask(case: &Case, answer: &Value) {
    let name = &case.name;
    let expected = &case.expected;
    assert_eq!(answer["image_size"], expected["image_size"], "{name}");
    let rows = answer["seg_map"].as_array().expect("rows");
    let width = expected["image_size"][0].as_u64().expect("a width");
    assert_eq!(
        json!([rows.len(), width]),
        expected["seg_map_shape"],
        "{name}"
    );
    let pixels: Vec<u64> = rows
        .iter()
        .flat_map(|row| row.as_array().expect("a row"))
        .map(|class| class.as_u64().expect("a class number"))
        .collect();
    assert_eq!(pixels.len(), case.mask.len(), "{name}: rows of one length");
    let same = pixels.iter().zip(&case.mask);
    let same = same
        .filter(|(found, expected)| **found == u64::from(**expected))
        .count();
    let agreement = same as f64 / pixels.len() as f64;
    assert!(agreement >= 0.985, "{name}: {agreement}");
    let probes = expected["confident_probes"].as_array().expect("probes");
    assert!(!probes.is_empty(), "{name}");
    for probe in probes {
        let [row, column] =
            ["row", "col"].map(|key| probe[key].as_u64().expect("an index") as usize);
        assert_eq!(
            rows[row][column], probe["cls"],
            "{name}: row {row}, column {column}"
        );
    }
    let labels = read_json(&voc_labels());
    for (class, label) in labels.as_array().expect("a list").iter().enumerate() {
        let label = label.as_str().expect("a name");
        let count = pixels
            .iter()
            .filter(|found| **found == class as u64)
            .count();
        let share = count as f64 / pixels.len() as f64;
        let wanted = expected["share_per_class"][label].as_f64().unwrap_or(0.0);
        assert!(
            (share - wanted).abs() < 0.01,
            "{name}: {label}: {share} for {wanted}"
        );
    }
}
