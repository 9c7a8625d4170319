//! One thread with one servable: takes batches, answers their jobs, survives whatever the model does.
//!
//! A worker is started and fed by its pool alone. It ends when the pool drops its end of the channel, and whatever hangs in
//! its model is ended by `abort`, if the engine can.

mod attempt;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use servable::{
    Abort, Around, BatchError, Device, Input, LoadError, Loader, Output, Parts, Reason, Servable,
};
use tokio::sync::mpsc::WeakSender;
use tokio::sync::oneshot;
use tracing::{Span, error, trace_span, warn};

use crate::cores::Share;
use crate::desk::Desk;
use crate::error::Error;
use crate::job::{Job, Reply, TimedReply, Travel};
use crate::metrics::ModelMetrics;
use crate::poison::Poison;
use crate::pool::Event;
use crate::roster::Token;
use crate::statistics::{Compute, Counters};
use attempt::{Attempt, Died, log_batch_error, panic_text};

/// Names a worker within its pool; never used twice.
pub(crate) type WorkerId = u64;

/// Which of a worker's threads it is: it may be started again.
pub(crate) type Turn = u32;

/// With this header a handler names sequences that its answer ends, `;` between them.
const ENDED_SEQUENCES: &str = "ts_request_sequence_end";

/// What a worker is given at once.
pub(crate) struct Batch {
    pub(crate) jobs: Vec<Job>,
    /// How long the oldest of them waited for company while a worker was idle.
    pub(crate) waited: Duration,
    pub(crate) cores: Share,
}

/// What starting a worker takes.
pub(crate) struct Start {
    pub(crate) id: WorkerId,
    pub(crate) turn: Turn,
    /// As in the log: `W-<id>-<model>_<version>`.
    pub(crate) name: String,
    pub(crate) loader: Arc<dyn Loader>,
    pub(crate) device: Device,
    /// Whether a batch may be of different requests.
    pub(crate) merges: bool,
    /// Where it says that it has answered.
    pub(crate) desk: Arc<Desk>,
    /// Weak, so that a pool whose handles are all gone ends although its workers live.
    pub(crate) events: WeakSender<Event>,
    pub(crate) metrics: ModelMetrics,
    pub(crate) statistics: Arc<Counters>,
    /// What has killed workers of this pool.
    pub(crate) poison: Arc<Mutex<Poison>>,
    /// Ends what hangs in the model. Once it is fired, nobody waits for this thread.
    pub(crate) abort: Abort,
    /// Held while the thread lives, so that the pool knows.
    pub(crate) token: Arc<Token>,
}

/// Starts the thread. It reports `Loaded` or `LoadFailed`, then tells the desk after every batch. The channel holds one
/// batch: the desk sends only to a worker that it knows to be idle.
pub(crate) fn start(start: Start) -> std::io::Result<SyncSender<Batch>> {
    let (sender, receiver) = sync_channel(1);
    thread::Builder::new()
        .name(start.name.clone())
        .spawn(move || run(&start, &receiver))?;
    Ok(sender)
}

fn run(start: &Start, batches: &Receiver<Batch>) {
    let began = Instant::now();
    let mut servable = match load(start) {
        Ok(servable) => Some(servable),
        Err(error) => return report(start, Event::LoadFailed(start.id, start.turn, error)),
    };
    start.metrics.worker_loaded(&start.name, began.elapsed());
    report(start, Event::Loaded(start.id, start.turn));
    while let Some(batch) = wait(start, &mut servable, batches) {
        let jobs = batch.jobs.len();
        let Ok(answers) = serve(start, &mut servable, batch) else {
            return; // Reported where it happened.
        };
        let ended = ended_sequences(&answers);
        if servable.is_some() {
            // Before the answers go out: whoever gets one finds this worker idle.
            start.desk.answered(start.id, start.turn, jobs, &ended);
            answers.into_iter().for_each(Answer::send);
            continue;
        }
        // After a death: now, rather than when the next request waits for it.
        answers.into_iter().for_each(Answer::send);
        if start.abort.is_fired() {
            return; // Another has taken its place.
        }
        match load(start) {
            Ok(loaded) => servable = Some(loaded),
            Err(error) => return report(start, Event::LoadFailed(start.id, start.turn, error)),
        }
        start.desk.answered(start.id, start.turn, jobs, &ended);
    }
}

/// The next batch. A servable that dies meanwhile is replaced, so that no request has to find out. `None` at the end.
fn wait(
    start: &Start,
    servable: &mut Option<Box<dyn Servable>>,
    batches: &Receiver<Batch>,
) -> Option<Batch> {
    loop {
        let every = servable
            .as_ref()
            .and_then(|loaded| loaded.looked_at_every());
        let Some(every) = every else {
            return batches.recv().ok();
        };
        match batches.recv_timeout(every) {
            Ok(batch) => return Some(batch),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if servable.as_mut().is_some_and(|loaded| !loaded.is_alive()) {
            // Before the other is loaded: there may not be room for both.
            *servable = None;
            match load(start) {
                Ok(loaded) => *servable = Some(loaded),
                Err(error) => {
                    report(start, Event::LoadFailed(start.id, start.turn, error));
                    return None;
                }
            }
        }
    }
}

fn report(start: &Start, event: Event) {
    if let Some(events) = start.events.upgrade() {
        // Fails only when the pool is gone, and then nobody needs to know.
        let _ = events.blocking_send(event);
    }
}

fn load(start: &Start) -> Result<Box<dyn Servable>, LoadError> {
    let load = || start.loader.load_abortable(start.device, &start.abort);
    let loaded = catch_unwind(AssertUnwindSafe(load)).unwrap_or_else(|panic| {
        Err(LoadError::Invalid(format!(
            "loading panicked: {}",
            panic_text(panic.as_ref())
        )))
    });
    let process = loaded.as_ref().ok().and_then(|loaded| loaded.process());
    start.token.note_process(process);
    loaded
}

/// The model could not be loaded again after a death; the worker ends.
struct Lost;

/// Runs one batch and makes an answer to every job in it. When a batch of several requests fails as a whole, its jobs are run one
/// by one, so that a failure costs the request that causes it and no other. A batch that is one request fails with it: its answers
/// may depend on what else is in it, so that alone they would be others.
///
/// The same goes for a batch of which the servable dies: another is loaded, and the request of which that dies, too, is not given
/// to any for a while.
fn serve(
    start: &Start,
    servable: &mut Option<Box<dyn Servable>>,
    batch: Batch,
) -> Result<Vec<Answer>, Lost> {
    let began = Instant::now();
    let Batch {
        jobs,
        waited,
        cores,
    } = batch;
    let mut inputs = Vec::with_capacity(jobs.len());
    let mut waiting = Vec::with_capacity(jobs.len());
    let mut turned_away = Vec::new();
    for job in jobs {
        // Its place in the queue is free from here on.
        let Job {
            input,
            arrival,
            metrics,
            reply,
            span,
            deadline: _,
            _queued: _,
            _weight: _,
        } = job;
        if let Some(refusal) = refusal(start, &input) {
            turned_away.push(Answer {
                reply,
                span,
                arrival,
                travel: Travel::default(),
                metrics,
                result: Err(refusal),
            });
            continue;
        }
        inputs.push(input);
        waiting.push((reply, span, arrival, metrics));
    }
    if inputs.is_empty() {
        return Ok(turned_away);
    }
    // What is logged meanwhile belongs to the request, where there is but one.
    let alone = match &waiting[..] {
        [(_, span, ..)] => Some(span.clone()),
        _ => None,
    };
    let _entered = alone.as_ref().map(Span::enter);
    let size = inputs.len();
    let part = |span: &Span| trace_span!(parent: span, "inference", batch = size);
    let inference: Vec<Span> = waiting.iter().map(|(_, span, ..)| part(span)).collect();
    let threads = cores.threads();
    let mut predicting = Duration::ZERO;
    let mut outside = Around::default();
    let mut attempt = |inputs: &[Input]| -> Result<Attempt, Lost> {
        if servable.as_mut().is_some_and(|loaded| !loaded.is_alive()) {
            *servable = None;
        }
        let loaded = match servable {
            Some(loaded) => loaded,
            None => servable.insert(load(start).map_err(|error| {
                report(start, Event::LoadFailed(start.id, start.turn, error));
                Lost
            })?),
        };
        let called = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| loaded.predict(inputs, threads)));
        let took = called.elapsed();
        predicting += took;
        let around = result.is_ok().then(|| loaded.around()).flatten();
        let Around { before, after } = around.unwrap_or_default();
        let compute = Compute {
            input: before,
            infer: took.saturating_sub(before + after),
            output: after,
        };
        outside.before += before;
        outside.after += after;
        start.statistics.executed(inputs.len(), compute);
        Ok(match result {
            Ok(Ok(results)) if results.len() == inputs.len() => Attempt::Answered(results),
            Ok(Ok(_)) => Attempt::Failed(
                BatchError::new(Reason::Failed, "number of batch response mismatched").into(),
            ),
            Ok(Err(error)) => {
                log_batch_error(&start.name, &error);
                if error.dead {
                    *servable = None;
                    Attempt::Died(Died::of_batch(error))
                } else {
                    Attempt::Failed(error.into())
                }
            }
            Err(panic) => {
                let died = Died::of_panic(panic.as_ref());
                error!(worker = start.name, "the model panicked: {}", died.why);
                *servable = None;
                Attempt::Died(died)
            }
        })
    };

    let first = attempt(&inputs)?;
    let results: Vec<Result<Output, Error>> = match first {
        Attempt::Answered(results) => results
            .into_iter()
            .map(|result| result.map_err(Error::Job))
            .collect(),
        failed @ (Attempt::Failed(_) | Attempt::Died(_))
            if inputs.len() == 1 || !start.merges || start.abort.is_fired() =>
        {
            if let Attempt::Died(died) = &failed {
                note_death(start, died, &inputs, 1);
            }
            vec![Err(failed.into_error()); inputs.len()]
        }
        failed @ (Attempt::Failed(_) | Attempt::Died(_)) => {
            let deaths = if matches!(failed, Attempt::Died(_)) {
                2
            } else {
                1
            };
            warn!(
                worker = start.name,
                "a batch of {} failed; its requests run again one by one",
                inputs.len()
            );
            let failed = failed.into_error();
            let mut results = Vec::with_capacity(inputs.len());
            for input in inputs.chunks(1) {
                // What has gone out cannot be said again; and where nobody waits, nothing is begun.
                let has_begun = input[0].parts_to.as_ref().is_some_and(Parts::has_begun);
                if has_begun || start.abort.is_fired() {
                    results.push(Err(failed.clone()));
                    continue;
                }
                results.push(match attempt(input)? {
                    Attempt::Answered(mut answers) => answers
                        .pop()
                        .expect("as many answers as inputs")
                        .map_err(Error::Job),
                    Attempt::Failed(error) => Err(Error::Job(error)),
                    Attempt::Died(died) => {
                        note_death(start, &died, input, deaths);
                        Err(died.into_error())
                    }
                });
            }
            results
        }
    };
    drop(inference);
    start.metrics.predicted(predicting);
    start
        .metrics
        .worker_time(began.elapsed().saturating_sub(predicting));
    let answers = waiting.into_iter().zip(results);
    let answers = answers.map(|((reply, span, arrival, metrics), result)| Answer {
        reply,
        span,
        arrival,
        travel: Travel {
            queued: began.duration_since(arrival),
            batch_wait: waited,
            compute: predicting,
            before: outside.before,
            after: outside.after,
            total: Duration::ZERO,
            batch_size: size,
        },
        metrics,
        result,
    });
    Ok(answers.chain(turned_away).collect())
}

/// Why no worker is given this input, if it has killed some.
fn refusal(start: &Start, input: &Input) -> Option<Error> {
    let mut poison = lock(&start.poison);
    if poison.is_empty() {
        return None;
    }
    let digest = poison.digest(input);
    let left = poison.refused(digest, Instant::now())?.as_secs().max(1);
    drop(poison);
    let why = format!("workers have died of this request, and it is refused for {left} s");
    warn!(worker = start.name, "{why}");
    Some(Error::WorkerDied(why))
}

fn note_death(start: &Start, died: &Died, inputs: &[Input], deaths: u32) {
    if !died.by_request {
        return;
    }
    let mut poison = lock(&start.poison);
    for input in inputs {
        let digest = poison.digest(input);
        poison.killed(digest, deaths, Instant::now());
    }
}

fn lock(poison: &Mutex<Poison>) -> MutexGuard<'_, Poison> {
    // Each change of it is one step.
    poison.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is said to one client.
struct Answer {
    reply: oneshot::Sender<TimedReply>,
    span: Span,
    arrival: Instant,
    travel: Travel,
    metrics: ModelMetrics,
    result: Reply,
}

impl Answer {
    fn send(self) {
        let _entered = self.span.enter();
        let Answer {
            mut travel, result, ..
        } = self;
        travel.total = self.arrival.elapsed();
        self.metrics.answered(travel.queued, travel.total);
        // Fails when the client is gone; the answer has no other owner.
        let _ = self.reply.send(result.map(|output| (output, travel)));
    }
}

/// The sequences that the handler has ended.
fn ended_sequences(answers: &[Answer]) -> Vec<String> {
    let outputs = answers.iter().flat_map(|answer| &answer.result);
    let headers = outputs.flat_map(|output| &output.headers);
    let named = headers.filter(|(name, _)| name.eq_ignore_ascii_case(ENDED_SEQUENCES));
    named
        .flat_map(|(_, value)| value.split(';'))
        .map(|id| id.trim().to_owned())
        .collect()
}
