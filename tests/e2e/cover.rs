//! Cover: what PaddleSeg services are given becomes a model, the workflow `cover` tells the share of each class, and
//! `torchrelay run` does so for a folder without a server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use image_ops::{DecodeLimits, Image, decode};
use serde_json::{Value, json};

use crate::client::Request;
use crate::fixtures::{json as read_json, own};
use crate::harness::{Bench, Daemon, Ran};

/// The workflow as the guide has it.
fn spec() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides/cover/cover.yaml");
    fs::read(path).expect("the guide's workflow")
}

/// The folder of shared data for PaddleSeg; where it is absent, the test that asks says so.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    if path.join("ivcap-paddle-seg").is_dir() {
        return Some(path);
    }
    eprintln!(
        "skipped: {} is absent",
        path.join("ivcap-paddle-seg").display()
    );
    None
}

/// A gzip-compressed tar of these files.
fn tgz(files: &[(&str, &[u8])]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *content)
            .expect("in memory");
    }
    tar.into_inner()
        .and_then(|gzip| gzip.finish())
        .expect("in memory")
}

/// The quadrat segmenter as an artifact. Its network gives scores.
pub(crate) fn quadrat() -> Vec<u8> {
    quadrat_prepared(
        "  - {type: Resize, target_size: [256, 256]}
  - {type: Normalize, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}
",
    )
}

/// The same with other transforms, each a line.
pub(crate) fn quadrat_prepared(transforms: &str) -> Vec<u8> {
    let deploy = format!("Deploy:\n  model: model.pt\n  transforms:\n{transforms}");
    let classes = json!([
        {"id": "urn:class:sand", "name": "sand", "def_color": [226, 202, 118]},
        {"id": "urn:class:seagrass", "name": "seagrass", "def_color": [46, 139, 87]},
        {"id": "urn:class:rock", "name": "rock", "def_color": [112, 112, 124]},
    ]);
    let meta = json!({"name": "quadrat", "classes": classes}).to_string();
    let network = fs::read(own("quadrat_segmenter.pt")).expect("a network");
    tgz(&[
        ("./deploy.yaml", deploy.as_bytes()),
        ("./meta.json", meta.as_bytes()),
        ("./model.pt", &network),
    ])
}

/// The archiver that was built beside the daemon.
fn archiver(bench: &Bench, arguments: &[&str]) -> (Option<i32>, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_torchrelay")).with_file_name("torchrelay-archiver");
    assert!(
        program.exists(),
        "{} is absent: build the whole workspace",
        program.display()
    );
    let ran = Command::new(program)
        .args(arguments)
        .current_dir(bench.path("."))
        .output();
    let ran = ran.expect("it starts");
    let text = [ran.stdout, ran.stderr].concat();
    (ran.status.code(), String::from_utf8(text).expect("text"))
}

/// A bench whose store holds the artifact's model and the workflow.
pub(crate) fn bench(artifact: &[u8]) -> Bench {
    let bench = Bench::new();
    bench.write("model.tgz", artifact);
    bench.write("store/cover.yaml", &spec());
    let flags = [
        "import-paddle-seg",
        "model.tgz",
        "--model-name",
        "segmenter",
        "--export-path",
        "store",
    ];
    let (code, text) = archiver(&bench, &flags);
    assert_eq!(code, Some(0), "{text}");
    bench
}

pub(crate) fn start(bench: Bench) -> Daemon {
    let daemon = bench.start_with(&["--model-store", "store", "--workflows", "cover.yaml"]);
    daemon.wait_for_ok("/ready");
    daemon
}

/// A form with these fields beside the picture.
pub(crate) fn form(picture: &[u8], fields: &[(&str, &str)]) -> Request {
    let fields = fields
        .iter()
        .map(|(name, value)| (*name, None, value.as_bytes()));
    let picture = ("image", Some("picture"), picture);
    let fields: Vec<_> = fields.chain([picture]).collect();
    Request::new("POST", "/wfpredict/cover").multipart(&fields)
}

fn picture(file: &[u8]) -> Image {
    decode(file, &DecodeLimits::default()).expect("a picture")
}

/// The share of pixels that are the same in both.
fn agreement(one: &Image, other: &Image) -> f64 {
    assert_eq!((one.width(), one.height()), (other.width(), other.height()));
    let pixels = one.data().chunks_exact(3).zip(other.data().chunks_exact(3));
    let same = pixels.filter(|(one, other)| one == other).count();
    same as f64 / f64::from(one.width() * one.height())
}

#[track_caller]
fn check_cover(case: &str, found: &Value, expected: &Value) {
    let (found, expected) = (
        found.as_array().expect("a list"),
        expected.as_array().expect("a list"),
    );
    assert_eq!(found.len(), expected.len(), "{case}");
    let mut sum = 0.0;
    for (found, expected) in found.iter().zip(expected) {
        for key in ["id", "name", "color"] {
            assert_eq!(found[key], expected[key], "{case}");
        }
        let share = found["cover"].as_f64().expect("a share");
        let off = share - expected["cover"].as_f64().expect("a share");
        assert!(off.abs() <= 0.01, "{case}: {found} for {expected}");
        sum += share;
    }
    assert!((sum - 1.0).abs() < 1e-9, "{case}: {sum}");
}

/// Sizes exactly, shares within 0.01, and 98.5 per cent of the pixels: what other decoders and kernels may cost.
#[test]
fn the_reference_is_met() {
    let Some(shared) = shared() else { return };
    let data = shared.join("ivcap-paddle-seg");
    let artifact = fs::read(data.join("models/model.tgz")).expect("an artifact");
    let daemon = start(bench(&artifact));
    let mut seen = 0;
    for entry in fs::read_dir(data.join("expected")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let Some(case) = name.strip_suffix(".json") else {
            continue;
        };
        let (file, budget) = case.rsplit_once('.').expect("picture and budget");
        let (stem, ending) = file.rsplit_once('_').expect("name and ending");
        let file = format!("images/{stem}.{ending}");
        let places = [
            data.join(&file),
            shared.join("max-image-segmenter").join(&file),
        ];
        let photo = places
            .iter()
            .find_map(|place| fs::read(place).ok())
            .expect("a picture");
        let expected = read_json(&path);

        let request = || form(&photo, &[("max-img-size", budget)]);
        let answer = daemon.send(&request());
        assert_eq!(answer.status, 200, "{case}: {}", answer.text());
        let record = answer.prediction();
        check_cover(
            case,
            &record["cover"],
            &expected["aspect_as_published"]["cover"],
        );
        assert_eq!(
            record["$schema"],
            "urn:ibenthos:schema:paddle.seg.inference.1"
        );
        // The reference has them the wrong way round.
        assert_eq!(
            json!([record["width"], record["height"]]),
            expected["adjusted_wh"],
            "{case}"
        );

        let drawn = daemon.send(&request().header("Accept", "image/png"));
        let reference = fs::read(path.with_extension("pseudo.png")).expect("a mask");
        let agreement = agreement(&picture(&drawn.body), &picture(&reference));
        assert!(agreement >= 0.985, "{case}: {agreement}");
        seen += 1;
    }
    assert_eq!(seen, 9);
}

#[test]
fn an_answer_says_where_it_comes_from() {
    let daemon = start(bench(&quadrat()));
    let photo = fs::read(own("quadrats/mixed.png")).expect("a picture");
    let fields = [
        ("with-argmax", "true"),
        ("image-id", "urn:ivcap:artifact:1"),
        ("order-id", "urn:ivcap:order:2"),
        // The server's own: nobody else says it.
        ("run", "{}"),
    ];
    let record = daemon.send(&form(&photo, &fields)).prediction();
    assert_eq!(record["image"], "urn:ivcap:artifact:1");
    assert_eq!(record["order-id"], "urn:ivcap:order:2");
    assert!(record.get("model").is_none(), "{record}");
    let provenance = &record["provenance"];
    let digest = |bytes: &[u8]| {
        use sha2::Digest;
        let digest = sha2::Sha256::digest(bytes);
        digest
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert_eq!(provenance["image-sha256"], digest(&photo));
    let artifact = fs::read(daemon.bench.path("model.tgz")).expect("an artifact");
    assert_eq!(
        provenance["model"],
        json!({"name": "quadrat", "artifact": "model.tgz", "sha256": digest(&artifact)})
    );
    let run = &provenance["run"];
    let archive = fs::read(daemon.bench.path("store/segmenter.mar")).expect("an archive");
    let model = json!({"name": "segmenter", "version": "1.0", "sha256": digest(&archive), "devices": ["cpu"]});
    assert_eq!(
        (&run["workflow"], &run["version"]),
        (&json!("cover"), &json!("1.0"))
    );
    assert_eq!(run["models"], json!({"segmenter": model}));
    assert_eq!(run["parameters"]["max-img-size"], 1_000_000);
    assert_eq!(run["parameters"]["with-argmax"], true);
    let started = run["started"].as_str().expect("a time");
    assert!(
        started.starts_with("20") && started.ends_with('Z'),
        "{started}"
    );
}

#[test]
fn a_picture_that_is_cut_short_is_the_clients_mistake() {
    let daemon = start(bench(&quadrat()));
    let photo = fs::read(own("quadrats/mixed.png")).expect("a picture");
    let broken = daemon.send(&form(&photo[..1000], &[("with-argmax", "true")]));
    assert_eq!(broken.status, 400, "{}", broken.text());
}

/// Fifty quadrats, one of them cut short.
fn quadrats(bench: &Bench) {
    for index in 0..50 {
        let drawn = demo::Quadrat::sized(index, 96, 64);
        let drawn = Image::new(96, 64, 3, drawn.rgb).expect("a picture");
        let file = image_ops::encode_png(&drawn).expect("a file");
        let whole = if index == 23 {
            file.len() / 2
        } else {
            file.len()
        };
        bench.write(&format!("reef/quadrat-{index:02}.png"), &file[..whole]);
    }
}

#[test]
fn a_folder_is_answered_without_a_server_and_what_is_broken_is_told() {
    let bench = bench(&quadrat());
    quadrats(&bench);
    let run = |more: &[&str]| -> Ran {
        let flags = [
            "run",
            "store/cover.yaml",
            "--image",
            "reef",
            "--out",
            "covers",
            "--param",
            "with-argmax=true",
        ];
        bench.run(&[&flags, more].concat())
    };
    let ran = run(&["--overlay"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let told = ran.stderr.join("\n");
    assert!(told.starts_with("49 of 50 pictures answered in "), "{told}");
    assert_eq!(ran.stderr.len(), 2, "{told}");
    assert!(
        ran.stderr[1].starts_with("  reef/quadrat-23.png: "),
        "{told}"
    );

    let names = |folder: &str| {
        let entries = fs::read_dir(bench.path(folder)).expect("a folder");
        let mut names: Vec<_> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect();
        names.sort();
        names
    };
    let found = names("covers");
    assert_eq!(found.len(), 3 * 49);
    assert_eq!(
        found[..3],
        [
            "quadrat-00.overlay.png",
            "quadrat-00.pseudo.png",
            "quadrat-00.pseudo.png-meta.json"
        ]
    );
    let read = |name: &str| fs::read(bench.path(name)).expect(name);
    let record = read_json(&bench.path("covers/quadrat-07.pseudo.png-meta.json"));
    let drawing = picture(&read("covers/quadrat-07.pseudo.png"));
    assert_eq!(
        json!([drawing.width(), drawing.height()]),
        json!([record["width"], record["height"]])
    );
    // The shares are those of the colours that are drawn.
    for class in record["cover"].as_array().expect("a list") {
        let colour: [u8; 3] = serde_json::from_value(class["color"].clone()).expect("a colour");
        let count = drawing
            .data()
            .chunks_exact(3)
            .filter(|pixel| *pixel == colour)
            .count();
        let share = count as f64 / f64::from(drawing.width() * drawing.height());
        assert!(
            (share - class["cover"].as_f64().expect("a share")).abs() < 1e-9,
            "{class}"
        );
    }
    // Drawn in the size of the photo, which the mask need not have.
    let photo = picture(&read("reef/quadrat-07.png"));
    let overlay = picture(&read("covers/quadrat-07.overlay.png"));
    assert_eq!(
        (overlay.width(), overlay.height()),
        (photo.width(), photo.height())
    );

    // The daemon says the same.
    let photo = read("reef/quadrat-07.png");
    let daemon = start(bench);
    let answer = daemon
        .send(&form(&photo, &[("with-argmax", "true")]))
        .prediction();
    check_cover("quadrat-07", &answer["cover"], &record["cover"]);
}

#[test]
fn an_overlay_lies_as_its_mask_does() {
    let bench = bench(&quadrat());
    // 320 by 240, to be turned by a quarter.
    let upright = picture(&fs::read(own("quadrats/reef.png")).expect("a picture"));
    let photo = image_ops::resize(&upright, 320, 240, image_ops::Kernel::PilBilinear);
    let jpeg = image_ops::encode_jpeg(&photo.expect("resized"), 95).expect("a file");
    let exif =
        b"\xFF\xE1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    bench.write("reef/lying.jpg", &[&jpeg[..2], exif, &jpeg[2..]].concat());
    // Cannot be read, so that its namesake can be answered.
    bench.write("reef/cut.jpg", &jpeg[..jpeg.len() / 2]);
    bench.write(
        "reef/cut.png",
        &fs::read(own("quadrats/reef.png")).expect("a picture"),
    );
    bench.write("reef/notes.txt", b"a note");
    for (budget, size) in [("1000000", (240, 320)), ("10000", (320, 240))] {
        let out = format!("out-{budget}");
        let budget = format!("max-img-size={budget}");
        let ran = bench.run(&[
            "run",
            "store/cover.yaml",
            "--image",
            "reef",
            "--out",
            &out,
            "--overlay",
            "--param",
            &budget,
            "--param",
            "with-argmax=true",
        ]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let told = ran.stderr.join("\n");
        assert!(
            told.starts_with("1 file passed over: notes.txt (not .jpg"),
            "{told}"
        );
        assert!(told.contains("\n2 of 3 pictures answered in "), "{told}");
        assert!(told.contains("\n  reef/cut.jpg: "), "{told}");
        assert_eq!(ran.stderr.len(), 3, "{told}");
        assert!(bench.path(&format!("{out}/cut.pseudo.png")).is_file());
        let drawn = fs::read(bench.path(&format!("{out}/lying.overlay.png"))).expect("drawn");
        let drawn = picture(&drawn);
        assert_eq!((drawn.width(), drawn.height()), size);
    }
}

#[test]
fn one_picture_and_mistakes() {
    let bench = bench(&quadrat());
    bench.write(
        "one.png",
        &fs::read(own("quadrats/reef.png")).expect("a picture"),
    );
    let run = |workflow: &str, image: &str, param: &str| {
        bench.run(&[
            "run", workflow, "--image", image, "--out", "out", "--param", param,
        ])
    };
    let ran = run("store/cover.yaml", "one.png", "with-argmax=true");
    assert_eq!(
        (ran.code, ran.stderr.as_slice()),
        (Some(0), &[][..]),
        "{ran:?}"
    );
    assert!(
        ran.stdout[0].starts_with("1 picture answered in "),
        "{ran:?}"
    );
    assert!(bench.path("out/one.pseudo.png").is_file());
    for (workflow, image, param, expected) in [
        (
            "store/none.yaml",
            "one.png",
            "a=1",
            "store/none.yaml: no such workflow",
        ),
        (
            "store/cover.yaml",
            "none.png",
            "with-argmax=true",
            "none.png: No such file or directory",
        ),
        (
            "store/cover.yaml",
            "tmp",
            "with-argmax=true",
            "tmp: there are no pictures in it",
        ),
        (
            "store/cover.yaml",
            "one.png",
            "max-img-size=-7",
            "input `max-img-size`: ",
        ),
    ] {
        let ran = run(workflow, image, param);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(
            ran.stderr.join("\n").contains(expected),
            "{expected}: {ran:?}"
        );
    }
    assert_eq!(run("store/cover.yaml", "one.png", "a").code, Some(2));
}
