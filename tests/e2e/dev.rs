//! `torchrelay dev`: what is saved in a folder takes over when it is ready, and what cannot serve changes nothing.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fixtures::{own, script};
use crate::harness::{Bench, Daemon, Stream};

/// Longer than anything here takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves the folder `name` of the bench; the log has its addresses.
fn dev(bench: Bench, name: &str) -> Daemon {
    let bench = bench.logging("info").config("default_workers_per_model=1");
    let command = bench.command(&["dev", name, "--ts-config", "config.properties"]);
    bench.start_command(command)
}

/// A model's folder with these weights.
fn model(bench: &Bench, folder: &str, version: &str, weights: &[u8]) {
    let manifest = json!({"runtime": "python", "model": {"modelName": "double",
        "modelVersion": version, "serializedFile": "w.pt", "handler": "base_handler"}});
    bench.write(&format!("{folder}/w.pt"), weights);
    bench.write(
        &format!("{folder}/MAR-INF/MANIFEST.json"),
        manifest.to_string().as_bytes(),
    );
}

fn double() -> Vec<u8> {
    fs::read(own("double.pt")).expect("readable")
}

/// `y = factor x`.
fn times(factor: u32) -> Vec<u8> {
    let code = format!(
        "class Times(Module):
  __parameters__ = []
  __buffers__ = []
  def forward(self: __torch__.Times,
    x: Tensor) -> Tensor:
    return torch.mul(x, {factor}.)
"
    );
    script("Times", &code)
}

/// Asks until the answer is the new one. Until then it is the old one: nothing is refused in between.
#[track_caller]
fn becomes(daemon: &Daemon, path: &str, old: &Value, new: &Value) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = daemon.post(path, b"[1.0]");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let found = answer.prediction();
        if found == *new {
            return;
        }
        assert_eq!(found, *old, "{path}");
        assert!(Instant::now() < deadline, "{path} answers {found} for ever");
        thread::sleep(Duration::from_millis(20));
    }
}

#[track_caller]
fn answers(daemon: &Daemon, path: &str, expected: &Value) {
    becomes(daemon, path, expected, expected);
}

const TWICE: &str = "models: {double: {url: double}}
nodes:
  first: {model: double, in: request}
output: first
";

const FOUR_TIMES: &str = "models: {double: {url: double}}
nodes:
  first: {model: double, in: request}
  second: {model: double, in: first}
output: second
";

/// `thrid` is nowhere.
const BROKEN: &str = "models: {double: {url: double}}
nodes:
  first: {model: double, in: request}
  second: {model: double, in: first}
output: thrid
";

#[test]
fn a_workflow_follows_its_folder_and_survives_mistakes() {
    let bench = Bench::new();
    bench.write("flow/flow.yaml", TWICE.as_bytes());
    model(&bench, "flow/double", "1.0", &double());
    let daemon = dev(bench, "flow");
    let (path, two, four) = ("/wfpredict/flow", json!([2.0]), json!([4.0]));
    daemon.log().wait_for("workflow flow: http://127.0.0.1:");
    answers(&daemon, path, &two);

    daemon.bench.write("flow/flow.yaml", FOUR_TIMES.as_bytes());
    becomes(&daemon, path, &two, &four);

    daemon.bench.write("flow/flow.yaml", BROKEN.as_bytes());
    let line = daemon.log().wait_for("flow/flow.yaml:5:9: error: ");
    assert!(line.contains("`thrid`"), "{line}");
    daemon
        .log()
        .wait_for("workflow flow: 1 error; what was there serves on");
    let printed = daemon.log().of(Stream::Out);
    let shown = printed
        .iter()
        .position(|line| line == "  5 | output: thrid");
    let shown = shown.unwrap_or_else(|| panic!("{printed:#?}"));
    assert_eq!(printed[shown + 1], "    |         ^^^^^");
    answers(&daemon, path, &four);

    // A model that the workflow brings along is part of it.
    daemon.bench.write("flow/flow.yaml", TWICE.as_bytes());
    becomes(&daemon, path, &four, &two);
    daemon.bench.write("flow/double/w.pt", &times(3));
    becomes(&daemon, path, &two, &json!([3.0]));
    daemon.bench.write("flow/double/w.pt", b"no weights");
    daemon
        .log()
        .wait_for("workflow flow: it cannot serve; what was there serves on");
    answers(&daemon, path, &json!([3.0]));

    fs::remove_dir_all(daemon.bench.path("flow")).expect("removed");
    daemon
        .log()
        .wait_for("flow is gone; what was there serves on");
    answers(&daemon, path, &json!([3.0]));
    model(&daemon.bench, "flow/double", "1.0", &double());
    daemon.bench.write("flow/flow.yaml", FOUR_TIMES.as_bytes());
    becomes(&daemon, path, &json!([3.0]), &four);
}

#[test]
fn a_model_keeps_its_version_until_its_manifest_has_another() {
    let bench = Bench::new();
    model(&bench, "m", "1.0", &double());
    let daemon = dev(bench, "m");
    daemon.log().wait_for("model double: http://127.0.0.1:");
    let (path, two) = ("/predictions/double/1.0", json!([2.0]));
    answers(&daemon, path, &two);

    daemon.bench.write("m/w.pt", &times(3));
    becomes(&daemon, path, &two, &json!([3.0]));
    daemon.bench.write("m/w.pt", &times(5)[..100]);
    daemon
        .log()
        .wait_for("model double: it cannot serve; what was there serves on");
    answers(&daemon, path, &json!([3.0]));
    daemon
        .bench
        .write("m/MAR-INF/MANIFEST.json", b"{\"model\": ");
    daemon.log().wait_for("MANIFEST.json");
    answers(&daemon, path, &json!([3.0]));

    model(&daemon.bench, "m", "2.0", &times(5));
    becomes(&daemon, "/predictions/double", &json!([3.0]), &json!([5.0]));
    answers(&daemon, "/predictions/double/2.0", &json!([5.0]));
    let deadline = Instant::now() + PATIENCE;
    while daemon.get(path).status != 404 {
        assert!(Instant::now() < deadline, "1.0 is still there");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_comes_into_a_folder_is_served_too() {
    let bench = Bench::new();
    fs::create_dir(bench.path("all")).expect("made");
    let daemon = dev(bench, "all");
    daemon.log().wait_for("all: nothing to serve is in it yet");
    model(&daemon.bench, "all/double", "1.0", &double());
    daemon.log().wait_for("model double: http://");
    answers(&daemon, "/predictions/double", &json!([2.0]));
    // These two lean on the model beside them, and each is served alone.
    daemon.bench.write("all/a.yaml", TWICE.as_bytes());
    daemon.bench.write("all/b.yaml", BROKEN.as_bytes());
    daemon.log().wait_for("all/b.yaml:5:9: error: ");
    daemon
        .log()
        .wait_for("workflow all/b.yaml: 1 error; it is not served yet");
    daemon.log().wait_for("workflow a: http://");
    answers(&daemon, "/wfpredict/a", &json!([2.0]));
    daemon.bench.write("all/double/w.pt", &times(3));
    becomes(&daemon, "/predictions/double", &json!([2.0]), &json!([3.0]));
    becomes(&daemon, "/wfpredict/a", &json!([2.0]), &json!([3.0]));
}

#[test]
fn it_needs_no_configuration_and_leaves_nothing_behind() {
    let bench = Bench::new();
    let ran = bench.run(&["dev", "nowhere"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.stderr, ["nowhere: no such folder"]);
    model(&bench, "m", "1.0", &double());
    let daemon = dev(bench, "m");
    daemon.log().wait_for("model double: http://");
    let bench = daemon.end(rustix::process::Signal::INT);
    for left in ["logs", "key_file.json", "m/logs"] {
        assert!(!bench.path(left).exists(), "{left}");
    }
}
