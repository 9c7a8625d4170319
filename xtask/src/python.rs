//! Python for the tests: the virtual environments `target/python` for clients in Python, and `target/torchserve` with TorchServe
//! itself and torch, from the requirements in `tests/python`; and the worker's own tests, which take a bare interpreter.
//!
//! Tests that want one which is not there are skipped and say so. So is making it, where there is no Python or no way to its
//! packages: nobody needs Python to work on the server.
//!
//! The wheel of which `target/libtorch` is made serves one version of Python, and seldom that of the machine, so torch is
//! fetched for the latter on its own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::run;
use crate::workspace;

struct Environment {
    /// Below `target`.
    name: &'static str,
    /// From the workspace's root.
    requirements: &'static str,
    /// How they are installed.
    options: &'static [&'static str],
    /// What the new interpreter runs last.
    finish: Option<&'static str>,
    /// What is not tried where there is none.
    without: &'static str,
}

const ENVIRONMENTS: [Environment; 2] = [
    Environment {
        name: "python",
        requirements: "tests/python/requirements.txt",
        options: &[],
        finish: None,
        without: "the clients of tests/python are",
    },
    Environment {
        name: "torchserve",
        requirements: "tests/python/torchserve/requirements.txt",
        // What torch asks for beyond them is 3 GB of CUDA.
        options: &["--no-deps"],
        finish: Some("tests/python/torchserve/stubs.py"),
        without: "what compares with TorchServe itself is",
    },
];

/// Makes the environments, unless they are what the requirements ask for already.
pub fn prepare() -> Result<()> {
    ENVIRONMENTS.iter().try_for_each(Environment::prepare)
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

impl Environment {
    fn prepare(&self) -> Result<()> {
        let place = self.place();
        let wanted = self.wanted()?;
        // Written last: with it, the environment is whole.
        let made = place.join("requirements.txt");
        if fs::read_to_string(&made).is_ok_and(|made| made == wanted) {
            println!("{} is there", place.display());
            return Ok(());
        }
        match self.make() {
            Ok(()) => fs::write(&made, wanted)
                .with_context(|| format!("{} cannot be written", made.display())),
            Err(error) => {
                println!("no {} for the tests: {error:#}", place.display());
                println!("{} not tried", self.without);
                // Half of it would only be in the way, and large.
                let _ = fs::remove_dir_all(&place);
                Ok(())
            }
        }
    }

    fn place(&self) -> PathBuf {
        workspace::root().join("target").join(self.name)
    }

    /// The text of all that it is made by.
    fn wanted(&self) -> Result<String> {
        let mut wanted = String::new();
        for file in [Some(self.requirements), self.finish].into_iter().flatten() {
            let path = workspace::root().join(file);
            wanted += &fs::read_to_string(&path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
        }
        Ok(wanted)
    }

    fn make(&self) -> Result<()> {
        let (root, place) = (workspace::root(), self.place());
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]);
        venv.arg(&place).current_dir(&root);
        run(&mut venv)?;
        let mut pip = Command::new(place.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check"]);
        pip.args(self.options).args(["-r", self.requirements]);
        run(pip.current_dir(&root))?;
        let Some(program) = self.finish else {
            return Ok(());
        };
        let mut finish = Command::new(place.join("bin/python3"));
        run(finish.arg(program).current_dir(&root))
    }
}
