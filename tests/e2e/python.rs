//! Clients in Python, from `tests/python`, in the environment that `cargo xtask test` makes. Where there is none, the test
//! that asks says so.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Names an interpreter in place of that of `target/python`.
const VARIABLE: &str = "TORCHRELAY_PYTHON";

#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn interpreter() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let own = || root.join("target/python/bin/python3");
    let path = std::env::var_os(VARIABLE).map_or_else(own, PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    eprintln!(
        "skipped: {} is absent (see tests/python/README.md)",
        path.display()
    );
    None
}

/// Runs a program of `tests/python` and fails unless it ends well. Passes where there is no interpreter.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str]) {
    said_by(&format!("tests/python/{program}"), arguments);
}

/// What a program prints that is named from the root of the repository and ends well. `None` where there is no interpreter.
#[track_caller]
pub(crate) fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let interpreter = interpreter()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(interpreter)
        .arg("-B")
        .arg(root.join(program))
        .args(arguments)
        .output();
    let output = output.expect("the interpreter starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {told}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
