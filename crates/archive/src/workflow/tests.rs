use super::*;
use crate::Format;
use crate::testing::{RawZip, tree as on_disk};

const SPEC: &str = "models:\n  m: {url: m.mar}\ndag:\n  m: []\n";

fn manifest(workflow: &str) -> String {
    format!(
        r#"{{"createdOn": "21/11/2026 21:23:23", "workflow": {workflow}, "archiverVersion": "0.2.15"}}"#
    )
}

struct Bench(TempDir);

impl Bench {
    fn new() -> Self {
        Bench(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("made");
        fs::write(path, content).expect("written");
    }

    fn war(&self, name: &str, manifest: &str, files: &[(&str, &str)]) {
        let mut zip = RawZip::default().file(WORKFLOW_MANIFEST, manifest.as_bytes());
        for (name, content) in files {
            zip = zip.file(name, content.as_bytes());
        }
        self.write(name, zip.finish());
    }

    fn open(&self, name: &str, called: Option<&str>) -> Result<WorkflowFiles, ArchiveError> {
        let into = self.path("into");
        open_workflow(&self.path(name), &into, &Limits::default(), called)
    }

    /// It is refused with a message that ends so, and leaves nothing behind.
    #[track_caller]
    fn check_refused(&self, name: &str, expected: &str) {
        let error = self.open(name, None).expect_err(expected).to_string();
        let shown = self.path(name).display().to_string();
        assert_eq!(error, format!("{shown}: {expected}"));
        if self.path("into").is_dir() {
            assert_eq!(on_disk(&self.path("into")).len(), 0, "{name}");
        }
    }
}

#[test]
fn a_war_is_unpacked_and_goes_with_its_owner() {
    let bench = Bench::new();
    let text = manifest(r#"{"workflowName": "wf", "specFile": "s.yaml", "handler": "c/h.py"}"#);
    bench.war(
        "any.war",
        &text,
        &[
            ("s.yaml", SPEC),
            ("c/h.py", "def f(data, context): return data\n"),
            ("d/e", ""),
        ],
    );
    let files = bench.open("any.war", None).expect("opened");
    assert_eq!((&*files.name, &*files.spec), ("wf", SPEC));
    assert_eq!(
        (&*files.spec_file, files.version.as_deref()),
        ("s.yaml", None)
    );
    assert_eq!(files.sha256.as_deref().map(str::len), Some(64));
    let dir = files.dir.clone().expect("unpacked");
    let handler = HandlerFile {
        path: dir.join("c/h.py"),
        name: "c/h.py".to_owned(),
        functions: vec!["f".to_owned()],
    };
    assert_eq!(files.handler, Some(handler));
    assert!(dir.starts_with(bench.path("into")) && files.is_unpacked());
    drop(files);
    assert!(!dir.exists());
    let files = bench.open("any.war", Some("mine")).expect("opened");
    assert_eq!(files.name, "mine");
}

#[test]
fn a_folder_and_a_spec_are_served_where_they_are() {
    let bench = Bench::new();
    bench.write("plain/graph.yml", format!("version: 2\n{SPEC}"));
    bench.write("plain/README.md", "");
    bench.write("plain/handler.py", "def f(data, context): return data\n");
    bench.write("full/handler.py", "");
    bench.write("full/s.yaml", SPEC);
    bench.write("full/other.yaml", "");
    let text = manifest(r#"{"workflowName": "f", "workflowVersion": 3, "specFile": "s.yaml"}"#);
    bench.write("full/WAR-INF/MANIFEST.json", text);
    bench.write("my flow.yaml", SPEC);
    bench.write("named.yaml", format!("name: own\nversion: '1'\n{SPEC}"));
    for (name, called, version, file) in [
        ("plain", "plain", Some("2"), "graph.yml"),
        ("full", "f", Some("3"), "s.yaml"),
        ("my flow.yaml", "my_flow", None, "my flow.yaml"),
        ("named.yaml", "own", Some("1"), "named.yaml"),
    ] {
        let files = bench.open(name, None).expect(name);
        let found = (&*files.name, files.version.as_deref(), &*files.spec_file);
        assert_eq!(found, (called, version, file));
        let functions = files
            .handler
            .as_ref()
            .map(|handler| handler.functions.clone());
        let expected = (name == "plain").then(|| vec!["f".to_owned()]);
        assert_eq!(functions, expected, "{name}");
        assert!(!files.is_unpacked());
        drop(files);
        assert!(bench.path(name).exists());
    }
}

#[test]
fn manifests_lack_what_torchserve_says_they_lack() {
    let bench = Bench::new();
    let check = |text: &str, expected: &str| {
        bench.war("w.war", text, &[("s.yaml", SPEC)]);
        bench.check_refused("w.war", expected);
    };
    check("{}", "Missing Workflow entry in manifest file.");
    check(
        &manifest(r#"{"specFile": "s.yaml"}"#),
        "Workflow name is not defined.",
    );
    check(
        r#"{"workflow": {"workflowName": "w", "specFile": "s.yaml"}, "createdOn": "x"}"#,
        "Workflow archive version is not defined.",
    );
    check(
        r#"{"workflow": {"workflowName": "w", "specFile": "s.yaml"}, "archiverVersion": "1"}"#,
        "Workflow archive createdOn is not defined.",
    );
    check(
        &manifest(r#"{"workflowName": "w"}"#),
        "WAR-INF/MANIFEST.json: member \"workflow.specFile\" is missing",
    );
    check(
        &manifest("[]"),
        "WAR-INF/MANIFEST.json: member \"workflow\": expected an object, found a list",
    );
    check(
        "{",
        "WAR-INF/MANIFEST.json: EOF while parsing an object at line 1 column 1",
    );
    check(
        &manifest(r#"{"workflowName": "w", "specFile": "t.yaml"}"#),
        "file \"t.yaml\": there is no such file in the archive",
    );
    check(
        &manifest(r#"{"workflowName": "w", "specFile": "../t.yaml"}"#),
        "file \"../t.yaml\": the name leads outside the archive",
    );
    // Whoever names the workflow does without its name.
    bench.war(
        "w.war",
        &manifest(r#"{"specFile": "s.yaml"}"#),
        &[("s.yaml", SPEC)],
    );
    assert_eq!(bench.open("w.war", Some("n")).expect("opened").name, "n");
}

#[test]
fn what_is_no_workflow_is_refused() {
    let bench = Bench::new();
    bench.write("text.war", "text");
    bench.check_refused(
        "text.war",
        "not a workflow: expected a zip (.war), a gzip-compressed tar (.tar.gz) or a spec (.yaml, .yml)",
    );
    bench.write("w.war", RawZip::default().file("../up", b"x").finish());
    bench.check_refused(
        "w.war",
        "entry \"../up\" refused: the name leads to a parent folder",
    );
    bench.write("two/a.yaml", "");
    bench.write("two/b.yml", "");
    bench.check_refused("two", "Missing Workflow entry in manifest file.");
    bench.write("latin.yaml", b"a: \xe9\n");
    bench.check_refused(
        "latin.yaml",
        "spec \"latin.yaml\": invalid utf-8 sequence of 1 bytes from index 3",
    );
}

#[test]
fn a_listing_says_what_a_workflow_holds() {
    let bench = Bench::new();
    let text = manifest(r#"{"workflowName": "wf", "specFile": "s.yaml"}"#);
    bench.war("w.war", &text, &[("s.yaml", SPEC)]);
    bench.war("w.mar", &text, &[("s.yaml", SPEC)]);
    bench.write("m.mar", RawZip::default().file("x", b"x").finish());
    let limits = Limits::default();
    for (name, expected) in [("w.war", true), ("w.mar", true), ("m.mar", false)] {
        assert_eq!(
            is_workflow(&bench.path(name), &limits).expect(name),
            expected
        );
    }
    let listing = inspect_workflow(&bench.path("w.war"), &limits).expect("listed");
    let names: Vec<&str> = listing.entries.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["WAR-INF/MANIFEST.json", "s.yaml"]);
    assert_eq!(
        (listing.format, &*listing.name, &*listing.spec),
        (Some(Format::Zip), "wf", SPEC)
    );
}
