//! `cargo xtask bench` and `cargo xtask soak`: builds the daemon and the program `bench`, which does the work.

use anyhow::Result;

use crate::run::{cargo, run};
use crate::{libtorch, workspace};

/// Runs the program's command of that name with the arguments as they came.
pub fn bench(command: &str, arguments: Vec<String>) -> Result<()> {
    libtorch::prepare(libtorch::Options::default())?;
    run(&mut cargo([
        "build",
        "--release",
        "--package",
        "server",
        "--package",
        "bench",
    ]))?;
    let program = workspace::build_dir().join("release/bench");
    run(std::process::Command::new(program)
        .current_dir(workspace::root())
        .arg(command)
        .args(arguments))
}
