//! Both ways between this archiver and the one it replaces, `torch-model-archiver`. That one is fetched by pip; without
//! Python, pip or a network, these tests say that they are skipped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use archive::{Listing, Manifest};
use serde_json::Value;

use crate::harness::{Bench, FORMATS, MODEL, files};

/// Where the original is installed, once for all tests of a run; `None` says why on stderr.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn original() -> Option<&'static Path> {
    static INSTALLED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        let site = Path::new(env!("CARGO_TARGET_TMPDIR")).join("torch-model-archiver-0.12.0");
        if !site.join("model_archiver").is_dir() {
            // Without its one dependency, which only Python 2 ever needed.
            let output = Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
                .arg(&site)
                .arg("torch-model-archiver==0.12.0")
                .output();
            let done = output.is_ok_and(|output| output.status.success());
            if !done {
                return None;
            }
        }
        Some(site)
    });
    if installed.is_none() {
        eprintln!("skipped: python3 -m pip cannot install torch-model-archiver");
    }
    installed.as_deref()
}

/// Packs the bench with the original into `theirs`. `false`: not installed.
fn pack_with_original(bench: &Bench, format: &str) -> bool {
    let Some(site) = original() else {
        return false;
    };
    fs::create_dir_all(bench.path("theirs")).expect("a folder");
    // It gathers the files in a folder of a fixed name below the temporary folder, so each run has one of its own.
    fs::create_dir_all(bench.path("tmp")).expect("a folder");
    let output = Command::new("python3")
        .args(["-m", "model_archiver.model_packaging"])
        .args(MODEL.split_whitespace())
        .args(["--archive-format", format, "--export-path", "theirs"])
        .current_dir(bench.path("."))
        .env("PYTHONPATH", site)
        .env("TMPDIR", bench.path("tmp"))
        .output()
        .expect("python3 starts");
    assert!(output.status.success(), "{output:?}");
    true
}

/// A manifest without what differs from run to run and from tool to tool.
fn timeless(manifest: &Manifest) -> Manifest {
    Manifest {
        created_on: None,
        archiver_version: None,
        ..manifest.clone()
    }
}

fn sizes(listing: &Listing) -> BTreeMap<&str, u64> {
    listing
        .entries
        .iter()
        .filter(|entry| !entry.folder && entry.name != archive::MANIFEST)
        .map(|entry| (entry.name.as_str(), entry.size))
        .collect()
}

#[test]
fn its_archives_open_here_and_hold_what_ours_hold() {
    for (format, file) in FORMATS {
        let bench = Bench::new();
        if !pack_with_original(&bench, format) {
            return;
        }
        bench.succeed(&format!(
            "model {MODEL} --archive-format {format} --export-path ours"
        ));
        let [theirs, ours] = ["theirs", "ours"].map(|by| bench.open(&format!("{by}/{file}")));
        assert_eq!(files(theirs.dir()), files(ours.dir()), "{format}");
        assert_eq!(
            timeless(theirs.manifest()),
            timeless(ours.manifest()),
            "{format}"
        );
        let [theirs, ours] = ["theirs", "ours"].map(|by| {
            let path = bench.path(&format!("{by}/{file}"));
            archive::inspect(&path, &archive::Limits::default()).expect("listed")
        });
        assert_eq!(sizes(&theirs), sizes(&ours), "{format}");
        bench.succeed(&format!("verify theirs/{file}"));
    }
}

/// Reads our archives as TorchServe lays them out: with Python's own zip and tar modules.
const READ: &str = r#"
import json, sys, tarfile, zipfile
path = sys.argv[1]
if path.endswith(".mar"):
    archive = zipfile.ZipFile(path)
    assert archive.testzip() is None
    files = {name: archive.read(name).decode("latin-1") for name in archive.namelist()}
else:
    archive = tarfile.open(path, "r:gz")
    files = {entry.name: archive.extractfile(entry).read().decode("latin-1") for entry in archive}
json.dump(files, sys.stdout)
"#;

#[test]
fn our_archives_have_its_layout() {
    if original().is_none() {
        return;
    }
    for (format, file) in &FORMATS[..3] {
        let bench = Bench::new();
        let top = if *format == "tgz" { "m/" } else { "" };
        pack_with_original(&bench, format);
        bench.succeed(&format!(
            "model {MODEL} --archive-format {format} --export-path ours"
        ));
        let [theirs, ours] = ["theirs", "ours"].map(|by| {
            let output = Command::new("python3")
                .args(["-c", READ])
                .arg(bench.path(&format!("{by}/{file}")))
                .output()
                .expect("python3 starts");
            assert!(output.status.success(), "{output:?}");
            let mut files: BTreeMap<String, String> =
                serde_json::from_slice(&output.stdout).expect("JSON");
            let manifest = files.remove(&format!("{top}{}", archive::MANIFEST));
            let mut manifest: Value =
                serde_json::from_str(&manifest.expect("a manifest")).expect("JSON");
            for own in ["createdOn", "archiverVersion"] {
                assert!(manifest[own].is_string(), "{own}");
                manifest[own] = Value::Null;
            }
            (files, manifest)
        });
        assert_eq!(theirs, ours, "{format}");
    }
}
