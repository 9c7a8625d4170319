//! The queue of one version: batches cut from buckets, or sequences. Both under one face, so that the desk need not know.

use std::num::NonZeroUsize;
use std::time::Instant;

use crate::batcher::{BatchPolicy, Batcher, Load};
use crate::job::{Bucket, Job};
use crate::sequences::{Refused, SequencePolicy, SequenceRefusal, SequenceStep, Sequences};
use crate::worker::WorkerId;

pub(crate) enum Queue {
    Batches(Batcher<Bucket, Job>),
    Sequences(Sequences<Job>),
}

/// Where a job goes in the queue.
pub(crate) enum Place {
    Bucket(Bucket),
    Sequence(SequenceStep),
}

impl Queue {
    pub(crate) fn new(batch: BatchPolicy, sequences: Option<SequencePolicy>) -> Self {
        match sequences {
            Some(policy) => Queue::Sequences(Sequences::new(policy, batch.size)),
            None => Queue::Batches(Batcher::new(batch)),
        }
    }

    /// Queues a job, or drops it. `workers` are those that can serve now.
    pub(crate) fn push(
        &mut self,
        place: Place,
        job: Job,
        now: Instant,
        workers: impl FnOnce() -> Vec<WorkerId>,
    ) -> Result<(), SequenceRefusal> {
        match (self, place) {
            (Queue::Batches(batcher), Place::Bucket(bucket)) => {
                let deadline = job.deadline;
                batcher.push(bucket, deadline, job, now);
                Ok(())
            }
            (Queue::Sequences(sequences), Place::Sequence(step)) => {
                sequences.push(step, job, now, &workers())
            }
            // The pool makes places to fit its queue.
            (Queue::Batches(_), Place::Sequence(step)) => Err(SequenceRefusal::NotOpen(step.id)),
            (Queue::Sequences(_), Place::Bucket(_)) => Err(SequenceRefusal::NotOpen(String::new())),
        }
    }

    /// The next batch for an idle worker, if one is due.
    pub(crate) fn take(&mut self, worker: WorkerId, now: Instant, load: Load) -> Option<Vec<Job>> {
        match self {
            Queue::Batches(batcher) => batcher.take_due(now, load),
            Queue::Sequences(sequences) => {
                let batch = sequences.take(worker);
                (!batch.is_empty()).then_some(batch)
            }
        }
    }

    /// When a batch is due that is not yet; a sequence's is due at once, or when its worker has answered.
    pub(crate) fn next_due(&self, load: Load) -> Option<Instant> {
        match self {
            Queue::Batches(batcher) => batcher.next_due(load),
            Queue::Sequences(_) => None,
        }
    }

    /// A worker has answered its batch; its handler has ended these sequences.
    pub(crate) fn answered(
        &mut self,
        worker: WorkerId,
        ended: &[String],
        now: Instant,
    ) -> Refused<Job> {
        match self {
            Queue::Batches(_) => Vec::new(),
            Queue::Sequences(sequences) => sequences.answered(worker, ended, now),
        }
    }

    /// A worker is gone.
    pub(crate) fn lost(&mut self, worker: WorkerId) -> Refused<Job> {
        match self {
            Queue::Batches(_) => Vec::new(),
            Queue::Sequences(sequences) => sequences.lost(worker),
        }
    }

    /// Lets go of jobs that nobody waits for, and of sequences whose time is over.
    pub(crate) fn tidy(&mut self, now: Instant) -> Refused<Job> {
        match self {
            Queue::Batches(batcher) => {
                batcher.drop_dead(|job| job.is_dead(now));
                Vec::new()
            }
            Queue::Sequences(sequences) => {
                sequences.drop_dead(|job| job.is_dead(now));
                sequences.expire(now)
            }
        }
    }

    pub(crate) fn drain(&mut self) -> Vec<Job> {
        match self {
            Queue::Batches(batcher) => batcher.drain(),
            Queue::Sequences(sequences) => sequences.drain(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Queue::Batches(batcher) => batcher.len(),
            Queue::Sequences(sequences) => sequences.len(),
        }
    }

    /// How many batches of at most `size` the waiting jobs make, at least.
    pub(crate) fn batches(&self, size: NonZeroUsize) -> usize {
        let buckets = match self {
            Queue::Batches(batcher) => batcher.buckets(),
            Queue::Sequences(_) => 0,
        };
        self.len().div_ceil(size.get()).max(buckets)
    }

    pub(crate) fn is_in_sequences(&self) -> bool {
        matches!(self, Queue::Sequences(_))
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Queue::Batches(batcher) => batcher.is_empty(),
            Queue::Sequences(sequences) => sequences.is_empty(),
        }
    }
}
