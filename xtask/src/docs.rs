//! `cargo xtask docs`: writes the pages that are made from the code.

use anyhow::Result;

use crate::run::{cargo, run};

/// Writes docs/configuration.md from the table of keys, and docs/functions.md from what the functions of workflows say of
/// themselves. The tests that do so also fail, without being told to write, when a page is out of date.
pub fn docs() -> Result<()> {
    let arguments = [
        "test",
        "--quiet",
        "--package",
        "server",
        "--no-default-features",
        "--lib",
        "config",
    ];
    run(cargo(arguments).env("UPDATE_DOCS", "1"))?;
    let arguments = ["test", "--quiet", "--package", "functions", "--lib", "page"];
    run(cargo(arguments).env("UPDATE_DOCS", "1"))
}
