//! `cargo xtask docs`: writes the pages that are made from the code.

use anyhow::Result;

use crate::run::{cargo, run};

/// Writes docs/configuration.md from the table of keys, and workflows/schema.json from the language and the functions. The
/// tests that do so also fail, without being told to write, when what is there is out of date.
pub fn docs() -> Result<()> {
    let tests: [&[&str]; 2] = [
        &[
            "--package",
            "server",
            "--no-default-features",
            "--lib",
            "config",
        ],
        &["--package", "workbench", "--lib", "schema"],
    ];
    for test in tests {
        let mut command = cargo(["test", "--quiet"]);
        run(command.args(test).env("UPDATE_DOCS", "1"))?;
    }
    Ok(())
}
