//! Workflows: archives, specs, the management API, and requests through a graph.

use std::io::{Cursor, Write};

use serde_json::{Value, json};
use zip::write::{SimpleFileOptions, ZipWriter};

use super::{Api, BAD, NOT_ALLOWED, check_failure};
use crate::client::{Answer, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};
use crate::war;

const NO_WORKFLOW: &str = "WorkflowNotFoundException";
const INVALID: &str = "InvalidWorkflowException";
const NO_DAG: &str = "InvalidDAGException";

/// Twice two.
const CHAIN: &str = "models:
  min-workers: 1
  max-workers: 2
  batch-size: 3
  max-batch-delay: 20
  retry-attempts: 0
  timeout-ms: 60000
  first: {url: double.mar}
  second: {url: double.mar, max-workers: 1, batch-size: 1}
dag:
  first: [second]
";

/// Two models between two functions.
const DIAMOND: &str = "models:
  timeout-ms: 60000
  m1: {url: double.mar}
  m2: {url: double.mar}
dag:
  passthrough: [m1, m2]
  m1: [aggregate]
  m2: [aggregate]
";

fn bench() -> Bench {
    let bench = Bench::new().with(&Model::double());
    war::pack(&bench, "chain", CHAIN);
    war::pack(&bench, "diamond", DIAMOND);
    bench
}

fn start(bench: Bench) -> Daemon {
    bench.start_with(&["--model-store", "store"])
}

fn registered(name: &str) -> String {
    format!("Workflow {name} has been registered and scaled successfully.")
}

/// A daemon with both.
fn with_both() -> (Daemon, Api) {
    let daemon = start(bench());
    let management = Api::management(&daemon);
    for name in ["chain", "diamond"] {
        let line = format!("POST /workflows?url={name}.war");
        let answer = management.ask(&line);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["status"], json!(registered(name)));
    }
    (daemon, management)
}

/// A `.war` with this manifest and a spec.
fn war_of(manifest: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [("WAR-INF/MANIFEST.json", manifest), ("s.yaml", CHAIN)] {
        let options = SimpleFileOptions::default();
        zip.start_file(name, options).expect("memory");
        zip.write_all(text.as_bytes()).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}

#[test]
fn c_5_1_archives_are_read_and_bad_ones_told_in_torchserves_words() {
    let bench = bench();
    let entry = r#""workflow": {"workflowName": "w", "specFile": "s.yaml"}"#;
    let nameless = r#""workflow": {"specFile": "s.yaml"}"#;
    let (date, version) = (r#""createdOn": "x""#, r#""archiverVersion": "0.2.15""#);
    for (name, members) in [
        ("entry", vec![date, version]),
        ("name", vec![nameless, date, version]),
        ("version", vec![entry, date]),
        ("date", vec![entry, version]),
    ] {
        let manifest = format!("{{{}}}", members.join(", "));
        bench.write(&format!("store/no-{name}.war"), &war_of(&manifest));
    }
    bench.write("store/text.war", b"text");
    let daemon = start(bench);
    let management = Api::management(&daemon);
    management.check_failed(&[
        (
            "POST /workflows?url=no-entry.war",
            500,
            INVALID,
            "Missing Workflow entry in manifest file.",
        ),
        (
            "POST /workflows?url=no-name.war",
            500,
            INVALID,
            "Workflow name is not defined.",
        ),
        (
            "POST /workflows?url=no-version.war",
            500,
            INVALID,
            "Workflow archive version is not defined.",
        ),
        (
            "POST /workflows?url=no-date.war",
            500,
            INVALID,
            "Workflow archive createdOn is not defined.",
        ),
        (
            "POST /workflows?url=text.war",
            500,
            INVALID,
            "not a workflow: expected a zip (.war), a gzip-compressed tar (.tar.gz) or a spec (.yaml, .yml)",
        ),
    ]);
    // Whoever gives a name does without the manifest's.
    let line = "POST /workflows?url=no-name.war&workflow_name=mine";
    management.check_said(&[(line, 200, &registered("mine"))]);
    assert_eq!(twice(&daemon, "mine").status, 200);
}

/// What comes of `[1, 2]`.
fn twice(daemon: &Daemon, workflow: &str) -> Answer {
    daemon.post(&format!("/wfpredict/{workflow}"), b"[1, 2]")
}

#[test]
fn c_5_2_a_graph_that_cannot_run_is_refused_with_its_reason() {
    let bench = bench();
    let models = "models:\n  a: {url: double.mar}\n  b: {url: double.mar}\n";
    let cases = [
        (
            "two-starts",
            "dag:\n  a: []\n  b: []\n",
            "DAG should have only one start node",
        ),
        (
            "cycle",
            "dag:\n  passthrough: [a]\n  a: [b]\n  b: [a]\n",
            "Not a valid DAG",
        ),
        ("self", "dag:\n  a: [b]\n  b: [b]\n", "Self loop exception"),
        ("twice", "dag:\n  a: [b, b]\n", "loop exception"),
    ];
    for (name, dag, _) in &cases {
        war::pack(&bench, name, &format!("{models}{dag}"));
    }
    let daemon = start(bench);
    let management = Api::management(&daemon);
    for (name, _, words) in &cases {
        let answer = management.ask(&format!("POST /workflows?url={name}.war"));
        let failure = answer.json();
        assert_eq!(
            (answer.status, &failure["type"]),
            (400, &json!(NO_DAG)),
            "{failure}"
        );
        let message = failure["message"].as_str().expect("a message");
        assert!(message.contains(words), "{name}: {message}");
    }
    // Nothing of them stays.
    assert_eq!(management.ask("GET /models").json()["models"], json!([]));
    assert_eq!(
        management.ask("GET /workflows").json()["workflows"],
        json!([])
    );
}

#[test]
fn c_5_3_workflows_are_registered_listed_described_and_unregistered() {
    let (_daemon, management) = with_both();
    management.check_failed(&[
        ("POST /workflows", 400, BAD, "Parameter url is required."),
        (
            "POST /workflows?url=gone.war",
            404,
            NO_WORKFLOW,
            "Workflow not found in workflow store: gone.war",
        ),
        (
            "POST /workflows?url=../chain.war",
            404,
            NO_WORKFLOW,
            "Relative path is not allowed in url: ../chain.war",
        ),
        (
            "POST /workflows?url=ftp://h/chain.war",
            404,
            NO_WORKFLOW,
            "Workflow not found at: ftp://h/chain.war",
        ),
        (
            "POST /workflows?url=chain.war",
            409,
            "ConflictStatusException",
            "Workflow chain is already registered.",
        ),
        (
            "GET /workflows/gone",
            404,
            NO_WORKFLOW,
            "Workflow not found: gone",
        ),
        (
            "DELETE /workflows/gone",
            404,
            NO_WORKFLOW,
            "Workflow not found: gone",
        ),
        ("PUT /workflows", 405, NOT_ALLOWED.0, NOT_ALLOWED.1),
        ("PUT /workflows/chain", 405, NOT_ALLOWED.0, NOT_ALLOWED.1),
    ]);
    let list = management.ask("GET /workflows?limit=1").json();
    let expected = json!({
        "nextPageToken": "1",
        "workflows": [{ "workflowName": "chain", "workflowUrl": "chain.war" }],
    });
    assert_eq!(list, expected);
    let rest = management.ask("GET /workflows?next_page_token=1").json();
    let expected =
        json!({ "workflows": [{ "workflowName": "diamond", "workflowUrl": "diamond.war" }] });
    assert_eq!(rest, expected);
    management.check_described(
        "/workflows/chain",
        &json!({
            "workflowName": "chain", "workflowUrl": "chain.war", "minWorkers": 1, "maxWorkers": 2, "batchSize": 3,
            "maxBatchDelay": 20, "workflowDag": "{first=[second]}",
        }),
    );
    management.check_described(
        "/workflows/diamond",
        &json!({
            "minWorkers": 1, "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 50,
            "workflowDag": "{passthrough=[m1, m2], m1=[aggregate], m2=[aggregate]}",
        }),
    );
    // Models are registered for the nodes; as many workers as may be.
    management.check_described(
        "/models/chain__first",
        &json!({ "modelUrl": "double.mar", "minWorkers": 2, "maxWorkers": 2, "batchSize": 3, "maxBatchDelay": 20 }),
    );
    management.check_described(
        "/models/chain__second",
        &json!({ "minWorkers": 1, "batchSize": 1 }),
    );
    let names = |management: &Api| -> Vec<String> {
        let list = management.ask("GET /models").json();
        let models = list["models"].as_array().expect("a list").iter();
        let names = models.map(|model| model["modelName"].as_str());
        names.map(|name| name.expect("a name").to_owned()).collect()
    };
    let all = [
        "chain__first",
        "chain__second",
        "diamond__m1",
        "diamond__m2",
    ];
    assert_eq!(names(&management), all);
    management.check_said(&[(
        "DELETE /workflows/chain",
        200,
        "Workflow \"chain\" unregistered",
    )]);
    assert_eq!(names(&management), all[2..]);
    // A workflow whose model somebody took away goes all the same.
    let scaled = management.ask("PUT /models/diamond__m1?min_worker=2");
    assert_eq!(scaled.status, 202, "{}", scaled.text());
    management.check_said(&[(
        "DELETE /workflows/diamond",
        200,
        "Workflow \"diamond\" unregistered",
    )]);
    assert_eq!(names(&management), [""; 0]);
}

#[test]
fn c_5_3_a_node_that_fails_takes_the_workflow_with_it() {
    let bench = bench();
    war::pack(
        &bench,
        "half",
        &CHAIN.replace("second: {url: double.mar", "second: {url: gone.mar"),
    );
    let daemon = start(bench);
    let management = Api::management(&daemon);
    management.check_failed(&[(
        "POST /workflows?url=half.war",
        500,
        "WorkflowException",
        "Workflow half has failed to register. Failures: [Workflow Node half__second failed to register. Details: \
         Model not found at: gone.mar]",
    )]);
    assert_eq!(management.ask("GET /models").json()["models"], json!([]));
    // JSON parameters, and a name that is free again.
    let body = json!({ "url": "chain.war", "workflow_name": "half" });
    let answer = management.post_json("/workflows", &body);
    assert_eq!(answer.json(), json!({ "status": registered("half") }));
}

#[test]
fn c_5_3_a_copy_belongs_to_its_workflow() {
    let bench = bench();
    std::fs::create_dir(bench.path("flows")).expect("a folder");
    let from = bench.path("store/chain.war").display().to_string();
    let daemon = bench.start_with(&["--model-store", "store", "--workflow-store", "flows"]);
    let management = Api::management(&daemon);
    let line = format!("POST /workflows?url=file://{from}");
    management.check_said(&[(&line, 200, &registered("chain"))]);
    let copy = daemon.bench.path("flows/chain.war");
    assert!(copy.is_file());
    let again = format!("{line}&workflow_name=other");
    let kind = "FileAlreadyExistsException";
    management.check_failed(&[(&again, 500, kind, "chain.war")]);
    assert_eq!(management.ask("DELETE /workflows/chain").status, 200);
    assert!(!copy.exists());
    let gone = format!("POST /workflows?url=file://{from}.gone.war");
    let failure = management.ask(&gone);
    let kind = &failure.json()["type"];
    assert_eq!(
        (failure.status, kind),
        (400, &json!("DownloadArchiveException"))
    );
}

#[test]
fn c_5_4_a_request_goes_through_the_graph() {
    let (daemon, _management) = with_both();
    for path in [
        "/wfpredict/chain",
        "/WfPredict/chain",
        "/wfpredict/chain/1.0",
    ] {
        for method in ["POST", "PUT", "GET"] {
            let answer = daemon.send(&Request::new(method, path).body("[1, 2]"));
            assert_eq!(
                (answer.status, answer.reason.as_str()),
                (200, "OK"),
                "{path}"
            );
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.json(), json!([4.0, 8.0]), "{method} {path}");
        }
    }
    // A join is keyed by the names of nodes.
    let joined = twice(&daemon, "diamond").json();
    assert_eq!(joined, json!({ "m1": [2.0, 4.0], "m2": [2.0, 4.0] }));
    Api::inference(&daemon).check_failed(&[
        (
            "POST /wfpredict/gone",
            404,
            NO_WORKFLOW,
            "Workflow not found: gone",
        ),
        ("POST /wfpredict", 404, super::NO_ROUTE.0, super::NO_ROUTE.1),
    ]);
}

#[test]
fn c_5_4_a_node_that_fails_is_named() {
    let (daemon, _management) = with_both();
    let answer = daemon.post("/wfpredict/chain", b"no numbers");
    let failure: Value = answer.json();
    assert_eq!(answer.status, 400, "{failure}");
    assert_eq!(
        (&failure["code"], &failure["type"], &failure["message"]),
        (
            &json!(400),
            &json!(BAD),
            &json!(
                "Error executing first: request part `body` is not JSON: expected ident at line 1 column 2"
            )
        )
    );
    assert_eq!(
        (&failure["workflow"], &failure["node"], &failure["model"]),
        (&json!("chain"), &json!("first"), &json!("chain__first"))
    );
    // Its answer is that of the whole request and no more.
    assert_eq!(twice(&daemon, "chain").json(), json!([4.0, 8.0]));
    check_failure(
        &daemon.get("/wfpredict/gone"),
        "GET",
        404,
        NO_WORKFLOW,
        "Workflow not found: gone",
    );
}
