//! The text of snapshots: written down once whole, and read back whatever is in it.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::*;

fn models(json: Value) -> SnapshotModels {
    SnapshotModels::read(&json!({ "models": json })).expect("models")
}

fn written(pairs: &[(&str, &str)]) -> WrittenSettings {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    WrittenSettings(pairs.iter().map(owned).collect())
}

/// TorchServe's members in TorchServe's order; ours behind them.
const NOOP: &str = r#"{"noop":{"1.0":{"defaultVersion":true,"marName":"noop.mar","minWorkers":1,"maxWorkers":1,"batchSize":1,"maxBatchDelay":100,"responseTimeout":120,"startupTimeout":120,"runtimeType":"python"},"2.0":{"defaultVersion":false,"marName":"noop","minWorkers":0,"maxWorkers":3,"batchSize":8,"maxBatchDelay":0,"responseTimeout":0,"startupTimeout":60,"runtimeType":"python","parallelLevel":2,"url":"/srv/noop","handler":"base_handler"}}}"#;

#[test]
fn the_text_of_a_snapshot() {
    let settings = written(&[
        ("inference_address", "http://127.0.0.1:8080"),
        ("model_store", " /srv/Modèles #1"),
        ("keystore_pass", r"p\a=s:s"),
    ]);
    let models = models(serde_json::from_str(NOOP).expect("JSON"));
    let now = UNIX_EPOCH + Duration::from_millis(1_795_297_975_324);
    let text = to_text(
        &settings,
        &models,
        &SnapshotWorkflows::default(),
        "20261121215255324-shutdown.cfg",
        now,
    );
    let expected = format!(
        "{HEAD}inference_address=http://127.0.0.1:8080\n\
         model_store=\\ /srv/Mod\\u00e8les #1\n\
         keystore_pass=p\\\\a=s:s\n\
         model_snapshot={{\"name\":\"20261121215255324-shutdown.cfg\",\"modelCount\":1,\"created\":1795297975324,\
         \"models\":{NOOP}}}\n"
    );
    assert_eq!(text, expected);
    assert_eq!(check(text.as_bytes()), Ok(()));
}

#[test]
fn whatever_is_in_it_is_read_back() {
    let odd = "a\\b\tc\nd\re\u{c}f=g:h#i!j k é ☃ 😀 \"quoted\" '$$X$$' ";
    let settings = written(&[("model_store", odd), ("odd key:=", odd)]);
    let mut models = SnapshotModels::default();
    let version = SnapshotVersion {
        mar_name: odd.to_owned(),
        url: Some(odd.to_owned()),
        ..SnapshotVersion::default()
    };
    let versions = models.0.entry(odd.to_owned()).or_default();
    versions.insert(odd.to_owned(), version);
    let text = to_text(
        &settings,
        &models,
        &SnapshotWorkflows::default(),
        odd,
        UNIX_EPOCH,
    );
    assert!(
        text.is_ascii() && text.lines().count() == 3 + HEAD.lines().count(),
        "{text}"
    );
    let (mut entries, flaws) = properties::parse(text.as_bytes());
    assert_eq!(flaws, []);
    let last = entries.pop().expect("the models");
    let pairs = entries.into_iter().map(|entry| (entry.key, entry.value));
    assert_eq!(WrittenSettings(pairs.collect()), settings);
    let json = serde_json::from_str(&last.value).expect("JSON");
    assert_eq!(SnapshotModels::read(&json), Ok(models));
}

#[test]
fn a_file_of_torchserve_is_read() {
    // Pretty-printed and escaped as Java does it, in no order, with gaps and a delay that nobody gave.
    let text = "#Saved by TorchServe\n#Sat Nov 21 21:52:55 UTC 2026\nmodel_snapshot={\\n  \"name\"\\: \"startup.cfg\",\\n  \
                \"modelCount\"\\: 1,\\n  \"models\"\\: {\\n    \"noop\"\\: {\\n      \"1.0\"\\: {\\n        \"defaultVersion\"\\: true,\\n \
                \"marName\"\\: \"noop.mar\",\\n \"minWorkers\"\\: \"2\",\\n \"maxBatchDelay\"\\: -10000}}}}\nmodel_store=/srv\n";
    assert_eq!(check(text.as_bytes()), Ok(()));
    let (entries, _) = properties::parse(text.as_bytes());
    let json = serde_json::from_str(&entries[0].value).expect("JSON");
    let read = SnapshotModels::read(&json).expect("models");
    let expected = json!({ "noop": { "1.0": { "defaultVersion": true, "marName": "noop.mar", "minWorkers": 2 } } });
    assert_eq!(read, models(expected));
    assert_eq!(read.0["noop"]["1.0"].wishes.max_batch_delay, None);
}

#[test]
fn what_is_no_whole_snapshot_is_told_from_one() {
    let settings = written(&[("model_store", "store"), ("keystore_pass", "\u{e9}")]);
    let models = models(serde_json::from_str(NOOP).expect("JSON"));
    let text = to_text(
        &settings,
        &models,
        &SnapshotWorkflows::default(),
        "name",
        UNIX_EPOCH,
    );
    // All but the line end of the last line may be missing; not the brace before it.
    for length in 0..text.len() - 1 {
        assert!(
            check(&text.as_bytes()[..length]).is_err(),
            "{}",
            &text[..length]
        );
    }
    let say = |text: &str, expected: &str| {
        assert_eq!(check(text.as_bytes()), Err(expected.to_owned()), "{text}");
    };
    say("cores=1\n", "there is no model_snapshot in it");
    say(
        "model_snapshot={\"m",
        "model_snapshot: not valid JSON: EOF while parsing a string at line 1 column 3",
    );
    say(
        "a=\\u12\n",
        "line 1: expected four hexadecimal digits after \\u",
    );
}

#[test]
fn members_of_the_wrong_kind_are_named() {
    let check = |json: Value, expected: &str| {
        assert_eq!(
            SnapshotModels::read(&json),
            Err(expected.to_owned()),
            "{json}"
        );
    };
    let version = |state: Value| json!({ "models": { "m": { "1": state } } });
    check(json!([]), "the value: expected a JSON object, found `[]`");
    check(json!({}), "models is missing");
    check(
        json!({ "models": { "m": 1 } }),
        "m: expected a JSON object, found `1`",
    );
    check(
        version(json!([])),
        "m 1: expected a JSON object, found `[]`",
    );
    check(
        version(json!({ "minWorkers": 1 })),
        "m 1: marName is missing",
    );
    check(
        version(json!({ "marName": "m.mar", "minWorkers": 1.5 })),
        "m 1: minWorkers: expected a whole number, found `1.5`",
    );
    check(
        version(json!({ "marName": 1 })),
        "m 1: marName: expected a text, found `1`",
    );
    check(
        version(json!({ "marName": "m.mar", "defaultVersion": "yes" })),
        "m 1: defaultVersion: expected true or false, found `\\\"yes\\\"`",
    );
}

#[test]
fn what_could_not_be_restored_is_kept_until_it_is_registered_or_unregistered() {
    let state = |default: bool| json!({ "marName": "m.mar", "defaultVersion": default });
    let registered = models(json!({ "m": { "1": state(true) } }));
    let left_out = LeftOut::default();
    let lost = json!({ "m": { "1": state(false), "2": state(true) }, "n": { "1": state(true) } });
    for (model, versions) in models(lost).0 {
        for (version, state) in versions {
            left_out.add(&model, &version, state, "lost".into());
        }
    }
    left_out.settle(&registered);
    let mut all = registered.clone();
    all.merge(&left_out.models());
    // Requests that name no version are answered by the version 1 that is registered.
    let expected =
        json!({ "m": { "1": state(true), "2": state(false) }, "n": { "1": state(true) } });
    assert_eq!(all, models(expected));
    let forgets = [
        (("m", Some("1")), false),
        (("n", Some("1")), true),
        (("n", None), false),
        (("m", None), true),
    ];
    for ((model, version), expected) in forgets {
        let found = left_out.forget(model, version);
        assert_eq!(found, expected, "{model} {version:?}");
    }
    assert_eq!(left_out.models(), SnapshotModels::default());
}
