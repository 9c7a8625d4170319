//! The worker of a package `ts` that the interpreter has, in place of the one that the crate carries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use python_engine::WorkerProgram;

use crate::harness::{Model, ask, python_or_return};

/// A virtual environment with nothing in it, and the folder of its packages.
fn environment(python: &Path, folder: &Path) -> (PathBuf, PathBuf) {
    let status = Command::new(python)
        .args(["-m", "venv", "--without-pip"])
        .arg(folder)
        .status();
    assert!(status.expect("started").success(), "a virtual environment");
    let interpreter = folder.join("bin/python");
    let said = Command::new(&interpreter)
        .args([
            "-c",
            "import sysconfig; print(sysconfig.get_path('purelib'))",
        ])
        .output()
        .expect("started");
    let packages = String::from_utf8(said.stdout).expect("text");
    (interpreter, PathBuf::from(packages.trim()))
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).expect("copied");
        return;
    }
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// A package of that layout stands for TorchServe's: ours does, which speaks protocol one with who offers nothing else.
#[test]
fn the_interpreters_own_package_is_started_or_missed_by_name() {
    let python = python_or_return!();
    let handler = "
import os, ts
def handle(data, context):
    return data and ['%s %s' % (ts.__file__, 'TORCHRELAY_PROTOCOL' in os.environ)]
";
    let mut model = Model::new(python, handler);
    let folder = model.root.path().join("venv");
    let (interpreter, packages) = environment(python, &folder);
    model.settings.interpreter = interpreter.clone();
    model.settings.worker = WorkerProgram::TorchServe;
    let error = |model: &Model| model.loader().err().expect("no loader").to_string();
    assert_eq!(
        error(&model),
        format!(
            "model m: python_worker is torchserve, but {} has no package `ts`: install torchserve for it, or leave \
             python_worker out",
            interpreter.display()
        )
    );
    let ts = packages.join("ts");
    fs::create_dir_all(&ts).expect("a folder");
    fs::write(
        ts.join("__init__.py"),
        "raise SystemExit('it must not run')",
    )
    .expect("written");
    assert_eq!(
        error(&model),
        format!(
            "model m: python_worker is torchserve, but the package `ts` in {} is not TorchServe's: it has no \
             model_service_worker.py",
            ts.display()
        )
    );
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python");
    copy(&ours.join("ts"), &ts);
    copy(
        &ours.join("torchrelay_worker"),
        &packages.join("torchrelay_worker"),
    );
    let mut servable = model.load().expect("loaded");
    let said = ask(servable.as_mut(), "").expect("an answer");
    assert_eq!(said, format!("{} False", ts.join("__init__.py").display()));
    // Its default handlers count, and those that the crate carries do not.
    model.files.handler = "image_classifier".into();
    assert!(model.loader().is_ok());
    fs::remove_file(ts.join("torch_handler/image_classifier.py")).expect("it was there");
    assert!(error(&model).contains("there is no default handler of that name"));
    model.settings.interpreter = "/nowhere/python3".into();
    let missing = "model m: /nowhere/python3: No such file or directory (os error 2)";
    assert_eq!(error(&model), missing);
}
