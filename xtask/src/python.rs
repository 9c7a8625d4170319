//! Python for the tests: the virtual environment in which their clients run (`target/python`, from
//! `tests/python/requirements.txt`), and the worker's own tests (`python/tests`), which take a bare interpreter.
//!
//! Tests without it are skipped and say so. So is this, where there is no Python or no way to its packages: nobody needs
//! Python to work on the server.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::run;
use crate::workspace;

/// Makes the environment, unless it is what the requirements ask for already.
pub fn prepare() -> Result<()> {
    let root = workspace::root();
    let requirements = root.join("tests/python/requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("{} cannot be read", requirements.display()))?;
    let place = root.join("target/python");
    // Written last: with it, the environment is whole.
    let made = place.join("requirements.txt");
    if fs::read_to_string(&made).is_ok_and(|made| made == wanted) {
        println!("{} is there", place.display());
        return Ok(());
    }
    match make(&place, &requirements) {
        Ok(()) => fs::write(&made, wanted)
            .with_context(|| format!("{} cannot be written", made.display())),
        Err(error) => {
            println!("no Python for the tests: {error:#}");
            println!("the clients of tests/python are not tried");
            Ok(())
        }
    }
}

/// The interpreter that the worker's tests take at least.
const LEAST: &str = "3.8";

/// Runs the worker's own tests, where there is an interpreter for them.
pub fn test_worker() -> Result<()> {
    let ask = "import sys; print(sys.version.split()[0]); sys.exit(sys.version_info < (3, 8))";
    let asked = Command::new("python3").args(["-c", ask]).output();
    let skipped = match asked {
        Err(error) => Some(format!("python3 cannot be started: {error}")),
        Ok(output) if !output.status.success() => {
            let found = String::from_utf8_lossy(&output.stdout);
            Some(format!("python3 is {}, which is too old", found.trim()))
        }
        Ok(_) => None,
    };
    if let Some(why) = skipped {
        println!("the worker in Python is not tested, which takes Python {LEAST}: {why}");
        return Ok(());
    }
    let mut tests = Command::new("python3");
    tests
        .args(["-m", "unittest", "discover", "-s", "tests", "-t", "."])
        .current_dir(workspace::root().join("python"));
    run(&mut tests)
}

fn make(place: &Path, requirements: &Path) -> Result<()> {
    let root = workspace::root();
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]);
    venv.arg(place).current_dir(&root);
    run(&mut venv)?;
    let mut pip = Command::new(place.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"]);
    pip.arg(requirements).current_dir(&root);
    run(&mut pip)
}
