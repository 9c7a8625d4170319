//! Workflows beyond TorchServe's: loaded at start, kept over restarts, posted as YAML, in versions, explained, drawn, saved.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::{Connection, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};
use crate::war;

const TYPED: &str = "version: 2
models:
  m: {url: double.mar}
nodes:
  first: {model: m, in: request}
  second: {model: m, in: first}
  answer: {function: merge, in: {once: first, twice: second}}
output: answer
";

const CLASSIC: &str = "models:\n  m: {url: double.mar}\ndag:\n  m: []\n";

fn bench(lines: &str) -> Bench {
    let bench = Bench::new()
        .config(&format!(
            "model_store=store\nenable_model_api=true\n{lines}"
        ))
        .with(&Model::double());
    war::pack(&bench, "classic", CLASSIC);
    bench.write("store/typed.yaml", TYPED.as_bytes());
    bench
}

fn post_spec(daemon: &Daemon, path: &str, spec: &str) -> u16 {
    let request = Request::post(path, spec).content_type("application/yaml");
    let management = daemon.address_of("management_address");
    Connection::open(management).request(&request).status
}

/// Name and version of all that are registered.
fn registered(daemon: &Daemon) -> Vec<String> {
    let list = daemon.manage("GET", "/workflows").json();
    let names = list["workflows"].as_array().expect("a list").iter();
    let mut all = Vec::new();
    for name in names.map(|it| it["workflowName"].as_str().expect("a name")) {
        let versions = daemon.manage("GET", &format!("/workflows/{name}/all"));
        for version in versions.json().as_array().expect("a list") {
            let version = version["workflowVersion"].as_str().expect("a version");
            all.push(format!("{name} {version}"));
        }
    }
    all
}

#[track_caller]
fn check_answers(daemon: &Daemon, workflow: &str, expected: Value) {
    let answer = daemon.post(&format!("/wfpredict/{workflow}"), b"[1, 2]");
    assert_eq!(answer.status, 200, "{workflow}: {}", answer.text());
    assert_eq!(answer.json(), expected, "{workflow}");
}

fn both() -> Value {
    json!({ "once": [2.0, 4.0], "twice": [4.0, 8.0] })
}

#[test]
fn workflows_load_at_start() {
    let daemon = bench("load_workflows=all").start_plain(&["--ncs"]);
    assert_eq!(registered(&daemon), ["classic 1.0", "typed 2"]);
    assert_eq!(daemon.get("/ready").status, 200);
    check_answers(&daemon, "classic", json!([2.0, 4.0]));
    check_answers(&daemon, "typed", both());
    let daemon = bench("").start_plain(&["--ncs", "--workflows", "mine=typed.yaml"]);
    assert_eq!(registered(&daemon), ["mine 2"]);
}

#[test]
fn a_workflow_that_cannot_be_loaded_is_told_and_asked_for_until_it_is_there() {
    let bench = bench("load_workflows=w=gone.war,typed.yaml");
    let daemon = bench.start_plain(&["--ncs"]);
    let why = "Workflow not found in workflow store: gone.war";
    daemon
        .log()
        .wait_for(&format!("workflow gone.war is left out: {why}"));
    assert_eq!(registered(&daemon), ["typed 2"]);
    let ready = daemon.get("/ready");
    let missing = json!({ "workflowUrl": "gone.war", "state": "left out", "failure": why, "workflowName": "w" });
    let expected = json!({ "ready": false, "waitingFor": [missing] });
    assert_eq!((ready.status, ready.json()), (503, expected));
    assert_eq!(
        post_spec(&daemon, "/workflows?workflow_name=w", CLASSIC),
        200
    );
    assert_eq!(daemon.get("/ready").status, 200);
}

#[test]
fn workflows_survive_restarts_and_kills() {
    let mut bench = bench("load_workflows=classic.war");
    for (round, signal) in [Signal::TERM, Signal::KILL, Signal::KILL]
        .into_iter()
        .enumerate()
    {
        let daemon = bench.start_plain(&[]);
        if round == 0 {
            // Once; the snapshot has them from now on.
            for (path, spec) in [
                ("/workflows?workflow_name=posted", TYPED),
                ("/workflows?workflow_name=posted&version=3", CLASSIC),
                ("/workflows?workflow_name=gone", CLASSIC),
            ] {
                assert_eq!(post_spec(&daemon, path, spec), 200, "{path}");
            }
            let default = daemon.manage("PUT", "/workflows/posted/3/set-default");
            assert_eq!(default.status, 200, "{}", default.text());
            assert_eq!(daemon.manage("DELETE", "/workflows/gone").status, 200);
            assert_eq!(daemon.manage("DELETE", "/workflows/classic").status, 200);
            assert_eq!(
                daemon.manage("POST", "/workflows?url=typed.yaml").status,
                200
            );
        }
        assert_eq!(registered(&daemon), ["posted 2", "posted 3", "typed 2"]);
        check_answers(&daemon, "posted", json!([2.0, 4.0]));
        check_answers(&daemon, "posted/2", both());
        check_answers(&daemon, "typed", both());
        // Their models are theirs, and no models of the snapshot.
        let newest = crate::snapshots::newest_models(&daemon.bench);
        assert_eq!(newest["models"], json!({}), "{newest}");
        bench = daemon.end(signal);
    }
}

#[test]
fn versions_stand_beside_each_other() {
    let daemon = bench("").start_plain(&["--ncs"]);
    assert_eq!(
        post_spec(&daemon, "/workflows?workflow_name=w", CLASSIC),
        200
    );
    assert_eq!(post_spec(&daemon, "/workflows?workflow_name=w", TYPED), 200);
    assert_eq!(post_spec(&daemon, "/workflows?workflow_name=w", TYPED), 409);
    check_answers(&daemon, "w", json!([2.0, 4.0]));
    check_answers(&daemon, "w/2", both());
    check_answers(&daemon, "w?version=2", both());
    let refused = daemon.manage("DELETE", "/workflows/w");
    assert_eq!(
        (refused.status, refused.message()),
        (403, "Cannot remove default version for workflow w".into())
    );
    assert_eq!(daemon.manage("DELETE", "/workflows/w/2").status, 200);
    assert_eq!(daemon.manage("DELETE", "/workflows/w").status, 200);
    assert_eq!(registered(&daemon), [""; 0]);
}

#[test]
fn an_answer_says_how_it_came_about() {
    let daemon = bench("load_workflows=all").start_plain(&["--ncs"]);
    let explained = daemon.post("/wfpredict/typed?explain=1", b"[1, 2]").json();
    assert_eq!(explained["twice"], json!([4.0, 8.0]));
    let nodes = explained["explain"]["nodes"].as_array().expect("a list");
    let names: Vec<&str> = nodes.iter().filter_map(|it| it["node"].as_str()).collect();
    assert_eq!(names, ["first", "second", "answer"]);
    // What is no object comes in parts.
    let request = Request::post("/wfpredict/classic", "[1, 2]").header("x-explain", "1");
    let answer = daemon.send(&request);
    let content_type = answer.header("content-type").expect("a type");
    assert!(
        content_type.starts_with("multipart/mixed; boundary="),
        "{content_type}"
    );
    for words in ["name=\"answer\"", "name=\"explain\"", "\"total_ms\""] {
        assert!(answer.text().contains(words), "{words}: {}", answer.text());
    }
}

#[test]
fn a_graph_is_shown_as_a_document_and_as_a_picture() {
    let daemon = bench("load_workflows=all").start_plain(&["--ncs"]);
    check_answers(&daemon, "typed", both());
    let graph = daemon.manage("GET", "/workflows/typed?format=json").json();
    let edges = json!([
        ["first", "second"],
        ["first", "answer"],
        ["second", "answer"]
    ]);
    assert_eq!((&graph["form"], &graph["edges"]), (&json!("typed"), &edges));
    let first = &graph["nodes"][0];
    assert_eq!(
        (&first["name"], &first["model"], &first["calls"]),
        (&json!("first"), &json!("typed__m"), &json!(1))
    );
    let svg = daemon.manage("GET", "/workflows/typed?format=svg");
    assert_eq!(svg.header("content-type"), Some("image/svg+xml"));
    assert!(svg.text().starts_with("<svg") && svg.text().contains("second"));
    let request = Request::new("GET", "/workflows/typed").header("accept", "text/vnd.mermaid");
    let management = daemon.address_of("management_address");
    let mermaid = Connection::open(management).request(&request);
    assert!(mermaid.text().contains("flowchart"), "{}", mermaid.text());
    let wrong = daemon.manage("GET", "/workflows/typed?format=png");
    assert_eq!(
        (wrong.status, wrong.message()),
        (
            400,
            "format: expected json, svg or mermaid, found \"png\"".into()
        )
    );
}

#[test]
fn values_of_nodes_are_saved_where_the_configuration_says() {
    let bench = bench("load_workflows=all\nworkflow_save_dir=saved");
    fs::create_dir(bench.path("saved")).expect("a folder");
    let daemon = bench.start_plain(&["--ncs"]);
    let answer = daemon.post("/wfpredict/typed?save=first,answer", b"[1, 2]");
    let id = answer.header("x-request-id").expect("an id").to_owned();
    assert_eq!(answer.header("x-saved"), Some(&*format!("typed/{id}")));
    let folder = daemon.bench.path("saved/typed").join(id);
    let mut names: Vec<String> = fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("text")
        })
        .collect();
    names.sort();
    let outputs: Vec<&String> = names.iter().filter(|name| name.contains(".out.")).collect();
    assert_eq!(outputs, ["answer.out.json", "first.out.json"], "{names:?}");
    let text = fs::read(folder.join("answer.out.json")).expect("a file");
    let value: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(value, both());
    let wrong = daemon.post("/wfpredict/typed?save=nobody", b"[1, 2]");
    assert_eq!(
        (wrong.status, wrong.message()),
        (
            400,
            "save: the workflow typed has no node \"nobody\"".into()
        )
    );
}

#[test]
fn nothing_is_saved_unless_the_configuration_says_where() {
    let daemon = bench("load_workflows=all").start_plain(&["--ncs"]);
    let answer = daemon.post("/wfpredict/typed?save=first", b"[1, 2]");
    assert_eq!(
        (answer.status, answer.message()),
        (
            400,
            "save: the server saves nothing: workflow_save_dir is not set".into()
        )
    );
}
