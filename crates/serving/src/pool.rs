//! One version's queue and workers: the handle that others hold, and the task that sees to whatever is not a request.
//!
//! Requests meet workers at the [`Desk`], to which [`submit`](Pool::submit) brings them. The task starts, restarts and dismisses workers, hands over what has become due
//! by time, replaces workers that hang, and keeps the status. When the last handle is dropped the task ends and, with it,
//! the workers and what they loaded.

mod stream;
mod submit;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use servable::{Device, LoadError, Loader, Signature};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use crate::batcher::BatchPolicy;
use crate::cores::Cores;
use crate::desk::{Desk, DeskConfig, DeskState};
use crate::error::{Error, NoWorker};
use crate::job::Held;
use crate::lifecycle::State;
use crate::metrics::ModelMetrics;
use crate::poison::Poison;
use crate::roster::{Limits, Overdue, Phase, WorkerStatus};
use crate::sequences::SequencePolicy;
use crate::statistics::{Counters, Statistics};
use crate::worker::{self, Turn, WorkerId};

pub use stream::{AnswerInParts, Piece};
pub use submit::Request;

/// The most workers a pool may be scaled to; one more is a mistake rather than a wish.
pub const MOST_WORKERS: usize = 1024;

/// The most threads of one pool that may hang in their model at a time. They cannot be ended, and each may hold a core;
/// beyond this the model is at fault, and starting more would take the machine from the others.
const MOST_ABANDONED: usize = 4;

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
    /// How long a worker may take to load.
    pub startup_timeout: Duration,
    /// How long a worker may be at one batch before it counts as hanging.
    pub response_timeout: Duration,
    pub batch: BatchPolicy,
    /// Whether requests may share a batch, as far as the archive is asked.
    pub merge: bool,
    /// For models whose requests come in sequences.
    pub sequences: Option<SequencePolicy>,
    /// Whether a job is taken only if a worker is idle.
    pub job_tickets: bool,
    /// The most jobs that may wait; one more is refused.
    pub queue_size: usize,
    /// The most bytes that waiting jobs may hold.
    pub queue_bytes: usize,
    pub cores: Cores,
    /// Threads of every batch, in place of what the load suggests.
    pub threads: Option<NonZeroUsize>,
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
    /// Why the last worker that failed did so, since somebody last asked for workers.
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
    /// Whether different requests may share a batch.
    merges: bool,
    desk: Arc<Desk>,
    held: Held,
    loader: Arc<dyn Loader>,
    events: mpsc::Sender<Event>,
    status: watch::Receiver<PoolStatus>,
    statistics: Arc<Counters>,
}

/// What happens to a pool beside requests and answers.
pub(crate) enum Event {
    /// A worker can serve for the first time.
    Loaded(WorkerId, Turn),
    /// A worker could not load, and has ended.
    LoadFailed(WorkerId, Turn, LoadError),
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
        // A word from each worker, and room for those who scale and drain.
        let (sender, receiver) = mpsc::channel(MOST_WORKERS);
        let (status, watched) = watch::channel(PoolStatus {
            state: State::Registered,
            wanted: 0,
            loading: 0,
            workers: Vec::new(),
            failure: None,
        });
        let model: Arc<str> = config.model.as_str().into();
        // Sequences are kept apart in a way of their own: a batch has at most one job of each.
        let merges = config.sequences.is_some() || (config.merge && loader.merges());
        let held = Held::default();
        let statistics = Arc::new(Counters::default());
        let desk = Arc::new(Desk::new(DeskConfig {
            model: Arc::clone(&model),
            batch: config.batch,
            merges,
            sequences: config.sequences,
            queue_size: config.queue_size,
            queue_bytes: config.queue_bytes,
            held: held.clone(),
            job_tickets: config.job_tickets,
            cores: config.cores.clone(),
            response_timeout: config.response_timeout,
            threads: config.threads,
            metrics: config.metrics.clone(),
        }));
        let pool = Pool {
            model,
            merges,
            desk: Arc::clone(&desk),
            held,
            loader: Arc::clone(&loader),
            events: sender.clone(),
            status: watched,
            statistics: Arc::clone(&statistics),
        };
        let mut task = PoolTask {
            name: format!("{}_{}", config.model, config.version),
            loader,
            merges,
            events: sender.downgrade(),
            desk,
            status,
            failure: None,
            poison: Arc::default(),
            drained: None,
            statistics,
            config,
        };
        task.with_desk(|task, desk| {
            for device in std::mem::take(&mut task.config.devices) {
                task.start_worker(desk, device);
            }
            task.publish(desk);
        });
        tokio::spawn(task.run(receiver));
        pool
    }

    /// Whether different requests may share a batch, as they may unless the archive or the engine forbids it. Where they
    /// may not, a batch is all that waits of one request, whatever the batch size, up to 1024 jobs; those of
    /// [`Pool::submit_all`] are in it together.
    pub fn merges(&self) -> bool {
        self.merges
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

    /// What has become of its requests so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics.read()
    }

    /// What the model takes and gives, as far as is known by now.
    pub fn signature(&self) -> Signature {
        self.loader.signature()
    }

    /// Jobs that wait for a worker now.
    pub fn queued(&self) -> usize {
        self.desk.lock().queue.len()
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
    /// Whether different requests may share a batch.
    merges: bool,
    desk: Arc<Desk>,
    /// Weak, so that a pool whose handles are all gone ends although its workers live.
    events: mpsc::WeakSender<Event>,
    status: watch::Sender<PoolStatus>,
    /// Why the last worker that failed did so, since somebody last asked for workers.
    failure: Option<LoadError>,
    /// What has killed workers.
    poison: Arc<Mutex<Poison>>,
    /// Set while draining; dropped at the end, which is the answer.
    drained: Option<Vec<oneshot::Sender<()>>>,
    statistics: Arc<Counters>,
}

impl PoolTask {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let desk = Arc::clone(&self.desk);
        loop {
            let now = Instant::now();
            let (done, due) = self.with_desk(|task, desk| task.look_after(desk, now));
            if done {
                break;
            }
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.with_desk(|task, desk| task.on_event(desk, event)),
                    None => break, // Every handle is gone.
                },
                () = desk.attention() => {},
                () = until(due) => {},
            }
        }
        // The rest is done by dropping it.
    }

    fn with_desk<T>(&mut self, work: impl FnOnce(&mut Self, &mut DeskState) -> T) -> T {
        let desk = Arc::clone(&self.desk);
        let mut desk = desk.lock();
        work(self, &mut desk)
    }

    /// Does all that the time or somebody's call may have brought. Returns whether the pool is done, and when to look
    /// again.
    fn look_after(&mut self, desk: &mut DeskState, now: Instant) -> (bool, Option<Instant>) {
        for (id, overdue) in desk.roster.overdue(now, self.limits()) {
            self.on_overdue(desk, id, overdue, now);
        }
        for (id, device) in desk.roster.rested(now) {
            self.start_thread(desk, id, device);
        }
        desk.tidy(now);
        desk.hand_over(now);
        self.publish(desk);
        if desk.watched.is_some_and(|until| until <= now) {
            desk.watched = None;
            if desk.roster.in_flight() > 0 {
                desk.watch(now);
            }
        }
        let empty = desk.queue.is_empty() && desk.roster.in_flight() == 0;
        let checks = desk.roster.next_check(self.limits());
        let watched = desk.watched;
        let due = desk
            .next_due()
            .into_iter()
            .chain(checks)
            .chain(watched)
            .min();
        (self.drained.is_some() && empty, due)
    }

    fn limits(&self) -> Limits {
        Limits {
            loading: self.config.startup_timeout,
            batch: self.config.response_timeout,
        }
    }

    fn on_event(&mut self, desk: &mut DeskState, event: Event) {
        match event {
            Event::Loaded(id, turn) => {
                let Some(member) = desk.roster.at_work(id, turn) else {
                    return;
                };
                member.has_loaded = true;
                if member.recovery.succeeded() {
                    info!(
                        model = self.name,
                        "Auto recovery succeeded, reset recoveryStartTS"
                    );
                }
                desk.roster.became_idle(id);
            }
            Event::LoadFailed(id, turn, error) => {
                if desk.roster.at_work(id, turn).is_some() {
                    self.on_load_failed(desk, id, error);
                }
            }
            Event::Scale { min, max, done } => {
                self.scale(desk, min, max);
                self.publish(desk);
                // Fails when nobody waits for it.
                let _ = done.send(());
            }
            Event::Drain(drained) => self.drained.get_or_insert_default().push(drained),
        }
    }

    fn scale(&mut self, desk: &mut DeskState, min: usize, max: usize) {
        self.failure = None;
        while desk.roster.wanted() < min.min(MOST_WORKERS) {
            let device = (self.config.device_of)(desk.roster.wanted());
            self.start_worker(desk, device);
        }
        while desk.roster.wanted() > max {
            let Some(id) = desk.roster.dismiss_newest() else {
                break;
            };
            self.config.metrics.worker_gone(&self.worker_name(id));
            desk.lost(id);
        }
    }

    fn start_worker(&mut self, desk: &mut DeskState, device: Device) {
        let id = self.config.worker_ids.fetch_add(1, Ordering::Relaxed);
        desk.roster.insert(id, device);
        self.start_thread(desk, id, device);
    }

    fn worker_name(&self, id: WorkerId) -> String {
        format!("W-{id}-{}", self.name)
    }

    fn start_thread(&mut self, desk: &mut DeskState, id: WorkerId, device: Device) {
        let (turn, token, abort) = desk.roster.next_turn(id);
        let start = worker::Start {
            id,
            turn,
            name: self.worker_name(id),
            loader: Arc::clone(&self.loader),
            device,
            merges: self.merges,
            desk: Arc::clone(&self.desk),
            events: self.events.clone(),
            metrics: self.config.metrics.clone(),
            statistics: Arc::clone(&self.statistics),
            poison: Arc::clone(&self.poison),
            abort,
            token,
        };
        match worker::start(start) {
            Ok(batches) => {
                if let Some(member) = desk.roster.get_mut(id) {
                    member.phase = Phase::Loading(batches, Instant::now());
                }
            }
            Err(error) => {
                let reason = format!("no thread for a worker: {error}");
                self.on_load_failed(desk, id, LoadError::OutOfMemory(reason));
            }
        }
    }

    fn on_load_failed(&mut self, desk: &mut DeskState, id: WorkerId, error: LoadError) {
        let Some(member) = desk.roster.get_mut(id) else {
            return; // Dismissed while it loaded.
        };
        if matches!(member.phase, Phase::Leaving(_)) {
            // Gone a little sooner than its last batch would have let it.
            return desk.roster.remove(id);
        }
        // What is wrong with the archive stays wrong; memory may come free again, and what has loaded before may load again.
        let may_pass = matches!(error, LoadError::OutOfMemory(_)) || member.has_loaded;
        let rest = self.rest_or_give_up(desk, id, may_pass, true);
        let next = match rest {
            Some(rest) => format!("it is tried again in {} s", rest.as_secs()),
            None => "it is given up".to_owned(),
        };
        let name = self.worker_name(id);
        warn!(worker = name, "the worker could not load: {error}; {next}");
        self.failure = Some(error);
    }

    /// A worker has been at it for longer than its model allows. Its thread cannot be ended; it is let go of, and another
    /// takes its place.
    fn on_overdue(&mut self, desk: &mut DeskState, id: WorkerId, overdue: Overdue, now: Instant) {
        let name = self.worker_name(id);
        desk.roster.abandon(id);
        desk.lost(id);
        match overdue {
            Overdue::LastBatch => {
                warn!(worker = name, "hung in its last batch and is let go of");
                desk.roster.remove(id);
            }
            Overdue::Loading => {
                let limit = self.config.startup_timeout.as_secs_f64();
                let message = format!("it did not load within {limit} s");
                error!(worker = name, "{message}; it is given up");
                self.failure = Some(LoadError::Invalid(message));
            }
            Overdue::Batch => {
                let hanging = desk.roster.abandoned();
                let limit = self.config.response_timeout.as_secs_f64();
                warn!(
                    worker = name,
                    "Number or consecutive unsuccessful inference {hanging}: no answer within {limit} s"
                );
                if hanging <= MOST_ABANDONED {
                    self.replace(desk, id);
                } else {
                    let message = format!("{hanging} of its workers hang in the model");
                    error!(worker = name, "{message}; it is given up");
                    self.failure = Some(LoadError::Invalid(message));
                }
            }
        }
        desk.hand_over(now);
    }

    /// Starts a worker again whose thread hangs. At once: what it needs is loaded already, and requests wait for it.
    fn replace(&mut self, desk: &mut DeskState, id: WorkerId) {
        if self.rest_or_give_up(desk, id, true, false).is_none() {
            warn!(worker = self.worker_name(id), "the worker is given up");
        }
        let Some(member) = desk.roster.get_mut(id) else {
            return;
        };
        if matches!(member.phase, Phase::Resting(_)) {
            let device = member.device;
            self.start_thread(desk, id, device);
        }
    }

    /// Returns how long it rests before it is tried again; `None` where it is given up.
    fn rest_or_give_up(
        &self,
        desk: &mut DeskState,
        id: WorkerId,
        may_pass: bool,
        rests: bool,
    ) -> Option<Duration> {
        let member = desk.roster.get_mut(id)?;
        let now = Instant::now();
        if member.recovery.is_under_way() {
            info!(model = self.name, "Auto recovery failed again");
        } else if may_pass {
            let millis = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_millis();
            info!(model = self.name, "Auto recovery start timestamp: {millis}");
        }
        let rest = may_pass.then(|| member.recovery.failed(now, self.config.patience));
        let rest = rest.flatten();
        let rest = rest.map(|rest| if rests { rest } else { Duration::ZERO });
        member.phase = match rest {
            Some(rest) => {
                let seconds = rest.as_secs();
                info!(
                    model = self.name,
                    "Retry worker: {id} in {seconds} seconds."
                );
                Phase::Resting(now + rest)
            }
            None => Phase::GivenUp,
        };
        rest
    }

    /// Brings the status up to date, and lets waiting jobs go when nobody is left to serve them.
    fn publish(&mut self, desk: &mut DeskState) {
        let (ready, loading) = (desk.roster.ready(), desk.roster.loading());
        let wanted = desk.roster.wanted();
        let next = if self.drained.is_some() {
            State::Draining
        } else if ready > 0 {
            State::Ready
        } else if loading > 0 {
            State::Loading
        } else if wanted > 0 {
            State::Failed
        } else {
            State::Registered
        };
        self.become_state(next);
        if ready == wanted {
            self.failure = None;
        }
        desk.closed = self.refusal();
        if ready + loading + desk.roster.in_flight() == 0
            && let Some(why) = desk.closed.clone()
        {
            desk.refuse_all(&why);
        }
        let (workers, failure) = (desk.roster.statuses(), self.failure.clone());
        self.status.send_if_modified(|status| {
            let state = status.state;
            let now = PoolStatus {
                state,
                wanted,
                loading,
                workers,
                failure,
            };
            let modified = *status != now;
            *status = now;
            modified
        });
    }

    /// Why no job is taken in this state.
    fn refusal(&self) -> Option<NoWorker> {
        match self.status.borrow().state {
            State::Loading | State::Ready => None,
            State::Registered => Some(NoWorker::NoneAsked),
            State::Failed => Some(NoWorker::LoadFailed(
                self.failure
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            )),
            State::Draining | State::Unloaded => Some(NoWorker::Unloading),
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

impl Drop for PoolTask {
    /// However it ends: dropping the workers' channels ends them, and the servables go with their threads.
    fn drop(&mut self) {
        self.with_desk(|task, desk| {
            for worker in desk.roster.statuses() {
                let name = task.worker_name(worker.id);
                task.config.metrics.worker_gone(&name);
            }
            desk.closed = Some(NoWorker::Unloading);
            desk.refuse_all(&NoWorker::Unloading);
            desk.roster = Default::default();
            task.become_state(State::Draining);
            task.become_state(State::Unloaded);
            task.publish(desk);
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
