//! The worker package that the daemon carries, written to its folder once.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/package.rs"));

/// What handlers of the package emit; a file of the daemon's takes its place.
const METRICS: &str = "\
dimensions: [ModelName, Level]
model_metrics:
  gauge:
    - { name: HandlerTime, unit: ms, dimensions: [ModelName, Level] }
    - { name: PredictionTime, unit: ms, dimensions: [ModelName, Level] }
";

/// The file that is started, in the package `ts`: the daemon's own or TorchServe's.
const WORKER: &str = "model_service_worker.py";

/// The folder of the default handlers in the package `ts`.
const HANDLERS: &str = "torch_handler";

/// Where what stands.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    /// Binds and limits a process before it becomes the interpreter.
    pub(crate) launcher: PathBuf,
    /// The worker that the daemon carries.
    pub(crate) worker: Program,
    /// A list of metrics.
    pub(crate) metrics: PathBuf,
}

/// A worker's program, within the package `ts` that its handlers import.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// The file that is started.
    pub(crate) file: PathBuf,
    /// Whether it is the one that the daemon carries, which speaks more than TorchServe's.
    pub(crate) is_own: bool,
    /// Where the default handlers are.
    handlers: PathBuf,
}

impl Package {
    /// Writes the package below a folder that only this user may enter.
    pub(crate) fn write(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        let root = folder.join("python");
        for (name, bytes) in FILES {
            let path = root.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, bytes)?;
        }
        let metrics = root.join("metrics.yaml");
        fs::write(&metrics, METRICS)?;
        Ok(Package {
            launcher: root.join("launch.py"),
            worker: Program {
                is_own: true,
                ..Program::within(&root.join("ts"))
            },
            metrics,
        })
    }
}

impl Program {
    /// TorchServe's worker, of the package `ts` in that folder.
    pub(crate) fn within(ts: &Path) -> Self {
        Program {
            file: ts.join(WORKER),
            is_own: false,
            handlers: ts.join(HANDLERS),
        }
    }

    /// Whether it runs several functions of one file, as ours does and TorchServe's does not.
    pub(crate) fn runs_several(&self) -> bool {
        let beside = self.file.parent().and_then(Path::parent);
        beside.is_some_and(|root| root.join("torchrelay_worker/several.py").is_file())
    }

    /// Whether its package has a handler of that name.
    pub(crate) fn has_handler(&self, name: &str) -> bool {
        let is_name = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name && !name.starts_with('_') && self.handlers.join(format!("{name}.py")).is_file()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let package = Package::write(folder.path()).expect("written");
        for file in [&package.launcher, &package.worker.file, &package.metrics] {
            assert!(file.is_file(), "{}", file.display());
        }
        let check =
            |name, expected| assert_eq!(package.worker.has_handler(name), expected, "{name}");
        check("image_classifier", true);
        check("base_handler", true);
        check("_steps", false);
        check("../service", false);
        check("nothing", false);
        assert!(FILES.iter().all(|(name, _)| !name.contains("tests/")));
    }
}
