//! Whole starts as data: files, environment and flags in; settings, notices or problems out.

mod logs;
mod shipped;
mod snapshots;
mod values;

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
        "debug=true\nvmargs=-Xmx1g\nasync_logging=true",
        "info: accepted, without effect until a later release: debug\n\
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
fn warnings_are_told_beside_problems() {
    check(
        "colour=red\nmodels={\njob_queue_size=many\ndebug=true",
        "Invalid configuration: config.properties:2: models: not valid JSON: EOF while parsing an object at character 1\n\
         Warning: config.properties:1: colour: unknown key; it is ignored\n\
         Warning: config.properties:3: job_queue_size: expected a whole number from 1, found `many`; \
         the default 100 is used",
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
        "debug=true\n",
        "info: accepted, without effect until a later release: debug",
    );
}

#[test]
fn fronts_are_opened_where_the_flag_or_the_file_says() {
    let document = "name: mine\naddress: http://h:7\nroutes: []";
    let check = |flags: &str, lines: &str, expected: &[&str]| {
        let flags = format!("--start --model-store store --ts-config c --ncs {flags}");
        let start = Start::new(&flags)
            .file("c", lines)
            .file("f/mine.yaml", document);
        let fronts = start.config().fronts;
        let found: Vec<String> = fronts
            .iter()
            .map(|front| format!("{} {}", front.name, front.address))
            .collect();
        assert_eq!(found, expected, "{flags} {lines}");
    };
    check("", "", &[]);
    check("--max-front", "", &["max http://127.0.0.1:5000"]);
    check(
        "--max-front=http://0.0.0.0",
        "",
        &["max http://0.0.0.0:5000"],
    );
    check(
        "--max-front=unix:/x",
        "fronts=f/mine.yaml",
        &["max unix:/x"],
    );
    check(
        "",
        "fronts=f/mine.yaml, max=http://[::1]:9",
        &["mine http://h:7", "max http://[::1]:9"],
    );
}

#[test]
fn a_front_that_cannot_be_opened_refuses_the_start() {
    let check = |lines: &str, expected: &str| {
        let start = Start::new("--start --model-store store --ts-config c --ncs").file("c", lines);
        let expected = format!("Invalid configuration: c:1: fronts: {expected}");
        let start = start.file(
            "bad.yaml",
            "name: n\naddress: http://h\nroutes: [{path: /}]",
        );
        assert_eq!(start.says(), expected, "{lines}");
    };
    check(
        "fronts=gone",
        "gone: there is no front of that name (shipped is max), and no such file",
    );
    check(
        "fronts=max=5000",
        "max: invalid address `5000`: expected http://host[:port], https://host[:port] or unix:/path",
    );
    check(
        "fronts=bad.yaml",
        "bad.yaml: GET /: expected one of predict, labels, json, file and `swagger: true`",
    );
}
