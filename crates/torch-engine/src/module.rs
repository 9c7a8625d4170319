//! One model's weights on one device: read, frozen, optimised, checked. All workers of a model share it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use servable::{BatchError, Device, LoadError, Reason, Value};
use tracing::{debug, info, warn};

use crate::ffi::{ScriptModule, ScriptValue, Thrown};
use crate::first_useful_line;
use crate::values::{copied, difference, from_script, to_script};

/// How far the optimised graph may stray from the saved one: this much for a value of up to 1, in proportion beyond.
const TOLERANCE: f64 = 1e-3;

/// A TorchScript network, shared by threads.
///
/// It serves as it was saved until the optimised graph has proven itself: on the first arguments (an example at load
/// time where the handler has one) both run, and if they agree the optimised graph takes over and the other is dropped.
pub(crate) struct Module {
    /// For log lines.
    name: String,
    device: Device,
    /// Whether a run may change its arguments.
    writes: bool,
    /// What `forward` calls them.
    arguments: Vec<String>,
    serving: RwLock<Arc<ScriptModule>>,
    /// The optimised graph until it is decided on.
    candidate: Mutex<Option<ScriptModule>>,
}

impl Module {
    pub(crate) fn load(path: &Path, name: String, device: Device) -> Result<Self, LoadError> {
        let module = ScriptModule::load(path, device).map_err(|thrown| {
            let line = first_useful_line(&thrown.text);
            warn!(model = name, "libtorch on {}: {line}", path.display());
            debug!(model = name, "libtorch's words: {}", thrown.text);
            let file = path
                .file_name()
                .unwrap_or(path.as_os_str())
                .to_string_lossy();
            if thrown.out_of_memory {
                LoadError::OutOfMemory(format!("out of memory while loading {file}: {line}"))
            } else {
                LoadError::Invalid(format!("libtorch cannot load {file}: {line}"))
            }
        })?;
        let candidate = match module.optimized() {
            Ok(optimized) => Some(optimized),
            Err(thrown) => {
                info!(
                    model = name,
                    "serves as saved, not optimised: {}",
                    first_useful_line(&thrown.text)
                );
                None
            }
        };
        Ok(Module {
            name,
            device,
            writes: module.writes_arguments(),
            arguments: module.arguments(),
            serving: RwLock::new(Arc::new(module)),
            candidate: Mutex::new(candidate),
        })
    }

    /// Where it computes.
    pub(crate) fn device(&self) -> Device {
        self.device
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether a run may change the memory of its arguments.
    pub(crate) fn writes_arguments(&self) -> bool {
        // A device has a copy of its own.
        self.writes && self.device == Device::Cpu
    }

    /// The names of the arguments of `forward`.
    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Whether it is known which graph serves.
    pub(crate) fn is_decided(&self) -> bool {
        self.candidate
            .try_lock()
            .is_ok_and(|candidate| candidate.is_none())
    }

    /// Runs the network. May be called from many threads at once.
    pub(crate) fn forward(&self, arguments: &[Value]) -> Result<Value, BatchError> {
        // Whoever comes while another decides is served as before and does not wait.
        let mut candidate = self.candidate.try_lock().ok();
        let undecided = candidate
            .as_ref()
            .is_some_and(|candidate| candidate.is_some());
        // The other graph is to be given what this one was.
        let spare =
            (undecided && self.writes).then(|| arguments.iter().map(copied).collect::<Vec<_>>());
        let to_scripts = |arguments: &[Value]| -> Result<Vec<ScriptValue>, BatchError> {
            let scripts = arguments.iter().map(|value| to_script(value, self.device));
            scripts.collect()
        };
        let given = to_scripts(arguments)?;
        let serving = Arc::clone(&self.serving.read().unwrap_or_else(PoisonError::into_inner));
        let result = from_script(&serving.forward(&given).map_err(batch_error)?)?;
        if let Some(candidate) = candidate.as_mut().and_then(|candidate| candidate.take()) {
            let again = match spare {
                Some(spare) => to_scripts(&spare)?,
                None => given,
            };
            self.decide_on(candidate, &again, &result);
        }
        Ok(result)
    }

    fn decide_on(&self, candidate: ScriptModule, arguments: &[ScriptValue], expected: &Value) {
        let answered = candidate
            .forward(arguments)
            .map_err(batch_error)
            .and_then(|result| from_script(&result));
        let name = &self.name;
        match answered.map(|result| difference(expected, &result)) {
            Ok(Some(difference)) if difference <= TOLERANCE => {
                info!(
                    model = name,
                    "serves optimised; largest difference from the saved graph {difference:.1e}"
                );
                *self.serving.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(candidate);
            }
            Ok(Some(difference)) => {
                warn!(
                    model = name,
                    "serves as saved: the optimised graph differs by {difference:.1e}"
                );
            }
            Ok(None) => warn!(
                model = name,
                "serves as saved: the optimised graph answers in another shape"
            ),
            Err(error) => warn!(
                model = name,
                "serves as saved: the optimised graph fails: {error}"
            ),
        }
    }
}

pub(crate) fn batch_error(thrown: Thrown) -> BatchError {
    let line = first_useful_line(&thrown.text);
    let error = if thrown.out_of_memory {
        BatchError::new(Reason::OutOfMemory, format!("Out of resources: {line}"))
    } else {
        BatchError::new(Reason::Failed, format!("Prediction failed: {line}"))
    };
    error.with_detail(thrown.text)
}
