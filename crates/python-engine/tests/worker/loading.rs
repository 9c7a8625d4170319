//! Models that cannot be loaded, and what is said of them.

use std::path::Path;

use python_engine::{PythonEngine, Settings};
use servable::LoadError;

use crate::harness::{Model, ask, python_or_return};

/// What is said of a handler that cannot be loaded.
fn check(python: &Path, handler: &str, expected: &str) {
    let model = Model::new(python, handler);
    let error = model
        .load()
        .err()
        .unwrap_or_else(|| panic!("it loaded: {handler}"));
    let text = error.to_string();
    assert!(text.starts_with(expected), "{text}, expected {expected}");
    assert!(!text.contains('\n'), "{text}");
    let left: Vec<_> = std::fs::read_dir(&model.settings.folder)
        .expect("a folder")
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    assert_eq!(left, ["python"], "no socket is left");
}

#[test]
fn failures_name_the_handler_and_the_error() {
    let python = python_or_return!();
    let failures = [
        (
            "import nothing_like_that",
            "model m: handler h.py: ModuleNotFoundError: No module named 'nothing_like_that'",
        ),
        ("def broken(:", "model m: handler h.py: SyntaxError:"),
        (
            "raise ValueError('two\\nlines')",
            "model m: handler h.py: ValueError: two lines",
        ),
        (
            "x = 1",
            "model m: handler h.py: ValueError: module h has no function handle, and no class",
        ),
        (
            "import os; os._exit(3)",
            "model m: its worker ended while it loaded (exit code 3)",
        ),
        (
            "import os; print('sorry', flush=True); os._exit(3)",
            "model m: its worker ended while it loaded (exit code 3): sorry",
        ),
        (
            "import os; os.abort()",
            "model m: its worker ended while it loaded (signal 6, SIGABRT)",
        ),
        (
            "raise SystemExit(9)",
            "model m: its worker ended while it loaded (exit code 9)",
        ),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "model m: its worker ended while it loaded (signal 9, SIGKILL)",
        ),
    ];
    for (handler, expected) in failures {
        check(python, handler, expected);
    }
}

#[test]
fn what_lacks_memory_may_load_later() {
    let model = Model::new(python_or_return!(), "raise MemoryError('big')");
    assert!(matches!(
        model.load().err(),
        Some(LoadError::OutOfMemory(_))
    ));
}

#[test]
fn an_interpreter_that_is_none_is_named() {
    let python = python_or_return!();
    let mut model = Model::new(python, "");
    model.settings.interpreter = "/nowhere/python3".into();
    let text = model.load().err().expect("no interpreter").to_string();
    assert_eq!(
        text,
        "model m: its worker cannot be started by /nowhere/python3: No such file or directory (os error 2)"
    );
    model.settings.interpreter = "/bin/false".into();
    let text = model.load().err().expect("no interpreter").to_string();
    assert_eq!(
        text,
        "model m: its worker ended while it loaded (exit code 1)"
    );
}

/// A handler by that name in files of those names, and whether it serves.
fn check_place(python: &Path, name: &str, file: &str, handler: &str) {
    let mut model = Model::new(python, "");
    model.write(file, handler);
    model.files.handler = name.into();
    let mut servable = model.load().expect("loaded");
    assert_eq!(ask(servable.as_mut(), "hi").as_deref(), Ok("HI"), "{name}");
}

#[test]
fn handlers_are_found_wherever_they_are() {
    let python = python_or_return!();
    let function =
        "def entry(data, context):\n  return data and [str(row['body']).upper() for row in data]\n";
    check_place(python, "other.py:entry", "other.py", function);
    check_place(python, "other:entry", "other.py", function);
    let neighbour = format!("import neighbour\n{function}");
    let mut model = Model::new(python, "");
    model.write("code/deep.py", neighbour);
    model.write("code/neighbour.py", "");
    model.files.handler = "code/deep.py:entry".into();
    let mut servable = model.load().expect("loaded");
    assert_eq!(ask(servable.as_mut(), "hi").as_deref(), Ok("HI"));
    let class = "
class Handler:
    def initialize(self, context):
        properties = context.system_properties
        self.said = '%s %s %s' % (properties['batch_size'], properties['gpu_id'], properties['limit_max_image_pixels'])
    def handle(self, data, context):
        return [self.said for _ in data]
";
    let model = Model::new(python, class);
    let mut servable = model.load().expect("loaded");
    assert_eq!(ask(servable.as_mut(), "").as_deref(), Ok("4 None True"));
}

#[test]
fn a_default_handler_and_an_envelope_come_from_the_package() {
    let python = python_or_return!();
    let handler = "def handle(data, context):\n  return data and [{'n': n} for n in data]\n";
    let mut model = Model::new(python, handler);
    model.files.envelope = Some("json".into());
    let mut servable = model.load().expect("loaded");
    let input = servable::Input {
        id: "r".into(),
        ..servable::Input::body(
            "application/json",
            servable::Value::Bytes("{\"instances\": [1]}".into()),
        )
    };
    let answer = crate::harness::ask_with(servable.as_mut(), input).expect("an answer");
    let answer: String = answer.split_whitespace().collect();
    assert_eq!(answer, r#"{"predictions":[{"n":1}]}"#);

    let mut model = Model::new(python, "");
    model.files.handler = "image_classifier".into();
    // Found, but this machine's interpreter may have no torch.
    if let Err(error) = model.load() {
        let text = error.to_string();
        assert!(
            text.starts_with("model m: handler image_classifier: "),
            "{text}"
        );
        assert!(!text.contains("no default handler"), "{text}");
    }
}

#[test]
fn workers_get_the_environment_without_what_is_withheld() {
    let python = python_or_return!();
    let handler = "
import json, os
def handle(data, context):
    return data and [json.dumps([sorted(set(os.environ)), os.environ.get('TS_DECODE_INPUT_REQUEST'), os.getcwd()])]
";
    let mut model = Model::new(python, handler);
    let ask_for = |model: &Model| {
        let mut servable = model.load().expect("loaded");
        ask(servable.as_mut(), "").expect("an answer")
    };
    let all = ask_for(&model);
    let dir = model.files.dir.canonicalize().expect("a folder");
    assert!(
        all.contains("\"PATH\"")
            && all.contains("\"true\"")
            && !all.contains("TORCHRELAY_PROTOCOL"),
        "{all}"
    );
    assert!(
        all.ends_with(&format!("{:?}]", dir.display().to_string())),
        "{all}"
    );
    model.settings.denied_variables = Some("PAT.|HOME".into());
    model.settings.decode_input = false;
    let some = ask_for(&model);
    assert!(
        !some.contains("\"PATH\"") && !some.contains("\"HOME\"") && some.contains("\"PYTHONPATH\""),
        "{some}"
    );
    assert!(some.contains("\"false\""), "{some}");
}

#[test]
fn an_engine_says_what_is_wrong_with_its_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |change: &dyn Fn(&mut Settings), expected: &str| {
        let mut settings = Settings::new(
            folder.path().join("run"),
            folder.path().join("environments"),
        );
        change(&mut settings);
        let error = PythonEngine::new(settings).err().expect("a mistake");
        assert!(error.to_string().contains(expected), "{error}");
    };
    check(
        &|settings| settings.denied_variables = Some("(".into()),
        "(: regex parse error",
    );
    let long = folder.path().join("x".repeat(100));
    check(
        &|settings| settings.folder.clone_from(&long),
        "would be longer than 107 bytes",
    );
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("written");
    check(&|settings| settings.folder = file.join("run"), "file/run: ");
}
