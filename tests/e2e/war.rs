//! Workflow archives for tests, packed by TorchServe's own archiver, which pip fetches; without Python, pip or a network by
//! ours, which says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use archive::{Plan, WorkflowPackOptions};

use crate::harness::Bench;

/// Where the original is installed, once for all tests of a run.
#[expect(
    clippy::print_stderr,
    reason = "who reads a test's output has to know which archiver it was"
)]
fn original() -> Option<&'static Path> {
    static INSTALLED: OnceLock<Option<PathBuf>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        let site = Path::new(env!("CARGO_TARGET_TMPDIR")).join("torch-workflow-archiver-0.2.15");
        if !site.join("workflow_archiver").is_dir() {
            // Without its one dependency, which only Python 2 ever needed.
            let output = Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
                .arg(&site)
                .arg("torch-workflow-archiver==0.2.15")
                .output();
            if !output.is_ok_and(|output| output.status.success()) {
                return None;
            }
        }
        Some(site)
    });
    if installed.is_none() {
        eprintln!("packed by our archiver: pip cannot install torch-workflow-archiver");
    }
    installed.as_deref()
}

/// Packs `store/NAME.war` with this spec and a handler file.
pub(crate) fn pack(bench: &Bench, name: &str, spec: &str) {
    let (spec_file, handler) = (format!("stage/{name}.yaml"), "stage/handler.py");
    bench.write(&spec_file, spec.as_bytes());
    bench.write(handler, b"def f(data, context):\n    return data\n");
    let Some(site) = original() else {
        let plan = Plan::check_workflow(WorkflowPackOptions {
            workflow_name: name.to_owned(),
            spec_file: bench.path(&spec_file),
            handler: Some(bench.path(handler)),
            export_path: bench.path("store"),
            force: true,
            ..WorkflowPackOptions::default()
        });
        archive::pack(&plan.expect("a plan"), &mut |_| {}).expect("packed");
        return;
    };
    // It gathers the files in a folder of a fixed name below the temporary folder, so each run has one of its own.
    let temp = bench.path(&format!("stage/tmp-{name}"));
    fs::create_dir_all(&temp).expect("a folder");
    let output = Command::new("python3")
        .args(["-m", "workflow_archiver.workflow_packaging", "-f"])
        .args(["--workflow-name", name, "--export-path", "store"])
        .args(["--spec-file", &spec_file, "--handler", handler])
        .current_dir(bench.path("."))
        .env("PYTHONPATH", site)
        .env("TMPDIR", temp)
        .output()
        .expect("python3 starts");
    assert!(output.status.success(), "{output:?}");
}
