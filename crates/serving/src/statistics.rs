//! What became of a model's requests, and where their time went: counters for whoever asks for numbers rather than for
//! metrics to scrape. Their meaning is that of the statistics of the Open Inference Protocol's servers.
//!
//! Requests count when they end, by `pool/submit.rs`; executions count when they end, by the worker.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::job::Travel;

/// How many, and how long they took together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub count: u64,
    pub time: Duration,
}

/// What one version of a model has done since it was registered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Requests that were answered, from their arrival to their answer.
    pub succeeded: Tally,
    /// Requests that failed in the model or ran out of time.
    pub failed: Tally,
    /// Requests that were not let in, or had to leave the queue.
    pub rejected: Tally,
    /// Requests whose client left before there was an answer.
    pub cancelled: Tally,
    /// What answered requests spent waiting for a worker.
    pub queue: Tally,
    /// What answered requests spent before the network, in it and after it. Each request of a batch counts the whole batch's
    /// time. Where the engine cannot tell them apart, all of it is the network's.
    pub input: Tally,
    pub infer: Tally,
    pub output: Tally,
    /// How often the model was called.
    pub executions: u64,
    /// By how many requests it was called with, in ascending order; only sizes that occurred.
    pub batches: Vec<BatchStatistics>,
    /// When the last call ended.
    pub last_inference: Option<SystemTime>,
}

/// All calls with batches of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchStatistics {
    pub size: usize,
    pub executions: u64,
    pub input: Duration,
    pub infer: Duration,
    pub output: Duration,
}

/// What a workflow's requests have come to since it was registered.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkflowStatistics {
    pub succeeded: Tally,
    pub failed: Tally,
    pub cancelled: Tally,
    /// When the last answer was made.
    pub last_inference: Option<SystemTime>,
}

/// Where the time of one call went.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Compute {
    pub(crate) input: Duration,
    pub(crate) infer: Duration,
    pub(crate) output: Duration,
}

/// How a request ended that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    Failed,
    Rejected,
    Cancelled,
}

/// The counters, which anybody may add to at any time.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    succeeded: Count,
    failed: Count,
    rejected: Count,
    cancelled: Count,
    queue: AtomicU64,
    input: AtomicU64,
    infer: AtomicU64,
    output: AtomicU64,
    batches: Batches,
    /// Nanoseconds since 1970; zero for never.
    last: AtomicU64,
}

#[derive(Debug, Default)]
struct Count {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl Counters {
    /// A request was answered.
    pub(crate) fn answered(&self, travel: &Travel) {
        self.succeeded.add(travel.total);
        add(&self.queue, travel.queued);
        let Compute {
            input,
            infer,
            output,
        } = travel.parts();
        add(&self.infer, infer);
        if !input.is_zero() || !output.is_zero() {
            add(&self.input, input);
            add(&self.output, output);
        }
    }

    /// A request ended without an answer.
    pub(crate) fn unanswered(&self, how: Unanswered, took: Duration) {
        match how {
            Unanswered::Failed => self.failed.add(took),
            Unanswered::Rejected => self.rejected.add(took),
            Unanswered::Cancelled => self.cancelled.add(took),
        }
    }

    /// The model was called with so many requests.
    pub(crate) fn executed(&self, size: usize, compute: Compute) {
        if let Some(slot) = self.batches.slot(size) {
            slot.executions.fetch_add(1, Ordering::Relaxed);
            add(&slot.infer, compute.infer);
            add(&slot.input, compute.input);
            add(&slot.output, compute.output);
        }
        self.last.store(now(), Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Statistics {
        let succeeded = self.succeeded.read();
        let of_answered = |time: &AtomicU64| Tally {
            count: succeeded.count,
            time: duration(time),
        };
        let batches = self.batches.read();
        Statistics {
            succeeded,
            failed: self.failed.read(),
            rejected: self.rejected.read(),
            cancelled: self.cancelled.read(),
            queue: of_answered(&self.queue),
            input: of_answered(&self.input),
            infer: of_answered(&self.infer),
            output: of_answered(&self.output),
            executions: batches.iter().map(|batch| batch.executions).sum(),
            batches,
            last_inference: instant(&self.last),
        }
    }
}

/// The same for a workflow, whose nodes count for themselves.
#[derive(Debug, Default)]
pub(crate) struct WorkflowCounters {
    succeeded: Count,
    failed: Count,
    cancelled: Count,
    last: AtomicU64,
}

impl WorkflowCounters {
    pub(crate) fn answered(&self, took: Duration) {
        self.succeeded.add(took);
        self.last.store(now(), Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, took: Duration) {
        self.failed.add(took);
    }

    pub(crate) fn cancelled(&self, took: Duration) {
        self.cancelled.add(took);
    }

    pub(crate) fn read(&self) -> WorkflowStatistics {
        WorkflowStatistics {
            succeeded: self.succeeded.read(),
            failed: self.failed.read(),
            cancelled: self.cancelled.read(),
            last_inference: instant(&self.last),
        }
    }
}

impl Count {
    fn add(&self, took: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        add(&self.nanos, took);
    }

    fn read(&self) -> Tally {
        Tally {
            count: self.count.load(Ordering::Relaxed),
            time: duration(&self.nanos),
        }
    }
}

/// A slot for each size of a batch, in shelves that are twice as long each and are put up when they are first used.
#[derive(Debug, Default)]
struct Batches([OnceLock<Box<[Slot]>>; 32]);

#[derive(Debug, Default)]
struct Slot {
    executions: AtomicU64,
    input: AtomicU64,
    infer: AtomicU64,
    output: AtomicU64,
}

impl Batches {
    fn slot(&self, size: usize) -> Option<&Slot> {
        let shelf = size.checked_ilog2()?;
        let slots = self.0.get(shelf as usize)?;
        let slots = slots.get_or_init(|| (0..1usize << shelf).map(|_| Slot::default()).collect());
        slots.get(size - (1 << shelf))
    }

    fn read(&self) -> Vec<BatchStatistics> {
        let shelves = self.0.iter().enumerate();
        let slots = shelves.filter_map(|(shelf, slots)| Some((1usize << shelf, slots.get()?)));
        let sizes = slots.flat_map(|(first, slots)| (first..).zip(slots));
        sizes
            .map(|(size, slot)| BatchStatistics {
                size,
                executions: slot.executions.load(Ordering::Relaxed),
                input: duration(&slot.input),
                infer: duration(&slot.infer),
                output: duration(&slot.output),
            })
            .filter(|batch| batch.executions > 0)
            .collect()
    }
}

fn add(counter: &AtomicU64, time: Duration) {
    counter.fetch_add(nanos(time), Ordering::Relaxed);
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn duration(nanos: &AtomicU64) -> Duration {
    Duration::from_nanos(nanos.load(Ordering::Relaxed))
}

fn now() -> u64 {
    nanos(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    )
}

fn instant(nanos: &AtomicU64) -> Option<SystemTime> {
    let since = duration(nanos);
    (!since.is_zero()).then(|| UNIX_EPOCH + since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_told_apart_by_their_size_and_cost_what_they_need() {
        let counters = Counters::default();
        let millis = Duration::from_millis;
        for (size, infer) in [
            (1, 4),
            (3, 5),
            (1, 6),
            (1024, 7),
            (0, 100),
            (usize::MAX, 100),
        ] {
            let compute = Compute {
                input: millis(1),
                infer: millis(infer),
                output: millis(2),
            };
            counters.executed(size, compute);
        }
        let statistics = counters.read();
        let found: Vec<_> = statistics
            .batches
            .iter()
            .map(|batch| (batch.size, batch.executions, batch.infer, batch.output))
            .collect();
        assert_eq!(
            found,
            [
                (1, 2, millis(10), millis(4)),
                (3, 1, millis(5), millis(2)),
                (1024, 1, millis(7), millis(2))
            ]
        );
        assert_eq!(statistics.executions, 4);
        assert!(statistics.last_inference.is_some());
        assert_eq!(Counters::default().read(), Statistics::default());
    }

    #[test]
    fn a_request_counts_once_by_how_it_ended() {
        let counters = Counters::default();
        let millis = Duration::from_millis;
        counters.answered(&Travel {
            queued: millis(3),
            compute: millis(10),
            before: millis(1),
            after: millis(2),
            total: millis(14),
            batch_size: 2,
            ..Travel::default()
        });
        counters.unanswered(Unanswered::Failed, millis(5));
        counters.unanswered(Unanswered::Rejected, millis(6));
        counters.unanswered(Unanswered::Cancelled, millis(7));
        let statistics = counters.read();
        let one = |time| Tally {
            count: 1,
            time: millis(time),
        };
        assert_eq!(statistics.succeeded, one(14));
        assert_eq!(statistics.failed, one(5));
        assert_eq!(statistics.rejected, one(6));
        assert_eq!(statistics.cancelled, one(7));
        assert_eq!(statistics.queue, one(3));
        assert_eq!(
            [statistics.input, statistics.infer, statistics.output],
            [one(1), one(7), one(2)]
        );
    }
}
