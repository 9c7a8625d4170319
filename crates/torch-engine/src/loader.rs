//! From an unpacked archive to servables that share one module per device.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use handlers::{Bucketing, Handler, ModelContext, weights};
use servable::{Device, Input, LoadError, Loader, Servable, Signature, Takes};

use tracing::warn;

use crate::ffi::use_own_stream;
use crate::first_useful_line;
use crate::learned::Learned;
use crate::module::Module;
use crate::servable::TorchServable;

/// What the engine needs to know of one version of a model.
#[derive(Debug, Clone)]
pub struct ModelFiles {
    /// For log lines.
    pub name: String,
    /// The folder of the unpacked archive.
    pub dir: PathBuf,
    /// The manifest's `serializedFile`, within `dir`, if it names one.
    pub weights: Option<PathBuf>,
    /// The name of a native handler; empty for tensor in, tensor out.
    pub handler: String,
    /// The `handler` section of the model's configuration file.
    pub handler_settings: Option<serde_yaml::Value>,
    /// That file itself, if there is one.
    pub config_file: Option<PathBuf>,
    pub limit_max_image_pixels: bool,
}

/// Loads TorchScript models. Cheap to hold: weights are read when the first worker loads, shared with the others on the
/// same device, and released when the last of them is gone.
pub struct TorchLoader {
    files: ModelFiles,
    weights: PathBuf,
    bucketing: Bucketing,
    signature: Signature,
    /// What loading has shown beyond that.
    learned: Arc<OnceLock<Learned>>,
    takes: Option<Takes>,
    labels: Vec<String>,
    modules: Mutex<HashMap<Device, Weak<Module>>>,
}

impl TorchLoader {
    /// Checks all that can be checked without reading the weights: the kind of file, the handler and its parameters.
    pub fn new(files: ModelFiles) -> Result<Self, LoadError> {
        // First, because a handler in Python explains whatever else is strange about an archive.
        let handler = make_handler(&files)?;
        let signature = handlers::signature(handler.as_ref(), &context(&files))?;
        let (bucketing, labels) = (handler.bucketing(), handler.labels());
        let takes = handler.takes();
        let weights = weights::check(&files.dir, files.weights.as_deref())?.to_owned();
        Ok(TorchLoader {
            files,
            weights,
            bucketing,
            takes,
            labels,
            signature,
            learned: Arc::default(),
            modules: Mutex::default(),
        })
    }

    /// The module on that device, read now if nobody has it. Workers of one model that start together wait here for the
    /// first of them.
    fn module(&self, device: Device) -> Result<Arc<Module>, LoadError> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(&device).and_then(Weak::upgrade) {
            return Ok(module);
        }
        let module = Arc::new(Module::load(
            &self.weights,
            self.files.name.clone(),
            device,
        )?);
        modules.insert(device, Arc::downgrade(&module));
        Ok(module)
    }
}

impl Loader for TorchLoader {
    fn load(&self, device: Device) -> Result<Box<dyn Servable>, LoadError> {
        let handler = make_handler(&self.files)?;
        let module = self.module(device)?;
        // Workers of one device would wait for each other on its common stream.
        if let Err(thrown) = use_own_stream(device) {
            let line = first_useful_line(&thrown.text);
            warn!(model = self.files.name, "no stream of its own: {line}");
        }
        Ok(Box::new(TorchServable::new(handler, module, &self.learned)))
    }

    fn bucket(&self, input: &Input) -> u64 {
        self.bucketing.bucket(input)
    }

    fn signature(&self) -> Signature {
        let mut signature = self.signature.clone();
        if let Some(learned) = self.learned.get() {
            learned.add_to(&mut signature.ports);
        }
        signature
    }

    fn takes(&self) -> Option<Takes> {
        self.takes.clone()
    }

    fn labels(&self) -> Vec<String> {
        self.labels.clone()
    }
}

fn make_handler(files: &ModelFiles) -> Result<Box<dyn Handler>, LoadError> {
    handlers::by_name(&files.handler, &context(files))
}

fn context(files: &ModelFiles) -> ModelContext<'_> {
    ModelContext {
        dir: &files.dir,
        settings: files.handler_settings.as_ref(),
        config_file: files.config_file.as_deref(),
        limit_max_image_pixels: files.limit_max_image_pixels,
    }
}
