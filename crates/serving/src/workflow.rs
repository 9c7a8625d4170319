//! Workflows: registered like models, run node by node over the same pools.
//!
//! The way of a registration: `registering.rs` opens the spec, has it checked, registers its models as `workflow__node`,
//! checks it again with what they say of themselves, and publishes it in `registered.rs`. The way of a request: `driver.rs`
//! holds a `dag::Run` and whatever is on its way; `request.rs` makes typed values of what came, `call.rs` calls one node, with
//! its attempts and time limits, and `present.rs` makes the answer.

mod call;
mod driver;
mod failure;
mod first;
mod live;
mod own;
mod present;
mod provenance;
mod python;
mod registered;
mod registering;
mod request;
pub(crate) mod store;
mod timeline;
mod told;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use archive::WorkflowFiles;
use dag::{Catalogue, Checked, Graph, Options, Plan, Problem, Python, Summary};
use servable::{Output, Value};
use tokio::sync::Semaphore;

pub use failure::NodeFailure;
use live::Live;
pub use live::NodeNumbers;
pub use own::find as own_model;
pub(crate) use registered::Registered;
pub use timeline::{Happening, Timeline};
pub use told::{NodeResult, Told};

use crate::metrics::WorkflowMetrics;
use crate::source::Brought;
use crate::statistics::{WorkflowCounters, WorkflowStatistics};

/// What a registration asks for.
#[derive(Debug, Clone, Default)]
pub struct WorkflowRegistration {
    /// A name in the workflow store, or an address. Not needed where the spec itself is given.
    pub url: Option<String>,
    /// The spec itself, as YAML.
    pub spec: Option<String>,
    /// In place of the manifest's.
    pub name: Option<String>,
    /// In place of the spec's.
    pub version: Option<String>,
    /// Of its models.
    pub response_timeout: Option<Duration>,
    /// Of its models.
    pub startup_timeout: Option<Duration>,
    /// Ask S3 for encryption by KMS.
    pub s3_sse_kms: bool,
    /// Whether it comes from the configuration.
    pub at_startup: bool,
}

/// One registered version of a workflow.
pub struct Workflow {
    pub name: String,
    pub version: String,
    /// What the registration named; empty where it brought the spec itself.
    pub url: String,
    pub spec: String,
    pub graph: Arc<Graph>,
    /// What the spec says about itself.
    pub summary: Summary,
    /// What is worth knowing about the spec, although it can run.
    pub warnings: Vec<Problem>,
    pub registration: WorkflowRegistration,
    /// One for each answer of the graph.
    plans: Vec<Arc<Plan>>,
    /// For all of them at once.
    whole: Arc<Plan>,
    live: Live,
    statistics: WorkflowCounters,
    metrics: WorkflowMetrics,
    functions: Functions,
    /// The copy of the archive in the store, if the registration brought one.
    brought: Mutex<Option<Brought>>,
    /// Last, so that nobody looks for files that are gone.
    _files: archive::WorkflowFiles,
}

/// The native functions there are, and the right to compute.
#[derive(Clone)]
pub(crate) struct Functions {
    pub(crate) catalogue: Arc<dyn Catalogue>,
    /// As many may compute at once as there are cores.
    pub(crate) turns: Arc<Semaphore>,
}

/// What a client wishes beside an answer.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// How long the client will wait.
    pub patience: Option<Duration>,
    /// Content types that it takes, the best first; empty where it takes any.
    pub accept: Vec<String>,
    /// Whether to say what happened at each node.
    pub explain: bool,
    /// Nodes whose inputs and outputs are to be given back.
    pub save: Vec<String>,
    /// Whether to give every answer that there is, rather than the one that `accept` chooses.
    pub every: bool,
    /// Who hears of nodes as they end.
    pub told: Option<Told>,
}

/// The answer of a workflow.
#[derive(Debug, Clone)]
pub struct WorkflowReply {
    pub output: Output,
    /// The answers after the first, if the client wished for every one.
    pub others: Vec<Output>,
    /// Nodes that failed or were cut short although there is an answer.
    pub degraded: Vec<String>,
    /// Parts of the request that nothing of the workflow takes.
    pub ignored: Vec<String>,
    /// If the client wished for it.
    pub timeline: Option<Timeline>,
    /// What went into the wished-for nodes and came out, in the order in which they ended.
    pub saved: Vec<Saved>,
}

/// What one call of a node was given and gave.
#[derive(Debug, Clone)]
pub struct Saved {
    pub node: String,
    pub item: Vec<usize>,
    pub inputs: Vec<(String, Value)>,
    /// `None` where it failed.
    pub output: Option<Value>,
}

impl Workflow {
    /// What each node has done so far, in the order of the graph.
    pub fn live(&self) -> Vec<NodeNumbers> {
        self.live.numbers()
    }

    /// What has become of its requests since it was registered.
    pub fn statistics(&self) -> WorkflowStatistics {
        self.statistics.read()
    }

    /// Has the copy that its registration brought outlive it.
    pub(crate) fn keep_brought(&self) {
        let mut brought = self.brought.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(brought) = brought.take() {
            brought.keep();
        }
    }

    /// The name under which a model of the workflow is registered.
    pub fn model_name(&self, node: &str) -> String {
        model_name(&self.name, node)
    }
}

/// Checks the spec of a workflow with all that its archive has: as registering it does.
pub fn check(files: &WorkflowFiles, catalogue: &dyn Catalogue) -> Checked {
    let python = files.handler.as_ref().map(|handler| Python {
        file: &handler.name,
        functions: &handler.functions,
    });
    let options = Options {
        python,
        ..Options::default()
    };
    dag::check(&files.spec, catalogue, options)
}

/// TorchServe's name for the model of a workflow's node.
pub fn model_name(workflow: &str, node: &str) -> String {
    format!("{workflow}__{node}")
}
