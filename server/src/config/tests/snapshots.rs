//! What a start takes up of a snapshot, and what a snapshot holds of a start.

use super::*;

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
         warning: --models: load_models is ignored: the models are those of model_snapshot"
    );
    assert_eq!(start.config().load_models, LoadModels::None);
}

#[test]
fn models_that_are_named_beside_a_snapshot_are_warned_about_and_refuse_no_start() {
    let check = |flags: &str, expected: &str| {
        let written = snapshot("load_models=all", "");
        let start = Start::new(&format!("--strict --ts-config written {flags}"));
        assert_eq!(start.file("written", &written).says(), expected, "{flags}");
    };
    let ignored = "load_models is ignored: the models are those of model_snapshot";
    check("", &format!("info: written:2: {ignored}"));
    let warned = format!("warning: --models: {ignored}");
    check("--models a.mar", &warned);
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
