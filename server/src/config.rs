//! Configuration: from what was typed and written to what was meant.
//!
//! Settings come from the shipped defaults, a file, the command line and the environment (`raw.rs` says which wins).
//! [`Config::load`] turns them into types and tells every mistake at once; nothing is opened or started before it
//! succeeds. Each key is described in [`keys`], from which the documentation is made. Called by `main` alone, which
//! then hands each part of the server its own settings.

pub mod address;
mod addresses;
mod fronts;
mod grpc;
pub mod key_material;
pub mod keys;
pub mod load_models;
mod logs;
pub mod models;
mod page;
pub mod properties;
mod raw;
mod reader;
pub mod report;
mod review;
mod source_file;
#[cfg(test)]
mod tests;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use address::Address;
pub use addresses::Addresses;
pub use grpc::{Grpc, GrpcService};
pub use key_material::{KeyMaterial, Secret};
pub use load_models::{LoadModels, ModelSource};
pub use models::{ModelSettings, Models};
pub use page::configuration_page;
pub use report::{ConfigErrors, Notice, Origin, Problem, Severity};
pub use review::{Fate, Review, Reviewed, Trouble};

use crate::args::Args;
use crate::auth::KEY_FILE;
use crate::front::Front;
use crate::log_location::log_location;
use crate::snapshot::{self, SnapshotModels, SnapshotSettings, SnapshotWorkflows};
use crate::telemetry::LogSettings;
use archive::{Envelope, Isolation};
use keys::METRICS_MODES;
use raw::RawConfig;
use reader::Reader;
use report::Report;
use serving::SequenceHeaders;
use serving::metrics::Mode;
use source_file::SourceFile;
use sources::AllowedUrls;

/// Reads an environment variable; [`process_env`], or a map in tests.
pub type Env<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The settings of one server, checked. Fields are named after their keys, and mean what [`keys`] says.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file that was read, as it was named; `None` where there was none.
    pub file: Option<PathBuf>,

    pub inference_address: Address,
    pub management_address: Address,
    pub metrics_address: Address,
    /// In the order in which they are opened.
    pub fronts: Vec<Front>,
    pub grpc: Grpc,
    /// False: nothing is opened at `metrics_address`.
    pub enable_metrics_api: bool,
    pub metrics_mode: Mode,
    /// Whether metrics of handlers are taken up that the list of metrics does not have.
    pub model_metrics_auto_detect: bool,
    /// `None`: the list that is compiled in. Whether it can be read shows when metrics are made.
    pub metrics_config: Option<PathBuf>,
    pub disable_system_metrics: bool,
    pub metric_time_interval: Duration,
    pub system_metrics_cmd: Option<String>,
    /// For https listeners.
    pub key_material: KeyMaterial,

    /// An existing folder; absolute if the working directory given to [`Config::load`] was.
    pub model_store: PathBuf,
    pub workflow_store: PathBuf,
    pub load_models: LoadModels,
    pub load_workflows: LoadModels,
    /// Where clients may have the values of nodes written; `None`: nowhere.
    pub workflow_save_dir: Option<PathBuf>,
    pub models: Models,
    /// The name of the first worker; the next ones count on from it.
    pub initial_worker_port: u64,
    /// The number of the first worker whose model is spread over processes.
    pub initial_distribution_port: u32,
    /// `None`: the server chooses.
    pub default_workers_per_model: Option<NonZeroUsize>,
    pub default_response_timeout: Duration,
    pub default_startup_timeout: Duration,
    pub unregister_model_timeout: Duration,
    pub job_queue_size: NonZeroUsize,
    /// Bytes.
    pub job_queue_bytes: NonZeroUsize,
    /// `ts_header_key_sequence_id`, `_start` and `_end`.
    pub sequence_headers: SequenceHeaders,
    pub default_service_handler: Option<String>,
    /// The least; archives may ask for more.
    pub isolation: Isolation,
    /// The interpreter of handlers in Python: a name on the path, or a file.
    pub python_executable: PathBuf,
    /// Whether TorchServe's own worker runs them rather than ours.
    pub torchserve_worker: bool,
    pub install_py_dep_per_model: bool,
    pub decode_input_request: bool,
    /// `None`: workers get the whole environment.
    pub blacklist_env_vars: Option<String>,
    pub service_envelope: Option<Envelope>,
    /// `ts_open_inference_protocol`.
    pub open_inference_protocol: bool,
    pub limit_max_image_pixels: bool,

    /// `TS_ALLOWED_URLS` is in it already, if it counts.
    pub allowed_urls: AllowedUrls,
    pub allow_private_urls: bool,
    /// Bytes.
    pub max_download_size: u64,
    pub download_timeout: Duration,
    pub download_stall_timeout: Duration,

    pub enable_model_api: bool,
    pub disable_token_authorization: bool,
    /// In the file in minutes.
    pub token_expiration_min: Duration,
    /// Where the keys go: `key_file.json` in the working directory.
    pub key_file: PathBuf,
    /// `None`: no CORS headers are sent.
    pub cors: Option<Cors>,

    /// Bytes.
    pub max_request_size: usize,
    /// Bytes.
    pub max_response_size: usize,
    /// Bytes.
    pub request_memory: NonZeroUsize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub idle_timeout: Duration,
    pub max_connections: NonZeroUsize,
    pub drain_delay: Duration,
    pub grace_period: Duration,
    pub prediction_content_type: bool,

    /// The most GPUs to use; `None`: all, `Some(0)`: none.
    pub number_of_gpu: Option<usize>,
    /// `None`: all that the process is allowed.
    pub cores: Option<NonZeroUsize>,

    pub logs: LogSettings,
    /// The port on which a worker in Python listens for a debugger; only `dev` sets it.
    pub debugger: Option<u16>,

    /// `None` under `--no-config-snapshots`: neither write nor read them.
    pub snapshots: Option<SnapshotSettings>,
    /// The models of the file, if it is a snapshot; they are registered in place of `load_models`.
    pub model_snapshot: Option<SnapshotModels>,
    /// Its workflows, which are registered in place of `load_workflows`. A snapshot of TorchServe says nothing of any.
    pub workflow_snapshot: Option<SnapshotWorkflows>,
}

/// What scripts of other origins may do, as the values of the headers that say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    pub allowed_origin: String,
    pub allowed_methods: Option<String>,
    pub allowed_headers: Option<String>,
}

impl Config {
    /// Reads the configuration of a start with `args` in the folder `cwd`, against which relative paths are taken.
    ///
    /// Returns the notices to print or log along with it. Under `--strict` a warning is an error.
    ///
    /// # Errors
    /// Every problem that was found.
    pub fn load(
        args: &Args,
        env: &Env<'_>,
        cwd: &Path,
    ) -> Result<(Config, Vec<Notice>), ConfigErrors> {
        let mut report = Report::default();
        let chosen = SourceFile::choose(args, env, cwd, &mut report);
        let file = chosen
            .as_ref()
            .and_then(|chosen| chosen.read(env, cwd, &mut report));
        let path = chosen.map(|chosen| chosen.path);
        let mut reader = Reader::new(RawConfig::new(args, env, file), cwd, report);
        let mut config = Config::read(&mut reader, path, args, env);
        if !args.no_config_snapshots {
            config.snapshots = Some(snapshots(&mut reader, env));
        }
        reader.check_rest();
        reader.remark_states();
        let notices = reader.report.finish(args.strict)?;
        Ok((config, notices))
    }

    /// Where something is wrong, it is reported and the value is a stand-in; [`Config::load`] then hands out none.
    fn read(reader: &mut Reader<'_>, file: Option<PathBuf>, args: &Args, env: &Env<'_>) -> Config {
        let (model_snapshot, workflow_snapshot) = snapshot_of(reader).unzip();
        let workflow_snapshot = workflow_snapshot.flatten();
        let model_store = model_store(reader);
        let workflow_store = workflow_store(reader).unwrap_or_else(|| model_store.clone());
        let addresses = ["inference_address", "management_address", "metrics_address"];
        let addresses = addresses.map(|name| reader.address(name));
        let fronts = fronts::fronts(reader, env);
        let of_fronts = fronts.iter().map(|front| &front.address);
        let grpc = Grpc::read(reader);
        let of_grpc = [&grpc.inference.address, &grpc.management.address];
        let of_grpc = of_grpc.into_iter();
        let https = of_grpc
            .chain(&addresses)
            .chain(of_fronts)
            .any(Address::is_https);
        let [inference_address, management_address, metrics_address] = addresses;
        // The table gives these keys a minimum of 1.
        let positive = |number: Option<NonZeroUsize>| number.unwrap_or(NonZeroUsize::MIN);
        Config {
            file,
            inference_address,
            management_address,
            metrics_address,
            fronts,
            grpc,
            enable_metrics_api: reader.bool("enable_metrics_api"),
            metrics_mode: metrics_mode(reader),
            model_metrics_auto_detect: reader.bool("model_metrics_auto_detect"),
            metrics_config: reader.path("metrics_config").map(|(path, _)| path),
            disable_system_metrics: reader.bool("disable_system_metrics"),
            metric_time_interval: reader.seconds("metric_time_interval"),
            system_metrics_cmd: reader.text("system_metrics_cmd"),
            key_material: KeyMaterial::read(reader, https),
            model_store,
            workflow_store,
            load_models: to_load(reader, "model", model_snapshot.is_some()),
            load_workflows: to_load(reader, "workflow", workflow_snapshot.is_some()),
            workflow_save_dir: save_dir(reader),
            models: models(reader),
            initial_worker_port: reader.number("initial_worker_port").unwrap_or_default(),
            initial_distribution_port: reader
                .number("initial_distribution_port")
                .and_then(|number| u32::try_from(number).ok())
                .unwrap_or_default(),
            default_workers_per_model: reader.nonzero("default_workers_per_model"),
            default_response_timeout: reader.seconds("default_response_timeout"),
            default_startup_timeout: reader.seconds("default_startup_timeout"),
            unregister_model_timeout: reader.seconds("unregister_model_timeout"),
            job_queue_size: positive(reader.nonzero("job_queue_size")),
            job_queue_bytes: positive(reader.nonzero("job_queue_bytes")),
            sequence_headers: sequence_headers(reader),
            default_service_handler: reader.text("default_service_handler"),
            isolation: isolation(reader),
            python_executable: reader.text("python_executable").unwrap_or_default().into(),
            torchserve_worker: torchserve_worker(reader),
            install_py_dep_per_model: reader.bool("install_py_dep_per_model"),
            decode_input_request: reader.bool("decode_input_request"),
            blacklist_env_vars: reader.text("blacklist_env_vars"),
            service_envelope: service_envelope(reader),
            open_inference_protocol: open_inference_protocol(reader, env),
            limit_max_image_pixels: reader.bool("limit_max_image_pixels"),
            allowed_urls: allowed_urls(reader),
            allow_private_urls: reader.bool("allow_private_urls"),
            max_download_size: reader.number("max_download_size").unwrap_or_default(),
            download_timeout: reader.seconds("download_timeout"),
            download_stall_timeout: reader.seconds("download_stall_timeout"),
            enable_model_api: reader.bool("enable_model_api"),
            disable_token_authorization: reader.bool("disable_token_authorization"),
            token_expiration_min: token_expiration(reader),
            key_file: reader.cwd().join(KEY_FILE),
            cors: cors(reader),
            max_request_size: reader.size("max_request_size"),
            max_response_size: reader.size("max_response_size"),
            request_memory: positive(reader.nonzero("request_memory")),
            header_timeout: reader.seconds("header_timeout"),
            body_timeout: reader.seconds("body_timeout"),
            idle_timeout: reader.seconds("idle_timeout"),
            max_connections: positive(reader.nonzero("max_connections")),
            drain_delay: reader.seconds("drain_delay"),
            grace_period: reader.seconds("grace_period"),
            prediction_content_type: reader.bool("prediction_content_type"),
            number_of_gpu: reader
                .number("number_of_gpu")
                .map(|number| usize::try_from(number).unwrap_or(usize::MAX)),
            cores: reader.nonzero("cores"),
            logs: logs::logs(reader, args.log_config.as_deref(), env),
            debugger: None,
            snapshots: None,
            model_snapshot,
            workflow_snapshot,
        }
    }
}

/// The environment of this process. Values that are not Unicode come with replacement characters.
pub fn process_env(name: &str) -> Option<String> {
    Some(std::env::var_os(name)?.to_string_lossy().into_owned())
}

fn snapshots(reader: &mut Reader<'_>, env: &Env<'_>) -> SnapshotSettings {
    SnapshotSettings {
        folder: reader.cwd().join(log_location(env)).join(snapshot::FOLDER),
        kept: reader.nonzero("snapshots_kept"),
        written: reader.written(),
    }
}

/// The models and workflows of the file, if it is a snapshot.
fn snapshot_of(reader: &mut Reader<'_>) -> Option<(SnapshotModels, Option<SnapshotWorkflows>)> {
    let (json, setting) = reader.json(snapshot::MODELS_KEY)?;
    let workflows = SnapshotWorkflows::read(&json);
    SnapshotModels::read(&json)
        .and_then(|models| Ok((models, workflows?)))
        .map_err(|message| {
            let key = Some(snapshot::MODELS_KEY);
            reader.report.error(&setting.origin, key, message);
        })
        .ok()
}

fn model_store(reader: &mut Reader<'_>) -> PathBuf {
    let Some((path, setting)) = reader.path("model_store") else {
        let message = "Missing mandatory parameter --model-store";
        reader.report.error(&Origin::Command, None, message);
        return PathBuf::new();
    };
    if !path.is_dir() {
        folder_not_found(reader, "model_store", &setting);
    }
    path
}

fn workflow_store(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let (path, setting) = reader.path("workflow_store")?;
    if !path.is_dir() {
        folder_not_found(reader, "workflow_store", &setting);
    }
    Some(path)
}

fn folder_not_found(reader: &mut Reader<'_>, name: &str, setting: &raw::Setting) {
    let value = &setting.value;
    match setting.origin {
        Origin::Flag(flag) => {
            let message = format!("{flag} directory not found: {value}");
            reader.report.error(&Origin::Command, None, message);
        }
        Origin::Default | Origin::File { .. } | Origin::Env(_) | Origin::Command => {
            let message = format!("directory not found: {value}");
            reader.report.error(&setting.origin, Some(name), message);
        }
    }
}

/// `load_models` or `load_workflows`.
fn to_load(reader: &mut Reader<'_>, what: &str, is_snapshot: bool) -> LoadModels {
    let name = format!("load_{what}s");
    let Some(setting) = reader.setting(&name) else {
        return LoadModels::None;
    };
    if is_snapshot {
        let (origin, key) = (&setting.origin, snapshot::MODELS_KEY);
        let text = format!("{origin}: {name} is ignored: the {what}s are those of {key}");
        match origin {
            // Whoever says it now expects these. A service that is started over says it each time, and means the first:
            // that refuses no start.
            Origin::Flag(_) | Origin::Env(_) => reader.report.caution(text),
            Origin::Default | Origin::File { .. } | Origin::Command => reader.report.remark(text),
        }
        return LoadModels::None;
    }
    LoadModels::parse(&setting.value, what).unwrap_or_else(|message| {
        reader.report.error(&setting.origin, Some(&name), message);
        LoadModels::None
    })
}

fn save_dir(reader: &mut Reader<'_>) -> Option<PathBuf> {
    let (path, setting) = reader.path("workflow_save_dir")?;
    if !path.is_dir() {
        folder_not_found(reader, "workflow_save_dir", &setting);
    }
    Some(path)
}

fn models(reader: &mut Reader<'_>) -> Models {
    let Some((json, setting)) = reader.json("models") else {
        return Models::default();
    };
    Models::read(&json, &mut |flaw| {
        reader
            .report
            .warn(&setting.origin, Some("models"), flaw, "it is ignored");
    })
}

/// What does not parse is reported, along with every other expression, when the rest is checked.
fn allowed_urls(reader: &mut Reader<'_>) -> AllowedUrls {
    let text = reader.regexes("allowed_urls").unwrap_or_default();
    AllowedUrls::parse(&text).unwrap_or_default()
}

fn metrics_mode(reader: &mut Reader<'_>) -> Mode {
    match reader.choice("metrics_mode", METRICS_MODES) {
        Some("prometheus") => Mode::Prometheus,
        Some("legacy") => Mode::Legacy,
        _ => Mode::Log,
    }
}

fn torchserve_worker(reader: &mut Reader<'_>) -> bool {
    reader.choice("python_worker", keys::PYTHON_WORKERS) == Some("torchserve")
}

fn isolation(reader: &mut Reader<'_>) -> Isolation {
    match reader.choice("isolation", keys::ISOLATIONS) {
        Some("process") => Isolation::Process,
        _ => Isolation::None,
    }
}

fn service_envelope(reader: &mut Reader<'_>) -> Option<Envelope> {
    let name = reader.choice("service_envelope", keys::SERVICE_ENVELOPES)?;
    let mut names = Envelope::NAMES.into_iter();
    names.find(|(known, _)| *known == name).map(|(_, it)| it)
}

/// The variable counts whether or not the environment does, as in TorchServe.
fn open_inference_protocol(reader: &mut Reader<'_>, env: &Env<'_>) -> bool {
    const KEY: &str = "ts_open_inference_protocol";
    let said = reader.choice(KEY, keys::OPEN_INFERENCE);
    let variable = keys::find(KEY).and_then(keys::Key::env_name);
    let variable = variable.and_then(|name| env(&name));
    said != Some("false") || variable.as_deref() == Some(keys::OIP)
}

fn sequence_headers(reader: &mut Reader<'_>) -> SequenceHeaders {
    let mut name = |key| reader.text(key).unwrap_or_default();
    SequenceHeaders {
        id: name("ts_header_key_sequence_id"),
        start: name("ts_header_key_sequence_start"),
        end: name("ts_header_key_sequence_end"),
    }
}

/// As in TorchServe, 0 stands for the default.
fn token_expiration(reader: &mut Reader<'_>) -> Duration {
    const DEFAULT: f64 = 60.0;
    let minutes = reader.decimal("token_expiration_min");
    let minutes = minutes.filter(|minutes| *minutes > 0.0).unwrap_or(DEFAULT);
    // What a duration cannot hold is as good as for ever.
    Duration::try_from_secs_f64(minutes * 60.0).unwrap_or(Duration::MAX)
}

fn cors(reader: &mut Reader<'_>) -> Option<Cors> {
    let allowed_methods = reader.text("cors_allowed_methods");
    let allowed_headers = reader.text("cors_allowed_headers");
    Some(Cors {
        allowed_origin: reader.text("cors_allowed_origin")?,
        allowed_methods,
        allowed_headers,
    })
}
