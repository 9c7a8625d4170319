//! What the engine is told: of all models, and of one.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::bounds::Bounds;
use crate::metric_line::{MetricSink, NoSink};

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
}

impl Settings {
    /// TorchServe's defaults, in those folders.
    pub fn new(folder: impl Into<PathBuf>, environments: impl Into<PathBuf>) -> Self {
        Settings {
            folder: folder.into(),
            environments: environments.into(),
            interpreter: "python3".into(),
            metrics_config: None,
            denied_variables: None,
            protocol: 2,
            decode_input: true,
            most_answer: 6_553_500,
            install_requirements: false,
            sink: Arc::new(NoSink),
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
