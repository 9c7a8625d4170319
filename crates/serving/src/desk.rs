//! Where jobs meet workers: one lock over a pool's queue and its workers.
//!
//! Whoever changes something hands batches over at once: a request that arrives while a worker is idle goes straight to
//! that worker's thread, and a worker that has answered takes what is due next, with no task in between. Everything that
//! has to wait for a time, and everything else, is the pool's task's, which is called by [`Desk::attention`]. The lock is
//! held for a few hundred instructions, and never across an await.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::batcher::{BatchPolicy, Load};
use crate::cores::Cores;
use crate::drain_rate::DrainRate;
use crate::error::{Error, NoWorker};
use crate::job::{Held, Job};
use crate::metrics::ModelMetrics;
use crate::queue::{Place, Queue};
use crate::roster::Roster;
use crate::sequences::{Refused, SequencePolicy, SequenceRefusal};
use crate::worker::{Batch, Turn, WorkerId};

/// How a desk deals with jobs.
#[derive(Clone)]
pub(crate) struct DeskConfig {
    pub(crate) model: Arc<str>,
    pub(crate) batch: BatchPolicy,
    /// Whether different requests may share a batch. Where they may not, a batch is all that waits of one request.
    pub(crate) merges: bool,
    pub(crate) sequences: Option<SequencePolicy>,
    /// The most jobs that may wait.
    pub(crate) queue_size: usize,
    /// The most bytes that waiting jobs may hold; a lone job may hold more.
    pub(crate) queue_bytes: usize,
    /// What they hold.
    pub(crate) held: Held,
    /// Whether a job is taken only if a worker is idle.
    pub(crate) job_tickets: bool,
    pub(crate) cores: Cores,
    /// How long a worker may be at one batch.
    pub(crate) response_timeout: Duration,
    /// Threads of every batch, in place of what the load suggests.
    pub(crate) threads: Option<NonZeroUsize>,
    /// The model under its own version.
    pub(crate) metrics: ModelMetrics,
}

pub(crate) struct Desk {
    state: Mutex<DeskState>,
    /// Something happened that the pool's task should see to.
    attention: Notify,
}

pub(crate) struct DeskState {
    pub(crate) queue: Queue,
    pub(crate) roster: Roster,
    /// Why no job is taken now, if none is.
    pub(crate) closed: Option<NoWorker>,
    config: DeskConfig,
    rate: DrainRate,
    /// Until when no worker can be at a batch for too long without the pool's task looking at it, which it does then.
    pub(crate) watched: Option<Instant>,
    /// How long a batch takes, where later ones count for more.
    usual: Duration,
}

/// The part of a batch's time for which its company may be waited for.
const WORTH: u32 = 16;

/// The most jobs of one request in a batch, where requests do not share one.
const MOST_OF_A_REQUEST: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// The least time that a timer can wait; for less, nobody is waited for.
const TICK: Duration = Duration::from_millis(1);

impl Desk {
    pub(crate) fn new(mut config: DeskConfig) -> Self {
        if !config.merges {
            // Whatever a request has for the model comes at once: there is no company to wait for.
            config.batch = BatchPolicy {
                size: MOST_OF_A_REQUEST,
                max_delay: Duration::ZERO,
            };
        }
        let state = DeskState {
            queue: Queue::new(config.batch, config.sequences),
            roster: Roster::default(),
            closed: Some(NoWorker::NoneAsked),
            config,
            rate: DrainRate::default(),
            watched: None,
            usual: Duration::ZERO,
        };
        Desk {
            state: Mutex::new(state),
            attention: Notify::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, DeskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the pool's task look at everything.
    pub(crate) fn call(&self) {
        self.attention.notify_one();
    }

    /// Resolves when somebody calls.
    pub(crate) async fn attention(&self) {
        self.attention.notified().await;
    }

    /// Queues jobs that arrive now, all of them before a batch is cut, or says why it takes none of them.
    pub(crate) fn submit(
        &self,
        now: Instant,
        jobs: impl ExactSizeIterator<Item = (Place, Job)>,
    ) -> Result<(), NoWorker> {
        let mut desk = self.lock();
        if desk.queue.is_in_sequences() {
            if jobs.len() > 1 {
                // No two jobs of a sequence share a batch, and one that is not open would refuse its job alone.
                return Err(NoWorker::Sequence(SequenceRefusal::OneByOne));
            }
            // A sequence that has expired takes nothing more, and leaves its place to another.
            desk.tidy(now);
        }
        desk.make_room(jobs.len(), now)?;
        let DeskState { queue, roster, .. } = &mut *desk;
        for (place, job) in jobs {
            queue
                .push(place, job, now, || roster.ready_ids())
                .map_err(NoWorker::Sequence)?;
        }
        desk.hand_over(now);
        let waits_for_time = desk.waits_for_time() | desk.wants_watching(now);
        drop(desk);
        if waits_for_time {
            self.call();
        }
        Ok(())
    }

    /// A worker has answered its batch of so many jobs; its handler has ended these sequences.
    pub(crate) fn answered(&self, worker: WorkerId, turn: Turn, jobs: usize, ended: &[String]) {
        let now = Instant::now();
        let mut desk = self.lock();
        desk.rate.answered(jobs, now);
        if desk.roster.at_work(worker, turn).is_none() {
            return; // Abandoned: somebody else works under its name.
        }
        desk.note_duration(worker, now);
        let refused = desk.queue.answered(worker, ended, now);
        desk.refuse(refused);
        desk.roster.became_idle(worker);
        let gone = desk.roster.at_work(worker, turn).is_none();
        desk.hand_over(now);
        let draining = desk.closed.is_some();
        let waits_for_time = desk.waits_for_time() | desk.wants_watching(now);
        drop(desk);
        if gone || draining || waits_for_time {
            self.call();
        }
    }
}

impl DeskState {
    /// Refuses jobs that there is no room for. What they hold is counted already.
    fn make_room(&mut self, coming: usize, now: Instant) -> Result<(), NoWorker> {
        if let Some(why) = &self.closed {
            return Err(why.clone());
        }
        if !self.has_room(coming) {
            // Perhaps some of them are not waited for any more.
            self.tidy(now);
        }
        let tickets = if self.config.merges {
            coming
        } else {
            coming.min(1)
        };
        if self.config.job_tickets && self.queue.len() + tickets > self.roster.idle().len() {
            return Err(NoWorker::NoTicket);
        }
        let retry_after = self.rate.time_for(self.queue.len(), now);
        if self.queue.len() + coming > self.config.queue_size {
            let most = self.config.queue_size;
            return Err(NoWorker::QueueFull { most, retry_after });
        }
        if !self.has_room(coming) {
            let most = self.config.queue_bytes;
            return Err(NoWorker::QueueHeavy { most, retry_after });
        }
        Ok(())
    }

    fn has_room(&self, coming: usize) -> bool {
        // What is larger than the bound is taken when nothing else waits: it could never come in otherwise.
        let light = self.queue.is_empty() || self.config.held.bytes() <= self.config.queue_bytes;
        light && self.queue.len() + coming <= self.config.queue_size
    }

    /// Lets go of what nobody waits for.
    pub(crate) fn tidy(&mut self, now: Instant) {
        let refused = self.queue.tidy(now);
        self.refuse(refused);
    }

    /// A worker has been at its batch until now.
    fn note_duration(&mut self, worker: WorkerId, now: Instant) {
        if let Some(since) = self.roster.busy_since(worker) {
            let took = now.saturating_duration_since(since);
            self.usual = if self.usual.is_zero() {
                took
            } else {
                (self.usual * 7 + took) / 8
            };
        }
    }

    /// Hands due batches to idle workers.
    pub(crate) fn hand_over(&mut self, now: Instant) {
        if self.queue.is_empty() || self.roster.idle().is_empty() {
            return;
        }
        self.tidy(now);
        // The one that worked last comes first. A worker with nothing to take may stand before one that has.
        let mut idle = self.roster.idle().to_vec();
        while let Some(worker) = idle.pop() {
            let Some(jobs) = self.queue.take(worker, now, self.load()) else {
                continue;
            };
            self.send(worker, jobs, now);
        }
    }

    fn load(&self) -> Load {
        let free = self.config.cores.free().min(self.roster.idle().len());
        let patience = if free == 0 || self.roster.is_accelerated() {
            None
        } else {
            let worth = self.usual / WORTH;
            Some(if worth < TICK { Duration::ZERO } else { worth })
        };
        Load {
            in_flight: self.roster.in_flight(),
            takers: match patience {
                Some(_) if self.config.merges => free,
                Some(_) | None => 1,
            },
            patience,
        }
    }

    fn send(&mut self, worker: WorkerId, jobs: Vec<Job>, now: Instant) {
        let others = self.roster.idle().len().saturating_sub(1);
        let beside = self.queue.batches(self.config.batch.size).min(others);
        let oldest = jobs.iter().map(|job| job.arrival).min().unwrap_or(now);
        let waited = now.saturating_duration_since(oldest.max(self.roster.idle_since()));
        self.config.metrics.batch(jobs.len(), waited);
        let cores = match self.config.threads {
            Some(threads) => self.config.cores.claim_fixed(threads, self.roster.ready()),
            None => self.config.cores.claim(beside),
        };
        // Dropped where the worker is gone: their clients hear that they were lost.
        let batch = Batch {
            jobs,
            waited,
            cores,
        };
        let _ = self.roster.send(worker, batch, now);
    }

    /// When the pool's task has to hand over, because nobody else will.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        if self.roster.idle().is_empty() {
            return None;
        }
        self.queue.next_due(self.load())
    }

    /// Whether the pool's task must be called, because nobody looks after the batches that have just been handed over.
    fn wants_watching(&mut self, now: Instant) -> bool {
        let wants = self.watched.is_none_or(|until| until <= now) && self.roster.in_flight() > 0;
        if wants {
            self.watch(now);
        }
        wants
    }

    /// Has the pool's task look again before a batch that is handed over from now on can take too long.
    pub(crate) fn watch(&mut self, now: Instant) {
        self.watched = now.checked_add(self.config.response_timeout);
    }

    fn waits_for_time(&self) -> bool {
        !self.roster.idle().is_empty() && !self.queue.is_empty()
    }

    /// A worker is gone, and with it what only it could have served.
    pub(crate) fn lost(&mut self, worker: WorkerId) {
        let refused = self.queue.lost(worker);
        self.refuse(refused);
    }

    /// Lets everything go that waits, for that reason.
    pub(crate) fn refuse_all(&mut self, why: &NoWorker) {
        for job in self.queue.drain() {
            self.tell(job, why.clone());
        }
    }

    fn refuse(&mut self, refused: Refused<Job>) {
        for (job, why) in refused {
            self.tell(job, NoWorker::Sequence(why));
        }
    }

    fn tell(&self, job: Job, why: NoWorker) {
        let error = Error::NoWorker {
            model: self.config.model.to_string(),
            version: None,
            why,
        };
        // Fails when the client is gone.
        let _ = job.reply.send(Err(error));
    }
}

#[cfg(test)]
mod tests;
