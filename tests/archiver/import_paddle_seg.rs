//! Artifacts of PaddleSeg: imported, or refused with file and key.

use serde_json::{Value, json};

use crate::harness::{Bench, module};

const DEPLOY: &str = "Deploy:
  model: model.pt
  transforms:
  - {type: LimitLong, max_long: 512}
  - type: Normalize
";

fn meta() -> Value {
    json!({
        "$schema": "urn:ibenthos:schema:paddle.seg.model.1",
        "name": "reef cover",
        "classes": [
            {"id": "urn:sand", "name": "sand", "def_color": [226, 202, 118]},
            {"id": "urn:rock", "name": "rock's \"other\" side: {#}", "def_color": [112, 112, 124]},
        ],
    })
}

/// An entry of a tar: a file, or a link to elsewhere.
enum Entry<'a> {
    File(&'a str, &'a [u8]),
    Link(&'a str, &'a str),
}

fn tgz(entries: &[Entry<'_>]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        let (name, content) = match entry {
            Entry::File(name, content) => (name, *content),
            Entry::Link(name, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name(target).expect("short");
                (name, &[][..])
            }
        };
        header.set_size(content.len() as u64);
        // Written by hand: the builder refuses names that lead out.
        header.as_gnu_mut().expect("GNU").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, content).expect("in memory");
    }
    let gzip = tar.into_inner().and_then(|gzip| gzip.finish());
    gzip.expect("in memory")
}

/// A bench with `model.tgz` of these two and a network.
fn bench(deploy: &str, meta: &Value, more: &[Entry<'_>]) -> Bench {
    let (meta, network) = (meta.to_string(), module("weights"));
    let mut entries = vec![
        Entry::File("./deploy.yaml", deploy.as_bytes()),
        Entry::File("./meta.json", meta.as_bytes()),
        Entry::File("./model.pt", &network),
    ];
    entries.extend(more.iter().map(|entry| match entry {
        Entry::File(name, content) => Entry::File(name, content),
        Entry::Link(name, target) => Entry::Link(name, target),
    }));
    let bench = Bench::new();
    bench.write("model.tgz", &tgz(&entries));
    bench
}

#[test]
fn an_artifact_becomes_a_model() {
    let bench = bench(DEPLOY, &meta(), &[]);
    let told = bench.succeed("import-paddle-seg model.tgz --export-path store");
    assert!(
        told.starts_with("packed into store/reef_cover.mar ("),
        "{told}"
    );
    let told = bench.succeed("verify store/reef_cover.mar");
    assert!(told.starts_with("OK: store/reef_cover.mar"), "{told}");

    let opened = bench.open("store/reef_cover.mar");
    let model = &opened.manifest().model;
    assert_eq!(
        (model.model_version.as_str(), model.handler.as_deref()),
        ("1.0", Some("pipeline"))
    );
    for name in ["model.pt", "deploy.yaml", "meta.json"] {
        assert!(opened.file(name).is_ok(), "{name}");
    }
    let document =
        serde_json::to_value(&opened.config().expect("a configuration").document).expect("JSON");
    let pipeline = &document["handler"]["pipeline"];
    assert_eq!(
        pipeline["nodes"]["planes"]["with"]["steps"],
        json!([{"type": "LimitLong", "max_long": 512}, {"type": "Normalize"}])
    );
    let known = &pipeline["nodes"]["known"]["in"];
    assert_eq!(
        known["palette"]["value"],
        json!([[226, 202, 118], [112, 112, 124]])
    );
    assert_eq!(
        known["classes"]["value"][1],
        json!({"id": "urn:rock", "name": "rock's \"other\" side: {#}", "color": [112, 112, 124]})
    );
    assert_eq!(known["model"]["value"]["artifact"], "model.tgz");
    assert_eq!(
        known["model"]["value"]["sha256"].as_str().map(str::len),
        Some(64)
    );

    bench.fail(
        "import-paddle-seg model.tgz --export-path store",
        "store/reef_cover.mar: already there (--force replaces it)",
    );
    let first = std::fs::read(bench.path("store/reef_cover.mar")).expect("packed");
    bench.succeed("import-paddle-seg model.tgz --export-path store --force");
    assert_eq!(
        std::fs::read(bench.path("store/reef_cover.mar")).expect("packed"),
        first
    );
}

#[test]
fn a_model_without_classes_has_numbers() {
    let bench = bench("Deploy: {model: model.pt}", &json!({}), &[]);
    bench.fail(
        "import-paddle-seg model.tgz",
        "model.tgz: meta.json: classes: there are none, and model.num_classes does not say how many; --classes does",
    );
    bench.succeed("import-paddle-seg model.tgz --classes 2 --model-name two --version 3");
    let told = bench.succeed("verify two.mar");
    assert!(told.starts_with("OK: two.mar"), "{told}");
}

#[track_caller]
fn check_refused(bench: &Bench, expected: &str) {
    bench.fail("import-paddle-seg model.tgz --export-path store", expected);
    assert!(!bench.path("store").exists(), "{expected}");
}

#[test]
fn artifacts_that_lead_elsewhere_are_refused() {
    let out = Entry::File("../evil.pt", b"x");
    check_refused(
        &bench(DEPLOY, &meta(), &[out]),
        "model.tgz: entry \"../evil.pt\" refused: the name leads to a parent folder",
    );
    let absolute = Entry::File("/etc/evil", b"x");
    check_refused(
        &bench(DEPLOY, &meta(), &[absolute]),
        "model.tgz: entry \"/etc/evil\" refused: the name is absolute",
    );
    let link = Entry::Link("./weights", "/etc/passwd");
    check_refused(
        &bench(DEPLOY, &meta(), &[link]),
        "model.tgz: entry \"./weights\" refused: it is a link",
    );
    check_refused(
        &bench("Deploy: {model: ../model.pt}", &meta(), &[]),
        "model.tgz: deploy.yaml: Deploy.model: `../model.pt`: the name leads outside the archive",
    );
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    let bench_of = |entries: &[Entry<'_>]| {
        let bench = Bench::new();
        bench.write("model.tgz", &tgz(entries));
        bench
    };
    check_refused(
        &bench_of(&[Entry::File("./meta.json", b"{}")]),
        "model.tgz: file \"deploy.yaml\": there is no such file in the archive",
    );
    check_refused(
        &bench_of(&[Entry::File("./deploy.yaml", DEPLOY.as_bytes())]),
        "model.tgz: file \"meta.json\": there is no such file in the archive",
    );
    check_refused(
        &bench("Deploy: {model: other.pt}", &meta(), &[]),
        "model.tgz: deploy.yaml: Deploy.model: `other.pt`: there is no such file in the archive",
    );
    for (transform, expected) in [
        (
            "{type: RandomHorizontalFlip}",
            "Deploy.transforms[0].type: `RandomHorizontalFlip` is no step of inference",
        ),
        (
            "{type: Sharpen}",
            "Deploy.transforms[0].type: `Sharpen` is no step of inference",
        ),
        (
            "{type: Resize, interp: NEAREST}",
            "Deploy.transforms[0].interp: expected one of LINEAR, AREA, CUBIC, found \"NEAREST\"",
        ),
    ] {
        let bench = bench(
            &format!("Deploy: {{model: model.pt, transforms: [{transform}]}}"),
            &meta(),
            &[],
        );
        let ran = bench.run("import-paddle-seg model.tgz");
        assert_eq!(ran.code, Some(1));
        let expected = format!("error: model.tgz: deploy.yaml: {expected}");
        assert!(ran.stderr.starts_with(&expected), "{}", ran.stderr);
    }
    let mut colourless = meta();
    colourless["classes"][1]
        .as_object_mut()
        .expect("a class")
        .remove("def_color");
    check_refused(
        &bench(DEPLOY, &colourless, &[]),
        "model.tgz: meta.json: classes[1].def_color: must be given: [red, green, blue], each from 0 to 255",
    );
    let bench = Bench::new();
    bench.write("model.tgz", b"no archive");
    check_refused(
        &bench,
        "model.tgz: not a model archive: expected a zip (.mar) or a gzip-compressed tar (.tar.gz)",
    );
}
