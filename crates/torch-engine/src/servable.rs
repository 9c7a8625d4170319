//! One worker's view of a model: its own handler around the shared module.

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use handlers::{Handler, Network};
use servable::{
    Around, BatchError, Device, Input, JobError, Output, Port, Reason, Servable, Value,
};

use tracing::warn;

use crate::learned::{Learned, gives};
use crate::module::Module;

pub(crate) struct TorchServable {
    handler: Box<dyn Handler>,
    network: SharedNetwork,
    around: Option<Around>,
}

impl TorchServable {
    pub(crate) fn new(
        handler: Box<dyn Handler>,
        module: Arc<Module>,
        learned: &OnceLock<Learned>,
    ) -> Self {
        let network = SharedNetwork {
            module,
            threads: None,
            ran: None,
        };
        let mut servable = TorchServable {
            handler,
            network,
            around: None,
        };
        if !servable.network.module.is_decided() || learned.get().is_none() {
            let gives = servable.try_out();
            // Fails where another worker has come first.
            let _ = learned.set(Learned {
                arguments: servable.network.module.arguments().to_vec(),
                gives,
            });
        }
        servable
    }

    /// Runs the handler's examples, so that the choice between the saved and the optimised graph is made before the first
    /// client comes. Returns the tensors that came of them.
    fn try_out(&mut self) -> Vec<Port> {
        let Some(first) = self.handler.example() else {
            return Vec::new();
        };
        let first = match self.tried(first) {
            Ok(output) => output,
            Err(trouble) if let Some(output) = self.by_choice(&trouble) => output,
            Err(trouble) => {
                warn!(
                    model = self.network.module.name(),
                    "an example request failed while loading: {trouble}"
                );
                return Vec::new();
            }
        };
        let other = self.handler.other_example();
        let other = other.map(|other| self.tried(other));
        let other = other.as_ref().map(|tried| tried.as_ref().map_err(|_| ()));
        gives(&first, other)
    }

    /// What the example comes to where the first was refused for what a client can choose.
    fn by_choice(&mut self, trouble: &JobError) -> Option<Output> {
        if trouble.reason != Reason::BadInput {
            return None;
        }
        let other = self.handler.example_by_choice()?;
        self.tried(other).ok()
    }

    fn tried(&mut self, example: Input) -> Result<Output, JobError> {
        let mut answers = self.predict(&[example], NonZeroUsize::MIN)?;
        let answer = answers.pop();
        answer.unwrap_or_else(|| Err(JobError::failed("it was not answered")))
    }
}

impl Servable for TorchServable {
    fn predict(
        &mut self,
        inputs: &[Input],
        threads: NonZeroUsize,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError> {
        self.network.ran = None;
        let began = Instant::now();
        let answers = self.handler.predict(&mut self.network, inputs, threads);
        self.around = self.network.ran.map(|(first, last)| Around {
            before: first - began,
            after: last.elapsed(),
        });
        answers
    }

    fn around(&self) -> Option<Around> {
        self.around
    }
}

struct SharedNetwork {
    module: Arc<Module>,
    /// What this thread last told libtorch; telling it is not free.
    threads: Option<NonZeroUsize>,
    /// When the first run of the call at hand began and the last one ended.
    ran: Option<(Instant, Instant)>,
}

impl Network for SharedNetwork {
    fn forward(&mut self, arguments: &[Value], threads: NonZeroUsize) -> Result<Value, BatchError> {
        if self.threads != Some(threads) {
            // The count of intra-op threads belongs to the calling thread, as OpenMP has it.
            tch::set_num_threads(i32::try_from(threads.get()).unwrap_or(i32::MAX));
            self.threads = Some(threads);
        }
        let began = Instant::now();
        let result = self.module.forward(arguments);
        let first = self.ran.map_or(began, |(first, _)| first);
        self.ran = Some((first, Instant::now()));
        result
    }

    fn writes_arguments(&self) -> bool {
        self.module.writes_arguments()
    }

    fn device(&self) -> Device {
        self.module.device()
    }
}
