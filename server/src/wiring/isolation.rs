//! Which native models run in processes of their own, and what such a process does.

use std::sync::Arc;

use ::isolation::{Bounds, ChildError, IsolatedLoader, Isolation};
use archive::{ModelConfig, Unpacked};
use servable::{Device, LoadError, Loader};
use serving::Engine;
use tracing::warn;

use super::native::{Native, NativeSettings};
use crate::config::Config;

/// This program, whatever has become of its file.
const PROGRAM: &str = "/proc/self/exe";

/// The command by which it becomes a child, which takes the worker's name.
const COMMAND: &str = "worker";

/// The native engine, whose models run in processes of their own if they or the configuration ask for that.
pub(super) struct Isolating {
    native: Arc<dyn Engine>,
    settings: NativeSettings,
    always: bool,
}

impl Isolating {
    pub(super) fn new(config: &Config, native: Arc<dyn Engine>) -> Self {
        Isolating {
            native,
            settings: NativeSettings::of(config),
            always: config.isolation == archive::Isolation::Process,
        }
    }
}

impl Engine for Isolating {
    fn loader(
        &self,
        name: &str,
        files: &Unpacked,
        handler: Option<&str>,
    ) -> Result<Arc<dyn Loader>, LoadError> {
        let engine = self.native.loader(name, files, handler)?;
        let config = files.config();
        let asked = config.and_then(|config| config.isolation) == Some(archive::Isolation::Process);
        let limits = config.and_then(|config| config.get("limits"));
        if !self.always && !asked {
            if limits.is_some() {
                warn!(
                    model = name,
                    "limits hold for processes, and this model runs in the daemon: it takes `isolation: process`"
                );
            }
            return Ok(engine);
        }
        let invalid = |why: String| LoadError::Invalid(format!("model {name}: {why}"));
        let in_config = |why: String| invalid(format!("model-config.yaml: {why}"));
        let bounds = limits.map(Bounds::from_yaml).transpose();
        let native = self.settings.describe(name, files, handler)?;
        let isolation = Isolation {
            model: name.to_owned(),
            program: PROGRAM.into(),
            arguments: vec![COMMAND.into()],
            // Our own: paths may be relative to it.
            folder: ".".into(),
            description: native.to_text().map_err(invalid)?,
            bounds: bounds.map_err(in_config)?.unwrap_or_default(),
        };
        Ok(Arc::new(IsolatedLoader::new(engine, isolation)))
    }

    fn gpus(&self) -> usize {
        self.native.gpus()
    }

    fn devices(&self, config: Option<&ModelConfig>, workers: usize) -> Vec<Device> {
        self.native.devices(config, workers)
    }
}

/// What the command `worker` does: serves one model on this thread, the only one, until the daemon hangs up.
///
/// # Errors
///
/// Where nobody has started it as a worker, and where its model came to its end.
pub fn serve_isolated() -> Result<(), ChildError> {
    ::isolation::serve(|description, device| {
        let native = Native::from_text(description).map_err(|why| {
            LoadError::Invalid(format!("what the daemon says of the model: {why}"))
        })?;
        prepare(device)?;
        native.loader()
    })
}

/// What the daemon does once for all of its models.
#[cfg(feature = "torch-engine")]
fn prepare(device: Device) -> Result<(), LoadError> {
    torch_engine::keep_activations();
    if device == Device::Cpu {
        return Ok(());
    }
    // Loads the libraries of the accelerator, too.
    match torch_engine::cuda_devices() {
        Ok(_) => Ok(()),
        Err(error) => Err(LoadError::Unsupported(format!("{device}: {error}"))),
    }
}

#[cfg(not(feature = "torch-engine"))]
fn prepare(_: Device) -> Result<(), LoadError> {
    Ok(())
}
