//! One waiting request: what goes through a queue, a batch and a worker.

use std::time::Instant;

use servable::{Input, Output};
use tokio::sync::oneshot;
use tracing::Span;

use crate::error::Error;
use crate::metrics::ModelMetrics;

/// The answer to one job.
pub type Reply = Result<Output, Error>;

/// One waiting request. Dropping it unanswered tells its client that it was lost, so nobody waits for ever.
pub(crate) struct Job {
    pub(crate) input: Input,
    pub(crate) arrival: Instant,
    /// The model under the version that the request named.
    pub(crate) metrics: ModelMetrics,
    /// No answer is wanted after this instant.
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Reply>,
    /// The request's span: what is logged for this job belongs to it.
    pub(crate) span: Span,
    /// One place in the queue, given back when a batch takes the job.
    pub(crate) _place: tokio::sync::OwnedSemaphorePermit,
}

impl Job {
    /// Whether nobody waits for the answer any more. A dropped request is a cancelled job.
    pub(crate) fn is_dead(&self, now: Instant) -> bool {
        self.reply.is_closed() || self.deadline <= now
    }
}
