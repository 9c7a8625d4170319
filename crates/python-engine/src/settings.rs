//! What the engine is told: of all models, and of one.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;
use worker_process::{Bounds, MetricSink, NoSink};

use crate::parallel::Parallel;

/// What holds for the workers of all models.
#[derive(Clone)]
pub struct Settings {
    /// A folder of the daemon's own, with a short path: the worker package is written there, and sockets stand there. It
    /// must be empty or not exist; whoever made it removes it.
    pub folder: PathBuf,
    /// Where environments of models are kept, from one run of the daemon to the next.
    pub environments: PathBuf,
    /// The interpreter: a name on the path, or a file.
    pub interpreter: PathBuf,
    /// Whose program the workers run.
    pub worker: WorkerProgram,
    /// The list of metrics that handlers know; without one, those that the shipped handlers emit.
    pub metrics_config: Option<PathBuf>,
    /// Variables of the daemon's environment that workers do not get: those whose whole name matches this pattern.
    pub denied_variables: Option<String>,
    /// The highest protocol that workers are offered: 1, TorchServe's, or 2, which carries values in shared memory.
    pub protocol: u8,
    /// Whether workers decode bodies by their content types.
    pub decode_input: bool,
    /// The most bytes that an answer may hold.
    pub most_answer: usize,
    /// Whether what an archive's requirements file asks for is installed.
    pub install_requirements: bool,
    /// Where metrics of handlers go.
    pub sink: Arc<dyn MetricSink>,
    /// The number of the first worker whose model is spread over processes: they count on from it, one for each process.
    pub first_distributed: u32,
    /// The folder in which torchrun keeps what it writes down of its processes.
    pub torchrun_logs: PathBuf,
    /// The port on which the workers of one model, the first that loads, listen for a debugger; one at a time.
    pub debugger: Option<u16>,
}

/// Whose worker runs handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WorkerProgram {
    /// The one that the daemon carries.
    #[default]
    Own,
    /// The one of the package `torchserve`, which the interpreter must have. It speaks protocol 1 and no other.
    TorchServe,
}

impl Settings {
    /// TorchServe's defaults, in those folders.
    pub fn new(folder: impl Into<PathBuf>, environments: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Settings {
            torchrun_logs: folder.join("torchelastic_ts"),
            folder,
            environments: environments.into(),
            interpreter: "python3".into(),
            worker: WorkerProgram::Own,
            metrics_config: None,
            denied_variables: None,
            protocol: 2,
            decode_input: true,
            most_answer: 6_553_500,
            install_requirements: false,
            sink: Arc::new(NoSink),
            first_distributed: 29500,
            debugger: None,
        }
    }
}

/// What the engine needs to know of one version of a model.
#[derive(Debug, Clone, Default)]
pub struct ModelFiles {
    /// The model's name, which handlers see.
    pub name: String,
    /// The folder of the unpacked archive.
    pub dir: PathBuf,
    /// `file.py`, `file.py:function` or the name of a default handler; or `file.py:one,another`, several functions of which each
    /// input names one ([`Input::function`](servable::Input::function)).
    pub handler: String,
    /// The name of a request envelope, if there is one.
    pub envelope: Option<String>,
    /// What handlers are told of the size of batches.
    pub batch_size: u32,
    pub limit_max_image_pixels: bool,
    /// The manifest's requirements file, within `dir`.
    pub requirements: Option<PathBuf>,
    /// Whether requirements go into a virtual environment of the model's own, rather than onto the path.
    pub use_venv: bool,
    /// How much a worker may take.
    pub bounds: Bounds,
    /// How it is spread over devices, if it is.
    pub parallel: Option<Parallel>,
    /// Whether its worker is one for several messages at a time (`--async`).
    pub asynchronous: bool,
}

/// Why there can be no engine with these settings.
#[derive(Debug, Error)]
pub enum SettingsError {
    #[error("{}: {source}", path.display())]
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "{}: the paths of sockets in it would be longer than {most} bytes, which is the most",
        path.display()
    )]
    LongFolder { path: PathBuf, most: usize },
    #[error("{pattern}: {source}")]
    Pattern {
        pattern: String,
        source: regex::Error,
    },
}
