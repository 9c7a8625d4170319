//! Failures of serving. [`Error::code`] is the only thing a wire looks at to choose a status.

use std::time::Duration;

use dag::Problem;
use servable::{JobError, LoadError, Reason};
use thiserror::Error;

use crate::sequences::SequenceRefusal;
use crate::source::SourceError;
use crate::workflow::NodeFailure;

/// What kind of failure it is, by what the client will do next. Each wire maps every code to a status, in one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is at fault; sending it again changes nothing.
    BadInput,
    ModelNotFound,
    VersionNotFound,
    /// What is to be made exists already.
    Conflict,
    /// It would leave the server in a state that it must not be in.
    Forbidden,
    /// The model cannot do this for any input.
    Unsupported,
    /// Every queue has its bound, and this one is reached; later it may work.
    Overloaded,
    /// The deadline passed before the answer came.
    Timeout,
    /// Nobody can serve this model now: no worker, or the server is stopping.
    Unavailable,
    /// The model failed on this request.
    PredictionFailed,
    /// The worker was lost while it held this request.
    WorkerDied,
    OutOfMemory,
    /// The handler chose this status of HTTP for its failure; any number.
    Chosen(i32),
    /// An archive that cannot become a model.
    InvalidModel,
    WorkflowNotFound,
    /// An archive or a spec that cannot be read as a workflow.
    InvalidWorkflow,
    /// A workflow's graph cannot run as it is written.
    InvalidGraph,
    /// Models of a workflow could not be registered.
    WorkflowFailed,
    /// An archive that could not be brought from where it is.
    DownloadFailed,
    Internal,
}

/// Why a request or a registration failed. The text is one line that a client may read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    #[error("Model not found: {0}")]
    ModelNotFound(String),
    #[error("Model version: {version} does not exist for model: {model}")]
    VersionNotFound { model: String, version: String },
    #[error("Model version {version} is already registered for model {model}")]
    AlreadyRegistered { model: String, version: String },
    #[error("Cannot remove default version for model {0}")]
    DefaultVersion(String),
    #[error("Failed to start workers for model {model} version: {version} ({why})")]
    WorkersFailed {
        model: String,
        version: String,
        why: String,
        out_of_memory: bool,
    },
    #[error("Timed out while cleaning resources: {0}")]
    UnloadTimeout(String),
    /// What the model store says about a name it does not have.
    #[error("{0}")]
    NotInStore(String),
    /// What a source says of an archive that it does not bring.
    #[error(transparent)]
    Source(SourceError),
    #[error("{0}")]
    InvalidModel(String),
    /// TorchServe has one sentence for each reason why no worker takes a job, and its clients know it; ours follows it.
    #[error(
        "Model \"{model}\"{} has no worker to serve inference request. Please use scale workers API to add workers. \
         If this is a sequence inference, please check if it is closed, or expired; or exceeds maxSequenceJobQueueSize \
         ({why})",
        version.as_ref().map(|version| format!(" Version {version}\"")).unwrap_or_default()
    )]
    NoWorker {
        model: String,
        version: Option<String>,
        why: NoWorker,
    },
    #[error("Model \"{model}\" gave no answer within {:.0} ms", 1e3 * after.as_secs_f64())]
    Timeout { model: String, after: Duration },
    #[error("the client took nothing of the answer of \"{model}\" for {} s", after.as_secs())]
    Unread { model: String, after: Duration },
    #[error("Worker died. ({0})")]
    WorkerDied(String),
    #[error("the server is stopping")]
    Stopping,
    #[error("the server holds {0} requests, which is its bound")]
    Crowded(u32),
    #[error(transparent)]
    Job(JobError),
    #[error("Workflow not found: {0}")]
    WorkflowNotFound(String),
    #[error("Workflow version: {version} does not exist for workflow: {workflow}")]
    WorkflowVersionNotFound { workflow: String, version: String },
    #[error("Workflow {0} is already registered.")]
    WorkflowTaken(String),
    #[error("Cannot remove default version for workflow {0}")]
    DefaultWorkflowVersion(String),
    /// What the workflow store says about a name it does not have.
    #[error("{0}")]
    NotInWorkflowStore(String),
    /// An archive or a spec that cannot become a workflow.
    #[error("{0}")]
    InvalidWorkflow(String),
    /// A spec whose graph cannot run; all that is wrong with it.
    #[error("{}", told(file, problems))]
    InvalidGraph {
        file: String,
        problems: Vec<Problem>,
    },
    /// TorchServe's sentence, with the names of the models and why each failed.
    #[error(
        "Workflow {workflow} has failed to register. Failures: [{}]",
        listed(failures)
    )]
    WorkflowFailed {
        workflow: String,
        failures: Vec<(String, Error)>,
    },
    /// What one node of a workflow gave is nothing that the next can take.
    #[error("{0}")]
    Misfit(String),
    /// A node of a workflow failed on this request.
    #[error("{0}")]
    Node(Box<NodeFailure>),
}

/// What is wrong with a spec, one line for each mistake; warnings are left to the log.
fn told(file: &str, problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.is_error());
    let lines: Vec<_> = errors.map(|problem| format!("{file}:{problem}")).collect();
    lines.join("\n")
}

fn listed(failures: &[(String, Error)]) -> String {
    let details = failures
        .iter()
        .map(|(node, error)| format!("Workflow Node {node} failed to register. Details: {error}"));
    details.collect::<Vec<_>>().join(", ")
}

/// Why no worker takes a job now.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoWorker {
    #[error("its queue holds {most} requests, which is its bound")]
    QueueFull { most: usize, retry_after: Duration },
    #[error("its queue holds more than {most} bytes, which is its bound")]
    QueueHeavy { most: usize, retry_after: Duration },
    #[error("no worker is idle, and it takes a request only when one is")]
    NoTicket,
    #[error(transparent)]
    Sequence(SequenceRefusal),
    #[error("it has been given no workers")]
    NoneAsked,
    #[error("it failed to load: {0}")]
    LoadFailed(String),
    #[error("it is being unloaded")]
    Unloading,
}

impl Error {
    /// After how long it is worth trying again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Error::Node(failure) = self {
            return failure.cause.retry_after();
        }
        let Error::NoWorker { why, .. } = self else {
            return None;
        };
        match why {
            NoWorker::QueueFull { retry_after, .. } | NoWorker::QueueHeavy { retry_after, .. } => {
                Some(*retry_after)
            }
            NoWorker::NoTicket
            | NoWorker::Sequence(_)
            | NoWorker::NoneAsked
            | NoWorker::LoadFailed(_)
            | NoWorker::Unloading => None,
        }
    }

    pub fn code(&self) -> Code {
        match self {
            Error::ModelNotFound(_)
            | Error::NotInStore(_)
            | Error::Source(SourceError::Refused(_)) => Code::ModelNotFound,
            Error::Source(SourceError::Exists(_)) => Code::Internal,
            Error::Source(SourceError::Failed(_)) => Code::DownloadFailed,
            Error::VersionNotFound { .. } => Code::VersionNotFound,
            Error::AlreadyRegistered { .. } => Code::Conflict,
            Error::DefaultVersion(_) => Code::Forbidden,
            Error::WorkersFailed {
                out_of_memory: true,
                ..
            } => Code::OutOfMemory,
            Error::WorkersFailed { .. } | Error::Misfit(_) => Code::Internal,
            Error::UnloadTimeout(_) => Code::Timeout,
            Error::InvalidModel(_) => Code::InvalidModel,
            Error::NoWorker { why, .. } => why.code(),
            Error::Crowded(_) => Code::Overloaded,
            Error::Stopping => Code::Unavailable,
            Error::WorkflowNotFound(_) | Error::NotInWorkflowStore(_) => Code::WorkflowNotFound,
            Error::WorkflowVersionNotFound { .. } => Code::WorkflowNotFound,
            Error::WorkflowTaken(_) => Code::Conflict,
            Error::DefaultWorkflowVersion(_) => Code::Forbidden,
            Error::InvalidWorkflow(_) => Code::InvalidWorkflow,
            Error::InvalidGraph { .. } => Code::InvalidGraph,
            Error::WorkflowFailed { .. } => Code::WorkflowFailed,
            Error::Node(failure) => failure.cause.code(),
            Error::Timeout { .. } | Error::Unread { .. } => Code::Timeout,
            Error::WorkerDied(_) => Code::WorkerDied,
            Error::Job(error) => match error.reason {
                Reason::BadInput => Code::BadInput,
                Reason::Unsupported => Code::Unsupported,
                Reason::OutOfMemory => Code::OutOfMemory,
                Reason::Failed => Code::PredictionFailed,
                Reason::Chosen(status) => Code::Chosen(status),
            },
        }
    }
}

impl NoWorker {
    fn code(&self) -> Code {
        match self {
            NoWorker::QueueFull { .. }
            | NoWorker::QueueHeavy { .. }
            | NoWorker::NoTicket
            | NoWorker::Sequence(SequenceRefusal::QueueFull { .. } | SequenceRefusal::TooMany(_)) => {
                Code::Overloaded
            }
            NoWorker::Sequence(SequenceRefusal::OneByOne) => Code::Unsupported,
            NoWorker::Sequence(SequenceRefusal::NotOpen(_) | SequenceRefusal::WorkerGone(_))
            | NoWorker::NoneAsked
            | NoWorker::LoadFailed(_)
            | NoWorker::Unloading => Code::Unavailable,
        }
    }
}

impl From<JobError> for Error {
    fn from(error: JobError) -> Self {
        Error::Job(error)
    }
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        Error::Source(error)
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        Error::InvalidModel(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_worker_keeps_the_sentence_that_clients_know() {
        let why = NoWorker::QueueFull {
            most: 100,
            retry_after: Duration::from_secs(2),
        };
        let error = Error::NoWorker {
            model: "m".into(),
            version: Some("1.0".into()),
            why,
        };
        assert_eq!(
            error.to_string(),
            "Model \"m\" Version 1.0\" has no worker to serve inference request. Please use scale workers API to add \
             workers. If this is a sequence inference, please check if it is closed, or expired; or exceeds \
             maxSequenceJobQueueSize (its queue holds 100 requests, which is its bound)"
        );
        assert_eq!(error.code(), Code::Overloaded);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
    }
}
