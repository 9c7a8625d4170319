//! The commands for people who write workflows, as they are typed: no daemon runs here.

use std::fs;
use std::path::Path;

use dag::Catalogue as _;
use functions::Functions;
use serde_json::{Value, json};

use crate::fixtures::zip;
use crate::harness::{Bench, Ran};

const SOUND: &str = "inputs: {image: image}
nodes:
  small: {function: resize, in: image, with: {longest_side: 64}}
output: small
";

const WARNED: &str = "inputs: {image: image, budget: int}
nodes:
  small: {function: resize, in: image, with: {longest_side: 64}}
output: small
";

const BROKEN: &str = "inputs: {image: image}
nodes:
  small: {function: rezise, in: imag}
output: small
";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("sound.yaml", SOUND.as_bytes());
    bench.write("warned.yaml", WARNED.as_bytes());
    bench.write("broken.yaml", BROKEN.as_bytes());
    bench
}

fn run(bench: &Bench, line: &str) -> Ran {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    bench.run(&arguments)
}

/// What a command printed that ended with this exit code, a line each; on standard error it said nothing.
#[track_caller]
fn prints(bench: &Bench, line: &str, code: i32) -> Vec<String> {
    let ran = run(bench, line);
    assert_eq!(
        (ran.code, &ran.stderr[..]),
        (Some(code), &[][..]),
        "{line}: {ran:?}"
    );
    ran.stdout
}

#[test]
fn lint_says_what_is_wrong_and_where() {
    let bench = bench();
    let check = |line: &str, code, expected: &[&str]| {
        assert_eq!(prints(&bench, line, code), expected, "{line}");
    };
    check("lint sound.yaml", 0, &["1 workflow: nothing is wrong"]);
    let warning = [
        "warned.yaml:1:24: warning: `budget`: nothing takes this input",
        "  1 | inputs: {image: image, budget: int}",
        "    |                        ^^^^^^",
        "1 workflow: 1 warning",
    ];
    check("lint warned.yaml", 0, &warning);
    check("lint --strict warned.yaml", 1, &warning);

    let found = prints(&bench, "lint sound.yaml broken.yaml", 1);
    let starts = |start: &str| found.iter().position(|line| line.starts_with(start));
    let first = starts("broken.yaml:3:21: error: `small`, field `function`: ")
        .unwrap_or_else(|| panic!("{found:#?}"));
    assert!(found[first].ends_with("nearest is `resize`"), "{found:#?}");
    assert_eq!(
        found[first + 1],
        "  3 |   small: {function: rezise, in: imag}"
    );
    assert_eq!(found[first + 2], "    |                     ^^^^^^");
    assert!(starts("broken.yaml:3:33: error: ").is_some(), "{found:#?}");
    assert!(
        found
            .last()
            .expect("a line")
            .starts_with("2 workflows: 2 errors")
    );
}

#[test]
fn lint_misses_models_where_they_should_be() {
    const ASKING: &str = "models:
  near: {url: near.mar}
  away: {url: away.mar}
  far: {url: 'https://example.org/far.mar'}
nodes:
  a: {model: near, in: request}
  b: {model: away, in: a}
  c: {model: far, in: b}
output: c
";
    let bench = bench();
    let last = |line: &str| prints(&bench, line, 0).pop().unwrap_or_default();
    bench.write("alone/asking.yaml", ASKING.as_bytes());
    assert_eq!(
        last("lint alone/asking.yaml"),
        "1 workflow: nothing is wrong"
    );
    bench.write("beside/asking.yaml", ASKING.as_bytes());
    bench.write("beside/near.mar", b"");
    let found = prints(&bench, "lint beside/asking.yaml", 0);
    assert_eq!(
        found[0],
        "beside/asking.yaml:3:3: warning: `away`, field `url`: there is no `away.mar` in beside"
    );
    assert_eq!(found[3], "1 workflow: 1 warning", "{found:?}");
    assert_eq!(
        last("lint alone/asking.yaml --model-store beside"),
        "1 workflow: 1 warning"
    );
}

#[test]
fn lint_looks_into_folders_and_archives() {
    let bench = bench();
    let manifest = json!({"createdOn": "today", "archiverVersion": "0", "workflow":
        {"workflowName": "w", "specFile": "flow.yaml"}})
    .to_string();
    let entries = [
        ("WAR-INF/MANIFEST.json", manifest.as_bytes()),
        ("flow.yaml", BROKEN.as_bytes()),
    ];
    bench.write("all/w.war", &zip(&entries));
    bench.write("all/cut.war", &zip(&entries)[..100]);
    bench.write("all/plain/flow.yaml", SOUND.as_bytes());
    bench.write("all/tab.yaml", b"nodes:\n\ta: {}\n");
    let found = prints(&bench, "lint all", 1);
    for start in [
        "all/w.war/flow.yaml:3:21: error: ",
        "all/tab.yaml:2:",
        "error: all/cut.war",
    ] {
        assert!(
            found.iter().any(|line| line.starts_with(start)),
            "{start}: {found:#?}"
        );
    }
    assert!(found.last().expect("a line").starts_with("4 workflows: "));
}

#[test]
fn functions_in_python_are_those_that_the_handler_file_defines() {
    let bench = bench();
    let manifest = json!({"createdOn": "today", "archiverVersion": "0", "workflow":
        {"workflowName": "w", "specFile": "flow.yaml", "handler": "h.py"}});
    bench.write("w/WAR-INF/MANIFEST.json", manifest.to_string().as_bytes());
    bench.write("w/flow.yaml", b"models: {}\ndag: {first: [post]}\n");
    bench.write(
        "w/h.py",
        b"def first(data, context): ...\ndef pots(data, context): ...\n",
    );
    let found = prints(&bench, "lint w", 1);
    let start = "w/flow.yaml:2:15: error: `post`: it is no model of `models`";
    assert!(found[0].starts_with(start), "{found:#?}");
    let end = "h.py defines no function of that name";
    assert!(found[0].ends_with(end), "{found:#?}");
    bench.write("w/h.py", b"def first(data, context): ...\npost = first\n");
    assert_eq!(
        prints(&bench, "lint w", 0),
        ["1 workflow: nothing is wrong"]
    );
    let graph = prints(&bench, "graph --format json w", 0).join("");
    let graph: Value = serde_json::from_str(&graph).expect("JSON");
    let node = &graph["nodes"][1];
    let shown = json!([node["kind"], node["function"], node["model"]]);
    assert_eq!(shown, json!(["function", "post", "h.py"]));
}

#[test]
fn lint_speaks_json_and_knows_wrong_usage_from_wrong_specs() {
    let bench = bench();
    let text = prints(&bench, "lint --json sound.yaml broken.yaml", 1).join("\n");
    let found: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        found["files"][0],
        json!({"file": "sound.yaml", "problems": []})
    );
    let problem = &found["files"][1]["problems"][0];
    for (member, expected) in [
        ("severity", json!("error")),
        ("line", json!(3)),
        ("column", json!(21)),
        ("node", json!("small")),
        ("field", json!("function")),
    ] {
        assert_eq!(problem[member], expected, "{problem}");
    }
    assert_eq!(found["errors"], 2);

    let ran = run(&bench, "lint nowhere.yaml");
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr[0].starts_with("nowhere.yaml: "), "{ran:?}");
    assert_eq!(run(&bench, "lint").code, Some(2));
}

#[test]
fn graphs_are_drawn() {
    let bench = bench();
    let svg = prints(&bench, "graph sound.yaml", 0).join("\n");
    let document = roxmltree::Document::parse(&svg).expect("well-formed");
    assert_eq!(document.root_element().tag_name().name(), "svg");
    assert!(svg.contains("small") && svg.contains("resize"), "{svg}");

    let mermaid = prints(&bench, "graph sound.yaml --format mermaid", 0).join("\n");
    assert!(mermaid.starts_with("flowchart"), "{mermaid}");

    assert!(prints(&bench, "graph sound.yaml --out g.json", 0).is_empty());
    let written = fs::read(bench.path("g.json")).expect("written");
    let graph: Value = serde_json::from_slice(&written).expect("JSON");
    assert_eq!(graph["nodes"][0]["function"], "resize");
    assert_eq!(graph["nodes"][0]["in"], json!({"image": "image"}));

    let ran = run(&bench, "graph broken.yaml");
    assert_eq!((ran.code, &ran.stdout[..]), (Some(1), &[][..]));
    assert!(
        ran.stderr[0].starts_with("broken.yaml:3:21: error: "),
        "{ran:?}"
    );
}

#[test]
fn functions_are_listed_and_described() {
    let bench = bench();
    let list = prints(&bench, "functions", 0);
    let text = prints(&bench, "functions --json", 0).join("\n");
    let documents: Value = serde_json::from_str(&text).expect("JSON");
    for name in Functions::default().names() {
        let start = format!("{name}(");
        assert!(list.iter().any(|line| line.starts_with(&start)), "{name}");
        let documents = documents.as_array().expect("a list");
        assert!(
            documents.iter().any(|function| function["name"] == name),
            "{name}"
        );
    }
    let page = prints(&bench, "functions resize", 0);
    assert!(page[0].starts_with("resize: "), "{page:#?}");
    for word in ["longest_side", "pil_bilinear", "Example"] {
        assert!(page.iter().any(|line| line.contains(word)), "{word}");
    }
    let ran = run(&bench, "functions rezise");
    assert_eq!(ran.code, Some(2));
    assert_eq!(
        ran.stderr,
        ["there is no function `rezise`; nearest is `resize`"]
    );
}

#[test]
fn the_schema_is_the_one_that_is_shipped() {
    let printed = prints(&bench(), "schema", 0).join("\n");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../workflows/schema.json");
    let shipped = fs::read_to_string(shipped).expect("readable");
    // Too long to be shown.
    assert!(printed == shipped.trim_end());
}
