use super::*;

const FULL: &str = r#"{
  "createdOn": "21/11/2026 21:23:23",
  "runtime": "python3",
  "model": {
    "modelName": "m",
    "serializedFile": "m.pt",
    "handler": "m_handler.py:run",
    "modelFile": "model.py",
    "modelVersion": "2.1",
    "requirementsFile": "requirements.txt",
    "configFile": "model-config.yaml",
    "sourceVocab": "vocab.pt"
  },
  "archiverVersion": "0.12.0",
  "description": "ours"
}"#;

#[test]
fn a_full_manifest_is_read_and_written_back_as_it_was() {
    let manifest = Manifest::from_json(FULL.as_bytes(), "other".to_owned()).expect("it is sound");
    assert_eq!(manifest.runtime, Runtime::Python3);
    assert_eq!(manifest.model.model_name, "m");
    assert_eq!(manifest.model.handler.as_deref(), Some("m_handler.py:run"));
    assert_eq!(manifest.model.model_version, "2.1");
    assert_eq!(manifest.model.rest["sourceVocab"], "vocab.pt");
    assert_eq!(manifest.rest["description"], "ours");
    assert_eq!(manifest.to_json(), FULL);
}

#[test]
fn absent_members_have_torchserve_defaults() {
    let manifest = Manifest::from_json(
        br#"{"model": {"handler": null, "modelFile": ""}}"#,
        "stem".to_owned(),
    );
    assert_eq!(manifest, Ok(Manifest::absent("stem".to_owned())));
}

#[test]
fn a_version_may_be_written_as_a_number() {
    let manifest = Manifest::from_json(br#"{"model": {"modelVersion": 1.0}}"#, "m".to_owned());
    assert_eq!(
        manifest.map(|it| it.model.model_version).as_deref(),
        Ok("1.0")
    );
}

fn check_error(text: &str, expected: &str) {
    let found = Manifest::from_json(text.as_bytes(), "m".to_owned());
    assert_eq!(found.expect_err(text), expected);
}

#[test]
fn errors_name_the_member() {
    check_error("{", "EOF while parsing an object at line 1 column 1");
    check_error("[]", "expected an object, found a list");
    check_error("{}", "member \"model\" is missing");
    check_error(r#"{"model": null}"#, "member \"model\" is missing");
    check_error(
        r#"{"model": "m"}"#,
        "member \"model\": expected an object, found text",
    );
    check_error(
        r#"{"model": {"modelName": ["m"]}}"#,
        "member \"model.modelName\": expected text, found a list",
    );
    check_error(
        r#"{"runtime": "ruby", "model": {}}"#,
        "member \"runtime\": expected python, python3 or LSP, found \"ruby\"",
    );
    check_error(
        r#"{"createdOn": true, "model": {}}"#,
        "member \"createdOn\": expected text, found a boolean",
    );
}

fn check_name(file: &str, expected: &str) {
    assert_eq!(default_model_name(file), expected);
}

#[test]
fn a_name_comes_from_the_file() {
    check_name("resnet-18.mar", "resnet_18");
    check_name("bert.v2.tar.gz", "bert_v2");
    check_name("_m1.mar", "_m1");
    check_name("größe.mar", "gr__e");
    check_name("folder", "folder");
}
