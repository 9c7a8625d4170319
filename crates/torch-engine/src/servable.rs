//! One worker's view of a model: its own handler around the shared module.

use std::num::NonZeroUsize;
use std::sync::Arc;

use handlers::{Handler, Network};
use servable::{BatchError, Device, Input, JobError, Output, Servable, Value};

use tracing::warn;

use crate::module::Module;

pub(crate) struct TorchServable {
    handler: Box<dyn Handler>,
    network: SharedNetwork,
}

impl TorchServable {
    pub(crate) fn new(handler: Box<dyn Handler>, module: Arc<Module>) -> Self {
        let network = SharedNetwork {
            module,
            threads: None,
        };
        let mut servable = TorchServable { handler, network };
        servable.try_out();
        servable
    }

    /// Runs the handler's example once, so that the choice between the saved and the optimised graph is made before the
    /// first client comes.
    fn try_out(&mut self) {
        if self.network.module.is_decided() {
            return;
        }
        let Some(example) = self.handler.example() else {
            return;
        };
        let name = self.network.module.name().to_owned();
        let answered = self.predict(&[example], NonZeroUsize::MIN);
        let trouble = match answered {
            Ok(results) => results
                .into_iter()
                .find_map(Result::err)
                .map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(trouble) = trouble {
            warn!(
                model = name,
                "an example request failed while loading: {trouble}"
            );
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

    fn writes_arguments(&self) -> bool {
        self.module.writes_arguments()
    }

    fn device(&self) -> Device {
        self.module.device()
    }
}
