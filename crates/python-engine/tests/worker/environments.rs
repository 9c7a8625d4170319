//! Requirements that are installed: once for all who have the same, and said of those that cannot be.

use std::path::Path;
use std::process::Command;
use std::thread;

use crate::harness::{Model, ask, python_or_return};

const HANDLER: &str = "
import sys, tiny
def handle(data, context):
    return data and ['%s %s' % (tiny.SAID, sys.prefix != sys.base_prefix)]
";

/// A model whose archive carries a package of one module, as a wheel, so that nothing is fetched from anywhere.
fn model(python: &Path, requirements: &str, use_venv: bool) -> Model {
    let mut model = Model::new(python, HANDLER);
    let wheel = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + '/tiny-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('tiny.py', 'SAID = \"installed\"')
    wheel.writestr('tiny-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n')
    wheel.writestr('tiny-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr('tiny-1.0.dist-info/RECORD', 'tiny.py,,\\ntiny-1.0.dist-info/METADATA,,\\ntiny-1.0.dist-info/WHEEL,,\\ntiny-1.0.dist-info/RECORD,,\\n')
";
    let made = Command::new(python)
        .arg("-c")
        .arg(wheel)
        .arg(&model.files.dir)
        .status();
    assert!(made.expect("python").success());
    model.write("requirements.txt", requirements);
    model.files.requirements = Some(model.files.dir.join("requirements.txt"));
    model.files.use_venv = use_venv;
    model.settings.install_requirements = true;
    model
}

const LOCAL: &str = "--no-index\n--find-links .\ntiny==1.0\n";

fn environments(model: &Model) -> usize {
    let entries = std::fs::read_dir(&model.settings.environments).expect("a folder");
    entries
        .filter(|entry| entry.as_ref().expect("an entry").path().is_dir())
        .count()
}

/// Whether this interpreter can install anything.
fn has_pip(python: &Path) -> bool {
    let said = Command::new(python)
        .args(["-c", "import pip, venv, ensurepip"])
        .output();
    let has = said.is_ok_and(|said| said.status.success());
    if !has {
        eprintln!("skipped: {} has no pip or no venv", python.display());
    }
    has
}

#[test]
fn what_a_model_asks_for_is_installed_once() {
    let python = python_or_return!();
    if !has_pip(python) {
        return;
    }
    for use_venv in [false, true] {
        let model = model(python, LOCAL, use_venv);
        // Two who begin at once build one.
        thread::scope(|scope| {
            let loads: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| model.loader().map(drop)))
                .collect();
            for load in loads {
                load.join().expect("it is done").expect("installed");
            }
        });
        assert_eq!(environments(&model), 1);
        let mut servable = model.load().expect("loaded");
        let expected = if use_venv {
            "installed True"
        } else {
            "installed False"
        };
        assert_eq!(ask(servable.as_mut(), "").as_deref(), Ok(expected));
        // Another content is another environment; one that was not finished is begun anew.
        model.write("requirements.txt", format!("{LOCAL}# changed\n"));
        model.loader().map(drop).expect("installed");
        assert_eq!(environments(&model), 2);
    }
}

#[test]
fn what_was_not_finished_is_begun_anew() {
    let python = python_or_return!();
    if !has_pip(python) {
        return;
    }
    let model = model(python, LOCAL, false);
    model.loader().map(drop).expect("installed");
    let environment = std::fs::read_dir(&model.settings.environments)
        .expect("a folder")
        .find_map(|entry| {
            let path = entry.expect("an entry").path();
            path.is_dir().then_some(path)
        });
    let environment = environment.expect("one");
    std::fs::remove_file(environment.join(".complete")).expect("it was complete");
    std::fs::write(environment.join("tiny.py"), "half").expect("written");
    let mut servable = model.load().expect("loaded");
    assert_eq!(ask(servable.as_mut(), "").as_deref(), Ok("installed False"));
}

#[test]
fn what_cannot_be_installed_is_named() {
    let python = python_or_return!();
    if !has_pip(python) {
        return;
    }
    let wanted = model(python, "--no-index\nnothing-like-that==1.0\n", false);
    let error = wanted
        .load()
        .err()
        .expect("it cannot be installed")
        .to_string();
    let expected = "model m: its requirements cannot be installed: exit code 1: ERROR: No matching distribution found for nothing-like-that==1.0";
    assert_eq!(error, expected);
    let mut missing = model(python, "", false);
    missing.files.requirements = Some(missing.files.dir.join("nowhere.txt"));
    let error = missing.load().err().expect("no file").to_string();
    assert!(
        error.ends_with("nowhere.txt: No such file or directory (os error 2)"),
        "{error}"
    );
}

#[test]
fn nothing_is_installed_that_nobody_wants() {
    let mut model = model(python_or_return!(), LOCAL, false);
    model.settings.install_requirements = false;
    let error = model.load().err().expect("no such module").to_string();
    assert_eq!(
        error,
        "model m: handler h.py: ModuleNotFoundError: No module named 'tiny'"
    );
    assert!(!model.settings.environments.exists());
}
