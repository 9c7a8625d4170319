//! One worker's view of a model: its own handler around the shared module.

use std::num::NonZeroUsize;
use std::sync::Arc;

use handlers::{Handler, Network};
use servable::{BatchError, Input, JobError, Output, Servable, Value};

use crate::module::Module;

pub(crate) struct TorchServable {
    handler: Box<dyn Handler>,
    network: SharedNetwork,
}

impl TorchServable {
    pub(crate) fn new(handler: Box<dyn Handler>, module: Arc<Module>) -> Self {
        TorchServable {
            handler,
            network: SharedNetwork {
                module,
                threads: None,
            },
        }
    }
}

impl Servable for TorchServable {
    fn predict(
        &mut self,
        inputs: &[Input],
        threads: NonZeroUsize,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError> {
        self.handler.predict(&mut self.network, inputs, threads)
    }
}

struct SharedNetwork {
    module: Arc<Module>,
    /// What this thread last told libtorch; telling it is not free.
    threads: Option<NonZeroUsize>,
}

impl Network for SharedNetwork {
    fn forward(&mut self, arguments: &[Value], threads: NonZeroUsize) -> Result<Value, BatchError> {
        if self.threads != Some(threads) {
            // The count of intra-op threads belongs to the calling thread, as OpenMP has it.
            tch::set_num_threads(i32::try_from(threads.get()).unwrap_or(i32::MAX));
            self.threads = Some(threads);
        }
        self.module.forward(arguments)
    }
}
