//! Every configuration key, once: name, default, kind, meaning, and what this server does with it.
//!
//! The reader of configuration, the warnings about unknown keys and `docs/configuration.md` all come from this table.
//! Where the shipped `config.properties` sets a key, that value is the default, and a test holds the two together.

use std::ops::RangeInclusive;

use super::address::Role;

/// One key of `config.properties`.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    /// As text; empty where there is none.
    pub default: &'static str,
    /// One line, for the documentation.
    pub meaning: &'static str,
    pub state: State,
    env: Env,
    /// TorchServe has no such key.
    pub ours: bool,
}

/// What a value has to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Address(Role),
    /// A whole number, at least `min`; of bytes, jobs, ports, ...
    Count {
        min: u64,
    },
    /// A number of bytes, at least one, that may be more than a count holds.
    Bytes,
    /// A duration in whole seconds, at least `min`.
    Seconds {
        min: u64,
    },
    /// A number that may have a fraction, at least zero.
    Decimal,
    /// True for `true` in any case, otherwise false.
    Bool,
    /// Relative to the working directory.
    Path,
    Text,
    /// One of these, in any case.
    Choice(&'static [&'static str]),
    /// One regular expression.
    Regex,
    /// Regular expressions between commas.
    Regexes,
    Json,
}

/// What this server does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Honoured,
    /// Accepted and checked now, honoured in a coming release.
    Later,
    /// Accepted for the sake of existing files; the reason why it can have no effect here.
    Ignored(&'static str),
}

#[derive(Debug, Clone, Copy)]
enum Env {
    /// `TS_` and the key in upper case.
    Derived,
    Named(&'static str),
    None,
}

impl Key {
    /// The environment variable that overrides the file, if one does.
    pub fn env_name(&self) -> Option<String> {
        match self.env {
            Env::Derived => Some(format!("TS_{}", self.name.to_uppercase())),
            Env::Named(name) => Some(name.to_owned()),
            Env::None => None,
        }
    }

    const fn later(mut self) -> Self {
        self.state = State::Later;
        self
    }

    const fn ignored(mut self, why: &'static str) -> Self {
        self.state = State::Ignored(why);
        self
    }

    const fn env(mut self, name: &'static str) -> Self {
        self.env = Env::Named(name);
        self
    }

    const fn file_only(mut self) -> Self {
        self.env = Env::None;
        self
    }

    const fn ours(mut self) -> Self {
        self.ours = true;
        self
    }
}

impl Kind {
    /// The whole numbers that fit; all of them for what is no whole number. Counts are TorchServe's, which end at 2³¹ − 1;
    /// seconds end at ten years.
    pub(crate) fn range(self) -> RangeInclusive<u64> {
        match self {
            Kind::Count { min } => min..=i32::MAX as u64,
            Kind::Seconds { min } => min..=10 * 365 * 24 * 3600,
            Kind::Bytes => 1..=u64::MAX,
            Kind::Address(_)
            | Kind::Decimal
            | Kind::Bool
            | Kind::Path
            | Kind::Text
            | Kind::Choice(_)
            | Kind::Regex
            | Kind::Regexes
            | Kind::Json => 0..=u64::MAX,
        }
    }
}

/// The key of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The known name most like `name`, if one is near enough to have been meant.
pub fn nearest(name: &str) -> Option<&'static str> {
    nearest_of(name, KEYS.iter().map(|key| key.name))
}

/// The one of `known` most like `name`, within a few slips of the pen.
pub(crate) fn nearest_of<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let slips = (name.len() / 4).clamp(1, 4);
    known
        .map(|known| {
            (
                strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase()),
                known,
            )
        })
        .filter(|(distance, _)| *distance <= slips)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

const fn key(name: &'static str, kind: Kind, default: &'static str, meaning: &'static str) -> Key {
    Key {
        name,
        kind,
        default,
        meaning,
        state: State::Honoured,
        env: Env::Derived,
        ours: false,
    }
}

use Kind::{
    Address, Bool, Bytes, Choice, Count, Decimal, Json, Path, Regex, Regexes, Seconds, Text,
};

const COUNT: Kind = Count { min: 0 };
const POSITIVE: Kind = Count { min: 1 };
const SECONDS: Kind = Seconds { min: 0 };
const TIMEOUT: Kind = Seconds { min: 1 };

/// Values of `metrics_mode`.
pub(crate) const METRICS_MODES: &[&str] = &["log", "prometheus", "legacy"];

/// Values of `log_format`.
pub(crate) const LOG_FORMATS: &[&str] = &["text", "json"];

/// Values of `python_worker`.
pub(crate) const PYTHON_WORKERS: &[&str] = &["torchrelay", "torchserve"];

/// Values of `service_envelope`.
pub(crate) const SERVICE_ENVELOPES: &[&str] = &["body", "json", "kserve", "kservev2"];

/// Values of `isolation`.
pub(crate) const ISOLATIONS: &[&str] = &["none", "process"];

/// Values of `ts_open_inference_protocol`.
pub(crate) const OPEN_INFERENCE: &[&str] = &["true", "false", OIP];

/// What TorchServe wants to find in the environment.
pub(crate) const OIP: &str = "oip";

const NO_JVM: &str = "there is no Java virtual machine";
const NO_NETTY: &str = "there is no Netty; threads and buffers are sized by the server itself";
const NO_IPEX: &str = "this server does not load the Intel extension";

// One row a key reads as the table it is; rustfmt would spread each row over seven lines.
#[rustfmt::skip]
pub static KEYS: &[Key] = &[
    // Listeners.
    key("inference_address", Address(Role::Inference), "http://127.0.0.1:8080",
        "Where predictions are asked for: `http://host[:port]`, `https://host[:port]` or `unix:/path`."),
    key("management_address", Address(Role::Management), "http://127.0.0.1:8081",
        "Where models are registered, scaled and described."),
    key("metrics_address", Address(Role::Metrics), "http://127.0.0.1:8082",
        "Where metrics are scraped."),
    key("fronts", Text, "",
        "Services of other APIs in front of the models: `NAME[=address]` between commas, where NAME is `max` (see \
         [guides/segmenter.md](guides/segmenter.md)) or the file of a document (see [fronts.md](fronts.md)). Also `--max-front`.").ours(),
    key("grpc_inference_address", Text, "127.0.0.1", "Host of the gRPC inference service."),
    key("grpc_inference_port", COUNT, "7070", "Port of the gRPC inference service."),
    key("grpc_inference_max_connection_age_ms", COUNT, "",
        "How long a gRPC inference connection may last, in milliseconds; without it, as long as it likes."),
    key("grpc_inference_max_connection_age_grace_ms", COUNT, "",
        "What calls on a connection of that age are given to finish, in milliseconds."),
    key("grpc_management_address", Text, "127.0.0.1", "Host of the gRPC management service."),
    key("grpc_management_port", COUNT, "7071", "Port of the gRPC management service."),
    key("grpc_management_max_connection_age_ms", COUNT, "",
        "How long a gRPC management connection may last, in milliseconds; without it, as long as it likes."),
    key("grpc_management_max_connection_age_grace_ms", COUNT, "",
        "What calls on a connection of that age are given to finish, in milliseconds."),
    key("enable_grpc_ssl", Bool, "false", "TLS for gRPC, with the key material of https."),
    key("private_key_file", Path, "", "The private key for https: PEM, not encrypted; with `certificate_file`."),
    key("certificate_file", Path, "", "The certificate for https, and after it those of its issuers: PEM; with `private_key_file`."),
    key("keystore", Path, "", "A key store for https, in place of the two PEM files. With neither, a certificate is made at each start."),
    key("keystore_pass", Text, "changeit", "The password of the key store."),
    key("keystore_type", Text, "PKCS12", "The format of the key store; there is no other."),

    // Models.
    key("model_store", Path, "",
        "The folder of model archives. Mandatory, here or as `--model-store`; it must exist."),
    key("workflow_store", Path, "", "The folder of workflow archives and specs; without it, the model store. Here or as `--workflow-store`."),
    key("load_models", Text, "",
        "What to load at start: `all`, or `[name=]url` between commas, where a url may be a file name in the model store."),
    key("load_workflows", Text, "",
        "Which workflows to load at start, after the models: `all`, or `[name=]url` between commas, where a url may be a file \
         name in the workflow store. Also `--workflows`.").ours(),
    key("workflow_save_dir", Path, "",
        "A folder, which must exist, below which a request with `?save=NODE,...` has what went into these nodes and came out \
         written. Without it there is no saving.").ours(),
    key("models", Json, "",
        "Settings by model and version: `minWorkers`, `maxWorkers`, `batchSize`, `maxBatchDelay` (milliseconds), \
         `responseTimeout` and `startupTimeout` (seconds). They tune what is loaded by other means; what an archive says \
         of itself goes first."),
    key("model_snapshot", Json, "",
        "The models of a snapshot, which the server writes itself. In a file with this key, `load_models` has no effect, and neither has `load_workflows` if it speaks of workflows.").file_only(),
    key("snapshots_kept", COUNT, "100",
        "How many snapshots stay in the folder `config` of the log location; 0 keeps all.").ours(),
    key("default_workers_per_model", COUNT, "0",
        "Workers of a model that does not say how many. 0 leaves the number to the server."),
    key("default_response_timeout", SECONDS, "120", "How long a prediction may take, for models that do not say."),
    key("default_startup_timeout", SECONDS, "120", "How long a worker may take to load, for models that do not say."),
    key("unregister_model_timeout", SECONDS, "120", "How long unregistering a model may take."),
    key("job_queue_size", POSITIVE, "100",
        "How many requests may wait for one version of a model; one more is refused with status 503."),
    key("job_queue_bytes", POSITIVE, "1073741824",
        "How many bytes the requests that wait for one version of a model may hold together; one more is refused with status 503.")
        .ours(),
    key("default_service_handler", Text, "", "The handler of archives whose manifest names none."),
    key("service_envelope", Choice(SERVICE_ENVELOPES), "",
        "How requests and answers of models on `/predictions` are wrapped, unless `service_envelope` in their own settings says it: \
         not at all, as `{\"instances\": […]}`, or in the Open Inference Protocol v2."),
    key("decode_input_request", Bool, "true",
        "Decode JSON and text bodies before a Python handler sees them."),
    key("limit_max_image_pixels", Bool, "true",
        "Refuse pictures of more than 179 million pixels, which are more likely an attack than a picture."),
    key("allowed_urls", Regexes, "file://.*|http(s)?://.*",
        "Where archives may be brought from: regular expressions between commas, one of which must match the whole url, in \
         any case of letters; `http`, `https`, `file` and `s3` urls are known."),
    key("use_env_allowed_urls", Bool, "false",
        "Let `TS_ALLOWED_URLS` replace `allowed_urls`.").file_only(),
    key("allow_private_urls", Bool, "false",
        "Bring archives from hosts with private, loopback and link-local addresses, too. The endpoint that \
         `AWS_ENDPOINT_URL` names for S3 needs no such permission.").ours(),
    key("max_download_size", Bytes, "17179869184", "The largest archive that is brought, in bytes.").ours(),
    key("download_timeout", TIMEOUT, "3600", "How long bringing an archive may take in all.").ours(),
    key("download_stall_timeout", TIMEOUT, "60",
        "How long a download may stand still before it is taken up anew, which happens four times.").ours(),
    key("isolation", Choice(ISOLATIONS), "none",
        "Which models without Python run in processes of their own: those whose archives ask for it (`none`), or all \
         (`process`). See [isolation.md](isolation.md).").ours(),
    key("python_executable", Text, "python3",
        "The interpreter that runs handlers in Python: a name on the path, or a file.").ours(),
    key("python_worker", Choice(PYTHON_WORKERS), "torchrelay",
        "Whose worker runs handlers in Python: this server's own, which needs no package, or that of the package `torchserve`, \
         which the interpreter must have.").ours(),
    key("install_py_dep_per_model", Bool, "false",
        "Install an archive's Python requirements when it is registered."),

    // Access.
    key("enable_model_api", Bool, "false", "Let models be registered and unregistered over the network."),
    key("disable_token_authorization", Bool, "false", "Serve requests without a token."),
    key("token_expiration_min", Decimal, "60", "How long a token is valid, in minutes; a fraction may be given.")
        .env("TS_TOKEN_EXPIRATION_TIME_MIN"),
    key("cors_allowed_origin", Text, "",
        "The origin whose scripts a browser lets read answers, or `*`; without it, no CORS headers are sent."),
    key("cors_allowed_methods", Text, "", "The methods they may use, between commas."),
    key("cors_allowed_headers", Text, "", "The headers they may send, between commas."),

    // Limits.
    key("max_request_size", COUNT, "6553500", "The largest request body, in bytes; a larger one gets status 413."),
    key("request_memory", POSITIVE, "2147483647",
        "How many bytes the bodies of all requests may hold together while they are inside; one more is refused with status 503.")
        .ours(),
    key("max_response_size", COUNT, "6553500", "The largest answer of a model, in bytes; a larger one gets status 500."),
    key("header_timeout", TIMEOUT, "30", "How long the head of a request may take to arrive.").ours(),
    key("body_timeout", TIMEOUT, "60", "How long a request body may stand still while it arrives; in all it may take ten times as long.").ours(),
    key("idle_timeout", TIMEOUT, "120", "How long a connection may stay open between two requests, and how long a client may leave an answer unread.").ours(),
    key("max_connections", POSITIVE, "10000", "How many connections may be open at once on each listener.").ours(),
    key("drain_delay", SECONDS, "0",
        "How long the server goes on as before when it is told to stop, with `/ready` already saying no: time for load balancers to look elsewhere.").ours(),
    key("grace_period", SECONDS, "30",
        "How long requests may go on when the server is told to stop.").ours(),
    key("prediction_content_type", Bool, "false",
        "Send `content-type: application/json` with JSON predictions. TorchServe sends none, so neither is it sent here \
         unless asked for.").ours(),

    // Devices.
    key("number_of_gpu", COUNT, "", "How many GPUs to use at most; without it, all of them."),
    key("cores", COUNT, "0", "How many CPU cores to use. 0 means all that the process is allowed.").ours(),

    // Metrics and logs.
    key("enable_metrics_api", Bool, "true", "Open the metrics listener."),
    key("metrics_mode", Choice(METRICS_MODES), "log",
        "Where metrics go: to the log, and then the metrics listener has none; to that listener; or to the log, with three \
         counters of inference at the listener."),
    key("metrics_config", Path, "",
        "The file that lists the metrics, in YAML; without it, the shipped list. One that cannot be used costs the metrics."),
    key("model_metrics_auto_detect", Bool, "false", "Take up metrics of Python handlers that the file does not list."),
    key("disable_system_metrics", Bool, "false", "Leave out metrics of the machine."),
    key("metric_time_interval", TIMEOUT, "60", "How often metrics of the machine are taken.").file_only(),
    key("system_metrics_cmd", Text, "",
        "The command that takes metrics of the machine, with its arguments between blanks; `python3` runs one that ends \
         in `.py`. Without it, the server takes them itself.").file_only(),
    key("log_format", Choice(LOG_FORMATS), "text",
        "The form of log lines, on standard output and in files: TorchServe's, or a JSON object for each.").ours(),
    key("otlp_endpoint", Text, "",
        "Where traces of requests are sent: an OpenTelemetry collector that takes OTLP over HTTP, as `http://host:4318`; \
         without it, nowhere.").ours(),
    key("async_logging", Bool, "false", "Write logs from a thread of their own.").ignored("how logs are written is the server's own affair"),

    // How configuration is read.
    key("enable_envvars_config", Bool, "false",
        "Let environment variables override the file and the command line.").file_only(),
    key("debug", Bool, "false", "Connect to a Python worker that was started by hand.").later(),

    // Python workers.
    key("blacklist_env_vars", Regex, "", "Environment variables to withhold from Python workers."),
    key("initial_worker_port", COUNT, "9000", "The id of the first worker; the next ones count on from it."),
    key("initial_distribution_port", COUNT, "29500", "The number of the first Python worker of several processes (`parallelType`); the next ones count on from it, one for each process."),
    key("ts_open_inference_protocol", Choice(OPEN_INFERENCE), "true",
        "Serve all of the Open Inference Protocol v2; `false` leaves `/v2/models/{model}/infer` alone. `oip` is `true`.")
        .env("TS_OPEN_INFERENCE_PROTOCOL"),
    key("ts_header_key_sequence_id", Text, "ts_request_sequence_id", "The header that names a sequence of requests.")
        .env("TS_HEADER_KEY_SEQUENCE_ID"),
    key("ts_header_key_sequence_start", Text, "ts_request_sequence_start", "The header that begins a sequence.")
        .env("TS_HEADER_KEY_SEQUENCE_START"),
    key("ts_header_key_sequence_end", Text, "ts_request_sequence_end", "The header that ends a sequence.")
        .env("TS_HEADER_KEY_SEQUENCE_END"),

    // Without meaning here.
    key("model_server_home", Path, "", "Where the Python package of TorchServe lies.")
        .ignored("this server is one program"),
    key("number_of_netty_threads", COUNT, "0", "Netty threads for connections.").ignored(NO_NETTY),
    key("netty_client_threads", COUNT, "0", "Netty threads for workers.").ignored(NO_NETTY),
    key("use_native_io", Bool, "true", "Epoll instead of Java's own input and output.").ignored(NO_NETTY).file_only(),
    key("io_ratio", COUNT, "50", "The share of a Netty thread's time that goes to connections.").ignored(NO_NETTY).file_only(),
    key("prefer_direct_buffer", Bool, "false", "Buffers outside the Java heap.").ignored(NO_NETTY),
    key("ipex_enable", Bool, "false", "The Intel extension for PyTorch.").ignored(NO_IPEX),
    key("ipex_gpu_enable", Bool, "false", "The Intel extension on Intel GPUs.").ignored(NO_IPEX),
    key("cpu_launcher_enable", Bool, "false", "Start workers through the launcher of the Intel extension.").ignored(NO_IPEX),
    key("cpu_launcher_args", Text, "", "Arguments of that launcher.").ignored(NO_IPEX),
    key("cpp_log_config", Path, "", "Log settings of the C++ back end.").ignored("there is no separate C++ back end"),
    key("vmargs", Text, "", "Arguments of the Java virtual machine.").ignored(NO_JVM).file_only(),
    key("plugins_path", Text, "", "Java plugins.").ignored(NO_JVM).file_only(),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<&str> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), KEYS.len());
        let variables: BTreeSet<String> = KEYS.iter().filter_map(Key::env_name).collect();
        assert_eq!(
            variables.len(),
            KEYS.iter().filter(|key| key.env_name().is_some()).count()
        );
    }

    #[test]
    fn environment_names_and_their_exceptions() {
        let check = |name: &str, expected: Option<&str>| {
            let found = find(name).expect("a key of the table").env_name();
            assert_eq!(found.as_deref(), expected, "{name}");
        };
        check(
            "default_workers_per_model",
            Some("TS_DEFAULT_WORKERS_PER_MODEL"),
        );
        check("token_expiration_min", Some("TS_TOKEN_EXPIRATION_TIME_MIN"));
        check(
            "ts_open_inference_protocol",
            Some("TS_OPEN_INFERENCE_PROTOCOL"),
        );
        check(
            "ts_header_key_sequence_id",
            Some("TS_HEADER_KEY_SEQUENCE_ID"),
        );
        check("allowed_urls", Some("TS_ALLOWED_URLS"));
        check("enable_envvars_config", None);
        check("metric_time_interval", None);
    }

    #[test]
    fn a_slip_of_the_pen_finds_its_key() {
        assert_eq!(nearest("job_queue_sise"), Some("job_queue_size"));
        assert_eq!(nearest("inference_adress"), Some("inference_address"));
        assert_eq!(nearest("something_else_altogether"), None);
    }
}
