//! `cargo xtask docs`: writes the pages that are made from the code.

use anyhow::Result;

use crate::run::{cargo, run};

/// What a package makes and by which of its tests: docs/configuration.md from the table of keys, docs/functions.md from what
/// the functions of workflows say of themselves, workflows/schema.json from the language and the functions. The tests also
/// fail, without being told to write, when what is there is out of date.
const MADE: [(&str, &str); 3] = [
    ("server", "config"),
    ("functions", "page"),
    ("workbench", "schema"),
];

/// Has all of them written.
pub fn docs() -> Result<()> {
    for (package, test) in MADE {
        let mut arguments = vec!["test", "--quiet", "--package", package, "--lib", test];
        if package == "server" {
            // Compiles without libtorch.
            arguments.push("--no-default-features");
        }
        run(cargo(arguments).env("UPDATE_DOCS", "1"))?;
    }
    Ok(())
}
