//! One task per version of a model: its queue, its workers, its end.
//!
//! The task owns all of it; others hold a [`Pool`], a handle that sends it events. When the last handle is dropped the
//! task ends and, with it, the workers and what they loaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use servable::{Device, Input, LoadError, Loader};
use tokio::sync::{Semaphore, TryAcquireError, mpsc, oneshot, watch};
use tracing::{Span, info, warn};

use crate::batcher::{BatchPolicy, Batcher};
use crate::cores::Cores;
use crate::error::{Error, NoWorker};
use crate::job::{Job, Reply};
use crate::lifecycle::State;
use crate::metrics::ModelMetrics;
use crate::roster::{Phase, Roster, WorkerStatus};
use crate::worker::{self, Batch, WorkerId};

/// The most workers a pool may be scaled to; one more is a mistake rather than a wish.
pub const MOST_WORKERS: usize = 1024;

/// What a pool is made of.
pub struct PoolConfig {
    pub model: String,
    pub version: String,
    /// Where its first workers run, one entry per worker.
    pub devices: Vec<Device>,
    /// Where the worker that makes so many run, when the pool grows.
    pub device_of: Box<dyn Fn(usize) -> Device + Send + Sync>,
    /// Names workers; shared by all pools, so that no two workers have one name.
    pub worker_ids: Arc<AtomicU64>,
    /// For how long a worker that fails to load is started again.
    pub patience: Duration,
    pub batch: BatchPolicy,
    /// The most jobs that may wait; one more is refused.
    pub queue_size: usize,
    pub cores: Cores,
    /// The model under its own version.
    pub metrics: ModelMetrics,
}

/// What everybody may know of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolStatus {
    pub state: State,
    /// Workers asked for.
    pub wanted: usize,
    /// Workers that are loading.
    pub loading: usize,
    pub workers: Vec<WorkerStatus>,
    /// Why the last worker that failed to load did so, since somebody last asked for workers.
    pub failure: Option<LoadError>,
}

impl PoolStatus {
    /// Workers that can serve.
    pub fn ready(&self) -> usize {
        self.workers.iter().filter(|worker| worker.ready).count()
    }

    /// Whether there are as many workers as asked for that can serve, or that are still being given time to.
    pub fn is_healthy(&self) -> bool {
        self.workers.iter().all(|worker| !worker.given_up)
    }
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
    /// Have at least and at most so many workers. Answered when that is on its way.
    Scale {
        min: usize,
        max: usize,
        done: oneshot::Sender<()>,
    },
    /// Finish what is inside, then end. The sender is dropped when all is gone.
    Drain(oneshot::Sender<()>),
}

impl Pool {
    /// Starts the task and its workers, which load on their own threads. Must be called within a tokio runtime.
    pub fn start(config: PoolConfig, loader: Arc<dyn Loader>) -> Pool {
        // Every queued job holds a place, so that this channel never fills: jobs, a word from each worker, and room for
        // those who scale and drain.
        let (sender, receiver) = mpsc::channel(config.queue_size + MOST_WORKERS);
        let (status, watched) = watch::channel(PoolStatus {
            state: State::Registered,
            wanted: 0,
            loading: 0,
            workers: Vec::new(),
            failure: None,
        });
        let places = Arc::new(Semaphore::new(config.queue_size));
        let pool = Pool {
            model: config.model.as_str().into(),
            queue_size: config.queue_size,
            events: sender.clone(),
            places: Arc::clone(&places),
            status: watched,
        };
        let mut task = PoolTask {
            name: format!("{}_{}", config.model, config.version),
            batcher: Batcher::new(config.batch),
            loader,
            events: sender.downgrade(),
            roster: Roster::default(),
            places,
            status,
            drained: None,
            config,
        };
        for device in std::mem::take(&mut task.config.devices) {
            task.start_worker(device);
        }
        task.publish();
        tokio::spawn(task.run(receiver));
        pool
    }

    /// Queues a job and waits for its answer, but not past `deadline`. Dropping the future cancels the job.
    pub async fn submit(&self, input: Input, deadline: Instant, metrics: &ModelMetrics) -> Reply {
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
            arrival,
            metrics: metrics.clone(),
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

    /// Has at least `min` and at most `max` workers from here on; between the two their number stays as it is. Returns
    /// when that is on its way: see [`Pool::settled`]. Workers that go finish their batch first.
    pub async fn scale(&self, min: usize, max: usize) {
        let (done, answer) = oneshot::channel();
        if self
            .events
            .send(Event::Scale { min, max, done })
            .await
            .is_ok()
        {
            // Dropped without a word when the pool has ended, and then there is nothing to scale.
            let _ = answer.await;
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

    /// Waits until every worker that was asked for has loaded, or one has failed to, and returns how that ended.
    pub async fn settled(&self) -> PoolStatus {
        let mut status = self.status.clone();
        let settled = status.wait_for(|status| status.loading == 0 || status.failure.is_some());
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
            State::Failed => NoWorker::LoadFailed(
                status
                    .failure
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            ),
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
    config: PoolConfig,
    loader: Arc<dyn Loader>,
    batcher: Batcher<Job>,
    roster: Roster,
    /// Weak, so that a pool whose handles are all gone ends although its workers live.
    events: mpsc::WeakSender<Event>,
    places: Arc<Semaphore>,
    status: watch::Sender<PoolStatus>,
    /// Set while draining; dropped at the end, which is the answer.
    drained: Option<Vec<oneshot::Sender<()>>>,
}

impl PoolTask {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        loop {
            self.dispatch();
            let empty = self.batcher.is_empty() && self.roster.in_flight() == 0;
            if self.drained.is_some() && empty {
                break;
            }
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => break, // Every handle is gone.
                },
                () = until(self.next_due()) => self.restart_rested(),
            }
        }
        for worker in self.roster.statuses() {
            self.config
                .metrics
                .worker_gone(&self.worker_name(worker.id));
        }
        // Dropping the channels ends the workers; the servables go with their threads.
        self.roster = Roster::default();
        self.become_state(State::Draining);
        self.become_state(State::Unloaded);
        self.publish();
    }

    /// When there is something to do although nothing happens: a batch comes due, or a worker has rested.
    fn next_due(&self) -> Option<Instant> {
        let batch = self
            .batcher
            .next_due(self.roster.in_flight())
            .filter(|_| self.roster.idle() > 0);
        batch.into_iter().chain(self.roster.next_start()).min()
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Submit(job) => {
                // Dropped where nobody will ever serve it: the caller reads the reason off the status.
                if self.roster.ready() + self.roster.loading() > 0 {
                    self.batcher.push(job, Instant::now());
                }
                return;
            }
            Event::Idle(id) => {
                self.roster.became_idle(id);
                // Unless it was the last, and somebody waits for a worker that will not come.
                if self.roster.wanted() > 0 {
                    return;
                }
            }
            Event::Loaded(id) => {
                if let Some(member) = self.roster.get_mut(id) {
                    member.recovery.succeeded();
                }
                self.roster.became_idle(id);
            }
            Event::LoadFailed(id, error) => self.on_load_failed(id, error),
            Event::Scale { min, max, done } => {
                self.scale(min, max);
                self.publish();
                // Fails when nobody waits for it.
                let _ = done.send(());
            }
            Event::Drain(drained) => {
                self.drained.get_or_insert_default().push(drained);
                self.places.close();
            }
        }
        self.publish();
    }

    fn scale(&mut self, min: usize, max: usize) {
        self.status.send_modify(|status| status.failure = None);
        while self.roster.wanted() < min.min(MOST_WORKERS) {
            let device = (self.config.device_of)(self.roster.wanted());
            self.start_worker(device);
        }
        while self.roster.wanted() > max {
            if let Some(id) = self.roster.dismiss_newest() {
                self.config.metrics.worker_gone(&self.worker_name(id));
            }
        }
    }

    fn start_worker(&mut self, device: Device) {
        let id = self.config.worker_ids.fetch_add(1, Ordering::Relaxed);
        self.roster.insert(id, device, Phase::GivenUp);
        self.start_thread(id, device);
    }

    fn worker_name(&self, id: WorkerId) -> String {
        format!("W-{id}-{}", self.name)
    }

    fn start_thread(&mut self, id: WorkerId, device: Device) {
        let start = worker::Start {
            id,
            name: self.worker_name(id),
            loader: Arc::clone(&self.loader),
            device,
            events: self.events.clone(),
            metrics: self.config.metrics.clone(),
        };
        match worker::start(start) {
            Ok(batches) => {
                if let Some(member) = self.roster.get_mut(id) {
                    member.phase = Phase::Loading(batches);
                }
            }
            Err(error) => {
                let reason = format!("no thread for a worker: {error}");
                self.on_load_failed(id, LoadError::OutOfMemory(reason));
            }
        }
    }

    fn on_load_failed(&mut self, id: WorkerId, error: LoadError) {
        let Some(member) = self.roster.get_mut(id) else {
            return; // Dismissed while it loaded.
        };
        if matches!(member.phase, Phase::Leaving) {
            return self.roster.became_idle(id); // Gone a little sooner than its last batch would have let it.
        }
        let now = Instant::now();
        // What is wrong with the archive stays wrong; memory may come free again.
        let may_pass = matches!(error, LoadError::OutOfMemory(_));
        let rest = may_pass.then(|| member.recovery.failed(now, self.config.patience));
        member.phase = match rest.flatten() {
            Some(rest) => {
                warn!(
                    model = self.name,
                    "the worker could not load: {error}. Retry worker: {id} in {} seconds.",
                    rest.as_secs()
                );
                Phase::Resting(now + rest)
            }
            None => {
                warn!(model = self.name, "worker {id} is given up: {error}");
                Phase::GivenUp
            }
        };
        self.status
            .send_modify(|status| status.failure = Some(error));
    }

    fn restart_rested(&mut self) {
        let rested = self.roster.rested(Instant::now());
        if rested.is_empty() {
            return;
        }
        for (id, device) in rested {
            self.start_thread(id, device);
        }
        self.publish();
    }

    /// Hands due batches to idle workers.
    fn dispatch(&mut self) {
        while self.roster.idle() > 0 {
            let now = Instant::now();
            self.batcher.drop_dead(|job| job.is_dead(now));
            let Some(jobs) = self.batcher.take_due(now, self.roster.in_flight()) else {
                break;
            };
            let size = self.config.batch.size.get();
            let beside = self
                .batcher
                .len()
                .div_ceil(size)
                .min(self.roster.idle() - 1);
            let oldest = jobs.iter().map(|job| job.arrival).min().unwrap_or(now);
            let waited = now.duration_since(oldest.max(self.roster.idle_since()));
            self.config.metrics.batch(jobs.len(), waited);
            let batch = Batch {
                jobs,
                cores: self.config.cores.claim(beside),
            };
            if self.roster.send(batch).is_err() {
                break; // Dropped: their clients hear that they were lost.
            }
        }
    }

    /// Brings the status up to date, and lets waiting jobs go when nobody is left to serve them.
    fn publish(&mut self) {
        let (ready, loading) = (self.roster.ready(), self.roster.loading());
        let next = if self.drained.is_some() {
            State::Draining
        } else if ready > 0 {
            State::Ready
        } else if loading > 0 {
            State::Loading
        } else if self.roster.wanted() > 0 {
            State::Failed
        } else {
            State::Registered
        };
        self.become_state(next);
        let (wanted, workers) = (self.roster.wanted(), self.roster.statuses());
        self.status.send_modify(|status| {
            status.wanted = wanted;
            status.loading = loading;
            status.workers = workers;
            if ready == wanted {
                status.failure = None;
            }
        });
        if ready + loading + self.roster.in_flight() == 0 {
            self.batcher.drain().for_each(drop);
        }
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

/// Resolves at `due`, or never.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
