//! A network with nothing around it: no handler, no queue, no trial of its graph. Benches call it, to say what a server
//! costs beside libtorch alone; whatever serves goes through `loader.rs`.

use std::num::NonZeroUsize;
use std::path::Path;

use servable::{BatchError, Device, LoadError, Tensor, Value};

use crate::ffi::{ScriptModule, ScriptValue};
use crate::first_useful_line;
use crate::module::batch_error;
use crate::values::{from_script, to_script};

/// A frozen and optimised TorchScript network on the CPU. May be run by many threads at once.
pub struct BareNetwork(ScriptModule);

impl BareNetwork {
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        ScriptModule::load(path, Device::Cpu)
            .and_then(|module| module.optimized())
            .map(BareNetwork)
            .map_err(|thrown| {
                let line = first_useful_line(&thrown.text);
                LoadError::Invalid(format!("libtorch cannot load {}: {line}", path.display()))
            })
    }

    /// Runs the network and drops its result.
    pub fn run(&self, input: &Tensor) -> Result<(), BatchError> {
        self.forward(input).map(drop)
    }

    /// Runs the network.
    pub fn answer(&self, input: &Tensor) -> Result<Value, BatchError> {
        from_script(&self.forward(input)?)
    }

    /// How many cores a run may use when the calling thread starts it.
    pub fn use_threads(threads: NonZeroUsize) {
        tch::set_num_threads(i32::try_from(threads.get()).unwrap_or(i32::MAX));
    }

    fn forward(&self, input: &Tensor) -> Result<ScriptValue, BatchError> {
        let argument = to_script(&Value::Tensor(input.clone()), Device::Cpu)?;
        self.0.forward(&[argument]).map_err(batch_error)
    }
}
