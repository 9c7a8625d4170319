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
mod job;
mod keeper;
mod lifecycle;
pub mod metrics;
mod pool;
mod queue;
mod registry;
mod roster;
mod sequences;
mod settings;
mod source;
mod store;
mod worker;
pub mod workflow;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use archive::{ModelConfig, Unpacked};
use dag::Catalogue;
use servable::{Device, Input, LoadError, Loader};
use tokio::sync::Semaphore;
use tracing::{info, warn};
use uuid::Uuid;

pub use admission::{Admission, Permit};
pub use batcher::{BatchPolicy, Batcher, Load};
pub use cores::{Cores, Share};
pub use error::{Code, Error, NoWorker};
pub use job::{Reply, TimedReply, Travel};
pub use keeper::Keeper;
pub use lifecycle::State;
use metrics::Metrics;
pub use pool::{MOST_WORKERS, Pool, PoolConfig, PoolStatus, Request};
pub use registry::{Model, Registry, Scale};
pub use roster::WorkerStatus;
pub use sequences::{SequencePolicy, SequenceRefusal, SequenceStep};
pub use settings::{Manner, Settings, Wishes};
pub use source::{Bringing, Brought, Source, SourceError, SourceOptions, StoreOnly};
pub use store::{ModelStore, StoreError};
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
}

/// The longest that anything is waited for: more than anybody means, and less than a clock can hold.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// What a registration asks for.
#[derive(Debug, Clone, Default)]
pub struct Registration {
    /// A name in the model store, a folder, or an address with a scheme, from which the archive is brought.
    pub url: String,
    /// In place of the manifest's.
    pub name: Option<String>,
    /// In place of the manifest's.
    pub version: Option<String>,
    /// In place of the manifest's.
    pub handler: Option<String>,
    /// In place of the manifest's. It is told, and means nothing to native handlers.
    pub runtime: Option<String>,
    pub wishes: Wishes,
    /// Ask S3 for encryption by KMS.
    pub s3_sse_kms: bool,
    /// Whether it is a model of a workflow: the workflow is kept, and brings it back.
    pub part: bool,
    /// Whether it comes from the configuration.
    pub at_startup: bool,
    /// Where the archive lies, in place of what the store has under the url.
    pub place: Option<PathBuf>,
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

/// The headers with which a request says to which sequence it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceHeaders {
    pub id: String,
    /// `true` where the sequence begins.
    pub start: String,
    /// `true` where it ends.
    pub end: String,
}

impl Default for SequenceHeaders {
    fn default() -> Self {
        SequenceHeaders {
            id: "ts_request_sequence_id".into(),
            start: "ts_request_sequence_start".into(),
            end: "ts_request_sequence_end".into(),
        }
    }
}

impl SequenceHeaders {
    /// The step that a request is. One that names no sequence opens one of its own, and its handler sees that in its headers.
    fn step(&self, input: &mut Input) -> SequenceStep {
        let says_true = |name: &str| {
            let value = input.header(name);
            value.is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        let (start, end) = (says_true(&self.start), says_true(&self.end));
        if let Some(id) = input.header(&self.id).filter(|id| !id.is_empty()) {
            let id = id.to_owned();
            return SequenceStep { id, start, end };
        }
        let id = format!("ts-seq-{}", Uuid::new_v4());
        let ours = [&self.id, &self.start];
        input
            .headers
            .retain(|(name, _)| !ours.iter().any(|our| name.eq_ignore_ascii_case(our)));
        input.headers.push((self.id.clone(), id.clone()));
        input.headers.push((self.start.clone(), "true".into()));
        SequenceStep {
            id,
            start: true,
            end,
        }
    }
}

impl Serving {
    pub fn new(parts: Parts) -> Self {
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
        let unserved = |error: Error| {
            self.metrics.refused(error.code());
            error
        };
        let _permit = self.admission.admit().map_err(unserved)?;
        let found = self.registry.resolve(model, version).map_err(unserved)?;
        let metrics = match version {
            Some(_) => &found.metrics,
            None => &found.default_metrics,
        };
        metrics.request_arrived();
        let _inside = metrics.inside();
        let limit = found.settings.time_limit(patience).min(LONGEST);
        let step = found
            .settings
            .manner
            .sequences
            .map(|_| self.sequence_headers.step(&mut input));
        let id = step.as_ref().map(|step| step.id.clone());
        let request = Request {
            input,
            deadline: Instant::now() + limit,
            step,
            metrics,
        };
        let mut output = found.pool.submit(request).await.map_err(|error| {
            metrics.refused(error.code());
            match (error, version) {
                (Error::NoWorker { model, why, .. }, Some(version)) => Error::NoWorker {
                    model,
                    version: Some(version.into()),
                    why,
                },
                (error, _) => error,
            }
        })?;
        if let Some(id) = id {
            // So that a client that named no sequence can go on with its own.
            output.headers.push((self.sequence_headers.id.clone(), id));
        }
        Ok(output)
    }

    /// Brings the archive if it is elsewhere, unpacks, checks and registers a model. Its workers load in the background:
    /// see [`Pool::settled`].
    pub async fn register(
        self: &Arc<Self>,
        registration: Registration,
    ) -> Result<Arc<Model>, Error> {
        self.register_as(registration, None).await
    }

    /// Registers a version as it was before a restart: the wishes are what was last granted, and go before everybody
    /// else's. An archive that holds another version by now is refused.
    pub async fn restore(
        self: &Arc<Self>,
        registration: Registration,
        version: &str,
    ) -> Result<Arc<Model>, Error> {
        self.register_as(registration, Some(version.to_owned()))
            .await
    }

    async fn register_as(
        self: &Arc<Self>,
        registration: Registration,
        restored: Option<String>,
    ) -> Result<Arc<Model>, Error> {
        let model = self.register_part(registration, restored).await?;
        self.changed().await;
        Ok(model)
    }

    /// Registers a model without telling the keeper: a part of a workflow, which tells of itself.
    async fn register_part(
        self: &Arc<Self>,
        registration: Registration,
        restored: Option<String>,
    ) -> Result<Arc<Model>, Error> {
        let this = Arc::clone(self);
        let brought = self.bring(&registration).await?;
        let url = brought
            .as_ref()
            .map_or(&registration.url[..], Brought::name)
            .to_owned();
        let fetched = tokio::task::spawn_blocking(move || {
            this.prepare(&registration, restored.as_deref(), brought)
        });
        let prepared = fetched
            .await
            .map_err(|_| Error::InvalidModel(format!("{url}: opening it panicked")))??;
        self.start(prepared)
    }

    /// Has the archive copied into the store if it is elsewhere. The copy goes with whoever holds it.
    async fn bring(&self, registration: &Registration) -> Result<Option<Brought>, Error> {
        if !source::has_scheme(&registration.url) {
            return Ok(None);
        }
        let options = SourceOptions {
            s3_sse_kms: registration.s3_sse_kms,
            at_startup: registration.at_startup,
        };
        Ok(Some(self.source.bring(&registration.url, options).await?))
    }

    /// Registers a model in place of the version of its name that is there, which answers until the new one's workers have
    /// loaded; then it finishes what is inside it, within `limit`, and is gone. If anything fails, it stays. Where there is
    /// no such version, it is registered as any other.
    pub async fn replace(
        self: &Arc<Self>,
        registration: Registration,
        limit: Duration,
    ) -> Result<Arc<Model>, Error> {
        let this = Arc::clone(self);
        let url = registration.url.clone();
        let opened = tokio::task::spawn_blocking(move || this.open(&registration, None, None));
        let prepared = opened
            .await
            .map_err(|_| Error::InvalidModel(format!("{url}: opening it panicked")))??;
        let model = self.build(prepared);
        if let Err(error) = self.wait_for_workers(&model).await {
            model.pool.drain().await;
            return Err(error);
        }
        let replaced = self.registry.replace(Arc::clone(&model));
        info!(model = model.name, version = model.version, "replaced");
        let written = self.changed();
        if let Some(replaced) = replaced {
            // It is out already; what is left of it goes when its requests do.
            let _ = self.unload(&replaced, limit).await;
        }
        written.await;
        Ok(model)
    }

    /// The blocking half of a registration.
    fn prepare(
        &self,
        registration: &Registration,
        restored: Option<&str>,
        brought: Option<Brought>,
    ) -> Result<Prepared, Error> {
        let prepared = self.open(registration, restored, brought)?;
        self.registry
            .check_free(&prepared.name, &prepared.version)?;
        Ok(prepared)
    }

    /// Everything about an archive that can be checked without loading it.
    fn open(
        &self,
        registration: &Registration,
        restored: Option<&str>,
        brought: Option<Brought>,
    ) -> Result<Prepared, Error> {
        let url = brought
            .as_ref()
            .map_or(&registration.url[..], Brought::name);
        let files = match &registration.place {
            Some(place) => self.store.open_at(place, url)?,
            None => self.store.fetch(url)?,
        };
        let manifest = &files.manifest().model;
        let given = registration.name.clone().filter(|name| !name.is_empty());
        let name = given.unwrap_or_else(|| manifest.model_name.clone());
        let version = registration.version.clone();
        let version = version.unwrap_or_else(|| manifest.model_version.clone());
        if let Some(wanted) = restored.filter(|wanted| *wanted != version) {
            return Err(Error::InvalidModel(format!(
                "{}: expected version {wanted} of the model, found {version}",
                registration.url
            )));
        }
        for warning in files
            .config()
            .map(|config| config.warnings.as_slice())
            .unwrap_or_default()
        {
            warn!(model = name, "{warning}");
        }
        let loader = self
            .engine
            .loader(&name, &files, registration.handler.as_deref())?;
        let settings = Settings::resolve(
            registration.wishes,
            files.config().map(archive_wishes),
            (self.configured)(&name, &version),
            self.defaults,
        );
        if settings.most_workers() > MOST_WORKERS && restored.is_none() {
            let wanted = settings.most_workers();
            return Err(Error::InvalidModel(format!(
                "model {name} version {version}: {wanted} workers are asked for, and {MOST_WORKERS} are the most"
            )));
        }
        let settings = match restored {
            Some(_) => settings.overruled_by(registration.wishes),
            None => settings,
        };
        let settings = match files.config() {
            Some(config) => Settings {
                manner: Manner::read(config, settings.batch_size, settings.most_workers()),
                ..settings
            },
            None => settings,
        };
        Ok(Prepared {
            name,
            version,
            url: registration.url.clone(),
            runtime: registration
                .runtime
                .clone()
                .unwrap_or_else(|| files.manifest().runtime.to_string()),
            handler: registration.handler.clone(),
            settings,
            loader,
            files,
            brought,
            part: registration.part,
            at_startup: registration.at_startup,
        })
    }

    fn start(&self, prepared: Prepared) -> Result<Arc<Model>, Error> {
        let model = self.build(prepared);
        // Another registration may have come first since the check; then this pool ends with its last handle.
        self.registry.insert(Arc::clone(&model))?;
        info!(
            model = model.name,
            version = model.version,
            url = %model.place(),
            workers = model.settings.workers,
            "registered"
        );
        Ok(model)
    }

    /// A model whose workers begin to load, and which nobody can find yet.
    fn build(&self, prepared: Prepared) -> Arc<Model> {
        let Prepared {
            name,
            version,
            url,
            runtime,
            handler,
            settings,
            loader,
            files,
            brought,
            part,
            at_startup,
        } = prepared;
        let devices = self.engine.devices(files.config(), MOST_WORKERS);
        let metrics = self.metrics.for_model(&name, &version);
        let config = PoolConfig {
            metrics: metrics.clone(),
            model: name.clone(),
            version: version.clone(),
            devices: devices[..settings.workers.min(MOST_WORKERS)].to_vec(),
            device_of: Box::new(move |index| devices[index.min(devices.len() - 1)]),
            worker_ids: Arc::clone(&self.worker_ids),
            patience: settings.retry_timeout,
            startup_timeout: settings.startup_timeout.min(LONGEST),
            response_timeout: settings.response_timeout.min(LONGEST),
            batch: BatchPolicy {
                size: settings.batch_size,
                max_delay: settings.max_batch_delay,
            },
            merge: settings.manner.merge,
            sequences: settings.manner.sequences,
            job_tickets: settings.manner.job_tickets,
            queue_size: settings.queue_size,
            queue_bytes: settings.queue_bytes,
            threads: settings.manner.threads,
            cores: self.cores.clone(),
        };
        let scale = Scale {
            min: settings.workers,
            max: settings.most_workers(),
        };
        let signature = loader.signature();
        let labels = loader.labels();
        let pool = Pool::start(config, loader);
        let default_metrics = self.metrics.for_model(&name, "default");
        Arc::new(Model {
            runtime,
            part,
            loaded_at_startup: at_startup,
            name,
            version,
            url,
            handler,
            settings,
            scale: Mutex::new(scale),
            pool,
            signature,
            labels,
            default_metrics,
            metrics,
            brought: Mutex::new(brought),
            files: Arc::new(files),
        })
    }

    /// Waits until a model's workers have loaded, within its start-up time limit.
    pub async fn wait_for_workers(&self, model: &Model) -> Result<(), Error> {
        if model.scale().min == 0 {
            return Ok(());
        }
        let failed = |why: String, out_of_memory| Error::WorkersFailed {
            model: model.name.clone(),
            version: model.version.clone(),
            why,
            out_of_memory,
        };
        let limit = model.settings.startup_timeout;
        if limit.is_zero() {
            // No time is too little, however quick a worker may be.
            return Err(failed("not within 0 s".into(), false));
        }
        match tokio::time::timeout(limit, model.pool.settled()).await {
            Err(_) => Err(failed(format!("not within {} s", limit.as_secs()), false)),
            Ok(status) => match status.failure {
                Some(error) => Err(failed(
                    error.to_string(),
                    matches!(error, LoadError::OutOfMemory(_)),
                )),
                None => Ok(()),
            },
        }
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
        for workflow in self.workflows.take_all() {
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
    }
}

struct Prepared {
    name: String,
    version: String,
    url: String,
    runtime: String,
    handler: Option<String>,
    settings: Settings,
    loader: Arc<dyn Loader>,
    files: Unpacked,
    brought: Option<Brought>,
    part: bool,
    at_startup: bool,
}

/// What the archive's own `model-config.yaml` wishes.
fn archive_wishes(config: &ModelConfig) -> Wishes {
    let millis = |value: u32| Duration::from_millis(value.into());
    let seconds = |value: u32| Duration::from_secs(value.into());
    Wishes {
        workers: config.min_workers.map(|count| count as usize),
        max_workers: config.max_workers.map(|count| count as usize),
        batch_size: config
            .batch_size
            .and_then(|size| NonZeroUsize::new(size as usize)),
        max_batch_delay: config.max_batch_delay.map(millis),
        response_timeout: config.response_timeout.map(seconds),
        startup_timeout: config.startup_timeout.map(seconds),
        retry_timeout: config.max_retry_timeout.map(seconds),
        queue_size: config.job_queue_size.map(|size| size as usize),
    }
}
