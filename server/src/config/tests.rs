//! Whole starts as data: files, environment and flags in; settings, notices or problems out.

use std::collections::BTreeMap;
use std::fs;

use clap::Parser as _;

use super::*;
use crate::config::keys::{KEYS, State};
use crate::config::properties;
use crate::snapshot::WrittenSettings;
use crate::telemetry::{LogFile, LogFormat};

/// A start in a folder of its own, which holds the folders `store` and `other`.
struct Start {
    folder: tempfile::TempDir,
    args: Args,
    env: BTreeMap<String, String>,
}

impl Start {
    fn new(flags: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("store")).unwrap();
        fs::create_dir(folder.path().join("other")).unwrap();
        let line = std::iter::once("torchrelay").chain(flags.split_whitespace());
        Start {
            folder,
            args: Args::try_parse_from(line).unwrap(),
            env: BTreeMap::new(),
        }
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn load(&self) -> Result<(Config, Vec<Notice>), ConfigErrors> {
        Config::load(
            &self.args,
            &|name| self.env.get(name).cloned(),
            self.folder.path(),
        )
    }

    fn config(&self) -> Config {
        self.load().unwrap_or_else(|errors| panic!("{errors}")).0
    }

    /// Notices, or errors, a line each.
    fn says(&self) -> String {
        match self.load() {
            Ok((_, notices)) => {
                let lines = notices.iter().map(|notice| match notice.severity {
                    Severity::Warning => format!("warning: {notice}"),
                    Severity::Info => format!("info: {notice}"),
                });
                lines.collect::<Vec<_>>().join("\n")
            }
            Err(errors) => errors.to_string(),
        }
    }
}

/// What a start with a `config.properties` of this text says.
#[track_caller]
fn check(text: &str, expected: &str) {
    check_flags("--start --model-store store", text, expected);
}

#[track_caller]
fn check_flags(flags: &str, text: &str, expected: &str) {
    let start = Start::new(flags).file("config.properties", text);
    assert_eq!(start.says(), expected, "{text}");
}

#[test]
fn which_source_wins() {
    // The store that each source names, if it names one: file, flag, variable; and whether the file lets variables in.
    type Name = Option<&'static str>;
    let cases: &[(Name, Name, Name, bool, &str)] = &[
        (Some("file"), None, None, false, "file"),
        (Some("file"), Some("flag"), None, false, "flag"),
        (Some("file"), Some("flag"), Some("env"), false, "flag"),
        (Some("file"), Some("flag"), Some("env"), true, "env"),
        (Some("file"), None, Some("env"), true, "env"),
        (None, None, Some("env"), true, "env"),
        (None, Some("flag"), None, true, "flag"),
    ];
    for (file, flag, variable, lets, expected) in cases {
        let flags = flag.map_or(String::new(), |name| format!("--model-store {name}"));
        let text = file.map_or(String::new(), |name| format!("model_store={name}\n"));
        let text = format!("{text}enable_envvars_config={lets}\n");
        let mut start = Start::new(&flags).file("config.properties", &text);
        for name in ["file", "flag", "env"] {
            fs::create_dir(start.folder.path().join(name)).unwrap();
        }
        if let Some(name) = variable {
            start = start.env("TS_MODEL_STORE", name);
        }
        let expected = start.folder.path().join(expected);
        assert_eq!(
            start.config().model_store,
            expected,
            "{file:?} {flag:?} {variable:?} {lets}"
        );
    }
}

#[test]
fn which_file_is_read() {
    let check = |flags: &str, variable: Option<&str>, expected: usize| {
        let mut start = Start::new(&format!("--model-store store {flags}"))
            .file("config.properties", "max_request_size=1")
            .file("flag.properties", "max_request_size=2")
            .file("env.properties", "max_request_size=3");
        if let Some(name) = variable {
            start = start.env("TS_CONFIG_FILE", name);
        }
        assert_eq!(
            start.config().max_request_size,
            expected,
            "{flags} {variable:?}"
        );
    };
    check("", None, 1);
    check("", Some(""), 1);
    check("--ts-config flag.properties", None, 2);
    check("--ts-config flag.properties", Some("env.properties"), 3);
    check("", Some("env.properties"), 3);
    let without = Start::new("--model-store store").config();
    assert_eq!((without.file, without.max_request_size), (None, 6_553_500));
}

/// A snapshot without models, or with these.
fn snapshot(lines: &str, models: &str) -> String {
    format!("model_store=store\n{lines}\nmodel_snapshot={{\"models\": {{{models}}}}}\n")
}

#[test]
fn which_snapshot_is_read() {
    let old = "logs/config/20260101000000000-snapshot.cfg";
    let new = "logs/config/20260101000000001-startup.cfg";
    let named = "here/config/20250101000000000-shutdown.cfg";
    let check = |flags: &str, variable: Option<(&str, &str)>, expected: (Option<&str>, usize)| {
        let mut start = Start::new(&format!("--model-store store {flags}"))
            .file("config.properties", "max_request_size=1")
            .file(old, &snapshot("max_request_size=2", ""))
            .file(new, &snapshot("max_request_size=3", ""))
            .file(named, &snapshot("max_request_size=4", ""));
        if let Some((name, value)) = variable {
            start = start.env(name, value);
        }
        let config = start.config();
        let file = config.file.as_deref().and_then(Path::to_str);
        assert_eq!(
            (file, config.max_request_size),
            expected,
            "{flags} {variable:?}"
        );
    };
    let implicit = (Some("config.properties"), 1);
    check("", None, (Some(new), 3));
    check("--ncs", None, implicit);
    check("--ts-config config.properties", None, implicit);
    check("", Some(("TS_CONFIG_FILE", "config.properties")), implicit);
    check(&format!("--ts-config {old}"), None, (Some(old), 2));
    check(&format!("--ncs --ts-config {old}"), None, (Some(old), 2));
    check("", Some(("LOG_LOCATION", "here")), (Some(named), 4));
    check("", Some(("LOG_LOCATION", "nowhere")), implicit);
}

#[test]
fn what_is_read_in_place_of_what_is_said() {
    let start = Start::new("--models a.mar b.mar")
        .file("config.properties", "")
        .file(
            "logs/config/20260101000000000-snapshot.cfg",
            &snapshot("load_models=all", ""),
        )
        .file("logs/config/20260101000000001-snapshot.cfg", "cores=1\n")
        .file(
            "logs/config/20260101000000002-snapshot.cfg",
            "model_snapshot={\"mod",
        );
    assert_eq!(
        start.says(),
        "warning: logs/config/20260101000000002-snapshot.cfg: not a whole snapshot: model_snapshot: not valid JSON: \
         EOF while parsing a string at line 1 column 5; an older snapshot is looked for\n\
         warning: logs/config/20260101000000001-snapshot.cfg: not a whole snapshot: \
         there is no model_snapshot in it; an older snapshot is looked for\n\
         info: settings and models are those of the snapshot logs/config/20260101000000000-snapshot.cfg in place of \
         config.properties; --no-config-snapshots starts without\n\
         info: --models: load_models is ignored: the models are those of model_snapshot"
    );
    assert_eq!(start.config().load_models, LoadModels::None);
}

#[test]
fn models_of_a_named_file_are_restored_even_without_snapshots() {
    let version = r#""m": {"1.0": {"marName": "m.mar", "minWorkers": 2}}"#;
    let start = Start::new("--ncs --ts-config written").file("written", &snapshot("", version));
    let config = start.config();
    let models = config.model_snapshot.expect("models");
    assert_eq!(models.0["m"]["1.0"].wishes.workers, Some(2));
    assert_eq!(config.snapshots, None);
    let wrong = r#""m": {"1.0": {}}"#;
    let start = Start::new("--ts-config written").file("written", &snapshot("", wrong));
    assert_eq!(
        start.says(),
        "Invalid configuration: written:3: model_snapshot: m 1.0: marName is missing"
    );
}

#[test]
fn a_snapshot_holds_every_setting() {
    let start = Start::new("--enable-model-api --model-store store --models a.mar b=b.mar")
        .file(
            "config.properties",
            "job_queue_size=7\nmodels={\\\n\"m\": {\"1.0\": {\"batchSize\": 4}}}\ncores=2\nkeystore_pass=$$SECRET$$\n\
             keystore=s.p12\nvmargs=-Xmx1g\ngrpc_inference_port=7\nsome.plugin\\ key=a\\\\b\ncors_allowed_origin=*\n",
        )
        .env("SECRET", "a$$b$$c\u{e9}");
    let before = start.config();
    let written = before.snapshots.clone().expect("by default").written;
    let said = |key: &str| {
        let found = written.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!(said("job_queue_size"), Some("7"));
    assert_eq!(said("enable_model_api"), Some("true"));
    assert_eq!(said("load_models"), Some("a.mar,b=b.mar"));
    assert_eq!(said("keystore_pass"), Some("a$$b$$c\u{e9}"));
    assert_eq!(said("vmargs"), Some("-Xmx1g"));
    assert_eq!(said("some.plugin key"), Some("a\\b"));
    // Set by nobody: a default that has an effect here, one that has none, and one that is not there.
    assert_eq!(said("max_connections"), Some("10000"));
    assert_eq!(
        (said("use_native_io"), said("private_key_file")),
        (None, None)
    );
    assert!(!format!("{before:?}").contains("a$$b$$c"));

    let pairs = written
        .0
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let text = properties::write(pairs.chain([("model_snapshot", "{\"models\": {}}")]));
    let name = "logs/config/20260101000000000-snapshot.cfg";
    let restarted = Start {
        args: Args::try_parse_from(["torchrelay"]).unwrap(),
        ..start.file(name, &text)
    };
    let after = restarted.config();
    let expected = Config {
        file: Some(name.into()),
        load_models: LoadModels::None,
        model_snapshot: Some(SnapshotModels::default()),
        ..before
    };
    assert_eq!(after, expected);
}

#[test]
fn switches_of_the_command_line_only_switch_on() {
    let check = |flags: &str, text: &str, variable: Option<&str>, expected: bool| {
        let mut start =
            Start::new(&format!("--model-store store {flags}")).file("config.properties", text);
        if let Some(value) = variable {
            start = start.env("TS_DISABLE_TOKEN_AUTHORIZATION", value);
        }
        let found = start.config().disable_token_authorization;
        assert_eq!(found, expected, "{flags} {text} {variable:?}");
    };
    check("", "", None, false);
    check("--dt", "", None, true);
    check("", "disable_token_authorization=true", None, true);
    check("--dt", "disable_token_authorization=false", None, true);
    check("--dt", "enable_envvars_config=true", Some("false"), false);
    check("--dt", "", Some("false"), true);
}

#[test]
fn a_start_without_a_file_has_the_documented_defaults() {
    let start = Start::new("--start --model-store store");
    let (config, notices) = start.load().unwrap();
    let store = start.folder.path().join("store");
    let logs = start.folder.path().join("logs");
    let tcp = |port| Address::Tcp {
        https: false,
        host: "127.0.0.1".to_owned(),
        port,
    };
    // Every default, and the store that the command line names.
    let written = KEYS.iter().filter_map(|key| {
        let value = match key.name {
            "model_store" => "store",
            _ if key.state == State::Honoured && !key.default.is_empty() => key.default,
            _ => return None,
        };
        Some((key.name.to_owned(), value.to_owned()))
    });
    let expected = Config {
        file: None,
        inference_address: tcp(8080),
        management_address: tcp(8081),
        metrics_address: tcp(8082),
        enable_metrics_api: true,
        metrics_mode: Mode::Log,
        metrics_config: None,
        disable_system_metrics: false,
        metric_time_interval: Duration::from_secs(60),
        system_metrics_cmd: None,
        key_material: KeyMaterial::SelfSigned,
        model_store: store.clone(),
        workflow_store: store,
        load_models: LoadModels::None,
        load_workflows: LoadModels::None,
        workflow_save_dir: None,
        models: Models::default(),
        initial_worker_port: 9000,
        default_workers_per_model: None,
        default_response_timeout: Duration::from_secs(120),
        default_startup_timeout: Duration::from_secs(120),
        unregister_model_timeout: Duration::from_secs(120),
        job_queue_size: NonZeroUsize::new(100).unwrap(),
        job_queue_bytes: NonZeroUsize::new(1 << 30).unwrap(),
        sequence_headers: SequenceHeaders::default(),
        default_service_handler: None,
        limit_max_image_pixels: true,
        allowed_urls: AllowedUrls::default(),
        allow_private_urls: false,
        max_download_size: 16 << 30,
        download_timeout: Duration::from_secs(3600),
        download_stall_timeout: Duration::from_secs(60),
        enable_model_api: false,
        disable_token_authorization: false,
        token_expiration_min: Duration::from_secs(3600),
        key_file: start.folder.path().join("key_file.json"),
        cors: None,
        max_request_size: 6_553_500,
        max_response_size: 6_553_500,
        request_memory: NonZeroUsize::new(i32::MAX as usize).unwrap(),
        header_timeout: Duration::from_secs(30),
        body_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(120),
        max_connections: NonZeroUsize::new(10_000).unwrap(),
        drain_delay: Duration::ZERO,
        grace_period: Duration::from_secs(30),
        prediction_content_type: false,
        number_of_gpu: None,
        cores: None,
        logs: LogSettings::new(&logs, &logs),
        snapshots: Some(SnapshotSettings {
            folder: start.folder.path().join("logs/config"),
            kept: NonZeroUsize::new(100),
            written: WrittenSettings(written.collect()),
        }),
        model_snapshot: None,
        workflow_snapshot: None,
    };
    assert_eq!((config, notices), (expected, Vec::new()));
}

#[test]
fn a_whole_file_is_understood() {
    let start = Start::new("--start --ncs --workflow-store other --models a.mar b=b.mar").file(
        "config.properties",
        r#"
inference_address = https://0.0.0.0:8443
model_store = $$WHERE$$
load_models = all
default_workers_per_model: 4
number_of_gpu = 0
cores = 2
cors_allowed_origin = *
cors_allowed_methods = GET, POST
models={\
  "noop": { "1.0": {\
    "batchSize": 4, "maxBatchDelay": 100 } } }
"#,
    );
    let config = start.env("WHERE", "store").config();
    let https = Address::Tcp {
        https: true,
        host: "0.0.0.0".to_owned(),
        port: 8443,
    };
    assert_eq!(config.inference_address, https);
    assert!(config.model_store.ends_with("store") && config.workflow_store.ends_with("other"));
    let source = |name: Option<&str>, url: &str| ModelSource {
        name: name.map(str::to_owned),
        url: url.to_owned(),
    };
    let sources = vec![source(None, "a.mar"), source(Some("b"), "b.mar")];
    assert_eq!(config.load_models, LoadModels::List(sources));
    assert_eq!(config.default_workers_per_model, NonZeroUsize::new(4));
    assert_eq!(
        (config.number_of_gpu, config.cores),
        (Some(0), NonZeroUsize::new(2))
    );
    let cors = Cors {
        allowed_origin: "*".to_owned(),
        allowed_methods: Some("GET, POST".to_owned()),
        allowed_headers: None,
    };
    assert_eq!(config.cors, Some(cors));
    let noop = config.models.get("noop", "1.0").unwrap();
    assert_eq!(noop.batch_size, NonZeroUsize::new(4));
    assert_eq!(noop.max_batch_delay, Some(Duration::from_millis(100)));
    assert_eq!(config.snapshots, None);
}

#[test]
fn numbers_that_are_none_fall_back_with_a_warning() {
    check(
        "# sizes\njob_queue_size=many\ndefault_response_timeout=-1\nmax_connections=0\ncores=\n",
        "warning: config.properties:2: job_queue_size: expected a whole number from 1, found `many`; \
         the default 100 is used\n\
         warning: config.properties:3: default_response_timeout: expected a whole number of seconds from 0, found `-1`; \
         the default 120 is used\n\
         warning: config.properties:4: max_connections: expected a whole number from 1, found `0`; \
         the default 10000 is used\n\
         warning: config.properties:5: cores: expected a whole number from 0, found ``; the default 0 is used",
    );
    check(
        "number_of_gpu=x",
        "warning: config.properties:1: number_of_gpu: expected a whole number from 0, found `x`; it is left out",
    );
    check(
        "job_queue_size=18446744073709551615\ngrace_period=999999999999",
        "warning: config.properties:1: job_queue_size: expected a whole number from 1 to 2147483647, found \
         `18446744073709551615`; the default 100 is used\n\
         warning: config.properties:2: grace_period: expected a whole number of seconds from 0 to 315360000, found \
         `999999999999`; the default 30 is used",
    );
    let start = Start::new("--model-store store")
        .file("config.properties", "job_queue_size=many\ncores= 3 \n");
    let config = start.config();
    assert_eq!(
        (config.job_queue_size.get(), config.cores),
        (100, NonZeroUsize::new(3))
    );
}

#[test]
fn a_token_is_valid_for_minutes_with_fractions() {
    let check = |text: &str, expected: Duration| {
        let start = Start::new("--model-store store").file("config.properties", text);
        assert_eq!(start.config().token_expiration_min, expected, "{text}");
    };
    let hour = Duration::from_secs(3600);
    check("", hour);
    check("token_expiration_min=2", Duration::from_secs(120));
    check("token_expiration_min=0.25", Duration::from_secs(15));
    check("token_expiration_min=0", hour);
    check("token_expiration_min=-1", hour);
    check("token_expiration_min=1e300", Duration::MAX);
}

#[test]
fn truth_is_spelt_true() {
    for (value, expected) in [
        ("true", true),
        ("TRUE", true),
        ("false", false),
        ("yes", false),
    ] {
        let text = format!("limit_max_image_pixels={value}");
        let start = Start::new("--model-store store").file("config.properties", &text);
        assert_eq!(start.config().limit_max_image_pixels, expected, "{value}");
    }
    check(
        "prediction_content_type=yes",
        "warning: config.properties:1: prediction_content_type: expected true or false, found `yes`; taken as false",
    );
}

#[test]
fn unknown_and_repeated_keys_are_warned_about() {
    check(
        "job_queue_sise=5\nflux_capacitor=on\ncores=1\ncores=2",
        "warning: config.properties:1: job_queue_sise: unknown key (did you mean job_queue_size?); it is ignored\n\
         warning: config.properties:2: flux_capacitor: unknown key; it is ignored\n\
         warning: config.properties:4: cores: already set in line 3; the later line counts",
    );
}

#[test]
fn what_has_no_effect_is_said_in_one_line_each() {
    check(
        "model_metrics_auto_detect=true\nvmargs=-Xmx1g\nasync_logging=true",
        "info: accepted, without effect until a later release: model_metrics_auto_detect\n\
         info: accepted, without meaning here: async_logging (how logs are written is the server's own affair), \
         vmargs (there is no Java virtual machine)",
    );
}

#[test]
fn every_problem_is_told_at_once() {
    check_flags(
        "--start --workflow-store nowhere",
        "inference_address=127.0.0.1:80\nmodel_store=gone\nload_models=a,,b\nmodels={\\\n\"m\": }\nmetrics_address=http://h:x\n\
         allowed_urls=file://.*,(\ncertificate_file=$$CERTS$$/a.pem\nx=\\u12\n",
        "--workflow-store directory not found: nowhere\n\
         Invalid configuration: config.properties:1: inference_address: invalid address `127.0.0.1:80`: \
         expected http://host[:port], https://host[:port] or unix:/path\n\
         Invalid configuration: config.properties:2: model_store: directory not found: gone\n\
         Invalid configuration: config.properties:3: load_models: model 2 of the list: expected url or name=url, found ``\n\
         Invalid configuration: config.properties:4: models: not valid JSON: expected value at character 7\n\
         Invalid configuration: config.properties:6: metrics_address: invalid address `http://h:x`: \
         a port is a number from 0 to 65535\n\
         Invalid configuration: config.properties:7: allowed_urls: not a regular expression: `(`: unclosed group\n\
         Invalid configuration: config.properties:8: certificate_file: \
         the environment variable CERTS is not set\n\
         Invalid configuration: config.properties:9: expected four hexadecimal digits after \\u",
    );
}

#[test]
fn where_the_key_for_https_comes_from() {
    let check = |text: &str, expected: &dyn Fn(&Path) -> KeyMaterial| {
        let start = Start::new("--model-store store").file("config.properties", text);
        let expected = expected(start.folder.path());
        assert_eq!(start.config().key_material, expected, "{text}");
    };
    let store = |password: &'static str| {
        move |folder: &Path| KeyMaterial::KeyStore {
            file: folder.join("s.p12"),
            password: Secret::new(password),
        }
    };
    check(
        "private_key_file=k.pem\ncertificate_file=c.pem",
        &|folder| KeyMaterial::Pem {
            private_key: folder.join("k.pem"),
            certificates: folder.join("c.pem"),
        },
    );
    check("keystore=s.p12", &store("changeit"));
    let both = "keystore=s.p12\nkeystore_pass=x\nprivate_key_file=k\ncertificate_file=c";
    check(both, &store("x"));
    check("certificate_file=c.pem", &|_| KeyMaterial::SelfSigned);
    let config = Start::new("--model-store store").file("config.properties", both);
    assert!(!format!("{:?}", config.config()).contains("\"x\""));

    const HTTPS: &str = "metrics_address=https://127.0.0.1";
    super::tests::check(
        &format!("{HTTPS}\ncertificate_file=c.pem"),
        "Invalid configuration: config.properties:2: certificate_file: private_key_file is missing, \
         without which it has no effect",
    );
    super::tests::check(
        &format!("{HTTPS}\nkeystore=s.jks\nkeystore_type=JKS"),
        "Invalid configuration: config.properties:3: keystore_type: expected PKCS12, found `JKS`; \
         `keytool -importkeystore` converts a key store",
    );
}

#[test]
fn missing_files_and_folders_are_told_in_the_words_of_torchserve() {
    let check =
        |flags: &str, expected: &str| assert_eq!(Start::new(flags).says(), expected, "{flags}");
    check("--start", "Missing mandatory parameter --model-store");
    check(
        "--start --model-store gone",
        "--model-store directory not found: gone",
    );
    check(
        "--start --model-store store --workflow-store gone",
        "--workflow-store directory not found: gone",
    );
    check(
        "--start --model-store store --ts-config gone",
        "--ts-config file not found: gone",
    );
    let start = Start::new("--start --model-store store --log-config gone");
    let expected = format!(
        "--log-config file not found: {}/gone",
        start.folder.path().display()
    );
    assert_eq!(start.says(), expected);
    let start = Start::new("--start --model-store store").env("TS_CONFIG_FILE", "gone");
    assert_eq!(start.says(), "--ts-config file not found: gone");
}

#[test]
fn the_log_is_set_by_keys_the_environment_and_a_file() {
    let start = Start::new("--start --model-store store --log-config log4j2.xml")
        .file(
            "config.properties",
            "log_format=JSON\notlp_endpoint=http://c:4318\n",
        )
        .file(
            "log4j2.xml",
            "<Configuration><Appenders><File name=\"f\" fileName=\"${env:LOG_LOCATION}/a.log\"><X/></File></Appenders>\
             <Loggers><Logger name=\"ACCESS_LOG\" level=\"off\"><AppenderRef ref=\"f\"/></Logger></Loggers>\
             </Configuration>",
        )
        .env("LOG_LOCATION", "l")
        .env("METRICS_LOCATION", "/m")
        .env("RUST_LOG", "debug");
    let here = start.folder.path();
    let mut expected = LogSettings::new(&here.join("l"), Path::new("/m"));
    expected.format = LogFormat::Json;
    expected.rust_log = Some("debug".to_owned());
    expected.levels = "error,access_log=off".to_owned();
    expected.files[LogFile::Access as usize] = here.join("l/a.log");
    expected.otlp_endpoint = Some("http://c:4318/v1/traces".to_owned());
    assert_eq!(start.config().logs, expected);
    assert_eq!(
        start.says(),
        "info: log4j2.xml: levels and files are honoured; without effect here: X"
    );
}

#[test]
fn a_log_config_that_cannot_be_used_costs_itself() {
    let start = Start::new("--start --model-store store --log-config log4j2.xml")
        .file("log4j2.xml", "<Configuration>\n<Loggers>\n</Configuration>");
    assert_eq!(
        start.says(),
        "warning: log4j2.xml:3: not XML: expected 'Loggers' tag, not 'Configuration'; the log is as without --log-config"
    );
    let logs = start.folder.path().join("logs");
    assert_eq!(start.config().logs, LogSettings::new(&logs, &logs));
}

#[test]
fn a_wrong_otlp_endpoint_refuses_the_start() {
    check(
        "otlp_endpoint=localhost:4318",
        "Invalid configuration: config.properties:1: otlp_endpoint: invalid address `localhost:4318`: expected \
         http://host[:port] or https://host[:port], and a path if the collector has another than /v1/traces",
    );
}

#[test]
fn settings_of_the_environment_are_named_by_their_variable() {
    let start = Start::new("--start --model-store store")
        .file(
            "config.properties",
            "enable_envvars_config=true\nuse_env_allowed_urls=false",
        )
        .env("TS_INFERENCE_ADDRESS", "here")
        .env("TS_ALLOWED_URLS", "(");
    assert_eq!(
        start.says(),
        "Invalid configuration: TS_INFERENCE_ADDRESS: inference_address: invalid address `here`: \
         expected http://host[:port], https://host[:port] or unix:/path"
    );
}

#[test]
fn who_says_where_archives_may_come_from() {
    let check = |text: &str, expected: &str| {
        let start = Start::new("--model-store store")
            .file("config.properties", text)
            .env("TS_ALLOWED_URLS", "s3://b/.*");
        let expected = AllowedUrls::parse(expected).expect("expressions");
        assert_eq!(start.config().allowed_urls, expected, "{text}");
    };
    let file = "allowed_urls=http://a/.*, file:///m/.*";
    check("", "file://.*|http(s)?://.*");
    check(file, "http://a/.*, file:///m/.*");
    // The shipped page says so: it takes both.
    check("use_env_allowed_urls=true", "file://.*|http(s)?://.*");
    check("enable_envvars_config=true", "file://.*|http(s)?://.*");
    let both = "enable_envvars_config=true\nuse_env_allowed_urls=true";
    check(both, "s3://b/.*");
    check(&format!("{both}\n{file}"), "s3://b/.*");
}

#[test]
fn strict_refuses_what_deserves_a_warning() {
    check_flags(
        "--start --strict --model-store store",
        "job_queue_size=many\ncolour=red\nmanagement_address=http://127.0.0.1:1\n",
        "Invalid configuration: config.properties:1: job_queue_size: expected a whole number from 1, found `many`\n\
         Invalid configuration: config.properties:2: colour: unknown key",
    );
    check_flags(
        "--start --strict --model-store store",
        "model_metrics_auto_detect=true\n",
        "info: accepted, without effect until a later release: model_metrics_auto_detect",
    );
}

#[test]
fn the_shipped_file_says_nothing_new() {
    let start =
        Start::new("--start --strict --model-store store").file("config.properties", raw::SHIPPED);
    let (mut config, notices) = start.load().unwrap();
    config.file = None;
    fs::remove_file(start.folder.path().join("config.properties")).unwrap();
    assert_eq!((config, notices), start.load().unwrap());
}

#[test]
fn the_shipped_file_holds_the_defaults_of_the_table() {
    let (entries, flaws) = properties::parse(raw::SHIPPED.as_bytes());
    assert_eq!(flaws, []);
    let shipped: BTreeMap<&str, &str> = entries
        .iter()
        .map(|e| (e.key.as_str(), e.value.as_str()))
        .collect();
    let honoured = KEYS
        .iter()
        .filter(|key| key.state == State::Honoured && !key.default.is_empty());
    assert_eq!(
        shipped,
        honoured.map(|key| (key.name, key.default)).collect()
    );
    for key in KEYS.iter().filter(|key| key.state == State::Honoured) {
        assert!(
            raw::SHIPPED.contains(&format!("{}=", key.name)),
            "no line for {}",
            key.name
        );
    }
}

#[test]
fn the_documentation_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, configuration_page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == configuration_page(),
        "docs/configuration.md is out of date: run cargo xtask docs"
    );
}
