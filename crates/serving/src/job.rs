//! One waiting request: what goes through a queue, a batch and a worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use servable::{Input, Output};
use tokio::sync::oneshot;
use tracing::Span;

use crate::error::Error;
use crate::metrics::ModelMetrics;
use crate::statistics::Compute;

/// The answer to one job.
pub type Reply = Result<Output, Error>;

/// The same, with the way that an answered job took.
pub type TimedReply = Result<(Output, Travel), Error>;

/// How an answered job travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Travel {
    /// From its arrival until a worker began its batch.
    pub queued: Duration,
    /// For how long the oldest job of its batch waited for company, a worker being idle.
    pub batch_wait: Duration,
    /// What the servable took for the whole batch, preprocessing and postprocessing included.
    pub compute: Duration,
    /// The part of it before the network, where the engine can tell.
    pub before: Duration,
    /// The part of it after the network, where the engine can tell.
    pub after: Duration,
    /// From its arrival until it was answered.
    pub total: Duration,
    /// How many jobs were in the batch.
    pub batch_size: usize,
}

impl Travel {
    /// Where the time of its batch went.
    pub(crate) fn parts(&self) -> Compute {
        Compute {
            input: self.before,
            infer: self.compute.saturating_sub(self.before + self.after),
            output: self.after,
        }
    }
}

/// Which jobs may share a batch: those of one bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Bucket {
    /// What the loader says of the input's shape.
    Shape(u64),
    /// The request it belongs to, where requests are not to be merged.
    Request(Arc<str>),
}

/// One waiting request. Dropping it unanswered tells its client that it was lost, so nobody waits for ever.
pub(crate) struct Job {
    pub(crate) input: Input,
    pub(crate) arrival: Instant,
    /// The model under the version that the request named.
    pub(crate) metrics: ModelMetrics,
    /// No answer is wanted after this instant.
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<TimedReply>,
    /// The request's span: what is logged for this job belongs to it.
    pub(crate) span: Span,
    /// A part of that span, where traces are collected: the time until a worker takes the job.
    pub(crate) _queued: Option<Box<Span>>,
    /// What the input holds of the queue's bytes, given back when a worker takes the job.
    pub(crate) _weight: Weight,
}

impl Job {
    /// Whether nobody waits for the answer any more. A dropped request is a cancelled job.
    pub(crate) fn is_dead(&self, now: Instant) -> bool {
        self.reply.is_closed() || self.deadline <= now
    }
}

/// How many bytes the jobs of a queue hold together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(Arc<AtomicUsize>);

/// One job's part of it.
#[derive(Debug)]
pub(crate) struct Weight {
    bytes: usize,
    held: Held,
}

impl Held {
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts so many more bytes, until the weight is dropped.
    pub(crate) fn add(&self, bytes: usize) -> Weight {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Weight {
            bytes,
            held: self.clone(),
        }
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
