//! `cargo xtask fixtures`: trains the demo model anew and writes it, its pictures and their truths.

use anyhow::Result;

use crate::libtorch;
use crate::run::{cargo, run};

/// Writes into `tests/fixtures`; the recipe is the crate `demo`.
pub fn fixtures() -> Result<()> {
    libtorch::prepare(libtorch::Options::default())?;
    run(&mut cargo([
        "run",
        "--release",
        "--package",
        "demo",
        "--bin",
        "train",
    ]))
}
