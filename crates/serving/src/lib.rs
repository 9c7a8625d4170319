//! The heart of the server, free of HTTP, gRPC and libtorch: it keeps models, queues their requests, cuts batches and
//! runs workers. A tour in the order in which a request travels:
//!
//! 1. A wire makes an [`Input`] and calls [`Serving::predict`].
//! 2. [`admission`](Admission) lets it in, or refuses it now.
//! 3. The [`registry`](Registry) resolves name and version to a [`Model`].
//! 4. The model's [`Pool`] brings it as a job to the desk, where jobs meet workers, which queues it or refuses it now.
//! 5. The [`Batcher`] (or the sequences of a stateful model) says which batch is due, and is asked only when a worker is
//!    idle.
//! 6. The worker, a thread of its own, calls the servable, answers each job's channel and goes back to the desk.
//!
//! Each calls the next and none calls back. Registering goes the same way: [`Serving::register`], the [`Source`] that the
//! wiring supplied where the url has a scheme, the [`ModelStore`], the [`Engine`], the pool, whose workers load on their
//! threads.

mod admission;
mod backoff;
mod batcher;
mod cores;
mod desk;
mod drain_rate;
mod error;
mod ignored;
mod job;
mod keeper;
mod lifecycle;
pub mod metrics;
mod parts;
mod poison;
mod pool;
mod queue;
mod registering;
mod registry;
mod roster;
mod sequence_headers;
mod sequences;
mod settings;
mod source;
mod statistics;
mod store;
mod stream;
mod worker;
pub mod workflow;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use archive::{ModelConfig, Unpacked};
use dag::Catalogue;
use servable::{Device, Input, LoadError, Loader, Output};
use tokio::sync::Semaphore;
use tracing::{info, warn};

pub use admission::{Admission, Permit};
pub use batcher::{BatchPolicy, Batcher, Load};
pub use cores::{Cores, Share};
pub use error::{Code, Error, NoWorker};
pub use job::{Reply, TimedReply, Travel};
pub use keeper::Keeper;
pub use lifecycle::State;
use metrics::Metrics;
pub use pool::{AnswerInParts, MOST_WORKERS, Piece, Pool, PoolConfig, PoolStatus, Request};
pub use registering::Registration;
pub use registry::{Model, Registry, Scale};
pub use roster::WorkerStatus;
pub use sequence_headers::SequenceHeaders;
pub use sequences::{SequencePolicy, SequenceRefusal, SequenceStep};
pub use settings::{Manner, Settings, Wishes};
pub use source::{Bringing, Brought, Source, SourceError, SourceOptions, StoreOnly, has_scheme};
pub use statistics::{BatchStatistics, Statistics, Tally, WorkflowStatistics};
pub use store::{ModelStore, StoreError};
pub use stream::{Answer, Stream, Taking};
pub use workflow::store::WorkflowStore;
use workflow::{Functions, Registered};

/// Makes loaders from archives: what stands between this crate and whatever runs a network.
pub trait Engine: Send + Sync {
    /// Checks what can be checked without loading weights. `handler` is the registration's choice, if it made one.
    fn loader(
        &self,
        name: &str,
        files: &Unpacked,
        handler: Option<&str>,
    ) -> Result<Arc<dyn Loader>, LoadError>;

    /// How many accelerators there are to use.
    fn gpus(&self) -> usize;

    /// Where the workers of a model run, one entry per worker.
    fn devices(&self, config: Option<&ModelConfig>, workers: usize) -> Vec<Device>;

    /// What counts before everybody's wishes, the archive's own among them.
    fn overrules(&self) -> Wishes {
        Wishes::default()
    }

    /// Where metrics go that handlers emit by themselves. Told once, before any loader is asked for.
    fn report_to(&self, _metrics: &metrics::Metrics) {}
}

/// The longest that anything is waited for: more than anybody means, and less than a clock can hold.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A request for a model that has been let in.
struct Admitted {
    model: Arc<Model>,
    /// Whether the request named the version, under which it then counts.
    names_version: bool,
    deadline: Instant,
    step: Option<SequenceStep>,
    /// The header that tells a client its sequence.
    sequence: Option<(String, String)>,
    /// The header that tells a client what of its request the model does not look at.
    ignored: Option<(String, String)>,
    _inside: metrics::Inside,
    _permit: Permit,
}

impl Admitted {
    fn metrics(&self) -> &metrics::ModelMetrics {
        if self.names_version {
            &self.model.metrics
        } else {
            &self.model.default_metrics
        }
    }

    fn request(&self, input: Input) -> Request<'_> {
        Request {
            input,
            deadline: self.deadline,
            step: self.step.clone(),
            metrics: self.metrics(),
        }
    }

    async fn whole(&self, input: Input) -> Reply {
        match self.model.pool.submit(self.request(input)).await {
            Ok(output) => Ok(self.answered(output)),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// The answer as its client gets it.
    fn answered(&self, mut output: Output) -> Output {
        // So that a client that named no sequence can go on with its own.
        output.headers.extend(self.sequence.clone());
        output.headers.extend(self.ignored.clone());
        output
    }

    /// The failure as its client hears of it.
    fn refused(&self, error: Error) -> Error {
        self.metrics().refused(error.code());
        let (Error::NoWorker { model, why, .. }, true) = (&error, self.names_version) else {
            return error;
        };
        Error::NoWorker {
            model: model.clone(),
            version: Some(self.model.version.clone()),
            why: why.clone(),
        }
    }
}

/// What the configuration file wishes for a name and version. It weighs least.
pub type ConfiguredWishes = Box<dyn Fn(&str, &str) -> Wishes + Send + Sync>;

/// Everything that serves: one value, so that ten servers fit in one process.
pub struct Serving {
    pub registry: Registry,
    pub admission: Admission,
    pub store: ModelStore,
    workflows: Registered,
    workflow_store: WorkflowStore,
    /// Brings archives into the workflow store.
    workflow_source: Arc<dyn Source>,
    functions: Functions,
    source: Arc<dyn Source>,
    engine: Arc<dyn Engine>,
    cores: Cores,
    defaults: Settings,
    /// Names the next worker, of whichever model.
    worker_ids: Arc<AtomicU64>,
    configured: ConfiguredWishes,
    sequence_headers: SequenceHeaders,
    metrics: Metrics,
    /// Set when start-up is over: what the configuration registers is nobody's news.
    keeper: OnceLock<Arc<dyn Keeper>>,
}

/// What a [`Serving`] is made of.
pub struct Parts {
    pub store: ModelStore,
    pub workflow_store: WorkflowStore,
    /// The native functions of workflows.
    pub functions: Arc<dyn Catalogue>,
    pub source: Arc<dyn Source>,
    /// Brings archives into the workflow store.
    pub workflow_source: Arc<dyn Source>,
    pub engine: Arc<dyn Engine>,
    pub cores: Cores,
    /// The most requests that may be inside at once.
    pub admission_limit: u32,
    pub defaults: Settings,
    /// The name of the first worker.
    pub first_worker_id: u64,
    pub configured: ConfiguredWishes,
    pub sequence_headers: SequenceHeaders,
    pub metrics: Metrics,
}

impl Serving {
    pub fn new(parts: Parts) -> Self {
        parts.engine.report_to(&parts.metrics);
        Serving {
            registry: Registry::default(),
            admission: Admission::new(parts.admission_limit),
            store: parts.store,
            workflows: Registered::default(),
            workflow_store: parts.workflow_store,
            workflow_source: parts.workflow_source,
            functions: Functions {
                catalogue: parts.functions,
                turns: Arc::new(Semaphore::new(parts.cores.usable().get())),
            },
            source: parts.source,
            engine: parts.engine,
            cores: parts.cores,
            defaults: parts.defaults,
            worker_ids: Arc::new(AtomicU64::new(parts.first_worker_id)),
            configured: parts.configured,
            sequence_headers: parts.sequence_headers,
            metrics: parts.metrics,
            keeper: OnceLock::new(),
        }
    }

    /// The workflows that could be registered by name.
    pub fn workflow_store(&self) -> &WorkflowStore {
        &self.workflow_store
    }

    /// The header that names a request's sequence, and an answer's.
    pub fn sequence_header(&self) -> &str {
        &self.sequence_headers.id
    }

    /// Has every later change written down before it is answered. Only the first call counts.
    pub fn keep_with(&self, keeper: Arc<dyn Keeper>) {
        let _ = self.keeper.set(keeper);
    }

    /// To be called as soon as something has changed that the keeper writes down, and waited for before that is answered. A
    /// caller who goes away in between prevents nothing. What changes here calls it itself.
    pub fn changed(&self) -> impl Future<Output = ()> + use<> {
        let written = self.keeper.get().map(|keeper| keeper.changed());
        async {
            if let Some(written) = written {
                written.await;
            }
        }
    }

    /// Looks again at how many cores there are: an operator may change the process's share while it runs.
    pub fn refresh_cores(&self) {
        if let Some(usable) = self.cores.refresh() {
            info!("{usable} cores are usable now");
        }
    }

    /// Answers one request, within the model's time limits and the client's own, if it has one. Dropping the future
    /// cancels the request.
    pub async fn predict(
        &self,
        model: &str,
        version: Option<&str>,
        mut input: Input,
        patience: Option<Duration>,
    ) -> Reply {
        let admitted = self.let_in(model, version, &mut input, patience)?;
        admitted.whole(input).await
    }

    /// Lets a request for a model in, and works out what holds for it.
    fn let_in(
        &self,
        model: &str,
        version: Option<&str>,
        input: &mut Input,
        patience: Option<Duration>,
    ) -> Result<Admitted, Error> {
        let unserved = |error: Error| {
            self.metrics.refused(error.code());
            error
        };
        let permit = self.admission.admit().map_err(unserved)?;
        let model = self.registry.resolve(model, version).map_err(unserved)?;
        let metrics = match version {
            Some(_) => &model.metrics,
            None => &model.default_metrics,
        };
        metrics.request_arrived();
        let inside = metrics.inside();
        let limit = model.settings.time_limit(patience).min(LONGEST);
        let ignored = model.ignored(input);
        for (_, why) in &ignored {
            info!(model = model.name, "part of a request: {why}");
        }
        let sequences = model.settings.manner.sequences;
        let step = sequences.map(|_| self.sequence_headers.step(input));
        Ok(Admitted {
            sequence: step
                .as_ref()
                .map(|step| (self.sequence_headers.id.clone(), step.id.clone())),
            ignored: ignored::header(&ignored),
            step,
            deadline: Instant::now() + limit,
            names_version: version.is_some(),
            _inside: inside,
            model,
            _permit: permit,
        })
    }

    /// Has a version's workers number at least `min` and at most `max`. They come and go in the background.
    pub async fn scale(
        &self,
        name: &str,
        version: Option<&str>,
        scale: Scale,
    ) -> Result<Arc<Model>, Error> {
        let model = self.registry.resolve(name, version)?;
        *model.scale.lock().unwrap_or_else(PoisonError::into_inner) = scale;
        let written = self.changed();
        model.pool.scale(scale.min, scale.max).await;
        written.await;
        Ok(model)
    }

    /// Makes a version the one that answers requests which name none.
    pub async fn set_default(&self, name: &str, version: &str) -> Result<(), Error> {
        self.registry.set_default(name, version)?;
        self.changed().await;
        Ok(())
    }

    /// Takes a version out, finishes what is inside it and frees everything, within `limit`. It is gone for new requests
    /// at once, and in any case.
    pub async fn unregister(
        &self,
        name: &str,
        version: Option<&str>,
        limit: Duration,
    ) -> Result<(), Error> {
        let model = self.registry.remove(name, version)?;
        let written = self.changed();
        let gone = self.unload(&model, limit).await;
        written.await;
        gone
    }

    /// Finishes what is inside a model that is registered no more, and frees everything, within `limit`.
    async fn unload(&self, model: &Model, limit: Duration) -> Result<(), Error> {
        info!(model = model.name, version = model.version, "unregistered");
        // Workers have no need of it: they load from what was unpacked.
        let brought = model.take_brought();
        let _ = tokio::task::spawn_blocking(move || drop(brought)).await;
        let gone = tokio::time::timeout(limit, model.pool.drain()).await;
        gone.map_err(|_| Error::UnloadTimeout(model.name.clone()))
    }

    /// Stops: lets nobody in, waits for those inside, and unloads every model. Bounded by `grace`; the log names what
    /// is still pending then.
    pub async fn shutdown(&self, grace: Duration) {
        let end = Instant::now() + grace;
        let stayed = self.admission.close(grace).await;
        if stayed > 0 {
            warn!(
                "{stayed} requests were still inside after {} s of grace",
                grace.as_secs()
            );
        }
        // Their folders are where functions in Python and models of their own run until they are drained.
        let workflows = self.workflows.take_all();
        for workflow in &workflows {
            workflow.keep_brought();
        }
        let mut draining = tokio::task::JoinSet::new();
        for model in self.registry.take_all() {
            if let Some(brought) = model.take_brought() {
                brought.keep();
            }
            draining.spawn(async move {
                let gone = tokio::time::timeout_at(end.into(), model.pool.drain()).await;
                if gone.is_err() {
                    warn!(
                        model = model.name,
                        version = model.version,
                        "still busy at the end of the grace period"
                    );
                }
            });
        }
        draining.join_all().await;
        drop(workflows);
    }
}
