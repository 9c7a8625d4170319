//! One version of a model: what its workers are started with.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use servable::{Abort, Device, Input, LoadError, Loader, Servable};

use crate::bounds::Bounds;
use crate::engine::Shared;
use crate::message::takes_values;
use crate::servable::PythonServable;
use crate::settings::ModelFiles;
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
    pub(crate) virtual_environment: Option<PathBuf>,
    /// Where its requirements are installed, if not in an environment.
    pub(crate) packages: Option<PathBuf>,
    pub(crate) bounds: Bounds,
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
        let found = handler::find(&files.handler, &dir, &shared.package)?;
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
            virtual_environment: installed.environment,
            packages: installed.packages,
            bounds: files.bounds,
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

    fn takes_bytes_between_nodes(&self) -> bool {
        true
    }
}
