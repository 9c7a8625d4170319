//! `cargo xtask docs`: writes the pages that are made from the code.

use anyhow::Result;

use crate::run::{cargo, run};

/// Writes docs/configuration.md from the table of keys. The test that does so also fails, without being told to write,
/// when the page is out of date.
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
    run(cargo(arguments).env("UPDATE_DOCS", "1"))
}
