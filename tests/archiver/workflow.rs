//! Workflows: packed, looked into, verified.

use crate::harness::Bench;

const SPEC: &str = "models:\n  m: {url: m.mar}\ndag:\n  m: []\n";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("spec.yaml", SPEC.as_bytes());
    bench
}

const FLAGS: &str =
    "workflow --workflow-name wf --spec-file spec.yaml --handler mine.py --extra-files extra/x.txt";

#[test]
fn a_workflow_is_packed_and_told() {
    let bench = bench();
    let printed = bench.succeed(FLAGS);
    assert!(printed.starts_with("packed into ./wf.war ("), "{printed}");
    assert_eq!(
        bench.succeed("verify wf.war"),
        "OK: wf.war: workflow wf 1.0, spec.yaml\n"
    );
    let listing = bench.succeed("inspect wf.war");
    for words in [
        "archive  wf.war",
        "workflowName     wf",
        "specFile         spec.yaml",
        "handler          mine.py",
        "spec, spec.yaml\n  models:\n    m: {url: m.mar}\n",
        "extra/x.txt".trim_start_matches("extra/"),
        "in 4 files",
    ] {
        assert!(listing.contains(words), "{words}: {listing}");
    }
    let document: serde_json::Value =
        serde_json::from_str(&bench.succeed("inspect --json wf.war")).expect("JSON");
    assert_eq!(
        (&document["workflow"], &document["spec"]),
        (&"wf".into(), &SPEC.into())
    );
    assert_eq!(document["manifest"]["workflow"]["handler"], "mine.py");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let bench = bench();
    bench.succeed(FLAGS);
    let first = std::fs::read(bench.path("wf.war")).expect("packed");
    bench.fail(FLAGS, "./wf.war: already there (--force replaces it)");
    bench.succeed(&format!("{FLAGS} -f"));
    assert_eq!(std::fs::read(bench.path("wf.war")).expect("packed"), first);
}

#[test]
fn a_spec_alone_is_a_workflow() {
    let bench = bench();
    assert_eq!(
        bench.succeed("verify spec.yaml"),
        "OK: spec.yaml: workflow spec 1.0, spec.yaml\n"
    );
    let listing = bench.succeed("inspect spec.yaml");
    assert!(
        listing.contains("no manifest; by its file the workflow is spec"),
        "{listing}"
    );
}

#[test]
fn functions_in_python_are_looked_for_in_the_handler_file() {
    let bench = bench();
    bench.write(
        "spec.yaml",
        b"models: {m: {url: m.mar}}\ndag: {m: [post]}\n",
    );
    bench.write("mine.py", b"def pots(data, context):\n    return data\n");
    let why = "spec.yaml:2:11: error: `post`: it is no model of `models`, no entry of `functions` and no native function; \
               nearest is `pots`; mine.py defines no function of that name";
    bench.warn(FLAGS, why);
    bench.fail("verify wf.war", &format!("wf.war: {why}"));
    bench.write("mine.py", b"def post(data, context):\n    return data\n");
    bench.succeed(&format!("{FLAGS} -f"));
    assert_eq!(
        bench.succeed("verify wf.war"),
        "OK: wf.war: workflow wf 1.0, spec.yaml\n"
    );
}

#[test]
fn mistakes_are_one_line() {
    let bench = bench();
    bench.fail(
        "workflow --workflow-name wf --spec-file absent.yaml",
        "--spec-file absent.yaml: No such file or directory (os error 2)",
    );
    bench.fail(
        "workflow --workflow-name wf --spec-file spec.yaml --export-path absent",
        "--export-path absent: there is no such folder",
    );
    bench.write("text.war", b"text");
    bench.fail(
        "verify text.war",
        "text.war: not a workflow: expected a zip (.war), a gzip-compressed tar (.tar.gz) or a spec (.yaml, .yml)",
    );
}
