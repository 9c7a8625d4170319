//! One version of a model: what its workers are started with.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use servable::{Abort, Device, Input, LoadError, Loader, Servable};
use worker_process::Bounds;

use crate::engine::Shared;
use crate::installed;
use crate::message::takes_values;
use crate::package::Program;
use crate::parallel::{Parallel, Ranks};
use crate::servable::PythonServable;
use crate::settings::{ModelFiles, WorkerProgram};
use crate::{handler, start, venv};

/// Loads one version of a model into as many processes as are asked for. Cheap to hold.
pub struct PythonLoader {
    shared: Arc<Shared>,
    model: Model,
}

/// What a worker is started with.
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) handler: String,
    /// Where its file is, if not in `dir`.
    pub(crate) handler_folder: Option<PathBuf>,
    pub(crate) envelope: Option<String>,
    pub(crate) batch_size: u32,
    pub(crate) limit_max_image_pixels: bool,
    pub(crate) interpreter: PathBuf,
    pub(crate) worker: Program,
    pub(crate) virtual_environment: Option<PathBuf>,
    /// Where its requirements are installed, if not in an environment.
    pub(crate) packages: Option<PathBuf>,
    pub(crate) bounds: Bounds,
    pub(crate) parallel: Option<Parallel>,
    pub(crate) asynchronous: bool,
}

impl Model {
    /// How many processes a worker has.
    pub(crate) fn processes(&self) -> u32 {
        self.parallel.as_ref().map_or(1, Parallel::processes)
    }

    /// Whether torchrun starts them.
    pub(crate) fn is_distributed(&self) -> bool {
        self.ranks().is_some()
    }

    /// Whether not only the first of them hears of batches.
    pub(crate) fn all_ranks_hear(&self) -> bool {
        self.ranks().is_some_and(|ranks| ranks.all_hear)
    }

    fn ranks(&self) -> Option<&Ranks> {
        self.parallel.as_ref()?.ranks.as_ref()
    }
}

impl PythonLoader {
    pub(crate) fn new(shared: Arc<Shared>, files: ModelFiles) -> Result<Self, LoadError> {
        let dir = files.dir.canonicalize().map_err(|error| {
            LoadError::Invalid(format!(
                "model {}: {}: {error}",
                files.name,
                files.dir.display()
            ))
        })?;
        // Of several functions in one process only our own worker knows.
        let is_several = files.handler.contains(',');
        // Before anything is installed: what is wrong with a handler is said at once.
        let worker = match shared.settings.worker {
            WorkerProgram::TorchServe if !is_several => installed::find(&shared)
                .map_err(|error| LoadError::Invalid(format!("model {}: {error}", files.name)))?,
            WorkerProgram::TorchServe | WorkerProgram::Own => shared.package.worker.clone(),
        };
        let found = handler::find(&files.handler, &dir, &worker)?;
        let installed = venv::provide(&shared, &files)?;
        let interpreter = installed
            .interpreter
            .unwrap_or_else(|| shared.settings.interpreter.clone());
        let model = Model {
            name: files.name,
            dir,
            handler: found.spoken,
            handler_folder: found.folder,
            envelope: files.envelope,
            batch_size: files.batch_size,
            limit_max_image_pixels: files.limit_max_image_pixels,
            interpreter,
            worker,
            virtual_environment: installed.environment,
            packages: installed.packages,
            bounds: match shared.settings.debugger {
                None => files.bounds,
                // Whoever sits at a breakpoint takes the time that it takes.
                Some(_) => Bounds {
                    time: None,
                    cpu: None,
                    ..files.bounds
                },
            },
            parallel: files.parallel,
            asynchronous: files.asynchronous,
        };
        Ok(PythonLoader { shared, model })
    }
}

impl Loader for PythonLoader {
    fn load(&self, device: Device) -> Result<Box<dyn Servable>, LoadError> {
        self.load_abortable(device, &Abort::default())
    }

    fn load_abortable(
        &self,
        device: Device,
        abort: &Abort,
    ) -> Result<Box<dyn Servable>, LoadError> {
        let worker = start::start(&self.shared, &self.model, device, abort)?;
        let most = self.shared.settings.most_answer;
        Ok(Box::new(PythonServable::new(
            worker,
            self.model.bounds,
            most,
        )))
    }

    /// Who brings bodies gets bodies, who brings values gets values: they do not share a batch. Neither do those who ask for
    /// different functions, nor who asks a handler to describe itself, which answers once for all.
    fn bucket(&self, input: &Input) -> u64 {
        let mut hasher = DefaultHasher::new();
        takes_values(input).hash(&mut hasher);
        input.function.hash(&mut hasher);
        input.header("describe").is_some().hash(&mut hasher);
        hasher.finish()
    }

    fn answers_in_parts(&self) -> bool {
        true
    }

    /// `PredictionTime` comes from the worker's loop, `HandlerTime` from handlers that derive from the base handler.
    fn tells_times(&self) -> bool {
        true
    }

    fn describes_itself(&self) -> bool {
        true
    }

    fn takes_bytes_between_nodes(&self) -> bool {
        true
    }
}
