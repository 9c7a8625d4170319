//! Sequences of requests: those of one sequence go to one worker, one after another. A pure policy: time is passed in,
//! and a job is whatever the caller queues.
//!
//! A sequence opens with a request that says so, is given to the worker with the fewest, and ends with a request or an
//! answer that says so, when nothing came for too long, when it lasts too long, or with its worker. At most one request of
//! a sequence is in a batch. A job is due as soon as its worker is idle: company comes from other sequences of that worker.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::worker::WorkerId;

/// The bounds of sequences, as `model-config.yaml` sets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequencePolicy {
    /// `sequenceMaxIdleMSec`: how long a sequence may be without a request.
    pub max_idle: Option<Duration>,
    /// `sequenceTimeoutMSec`: how long it may last.
    pub timeout: Option<Duration>,
    /// `maxSequenceJobQueueSize`: the most jobs of one sequence that may wait.
    pub queue_size: usize,
    /// `maxNumSequence`: the most sequences at a time.
    pub most: usize,
}

/// What a request says about its sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceStep {
    pub id: String,
    pub start: bool,
    pub end: bool,
}

/// Why a sequence does not take a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SequenceRefusal {
    #[error("sequence {0} is not open: it was never started, has ended or has expired")]
    NotOpen(String),
    #[error("sequence {id} has {most} requests waiting, which is its bound")]
    QueueFull { id: String, most: usize },
    #[error("{0} sequences are open, which is the bound")]
    TooMany(usize),
    #[error("sequence {0} has ended with its worker")]
    WorkerGone(String),
    #[error("its requests come in sequences, and so one by one")]
    OneByOne,
}

/// The open sequences of one model and the jobs that wait in them.
#[derive(Debug)]
pub(crate) struct Sequences<J> {
    policy: SequencePolicy,
    batch_size: NonZeroUsize,
    open: BTreeMap<String, Sequence<J>>,
}

#[derive(Debug)]
struct Sequence<J> {
    /// Who serves it; nobody until a worker can.
    worker: Option<WorkerId>,
    waiting: VecDeque<Waiting<J>>,
    /// A request of it is being computed.
    busy: bool,
    /// Nothing more comes: its last request is with a worker, or nobody waits for it any more.
    ending: bool,
    /// Its handler has ended it, whatever waits.
    ended: bool,
    opened: Instant,
    touched: Instant,
}

#[derive(Debug)]
struct Waiting<J> {
    arrival: Instant,
    end: bool,
    job: J,
}

/// Jobs that will not be served, and why.
pub(crate) type Refused<J> = Vec<(J, SequenceRefusal)>;

impl<J> Sequences<J> {
    pub(crate) fn new(policy: SequencePolicy, batch_size: NonZeroUsize) -> Self {
        Sequences {
            policy,
            batch_size,
            open: BTreeMap::new(),
        }
    }

    /// Queues a job behind the others of its sequence, or drops it. A sequence that opens goes to the one of `workers` that has the
    /// fewest.
    pub(crate) fn push(
        &mut self,
        step: SequenceStep,
        job: J,
        now: Instant,
        workers: &[WorkerId],
    ) -> Result<(), SequenceRefusal> {
        let SequenceStep { id, start, end } = step;
        if !self.open.contains_key(&id) {
            if !start {
                return Err(SequenceRefusal::NotOpen(id));
            }
            if self.open.len() >= self.policy.most {
                return Err(SequenceRefusal::TooMany(self.policy.most));
            }
        }
        let worker = self.least_loaded(workers);
        let sequence = self.open.entry(id.clone()).or_insert(Sequence {
            worker,
            waiting: VecDeque::new(),
            busy: false,
            ending: false,
            ended: false,
            opened: now,
            touched: now,
        });
        let closing = sequence.ending || sequence.waiting.back().is_some_and(|last| last.end);
        if closing {
            return Err(SequenceRefusal::NotOpen(id));
        }
        if sequence.waiting.len() >= self.policy.queue_size {
            let most = self.policy.queue_size;
            return Err(SequenceRefusal::QueueFull { id, most });
        }
        sequence.touched = now;
        let waiting = Waiting {
            arrival: now,
            end,
            job,
        };
        sequence.waiting.push_back(waiting);
        Ok(())
    }

    fn least_loaded(&self, workers: &[WorkerId]) -> Option<WorkerId> {
        let load = |worker| {
            let of_it = |sequence: &&Sequence<J>| sequence.worker == Some(worker);
            self.open.values().filter(of_it).count()
        };
        workers.iter().copied().min_by_key(|&worker| load(worker))
    }

    /// The next batch for an idle worker: the oldest job of each of its sequences, and of those that nobody serves yet.
    pub(crate) fn take(&mut self, worker: WorkerId) -> Vec<J> {
        let mut ready: Vec<(Instant, &mut Sequence<J>)> = self
            .open
            .values_mut()
            .filter(|sequence| !sequence.busy)
            .filter(|sequence| sequence.worker.is_none_or(|served_by| served_by == worker))
            .filter_map(|sequence| Some((sequence.waiting.front()?.arrival, sequence)))
            .collect();
        ready.sort_by_key(|(arrival, _)| *arrival);
        ready.truncate(self.batch_size.get());
        ready
            .into_iter()
            .filter_map(|(_, sequence)| {
                let next = sequence.waiting.pop_front()?;
                sequence.worker = Some(worker);
                sequence.busy = true;
                sequence.ending |= next.end;
                Some(next.job)
            })
            .collect()
    }

    /// A worker has answered its batch; its handler has ended the sequences named in `ended`.
    pub(crate) fn answered(
        &mut self,
        worker: WorkerId,
        ended: &[String],
        now: Instant,
    ) -> Refused<J> {
        for (id, sequence) in &mut self.open {
            if sequence.worker == Some(worker) && sequence.busy {
                sequence.busy = false;
                sequence.touched = now;
                sequence.ended = ended.contains(id);
            }
        }
        self.close(SequenceRefusal::NotOpen, Sequence::is_over)
    }

    /// A worker is gone, and its sequences with it.
    pub(crate) fn lost(&mut self, worker: WorkerId) -> Refused<J> {
        self.close(SequenceRefusal::WorkerGone, |sequence| {
            sequence.worker == Some(worker)
        })
    }

    /// Ends what is over because nobody waits for its last request any more, and what has been idle or open for too long.
    pub(crate) fn expire(&mut self, now: Instant) -> Refused<J> {
        let policy = self.policy;
        let over = |since: Instant, limit: Option<Duration>| {
            limit.is_some_and(|limit| now.duration_since(since) > limit)
        };
        self.close(SequenceRefusal::NotOpen, |sequence| {
            let idle = sequence.waiting.is_empty() && over(sequence.touched, policy.max_idle);
            let expired = !sequence.busy && (idle || over(sequence.opened, policy.timeout));
            expired || sequence.is_over()
        })
    }

    fn close(
        &mut self,
        why: fn(String) -> SequenceRefusal,
        is_over: impl Fn(&Sequence<J>) -> bool,
    ) -> Refused<J> {
        let mut refused = Vec::new();
        self.open.retain(|id, sequence| {
            if !is_over(sequence) {
                return true;
            }
            let jobs = sequence.waiting.drain(..).map(|waiting| waiting.job);
            refused.extend(jobs.map(|job| (job, why(id.clone()))));
            false
        });
        refused
    }

    /// Takes out the waiting jobs for which `is_dead` holds. Their sequences stay open.
    pub(crate) fn drop_dead(&mut self, is_dead: impl Fn(&J) -> bool) {
        for sequence in self.open.values_mut() {
            sequence.waiting.retain(|waiting| {
                let dead = is_dead(&waiting.job);
                // Whoever gave up on the last request still meant it to be the last.
                sequence.ending |= dead && waiting.end;
                !dead
            });
        }
    }

    /// Everything that still waits. Every sequence ends.
    pub(crate) fn drain(&mut self) -> Vec<J> {
        let all = std::mem::take(&mut self.open);
        all.into_values()
            .flat_map(|sequence| sequence.waiting)
            .map(|waiting| waiting.job)
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.open
            .values()
            .map(|sequence| sequence.waiting.len())
            .sum()
    }

    /// Whether a job waits that an idle worker could take.
    pub(crate) fn is_empty(&self) -> bool {
        self.open
            .values()
            .all(|sequence| sequence.waiting.is_empty())
    }
}

impl<J> Sequence<J> {
    fn is_over(&self) -> bool {
        !self.busy && (self.ended || (self.ending && self.waiting.is_empty()))
    }
}

#[cfg(test)]
mod tests;
