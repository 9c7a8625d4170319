//! A made-up installation of TorchServe, of which docs/migrating.md shows what is said.

use std::fs;
use std::io::{Cursor, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use clap::Parser as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::look;
use crate::args::{Args, Command, Doctor};

const CONFIG: &str = "\
inference_address=http://0.0.0.0:8080
management_address=http://127.0.0.1:8081
model_store=model-store
workflow_store=wf-store
load_models=mnist.mar,fraud=fraud.mar
default_workers_per_model=2
number_of_netty_threads=32
vmargs=-Xmx4g
job_queue_size=plenty
enable_metrics_apis=true
team=ranking
";

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut zip = ZipWriter::new(&mut bytes);
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default())
            .expect("an entry");
        zip.write_all(content).expect("written");
    }
    zip.finish().expect("a zip");
    bytes.into_inner()
}

/// A TorchScript module, as far as one can tell without libtorch.
fn script() -> Vec<u8> {
    zip(&[
        ("m/data.pkl", b"x"),
        ("m/code/__torch__.py", b"x"),
        ("m/constants.pkl", b"x"),
    ])
}

fn state_dict() -> Vec<u8> {
    zip(&[("m/data.pkl", b"x"), ("m/data/0", b"x")])
}

/// A model archive with that `model` section of its manifest.
fn mar(model: Value, files: &[(&str, &[u8])]) -> Vec<u8> {
    let manifest = json!({"createdOn": "01/02/2024 03:04:05", "runtime": "python", "model": model,
        "archiverVersion": "0.12.0"});
    let manifest = manifest.to_string();
    let mut all: Vec<(&str, &[u8])> = vec![("MAR-INF/MANIFEST.json", manifest.as_bytes())];
    all.extend(files);
    zip(&all)
}

struct Made(TempDir);

impl Made {
    fn write(&self, name: &str, content: &[u8]) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("made");
        fs::write(path, content).expect("written");
    }

    /// What is said under these arguments: text and document, with `/srv/ts` for the folder.
    fn doctor(&self, line: &str) -> (String, Value) {
        let doctor = doctor(line);
        let report = look(&doctor, &|_| None, self.0.path()).expect("looked at");
        let shown = |text: String| text.replace(&self.0.path().display().to_string(), "/srv/ts");
        let document = shown(report.document().to_string());
        let document: Value = serde_json::from_str(&document).expect("JSON");
        assert_eq!(document["summary"]["runs"], report.is_well());
        (shown(report.text(false)), document)
    }
}

fn doctor(line: &str) -> Doctor {
    let words = ["torchrelay", "doctor"].into_iter();
    let args = Args::try_parse_from(words.chain(line.split_whitespace()));
    match args.unwrap_or_else(|error| panic!("{error}")).command {
        Some(Command::Doctor(doctor)) => *doctor,
        other => panic!("{other:?}"),
    }
}

fn installation() -> Made {
    let made = Made(tempfile::tempdir().expect("a folder"));
    made.write("config.properties", CONFIG.as_bytes());
    made.write("bin/python3", b"");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(made.0.path().join("bin/python3"), mode).expect("made executable");
    let store = |name: &str, content: &[u8]| made.write(&format!("model-store/{name}"), content);
    let script = script();
    store(
        "mnist.mar",
        &mar(
            json!({"modelName": "mnist", "modelVersion": "2.0", "serializedFile": "mnist.pt", "handler": "base_handler",
                "configFile": "model-config.yaml"}),
            &[
                ("mnist.pt", &script),
                ("model-config.yaml", b"minWorkers: two\n"),
            ],
        ),
    );
    let sentiment = json!({"modelName": "sentiment", "serializedFile": "model.pt", "handler": "sentiment.py:handle",
        "requirementsFile": "requirements.txt"});
    store(
        "sentiment.mar",
        &mar(
            sentiment,
            &[
                ("model.pt", &script),
                ("sentiment.py", b"def handle(data, context): ...\n"),
                ("requirements.txt", b"transformers\n"),
            ],
        ),
    );
    store(
        "densenet.mar",
        &mar(
            json!({"modelName": "densenet", "serializedFile": "weights.pth", "modelFile": "model.py",
                "handler": "image_classifier"}),
            &[("weights.pth", &state_dict()), ("model.py", b"")],
        ),
    );
    store(
        "ranker.mar",
        &mar(
            json!({"modelName": "ranker", "serializedFile": "ranker.pt", "handler": "base_handler"}),
            &[("ranker.pt", &state_dict())],
        ),
    );
    store(
        "chat.mar",
        &mar(json!({"modelName": "chat", "handler": "vllm_handler"}), &[]),
    );
    let whole = mar(json!({"modelName": "ocr"}), &[("ocr.pt", &script)]);
    store("ocr.mar", &whole[..whole.len() / 2]);
    let workflow = json!({"createdOn": "01/02/2024 03:04:05", "archiverVersion": "0.2.15",
        "workflow": {"workflowName": "digits", "specFile": "digits.yaml", "handler": "digits_handler.py"}});
    let spec = "\
models:
  read: {url: mnist.mar}
  judge: {url: fraud.mar}
dag:
  cut: [read]
  read: [judge]
";
    let handler = b"import io\n\ndef cut(data, context):\n    return data\n";
    made.write(
        "wf-store/digits.war",
        &zip(&[
            ("WAR-INF/MANIFEST.json", workflow.to_string().as_bytes()),
            ("digits.yaml", spec.as_bytes()),
            ("digits_handler.py", handler),
        ]),
    );
    made.write(
        "wf-store/alone.yaml",
        b"models: {m: {url: mnist.mar}}\ndag: {m: []}\n",
    );
    made.write(
        "wf-store/slip.yaml",
        b"models: {m: {url: mnist.mar}}\ndag: {m: [n]}\n",
    );
    made
}

#[test]
fn the_table_is_the_one_of_the_page() {
    let (text, _) = installation().doctor(". --python bin/python3");
    let shown: String = text
        .lines()
        .map(|line| format!("    {line}").trim_end().to_owned() + "\n")
        .collect();
    assert!(text.lines().all(|line| line.chars().count() <= 100));
    let page = include_str!("../../../docs/migrating.md");
    assert!(page.contains(&shown), "docs/migrating.md wants:\n{shown}");
}

#[test]
fn scripts_get_everything_as_a_document() {
    let (_, document) = installation().doctor(". --python bin/python3");
    assert_eq!(
        document["installation"],
        json!({"config": "/srv/ts/config.properties", "model_store": "/srv/ts/model-store",
            "workflow_store": "/srv/ts/wf-store", "python": "/srv/ts/bin/python3"})
    );
    let find = |of: &str, name: &str| {
        let of = document[of].as_array().expect("a list");
        let found = of.iter().find(|it| it["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {of:#?}")).clone()
    };
    assert_eq!(
        find("models", "sentiment.mar"),
        json!({"name": "sentiment.mar", "verdict": "python",
            "says": "its handler is sentiment.py, it needs what requirements.txt asks for",
            "todo": "have it installed for /srv/ts/bin/python3 (pip install -r requirements.txt), or set \
                     install_py_dep_per_model=true",
            "notes": ["its network is a TorchScript module: behind a native handler it would run natively"],
            "model": "sentiment", "version": "1.0", "handler": "sentiment.py:handle", "weights": "model.pt",
            "handler_file": "sentiment.py", "requirements": "requirements.txt"})
    );
    assert_eq!(
        find("settings", "vmargs"),
        json!({"name": "vmargs", "verdict": "without_effect", "says": "line 8: there is no Java virtual machine",
            "todo": null, "notes": [], "line": 8})
    );
    let models = &find("workflows", "digits.war")["models"];
    let verdicts = models.as_array().expect("a list").iter();
    let mut verdicts: Vec<String> = verdicts
        .map(|it| format!("{} {}", it["name"], it["verdict"]))
        .collect();
    verdicts.sort();
    assert_eq!(
        verdicts,
        [
            r#""digits_handler.py" "python""#,
            r#""judge" "missing""#,
            r#""read" "native""#
        ]
    );
    assert_eq!(
        document["summary"],
        json!({"runs": false, "native": 2, "python": 2, "missing": 6, "wrong": 1, "unknown": 2,
            "without_effect": 2, "honoured": 6})
    );
}

/// Findings of an installation as `verdict name`, without the settings that count.
fn check(made: &Made, line: &str, expected: &[&str]) {
    let (_, document) = made.doctor(line);
    let mut found = Vec::new();
    for of in ["settings", "models", "workflows"] {
        let all = document[of].as_array().expect("a list").iter();
        let all = all.filter(|it| it["verdict"] != "honoured");
        found.extend(all.map(|it| {
            format!(
                "{} {}",
                it["verdict"].as_str().unwrap_or_default(),
                it["name"].as_str().unwrap_or_default()
            )
        }));
    }
    assert_eq!(found, expected, "{line}");
}

#[test]
fn a_python_handler_without_an_interpreter_is_missing_one() {
    let made = Made(tempfile::tempdir().expect("a folder"));
    let model = json!({"modelName": "m", "handler": "h.py"});
    made.write("models/m.mar", &mar(model, &[("h.py", b"")]));
    check(&made, ". --python bin/python3", &["missing m.mar"]);
    let (_, document) = made.doctor(". --python bin/python3");
    assert_eq!(
        document["models"][0]["says"],
        "its handler is h.py; there is no interpreter"
    );
    // There, but nothing that could be started.
    made.write("bin/python3", b"");
    check(&made, ". --python bin/python3", &["missing m.mar"]);
}

#[test]
fn limits_that_cannot_be_held_to_are_missing_something() {
    let made = Made(tempfile::tempdir().expect("a folder"));
    let model = json!({"modelName": "m", "handler": "h.py", "configFile": "model-config.yaml"});
    let limits = b"limits: {memroy: 2GiB}";
    let files: [(&str, &[u8]); 2] = [("h.py", b""), ("model-config.yaml", limits)];
    made.write("models/m.mar", &mar(model, &files));
    check(&made, ".", &["missing m.mar"]);
    let (_, document) = made.doctor(".");
    let says = document["models"][0]["says"].as_str().unwrap_or_default();
    assert!(
        says.contains("model-config.yaml: limits: unknown key memroy"),
        "{says}"
    );
}

#[test]
fn stores_are_found_where_the_command_line_had_them() {
    let made = Made(tempfile::tempdir().expect("a folder"));
    let native = json!({"modelName": "m", "serializedFile": "m.pt"});
    let native = mar(native, &[("m.pt", &script())]);
    made.write("one/model_store/m.mar", &native);
    made.write("one/model_store/notes.yaml", b"just: notes\n");
    made.write("one/config/config.properties", b"load_models=all\n");
    check(&made, "one", &["native m.mar"]);
    // The folder itself is the store.
    made.write("two/m.mar", &native);
    check(&made, "two", &["native m.mar"]);
    // What is said goes before what is found.
    made.write("three/config.properties", b"model_store=/gone\n");
    made.write("three/model_store/m.mar", &native);
    check(&made, "three/config.properties", &["wrong model_store"]);
    check(&made, "three --model-store two", &["native m.mar"]);
    made.write("four/nothing.txt", b"");
    check(&made, "four", &["wrong model_store"]);
}

#[test]
fn what_a_workflow_calls_decides_about_it() {
    let made = Made(tempfile::tempdir().expect("a folder"));
    let native = json!({"modelName": "m", "serializedFile": "m.pt"});
    let native = mar(native, &[("m.pt", &script())]);
    let python = json!({"modelName": "p", "handler": "h.py"});
    made.write("models/native.mar", &native);
    made.write("models/python.mar", &mar(python, &[("h.py", b"")]));
    made.write("python3", b"");
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(made.0.path().join("python3"), mode).expect("made executable");
    let spec = |name: &str, url: &str| {
        let text = format!("models: {{m: {{url: {url:?}}}}}\ndag: {{m: []}}\n");
        made.write(&format!("workflows/{name}.yaml"), text.as_bytes());
    };
    spec("a", "native.mar");
    spec("b", "python.mar");
    spec("c", "gone.mar");
    spec("d", "https://box/far.mar");
    // One that it brings along.
    let spec = b"models: {m: {url: own.mar}}\ndag: {m: []}\n";
    made.write("workflows/e/flow.yaml", spec);
    made.write("workflows/e/own.mar", &native);
    let manifest = br#"{"createdOn": "x", "archiverVersion": "x", "workflow": {"workflowName": "e", "specFile": "flow.yaml"}}"#;
    made.write("workflows/e/WAR-INF/MANIFEST.json", manifest);
    made.write("workflows/f/flow.yaml", b"models: {}\ndag: {a: [b]}\n");
    let handler = b"def a(d, c): ...\ndef b(d, c): ...\n";
    made.write("workflows/f/h.py", handler);
    let manifest = br#"{"createdOn": "x", "archiverVersion": "x",
        "workflow": {"workflowName": "f", "specFile": "flow.yaml", "handler": "h.py"}}"#;
    made.write("workflows/f/WAR-INF/MANIFEST.json", manifest);
    let expected = [
        "python python.mar",
        "native native.mar",
        "missing c.yaml",
        "python b.yaml",
        "python f",
        "native a.yaml",
        "native d.yaml",
        "native e",
    ];
    check(&made, ". --python ./python3", &expected);
    let (_, document) = made.doctor(". --python ./python3");
    assert_eq!(
        document["workflows"][2]["says"],
        json!("h.py (the functions a, b in Python)")
    );
    assert_eq!(
        document["workflows"][4]["notes"],
        json!(["m: not looked at, because it is brought from https://box/far.mar"])
    );
}

#[test]
fn an_installation_that_is_not_there_is_named() {
    let made = Made(tempfile::tempdir().expect("a folder"));
    let error = look(&doctor("gone"), &|_| None, made.0.path()).expect_err("nothing there");
    assert!(
        format!("{error:#}").starts_with("gone: No such file"),
        "{error:#}"
    );
}

#[test]
fn a_model_that_would_run_in_a_process_of_its_own_is_said_to() {
    let check = |server: &str, archive: &str, expected: &str| {
        let made = Made(tempfile::tempdir().expect("a folder"));
        made.write(
            "config.properties",
            format!("model_store=models\n{server}\n").as_bytes(),
        );
        let model = json!({"modelName": "m", "handler": "base_handler", "serializedFile": "m.pt",
            "configFile": "model-config.yaml"});
        let config = format!("minWorkers: 1\n{archive}\n");
        let files = [
            ("m.pt", &*script()),
            ("model-config.yaml", config.as_bytes()),
        ];
        made.write("models/m.mar", &mar(model, &files));
        let (_, document) = made.doctor(".");
        assert_eq!(
            document["models"][0]["says"], expected,
            "{server} {archive}"
        );
    };
    let here = "base_handler, a TorchScript module";
    let apart = "base_handler, a TorchScript module, in a process of its own";
    check("", "", here);
    check("", "isolation: process", apart);
    check("isolation=process", "", apart);
    check("isolation=process", "isolation: none", apart);
    let wrong = "model configuration \"model-config.yaml\": key isolation: expected none or process, found 1";
    check("", "isolation: 1", wrong);
}
