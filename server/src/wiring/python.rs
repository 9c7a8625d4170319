//! Which archives want Python, and the engine that runs them: beside the native one, which has the rest.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use archive::{ModelConfig, ParallelType, Unpacked};
use handlers::{Candidate, Runner, runner};
use python_engine::{
    Bounds, Metric, MetricKind, MetricSink, ModelFiles, NoSink, Parallel, PythonEngine, Ranks,
    Settings, WorkerProgram,
};
use servable::{Device, LoadError, Loader};
use serving::metrics::{Kind, Metrics, Sample};
use serving::{Engine, Wishes};
use tracing::error;

use crate::config::Config;
use crate::unpacked::{OwnFolder, Purpose};

/// The longest path of a temporary folder beside which there is room for sockets.
const MOST_PATH: usize = 48;

/// How long whoever debugs a handler may take over a request.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// The native engine for what it can run, and worker processes for handlers in Python.
pub(super) struct Engines {
    native: Arc<dyn Engine>,
    python: Mutex<Option<Started>>,
    config: PythonConfig,
    /// Where metrics of handlers go, once that is known.
    metrics: OnceLock<Metrics>,
}

/// What the configuration says of Python.
struct PythonConfig {
    interpreter: PathBuf,
    worker: WorkerProgram,
    environments: PathBuf,
    metrics_config: Option<PathBuf>,
    denied_variables: Option<String>,
    decode_input: bool,
    install_requirements: bool,
    most_answer: usize,
    limit_max_image_pixels: bool,
    default_handler: Option<String>,
    first_distributed: u32,
    /// The folder of log files.
    logs: PathBuf,
    debugger: Option<u16>,
}

/// The engine, and its folder, which goes after it.
struct Started {
    engine: PythonEngine,
    _folder: OwnFolder,
}

impl Engines {
    pub(super) fn new(config: &Config, native: Arc<dyn Engine>) -> Self {
        Engines {
            native,
            python: Mutex::new(None),
            metrics: OnceLock::new(),
            config: PythonConfig {
                interpreter: config.python_executable.clone(),
                worker: if config.torchserve_worker {
                    WorkerProgram::TorchServe
                } else {
                    WorkerProgram::Own
                },
                environments: environments(),
                metrics_config: config.metrics_config.clone(),
                denied_variables: config.blacklist_env_vars.clone(),
                decode_input: config.decode_input_request,
                install_requirements: config.install_py_dep_per_model,
                most_answer: config.max_response_size,
                limit_max_image_pixels: config.limit_max_image_pixels,
                default_handler: config.default_service_handler.clone(),
                first_distributed: config.initial_distribution_port,
                logs: config.logs.folder().to_owned(),
                debugger: config.debugger,
            },
        }
    }

    /// The engine, started for the first model that wants it: most daemons never do.
    fn python(&self) -> Result<PythonEngine, LoadError> {
        let mut started = self.python.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(started) = &*started {
            return Ok(started.engine.clone());
        }
        let fails = |why: String| LoadError::Invalid(format!("the engine for Python: {why}"));
        let folder = run_folder().map_err(|error| fails(error.to_string()))?;
        let config = &self.config;
        let settings = Settings {
            interpreter: config.interpreter.clone(),
            worker: config.worker,
            metrics_config: config.metrics_config.clone(),
            denied_variables: config.denied_variables.clone(),
            decode_input: config.decode_input,
            most_answer: config.most_answer,
            install_requirements: config.install_requirements,
            sink: match self.metrics.get() {
                Some(metrics) => Arc::new(Sink(metrics.clone())),
                None => Arc::new(NoSink),
            },
            first_distributed: config.first_distributed,
            torchrun_logs: config.logs.join("torchelastic_ts"),
            debugger: config.debugger,
            ..Settings::new(folder.path().join("run"), &config.environments)
        };
        let engine = PythonEngine::new(settings).map_err(|error| fails(error.to_string()))?;
        *started = Some(Started {
            engine: engine.clone(),
            _folder: folder,
        });
        Ok(engine)
    }

    fn python_loader(
        &self,
        name: &str,
        files: &Unpacked,
        handler: &str,
    ) -> Result<Arc<dyn Loader>, LoadError> {
        let invalid = |why: String| LoadError::Invalid(why);
        let config = files.config();
        let limits = config.and_then(|config| config.get("limits"));
        let in_config = |why: String| invalid(format!("model {name}: model-config.yaml: {why}"));
        let bounds = limits.map(Bounds::from_yaml).transpose();
        let requirements = files.manifest().model.requirements_file.as_deref();
        let requirements = requirements.map(|file| files.file(file)).transpose();
        let loader = self.python()?.loader(ModelFiles {
            name: name.to_owned(),
            dir: files.dir().to_owned(),
            handler: handler.to_owned(),
            // The wires unwrap and wrap.
            envelope: None,
            batch_size: config.and_then(|config| config.batch_size).unwrap_or(1),
            limit_max_image_pixels: self.config.limit_max_image_pixels,
            requirements: requirements.map_err(|error| invalid(error.to_string()))?,
            use_venv: config.and_then(|config| config.use_venv).unwrap_or(false),
            bounds: bounds.map_err(in_config)?.unwrap_or_default(),
            parallel: config.and_then(|config| parallel(config, self.native.gpus())),
            asynchronous: config.and_then(|config| config.async_communication) == Some(true),
        })?;
        Ok(Arc::new(loader))
    }
}

impl Engine for Engines {
    fn loader(
        &self,
        name: &str,
        files: &Unpacked,
        handler: Option<&str>,
    ) -> Result<Arc<dyn Loader>, LoadError> {
        let chosen = handler
            .or(files.manifest().model.handler.as_deref())
            .or(self.config.default_handler.as_deref())
            .unwrap_or_default();
        if wants_python(chosen, files) {
            return self.python_loader(name, files, chosen);
        }
        if self.config.debugger.is_some() {
            error!(
                "model {name} runs natively: there is nothing of it that a debugger could attach to"
            );
        }
        self.native.loader(name, files, handler)
    }

    fn gpus(&self) -> usize {
        self.native.gpus()
    }

    fn devices(&self, config: Option<&ModelConfig>, workers: usize) -> Vec<Device> {
        self.native.devices(config, workers)
    }

    /// Under a debugger there is one worker, which may stand still for as long as somebody looks at it.
    fn overrules(&self) -> Wishes {
        match self.config.debugger {
            None => self.native.overrules(),
            Some(_) => Wishes {
                workers: Some(1),
                max_workers: Some(1),
                response_timeout: Some(PATIENCE),
                startup_timeout: Some(PATIENCE),
                ..Wishes::default()
            },
        }
    }

    fn report_to(&self, metrics: &Metrics) {
        self.native.report_to(metrics);
        // Only the first counts: there is one server for an engine.
        let _ = self.metrics.set(metrics.clone());
    }
}

/// How a model is spread over accelerators, if its configuration says so.
fn parallel(config: &ModelConfig, gpus: usize) -> Option<Parallel> {
    let all_hear = match config.parallel_type? {
        ParallelType::Pipeline => Some(false),
        ParallelType::Tensor | ParallelType::PipelineTensor => Some(true),
        ParallelType::Custom => None,
    };
    let torchrun = config.torchrun.as_ref();
    if torchrun.is_none() && config.parallel_level.is_none() {
        return None;
    }
    Some(Parallel {
        level: config.accelerators_per_worker(),
        devices: super::accelerators(Some(config), gpus),
        ranks: all_hear.map(|all_hear| Ranks {
            all_hear,
            nodes: torchrun.map_or(1, |torchrun| torchrun.nodes),
            backend: torchrun
                .map_or("c10d", |it| &it.rendezvous_backend)
                .to_owned(),
            endpoint: torchrun.and_then(|torchrun| torchrun.rendezvous_endpoint.clone()),
            omp_threads: torchrun.map_or(1, |torchrun| torchrun.omp_threads),
        }),
    })
}

/// From what workers print to the server's metrics.
struct Sink(Metrics);

impl MetricSink for Sink {
    fn take(&self, model: &str, _worker: &str, metric: Metric) {
        let kind = metric.kind.map(|kind| match kind {
            MetricKind::Counter => Kind::Counter,
            MetricKind::Gauge => Kind::Gauge,
            MetricKind::Histogram => Kind::Histogram,
        });
        let sample = Sample {
            name: &metric.name,
            unit: &metric.unit,
            kind,
            value: metric.value,
            dimensions: &metric.dimensions,
            requests: metric.request_id.as_deref(),
        };
        self.0.of_handler(model, sample);
    }
}

/// Whether a model takes Python. What is neither here nor there is the native engine's, which says what is wrong with it; a file
/// in Python that is not there is the other's.
fn wants_python(handler: &str, files: &Unpacked) -> bool {
    let model = &files.manifest().model;
    let within = |name: &Option<String>| name.as_ref().map(|name| files.dir().join(name));
    let (weights, model_file) = (within(&model.serialized_file), within(&model.model_file));
    let decided = runner(&Candidate {
        dir: files.dir(),
        handler,
        weights: weights.as_deref(),
        model_file: model_file.as_deref(),
    });
    match decided {
        Ok(Runner::Python(_)) => true,
        Ok(Runner::Native) => false,
        Err(_) => handler.contains(':') || handler.ends_with(".py"),
    }
}

/// Where the workers' sockets stand, and the package they run.
fn run_folder() -> std::io::Result<OwnFolder> {
    let usual = std::env::temp_dir();
    let place = if usual.as_os_str().len() > MOST_PATH {
        PathBuf::from("/tmp")
    } else {
        usual
    };
    OwnFolder::create(&place, Purpose::Python)
}

/// Where environments of models stay from one run to the next: the user's cache.
fn environments() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = cache.filter(|path| path.is_absolute()).or_else(home);
    cache
        .unwrap_or_else(std::env::temp_dir)
        .join("torchrelay/environments")
}
