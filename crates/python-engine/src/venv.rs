//! What a model's requirements file asks for: installed once for the same content, whoever needs it.
//!
//! An environment is a folder named after what is in it, so that another content is another folder and nothing is ever
//! changed. It is complete once its mark stands in it; one without is begun anew. A lock keeps workers, models and daemons
//! from building the same one at once.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use servable::LoadError;
use sha2::{Digest, Sha256};
use tracing::info;
use worker_process::{Bounds, NoSink, Output, Speaker, Start, is_dead};

use crate::command::{Line, launched};
use crate::engine::Shared;
use crate::settings::ModelFiles;

/// The file that says that an environment is complete.
const COMPLETE: &str = ".complete";

/// How long one step of building may take.
const STEP: Duration = Duration::from_secs(1800);

/// How long another who builds the same is waited for.
const WAIT: Duration = Duration::from_secs(3600);

/// Between two attempts to lock.
const PAUSE: Duration = Duration::from_millis(200);

/// What was provided.
#[derive(Debug, Default)]
pub(crate) struct Provided {
    pub(crate) interpreter: Option<PathBuf>,
    pub(crate) environment: Option<PathBuf>,
    pub(crate) packages: Option<PathBuf>,
}

/// Installs what the model asks for, if that is wanted and has not been done. May block for as long as it takes.
pub(crate) fn provide(shared: &Shared, files: &ModelFiles) -> Result<Provided, LoadError> {
    let Some(requirements) = &files.requirements else {
        return Ok(Provided::default());
    };
    if !shared.settings.install_requirements {
        info!(
            model = files.name,
            "what {} asks for is not installed (install_py_dep_per_model)",
            requirements.display()
        );
        return Ok(Provided::default());
    }
    let model = &files.name;
    let invalid = |why: String| LoadError::Invalid(format!("model {model}: {why}"));
    let text = fs::read(requirements)
        .map_err(|error| invalid(format!("{}: {error}", requirements.display())))?;
    let building = Building {
        shared,
        files,
        requirements,
        folder: shared
            .settings
            .environments
            .join(name(shared, files, &text)),
    };
    building.provide().map_err(|why| invalid(why.to_string()))?;
    let folder = building.folder;
    Ok(if files.use_venv {
        Provided {
            interpreter: Some(folder.join("bin/python")),
            environment: Some(folder),
            packages: None,
        }
    } else {
        Provided {
            packages: Some(folder),
            ..Provided::default()
        }
    })
}

/// The name of an environment: of its kind, its interpreter and its content. Requirements may name files beside them, which
/// are of the content where the archive has a folder for them.
fn name(shared: &Shared, files: &ModelFiles, text: &[u8]) -> String {
    let kind = if files.use_venv { "venv" } else { "packages" };
    let mut hasher = Sha256::new();
    let interpreter = shared.settings.interpreter.as_os_str().as_encoded_bytes();
    // What is named by a relative path is the archive's own, so it is another for each.
    let local = names_files(text).then(|| files.dir.as_os_str().as_encoded_bytes());
    for part in [interpreter, text, local.unwrap_or_default()] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let digest: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{kind}-{digest}")
}

/// Whether requirements say where files lie: in options, or as paths.
fn names_files(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    lines.any(|line| line.starts_with('-') || line.starts_with('.') || line.contains('/'))
}

struct Building<'b> {
    shared: &'b Shared,
    files: &'b ModelFiles,
    requirements: &'b Path,
    folder: PathBuf,
}

impl Building<'_> {
    fn provide(&self) -> io::Result<()> {
        let place = |error: io::Error| {
            io::Error::other(format!(
                "{}: {error}",
                self.shared.settings.environments.display()
            ))
        };
        fs::create_dir_all(&self.shared.settings.environments).map_err(place)?;
        // Held until the end; the file stays, because who removes it may remove another's lock.
        let lock = File::create(self.folder.with_extension("lock")).map_err(place)?;
        self.lock(&lock)?;
        if self.folder.join(COMPLETE).is_file() {
            return Ok(());
        }
        let began = Instant::now();
        let model = &self.files.name;
        info!(
            model,
            "installing {} into {}",
            self.requirements.display(),
            self.folder.display()
        );
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).map_err(place)?;
        }
        self.build()?;
        fs::write(self.folder.join(COMPLETE), "").map_err(place)?;
        info!(model, "installed in {:.1} s", began.elapsed().as_secs_f64());
        Ok(())
    }

    fn lock(&self, file: &File) -> io::Result<()> {
        let end = Instant::now() + WAIT;
        let mut told = false;
        loop {
            match flock(file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => {}
                Err(error) => {
                    let text = format!("{} cannot be locked: {error}", self.folder.display());
                    return Err(io::Error::other(text));
                }
            }
            if !std::mem::replace(&mut told, true) {
                info!(
                    model = self.files.name,
                    "waiting for another who installs the same"
                );
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn build(&self) -> io::Result<()> {
        let interpreter = &self.shared.settings.interpreter;
        let folder = self.folder.as_os_str().to_owned();
        let requirements = self.requirements.as_os_str().to_owned();
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let mut install = words(&[
            "-m",
            "pip",
            "install",
            "--no-input",
            "--disable-pip-version-check",
        ]);
        if self.files.use_venv {
            let mut make = words(&["-m", "venv", "--system-site-packages"]);
            make.push(folder);
            self.run(interpreter, make, "a virtual environment cannot be made")?;
            install.extend([OsString::from("-r"), requirements]);
            let own = self.folder.join("bin/python");
            return self.run(&own, install, "its requirements cannot be installed");
        }
        install.extend([
            OsString::from("--target"),
            folder,
            OsString::from("-r"),
            requirements,
        ]);
        self.run(interpreter, install, "its requirements cannot be installed")?;
        // An empty list makes no folder.
        fs::create_dir_all(&self.folder)
    }

    /// Runs one step, whose lines go to the log.
    fn run(&self, interpreter: &Path, arguments: Vec<OsString>, what: &str) -> io::Result<()> {
        let shown = interpreter.display();
        let failed = |why: String| io::Error::other(format!("{what}: {why}"));
        let variables = std::env::vars_os().filter(|(name, _)| !self.shared.withholds(name));
        let line = Line {
            arguments,
            ..Line::default()
        };
        let starting = Start {
            program: interpreter,
            shown: None,
            arguments: launched(self.shared, &Bounds::default(), None, line),
            folder: &self.files.dir,
            environment: variables.filter(|(name, _)| name != "PYTHONPATH").collect(),
            input: Stdio::null(),
            group: None,
        };
        let (mut process, stdout, stderr) = starting
            .run()
            .map_err(|error| failed(format!("{shown}: {error}")))?;
        let speaker = Speaker {
            model: self.files.name.clone(),
            worker: format!("{}-install", self.files.name),
            sink: std::sync::Arc::new(NoSink),
            processes: 1,
        };
        let mut output = Output::read(stdout, stderr, speaker)?;
        let in_time = is_dead(&process.killer().descriptor, STEP);
        let death = process.end(Duration::ZERO);
        let last = output.end().unwrap_or_default();
        if !in_time {
            return Err(failed(format!("it takes longer than {} s", STEP.as_secs())));
        }
        match death {
            Some(death) if death.is_success() => Ok(()),
            Some(death) => Err(failed(format!("{death}: {last}"))),
            None => Err(failed(last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::names_files;

    #[test]
    fn requirements_that_name_files_are_the_archives_own() {
        let check =
            |text: &str, expected| assert_eq!(names_files(text.as_bytes()), expected, "{text}");
        check("numpy==2.0\n# ./comment\n", false);
        check("./wheels/mine.whl", true);
        check("numpy\n--find-links wheels", true);
        check("mine @ file:///tmp/mine.whl", true);
        check("", false);
    }
}
