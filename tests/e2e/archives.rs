//! Archives of every format and of either archiver: the same model gives the same answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use archive::ArchiveFormat;
use serde_json::Value;

use crate::fixtures::{Model, best, class, own, pictures};
use crate::harness::{Bench, Daemon};

const FORMATS: [(ArchiveFormat, &str); 4] = [
    (ArchiveFormat::Zip, "default"),
    (ArchiveFormat::ZipStore, "zip-store"),
    (ArchiveFormat::TarGz, "tgz"),
    (ArchiveFormat::Folder, "no-archive"),
];

/// Every model of these names answers as the picture wants and as the first does.
fn check_same_answers(daemon: &Daemon, names: &[String]) {
    for (picture, bytes) in pictures(&own("substrates")) {
        let answers: Vec<Value> = names
            .iter()
            .map(|name| {
                daemon
                    .post(&format!("/predictions/{name}"), &bytes)
                    .prediction()
            })
            .collect();
        let (label, probability) = best(&answers[0]);
        assert_eq!(label, class(&picture));
        for (name, answer) in names.iter().zip(&answers) {
            let (found, found_probability) = best(answer);
            assert_eq!(found, label, "{name}, {picture}");
            assert!(
                (found_probability - probability).abs() < 1e-5,
                "{name}, {picture}"
            );
        }
    }
}

#[test]
fn every_format_serves() {
    let mut bench = Bench::new();
    let mut names = Vec::new();
    for (format, name) in FORMATS {
        bench = bench.with(&Model::substrate().named(name).packed(format));
        names.push(name.to_owned());
    }
    check_same_answers(&bench.start(), &names);
}

#[test]
fn an_archive_of_the_original_archiver_serves() {
    let Some(site) = original() else {
        return;
    };
    let mut bench = Bench::new().with(&Model::substrate());
    let mut names = vec!["substrate".to_owned()];
    for (_, format) in FORMATS {
        let model = Model::substrate().named(&format!("original-{format}"));
        pack_with_original(&bench, &site, &model, format);
        names.push(model.name);
    }
    let text = fs::read_to_string(bench.path("store/original-no-archive/MAR-INF/MANIFEST.json"));
    assert!(text.expect("a manifest").contains("archiverVersion"));
    bench = bench.with(&Model::double());
    let daemon = bench.start();
    check_same_answers(&daemon, &names);
    daemon.check_serves();
}

/// Packs with `torch-model-archiver`, in a folder for temporary files of its own.
fn pack_with_original(bench: &Bench, site: &Path, model: &Model, format: &str) {
    let options = bench.pack_options(model);
    let output = Command::new("python3")
        .args(["-m", "model_archiver.model_packaging"])
        .args(["--model-name", &model.name, "--version", &model.version])
        .args(["--handler", &model.handler, "--archive-format", format])
        .arg("--serialized-file")
        .arg(&model.weights)
        .arg("--config-file")
        .arg(options.config_file.expect("the model has one"))
        .arg("--extra-files")
        .arg(options.extra_files.expect("the model has labels"))
        .arg("--export-path")
        .arg(bench.path("store"))
        .current_dir(bench.path(""))
        .env("PYTHONPATH", site)
        .env("TMPDIR", bench.path("tmp"))
        .output()
        .expect("python3 starts");
    assert!(output.status.success(), "{output:?}");
}

/// Where the original is installed by pip; without Python, pip or a network, the test that asks says that it is skipped.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn original() -> Option<PathBuf> {
    let site = Path::new(env!("CARGO_TARGET_TMPDIR")).join("torch-model-archiver-0.12.0");
    if !site.join("model_archiver").is_dir() {
        // Without its one dependency, which only Python 2 ever needed.
        let output = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
            .arg(&site)
            .arg("torch-model-archiver==0.12.0")
            .output();
        if !output.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: python3 -m pip cannot install torch-model-archiver");
            return None;
        }
    }
    Some(site)
}
