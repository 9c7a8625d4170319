//! From what a registration asks for to a model that serves: the archive is brought, opened and checked, its settings are
//! resolved, and a pool is started. What is registered is kept in `registry.rs`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use archive::{ModelConfig, Unpacked};
use servable::{LoadError, Loader};
use tracing::{info, warn};

use crate::batcher::BatchPolicy;
use crate::error::Error;
use crate::pool::{MOST_WORKERS, Pool, PoolConfig};
use crate::registry::{Model, Scale};
use crate::settings::{Manner, Settings, Wishes};
use crate::source::{self, Brought, SourceOptions};
use crate::{LONGEST, Serving};

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
    /// Whether it is the functions of a workflow's handler file: no model to anybody who lists models.
    pub hidden: bool,
    /// Whether it comes from the configuration.
    pub at_startup: bool,
    /// Where the archive lies, in place of what the store has under the url.
    pub place: Option<PathBuf>,
}

impl Serving {
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
    pub(crate) async fn register_part(
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
        let spread = files.config().map(ModelConfig::accelerators_per_worker);
        let defaults = Settings {
            // As many as the machine has accelerators for.
            workers: (self.defaults.workers / spread.unwrap_or(1) as usize).max(1),
            ..self.defaults
        };
        let settings = Settings::resolve(
            registration.wishes,
            files.config().map(archive_wishes),
            (self.configured)(&name, &version),
            defaults,
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
        let settings = settings.overruled_by(self.engine.overrules());
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
            hidden: registration.hidden,
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
            hidden,
            at_startup,
        } = prepared;
        let devices = self.engine.devices(files.config(), MOST_WORKERS);
        let metrics = self
            .metrics
            .for_model(&name, &version)
            .told_times(loader.tells_times());
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
        let (labels, takes) = (loader.labels(), loader.takes());
        let in_parts = loader.answers_in_parts();
        let describes_itself = loader.describes_itself();
        let takes_bytes = loader.takes_bytes_between_nodes();
        let pool = Pool::start(config, loader);
        let default_metrics = self.metrics.for_model(&name, "default");
        Arc::new(Model {
            runtime,
            part,
            hidden,
            loaded_at_startup: at_startup,
            name,
            version,
            url,
            handler,
            settings,
            scale: Mutex::new(scale),
            pool,
            signature,
            takes,
            labels,
            in_parts,
            describes_itself,
            takes_bytes,
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
    hidden: bool,
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
