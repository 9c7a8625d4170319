//! The worker of TorchServe itself, where an interpreter has the package: found by asking the interpreter, which alone knows
//! where its packages are. Nothing of the package runs for that.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use thiserror::Error;
use worker_process::{Bounds, Start, is_dead};

use crate::command::{Line, launched};
use crate::engine::Shared;
use crate::package::Program;

/// How long an interpreter may take to say where a package is.
const ASKING: Duration = Duration::from_secs(60);

/// The most that is read of what it says.
const MOST: u64 = 64 << 10;

/// Prints the folder of `ts`, or nothing where there is none. Finding a package that is not inside another runs none of it.
const QUESTION: &str = "\
import importlib.util
spec = importlib.util.find_spec('ts')
print(next(iter(spec.submodule_search_locations or []), '') if spec else '')
";

/// Why TorchServe's worker cannot be started.
#[derive(Debug, Error)]
pub(crate) enum NotInstalled {
    #[error("{}: {source}", interpreter.display())]
    Interpreter {
        interpreter: PathBuf,
        source: std::io::Error,
    },
    #[error("{} does not say within {} s where its packages are", interpreter.display(), ASKING.as_secs())]
    Silent { interpreter: PathBuf },
    #[error("{} cannot say where its packages are: {said}", interpreter.display())]
    Failed { interpreter: PathBuf, said: String },
    #[error(
        "python_worker is torchserve, but {} has no package `ts`: install torchserve for it, or leave python_worker out",
        interpreter.display()
    )]
    Absent { interpreter: PathBuf },
    #[error(
        "python_worker is torchserve, but the package `ts` in {} is not TorchServe's: it has no model_service_worker.py",
        folder.display()
    )]
    Another { folder: PathBuf },
}

/// The worker of the package `ts` that the settings' interpreter has.
pub(crate) fn find(shared: &Shared) -> Result<Program, NotInstalled> {
    let interpreter = shared.settings.interpreter.clone();
    let said = ask(shared, &interpreter)?;
    // What packages of its own print at every start comes before.
    let folder = PathBuf::from(said.lines().last().unwrap_or_default());
    if folder.as_os_str().is_empty() {
        return Err(NotInstalled::Absent { interpreter });
    }
    let program = Program::within(&folder);
    if !program.file.is_file() {
        return Err(NotInstalled::Another { folder });
    }
    Ok(program)
}

fn ask(shared: &Shared, interpreter: &Path) -> Result<String, NotInstalled> {
    let fails = |source| NotInstalled::Interpreter {
        interpreter: interpreter.to_owned(),
        source,
    };
    let question = vec!["-c".into(), QUESTION.into()];
    let variables = std::env::vars_os().filter(|(name, _)| !shared.withholds(name));
    let line = Line {
        arguments: question,
        ..Line::default()
    };
    let starting = Start {
        program: interpreter,
        shown: None,
        arguments: launched(shared, &Bounds::default(), None, line),
        // Where there is nothing to import.
        folder: &shared.settings.folder,
        environment: variables.collect(),
        input: Stdio::null(),
        group: None,
    };
    let (mut process, stdout, stderr) = starting.run().map_err(fails)?;
    let in_time = is_dead(&process.killer().descriptor, ASKING);
    // With all that holds the other ends of its pipes, so that reading them ends.
    let death = process.end(Duration::ZERO);
    if !in_time {
        let interpreter = interpreter.to_owned();
        return Err(NotInstalled::Silent { interpreter });
    }
    let read = |pipe| {
        let mut said = Vec::new();
        let read = File::from(pipe).take(MOST).read_to_end(&mut said);
        read.map(|_| String::from_utf8_lossy(&said).into_owned())
    };
    if death.is_some_and(|death| death.is_success()) {
        return read(stdout).map_err(fails);
    }
    let said = read(stderr).map_err(fails)?;
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Err(NotInstalled::Failed {
        interpreter: interpreter.to_owned(),
        said: last.unwrap_or("no word").to_owned(),
    })
}
