//! One task per version of a model: its queue, its idle workers, its end.
//!
//! The task owns all of it; others hold a [`Pool`], a handle that sends it events. When the last handle is dropped the
//! task ends and, with it, the workers and what they loaded.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use servable::{Device, Input, LoadError, Loader};
use tokio::sync::{Semaphore, TryAcquireError, mpsc, oneshot, watch};
use tracing::{Span, info, warn};

use crate::batcher::{BatchPolicy, Batcher};
use crate::cores::Cores;
use crate::error::{Error, NoWorker};
use crate::job::{Job, Reply};
use crate::lifecycle::State;
use crate::worker::{self, Batch, WorkerId};

/// What a pool is made of.
pub struct PoolConfig {
    pub model: String,
    pub version: String,
    /// One worker per entry, on that device.
    pub devices: Vec<Device>,
    pub batch: BatchPolicy,
    /// The most jobs that may wait; one more is refused.
    pub queue_size: usize,
    pub cores: Cores,
}

/// What everybody may know of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolStatus {
    pub state: State,
    /// Workers that can serve.
    pub ready: usize,
    /// Workers asked for.
    pub wanted: usize,
    /// Why the last worker that failed to load did so.
    pub failure: Option<String>,
}

/// A handle to one version's queue and workers. Cheap to clone; hold it as briefly as the request lasts.
#[derive(Clone)]
pub struct Pool {
    model: Arc<str>,
    queue_size: usize,
    events: mpsc::Sender<Event>,
    places: Arc<Semaphore>,
    status: watch::Receiver<PoolStatus>,
}

/// All that can happen to a pool.
pub(crate) enum Event {
    Submit(Job),
    /// A worker can serve for the first time.
    Loaded(WorkerId),
    /// A worker could not load, and has ended.
    LoadFailed(WorkerId, LoadError),
    /// A worker has answered its batch.
    Idle(WorkerId),
    /// Finish what is inside, then end. The sender is dropped when all is gone.
    Drain(oneshot::Sender<()>),
}

impl Pool {
    /// Starts the task and its workers, which load on their own threads. Must be called within a tokio runtime.
    pub fn start(config: PoolConfig, loader: Arc<dyn Loader>) -> Pool {
        // Every queued job holds a place, so that this channel never fills: jobs, a word from each worker, a drain.
        let capacity = config.queue_size + 2 * config.devices.len() + 4;
        let (sender, receiver) = mpsc::channel(capacity);
        let wanted = config.devices.len();
        let (status, watched) = watch::channel(PoolStatus {
            state: State::Registered,
            ready: 0,
            wanted,
            failure: None,
        });
        let pool = Pool {
            model: config.model.as_str().into(),
            queue_size: config.queue_size,
            events: sender.clone(),
            places: Arc::new(Semaphore::new(config.queue_size)),
            status: watched,
        };
        let mut task = PoolTask {
            name: format!("{}_{}", config.model, config.version),
            model: Arc::clone(&pool.model),
            batcher: Batcher::new(config.batch),
            batch_size: config.batch.size.get(),
            cores: config.cores,
            workers: HashMap::with_capacity(wanted),
            idle: Vec::with_capacity(wanted),
            in_flight: 0,
            places: Arc::clone(&pool.places),
            status,
            drained: None,
        };
        task.start_workers(&config.devices, &loader, &sender);
        tokio::spawn(task.run(receiver));
        pool
    }

    /// Queues a job and waits for its answer, but not past `deadline`. Dropping the future cancels the job.
    pub async fn submit(&self, input: Input, deadline: Instant) -> Reply {
        let arrival = Instant::now();
        self.refuse_unless_accepting()?;
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|error| {
                self.no_worker(match error {
                    TryAcquireError::NoPermits => NoWorker::QueueFull(self.queue_size),
                    TryAcquireError::Closed => NoWorker::Unloading,
                })
            })?;
        let (reply, answer) = oneshot::channel();
        let job = Job {
            input,
            deadline,
            reply,
            span: Span::current(),
            _place: place,
        };
        if self.events.send(Event::Submit(job)).await.is_err() {
            return Err(self.no_worker(NoWorker::Unloading));
        }
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(Ok(reply)) => reply,
            // The pool may see the deadline pass a moment before this does, and let the job go.
            Ok(Err(_)) if deadline <= Instant::now() => Err(self.timeout(arrival, deadline)),
            Ok(Err(_)) => Err(self
                .refusal()
                .unwrap_or_else(|| Error::WorkerDied("the request was lost".into()))),
            Err(_) => Err(self.timeout(arrival, deadline)),
        }
    }

    /// Takes no more jobs, finishes those inside, ends the workers, and returns when they are gone.
    pub async fn drain(&self) {
        let (sender, gone) = oneshot::channel();
        if self.events.send(Event::Drain(sender)).await.is_ok() {
            // The task answers by dropping its end.
            let _ = gone.await;
        }
    }

    pub fn status(&self) -> PoolStatus {
        self.status.borrow().clone()
    }

    /// Jobs that wait for a worker now.
    pub fn queued(&self) -> usize {
        self.queue_size
            .saturating_sub(self.places.available_permits())
    }

    /// Waits until every worker has either loaded or failed to, and returns how that ended.
    pub async fn settled(&self) -> PoolStatus {
        let mut status = self.status.clone();
        let settled = status
            .wait_for(|status| status.state != State::Loading && status.state != State::Registered);
        match settled.await {
            Ok(status) => status.clone(),
            Err(_) => self.status(),
        }
    }

    fn refuse_unless_accepting(&self) -> Result<(), Error> {
        if self.status.borrow().state.accepts_jobs() {
            return Ok(());
        }
        Err(self
            .refusal()
            .unwrap_or_else(|| self.no_worker(NoWorker::Unloading)))
    }

    fn refusal(&self) -> Option<Error> {
        let status = self.status.borrow();
        let why = match status.state {
            State::Loading | State::Ready => return None,
            State::Registered => NoWorker::NoneAsked,
            State::Failed => NoWorker::LoadFailed(status.failure.clone().unwrap_or_default()),
            State::Draining | State::Unloaded => NoWorker::Unloading,
        };
        Some(self.no_worker(why))
    }

    fn timeout(&self, arrival: Instant, deadline: Instant) -> Error {
        Error::Timeout {
            model: self.model.to_string(),
            after: deadline.duration_since(arrival),
        }
    }

    fn no_worker(&self, why: NoWorker) -> Error {
        Error::NoWorker {
            model: self.model.to_string(),
            version: None,
            why,
        }
    }
}

struct PoolTask {
    /// `<model>_<version>`, as in the log.
    name: String,
    model: Arc<str>,
    batcher: Batcher<Job>,
    batch_size: usize,
    cores: Cores,
    workers: HashMap<WorkerId, SyncSender<Batch>>,
    /// The one that worked last is taken first: its caches are warm, and so are its engine's threads.
    idle: Vec<WorkerId>,
    /// Batches that workers hold.
    in_flight: usize,
    places: Arc<Semaphore>,
    status: watch::Sender<PoolStatus>,
    /// Set while draining; dropped at the end, which is the answer.
    drained: Option<Vec<oneshot::Sender<()>>>,
}

impl PoolTask {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        loop {
            self.dispatch();
            if self.drained.is_some() && self.batcher.is_empty() && self.in_flight == 0 {
                break;
            }
            let due = self
                .batcher
                .next_due(self.in_flight)
                .filter(|_| !self.idle.is_empty());
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => break, // Every handle is gone.
                },
                () = until(due) => {}
            }
        }
        // Dropping the channels ends the workers; the servables go with their threads.
        self.workers.clear();
        self.become_state(State::Draining);
        self.become_state(State::Unloaded);
    }

    fn start_workers(
        &mut self,
        devices: &[Device],
        loader: &Arc<dyn Loader>,
        events: &mpsc::Sender<Event>,
    ) {
        for (id, &device) in (0..).zip(devices) {
            let start = worker::Start {
                id,
                name: format!("W-{id}-{}", self.name),
                loader: Arc::clone(loader),
                device,
                events: events.downgrade(),
            };
            match worker::start(start) {
                Ok(batches) => {
                    self.workers.insert(id, batches);
                }
                Err(error) => self.note_failure(format!("no thread for a worker: {error}")),
            }
        }
        if !self.workers.is_empty() {
            self.become_state(State::Loading);
        } else if !devices.is_empty() {
            self.become_state(State::Failed);
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Submit(job) => {
                if self.workers.is_empty() {
                    return; // Dropped: the caller reads the reason off the status.
                }
                self.batcher.push(job, Instant::now());
            }
            Event::Loaded(id) => {
                self.idle.push(id);
                self.status.send_modify(|status| status.ready += 1);
                self.become_state(State::Ready);
            }
            Event::Idle(id) => {
                self.in_flight -= 1;
                self.idle.push(id);
            }
            Event::LoadFailed(id, error) => self.on_load_failed(id, &error),
            Event::Drain(drained) => {
                self.drained.get_or_insert_default().push(drained);
                self.places.close();
                self.become_state(State::Draining);
            }
        }
    }

    fn on_load_failed(&mut self, id: WorkerId, error: &LoadError) {
        warn!(
            model = self.name,
            worker = id,
            "the worker could not load: {error}"
        );
        self.workers.remove(&id);
        self.note_failure(error.to_string());
        if self.status.borrow().state == State::Ready {
            // It had loaded before, and lost its servable in a batch.
            self.in_flight = self.in_flight.saturating_sub(1);
            self.status
                .send_modify(|status| status.ready = status.ready.saturating_sub(1));
        }
        if self.workers.is_empty() {
            self.become_state(State::Failed);
            // Dropped jobs tell their clients; the reason stands in the status.
            self.batcher.drain().for_each(drop);
        }
    }

    /// Hands due batches to idle workers.
    fn dispatch(&mut self) {
        while let Some(&id) = self.idle.last() {
            let now = Instant::now();
            self.batcher.drop_dead(|job| job.is_dead(now));
            let Some(jobs) = self.batcher.take_due(now, self.in_flight) else {
                break;
            };
            let beside = self
                .batcher
                .len()
                .div_ceil(self.batch_size)
                .min(self.idle.len() - 1);
            let batch = Batch {
                jobs,
                cores: self.cores.claim(beside),
            };
            let sent = self
                .workers
                .get(&id)
                .is_some_and(|worker| worker.try_send(batch).is_ok());
            self.idle.pop();
            if sent {
                self.in_flight += 1;
            }
        }
    }

    fn note_failure(&mut self, failure: String) {
        self.status
            .send_modify(|status| status.failure = Some(failure));
    }

    fn become_state(&mut self, next: State) {
        let name = &self.name;
        self.status.send_if_modified(|status| {
            let moves = status.state.may_become(next);
            if moves {
                info!(model = name, "{} to {next}", status.state);
                status.state = next;
            }
            moves
        });
    }
}

impl Drop for PoolTask {
    fn drop(&mut self) {
        if self.drained.is_none() {
            self.places.close();
        }
        tracing::debug!(model = %self.model, "the pool ended");
    }
}

/// Resolves at `due`, or never.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
