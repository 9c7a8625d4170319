//! Workflows whole, over scripted models: registration, runs, failures.

use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use archive::{Limits, ModelConfig, Unpacked};
use servable::{Device, Input, LoadError, Loader, Value};
use tempfile::TempDir;

use super::*;
use crate::error::{Code, Error};
use crate::metrics::Metrics;
use crate::testing::ScriptedLoader;
use crate::{
    Cores, Engine, ModelStore, Parts, Serving, Settings, StoreOnly, Wishes, WorkflowStore,
};

/// Models in folders called `apart…` never merge requests; those called `broken…` cannot be made.
struct ScriptedEngine;

impl Engine for ScriptedEngine {
    fn loader(
        &self,
        _name: &str,
        files: &Unpacked,
        _handler: Option<&str>,
    ) -> Result<Arc<dyn Loader>, LoadError> {
        Ok(match files.manifest().model.model_name.as_str() {
            "apart" => Arc::new(ScriptedLoader::apart()),
            "broken" => Arc::new(ScriptedLoader::refusing("as scripted")),
            _ => Arc::new(ScriptedLoader::default()),
        })
    }

    fn gpus(&self) -> usize {
        0
    }

    fn devices(&self, _config: Option<&ModelConfig>, workers: usize) -> Vec<Device> {
        vec![Device::Cpu; workers]
    }
}

struct House {
    serving: Arc<Serving>,
    folder: TempDir,
}

impl House {
    fn new() -> House {
        let folder = tempfile::tempdir().expect("a folder");
        for model in ["m", "apart", "broken"] {
            let inside = folder.path().join(model).join("MAR-INF");
            fs::create_dir_all(&inside).expect("made");
            let manifest =
                format!(r#"{{"model": {{"modelName": "{model}", "modelVersion": "7.0"}}}}"#);
            fs::write(inside.join("MANIFEST.json"), manifest).expect("written");
        }
        let unpacked = folder.path().join(".unpacked");
        let store = ModelStore::open(folder.path(), &unpacked, Limits::default()).expect("a store");
        let workflow_store = WorkflowStore::open(folder.path(), &unpacked, Limits::default());
        let serving = Serving::new(Parts {
            store,
            workflow_store: workflow_store.expect("a store"),
            functions: Arc::new(functions::Functions::default()),
            source: Arc::new(StoreOnly),
            workflow_source: Arc::new(StoreOnly),
            engine: Arc::new(ScriptedEngine),
            cores: Cores::new(NonZeroUsize::MIN),
            admission_limit: 100,
            first_worker_id: 9000,
            defaults: Settings {
                queue_size: 4,
                ..Settings::default()
            },
            sequence_headers: Default::default(),
            configured: Box::new(|_, _| Wishes::default()),
            metrics: Metrics::off(),
        });
        House {
            serving: Arc::new(serving),
            folder,
        }
    }

    async fn register(&self, name: &str, spec: &str) -> Result<Arc<Workflow>, Error> {
        let registration = WorkflowRegistration {
            spec: Some(spec.into()),
            name: Some(name.into()),
            ..WorkflowRegistration::default()
        };
        self.serving.register_workflow(registration).await
    }

    async fn run(
        &self,
        name: &str,
        body: &str,
        options: RunOptions,
    ) -> Result<WorkflowReply, Error> {
        let input = Input::body("", body.to_owned());
        self.serving.run_workflow(name, None, input, options).await
    }

    /// Registers a spec, sends a body, and gives the answer's text.
    async fn answer(&self, spec: &str, body: &str) -> String {
        self.register("w", spec).await.expect("registered");
        let reply = self
            .run("w", body, RunOptions::default())
            .await
            .expect("answered");
        self.serving
            .unregister_workflow("w", None)
            .await
            .expect("unregistered");
        text(reply.output.value)
    }
}

/// JSON without its spaces, which these bodies have none of.
fn text(value: Value) -> String {
    let body = value.into_body();
    let text = String::from_utf8_lossy(&body);
    text.split_whitespace().collect()
}

async fn check(spec: &str, body: &str, expected: &str) {
    let found = House::new().answer(spec, body).await;
    assert_eq!(found, expected, "{spec}");
}

#[tokio::test]
async fn a_node_gets_what_its_parents_gave() {
    check(
        "models: {a: {url: m}, b: {url: m}}\ndag: {a: [b]}",
        "hello",
        "hello",
    )
    .await;
    check("models: {a: {url: m}}\ndag: {a: []}", "alone", "alone").await;
    // Several leaves make an object.
    check(
        "models: {a: {url: m}, b: {url: m}, c: {url: m}}\ndag: {a: [b, c]}",
        "x",
        r#"{"b":"x","c":"x"}"#,
    )
    .await;
    // A join gets its parents' outputs by their names.
    let join =
        "models: {a: {url: m}, b: {url: m}, c: {url: m}}\ndag: {a: [b, c], b: [merge], c: [merge]}";
    check(join, "x", r#"{"b":"x","c":"x"}"#).await;
}

const FAN_OUT: &str = "
inputs: {words: 'list<text>'}
models: {m: {url: MODEL, batch-size: 4}}
nodes:
  word: {foreach: words}
  said: {model: m, in: word}
  all: {gather: said}
output: all
";

#[tokio::test]
async fn items_go_through_a_model_and_come_back_in_their_order() {
    let spec = FAN_OUT.replace("MODEL", "m");
    check(&spec, r#"["a", "b", "c"]"#, r#"["a","b","c"]"#).await;
    check(&spec, "[]", "[]").await;
    // More than the model's queue holds.
    let words: Vec<String> = (0..60).map(|word| format!("\"w{word}\"")).collect();
    let many = format!("[{}]", words.join(","));
    check(&spec, &many, &many).await;
}

#[tokio::test]
async fn items_for_a_model_that_merges_no_requests_travel_together() {
    let spec = FAN_OUT.replace("MODEL", "apart");
    // Each is told how many were in its batch: all three, although the batch size would be four for anybody.
    check(&spec, r#"["batch", "batch", "batch"]"#, "[3,3,3]").await;
}

async fn check_failure(spec: &str, body: &str, code: Code, message: &str) {
    let house = House::new();
    house.register("w", spec).await.expect("registered");
    let error = house
        .run("w", body, RunOptions::default())
        .await
        .expect_err(spec);
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (code, message),
        "{spec}"
    );
}

#[tokio::test]
async fn a_failure_names_its_node_and_keeps_its_kind() {
    let classic = "models: {a: {url: m}, b: {url: m}}\ndag: {a: [b]}";
    check_failure(
        classic,
        "bad",
        Code::BadInput,
        "Error executing a: the input is bad",
    )
    .await;
    check_failure(
        classic,
        "fail",
        Code::PredictionFailed,
        "Error executing a: Prediction failed",
    )
    .await;
    let spec = FAN_OUT.replace("MODEL", "m");
    check_failure(
        &spec,
        r#"["x", "bad"]"#,
        Code::BadInput,
        "Error executing said[1]: the input is bad",
    )
    .await;
    check_failure(
        &spec,
        "{}",
        Code::BadInput,
        "input `words`: expected list<text>, found an object with nothing",
    )
    .await;
    let slow = "models: {a: {url: m, timeout-ms: 50}}\ndag: {a: []}";
    let message = "Error executing a: Model \"w__a\" gave no answer within 50 ms";
    check_failure(slow, "wait 5000", Code::Timeout, message).await;
}

#[tokio::test]
async fn what_failed_and_was_skipped_is_told() {
    let house = House::new();
    let spec = FAN_OUT
        .replace("in: word}", "in: word, on-error: skip}")
        .replace("MODEL", "m");
    house.register("w", &spec).await.expect("registered");
    let options = RunOptions {
        explain: true,
        save: vec!["said".into()],
        ..RunOptions::default()
    };
    let reply = house
        .run("w", r#"["x", "bad"]"#, options)
        .await
        .expect("answered");
    assert_eq!(text(reply.output.value), r#"["x",null]"#);
    assert_eq!(reply.degraded, ["said"]);
    let timeline = reply.timeline.expect("asked for");
    let mut errors: Vec<_> = timeline
        .happenings
        .iter()
        .map(|one| (&one.item[..], one.error.as_deref()))
        .collect();
    errors.sort();
    assert_eq!(
        errors,
        [(&[0][..], None), (&[1][..], Some("the input is bad"))]
    );
    assert_eq!(reply.saved.len(), 2);
}

#[tokio::test]
async fn a_registration_that_fails_leaves_nothing() {
    let house = House::new();
    let spec = "models: {a: {url: m}, b: {url: broken}, c: {url: nowhere}}\ndag: {a: [b, c]}";
    let error = house
        .register("w", spec)
        .await
        .err()
        .expect("two models are missing");
    assert_eq!(error.code(), Code::WorkflowFailed);
    let text = error.to_string();
    let start = "Workflow w has failed to register. Failures: [Workflow Node w__b failed to register. Details: ";
    assert!(text.starts_with(start), "{text}");
    assert!(
        text.contains(
            "Workflow Node w__c failed to register. Details: Model not found at: nowhere"
        ),
        "{text}"
    );
    assert!(house.serving.registry.defaults().is_empty());
    assert_eq!(
        house.serving.workflow("w", None).err(),
        Some(Error::WorkflowNotFound("w".into()))
    );
    // And so may be registered now.
    house
        .register("w", "models: {a: {url: m}}\ndag: {a: []}")
        .await
        .expect("registered");
    let taken = house
        .register("w", "models: {a: {url: m}}\ndag: {a: []}")
        .await;
    assert_eq!(taken.err(), Some(Error::WorkflowTaken("w".into())));
}

#[tokio::test]
async fn a_spec_that_cannot_run_is_refused_before_anything_is_loaded() {
    let house = House::new();
    let error = house
        .register("w", "models: {a: {url: m}}\ndag: {a: [a]}")
        .await
        .err()
        .expect("a loop");
    assert_eq!(error.code(), Code::InvalidGraph);
    assert!(error.to_string().contains("Self loop exception"), "{error}");
    assert!(house.serving.registry.defaults().is_empty());
}

#[tokio::test]
async fn a_name_is_one_segment_of_a_path() {
    let house = House::new();
    for name in ["../x", "a/b", "..", "a\nb", ""] {
        let error = house
            .register(name, "models: {a: {url: m}}\ndag: {a: []}")
            .await;
        let error = error.err().expect(name);
        assert_ne!(error.code(), Code::Internal, "{name:?}: {error}");
    }
    assert!(house.serving.workflows().is_empty());
}

#[tokio::test]
async fn versions_stand_side_by_side() {
    let house = House::new();
    for version in ["1.0", "2.0"] {
        let registration = WorkflowRegistration {
            spec: Some("models: {a: {url: m}}\ndag: {a: []}".into()),
            name: Some("w".into()),
            version: Some(version.into()),
            ..WorkflowRegistration::default()
        };
        house
            .serving
            .register_workflow(registration)
            .await
            .expect("registered");
    }
    let of = |version| {
        house
            .serving
            .workflow("w", version)
            .map(|workflow| workflow.version.clone())
    };
    assert_eq!(of(None).as_deref(), Ok("1.0"));
    house
        .serving
        .set_default_workflow("w", "2.0")
        .await
        .expect("known");
    assert_eq!(of(None).as_deref(), Ok("2.0"));
    house
        .serving
        .unregister_workflow("w", Some("1.0"))
        .await
        .expect("not the default");
    let models: Vec<_> = house
        .serving
        .registry
        .versions("w__a")
        .expect("one")
        .iter()
        .map(|model| model.version.clone())
        .collect();
    assert_eq!(models, ["2.0"]);
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_waiting_items_along() {
    let house = House::new();
    let spec = FAN_OUT
        .replace("MODEL", "m")
        .replace("batch-size: 4", "batch-size: 1");
    house.register("w", &spec).await.expect("registered");
    let words = r#"["wait 200", "wait 200", "wait 200", "wait 200"]"#;
    let run = house.run("w", words, RunOptions::default());
    // Long enough for all of them to be in the queue, and for one to have begun.
    let left = tokio::time::timeout(Duration::from_millis(50), run).await;
    assert!(left.is_err());
    // Were they still waiting, this one would wait for 600 ms more.
    let options = RunOptions {
        patience: Some(Duration::from_millis(400)),
        ..RunOptions::default()
    };
    let reply = house.run("w", r#"["x"]"#, options).await.expect("in time");
    assert_eq!(text(reply.output.value), r#"["x"]"#);
    drop(house.folder);
}

/// A folder in the store with a manifest of that model.
fn write_model(house: &House, folder: &str, model: &str) {
    let inside = house.folder.path().join(folder).join("MAR-INF");
    fs::create_dir_all(&inside).expect("made");
    let manifest = format!(r#"{{"model": {{"modelName": "{model}", "modelVersion": "7.0"}}}}"#);
    fs::write(inside.join("MANIFEST.json"), manifest).expect("written");
}

#[tokio::test]
async fn the_models_in_a_workflows_folder_go_before_those_of_the_store() {
    let house = House::new();
    let spec = "models: {a: {url: m}, b: {url: apart}}\ndag: {a: [b]}";
    // The store has a sound one of that name.
    write_model(&house, "flow/m", "broken");
    fs::write(house.folder.path().join("flow/flow.yaml"), spec).expect("written");
    let register = async || {
        let registration = WorkflowRegistration {
            url: Some("flow".into()),
            ..WorkflowRegistration::default()
        };
        house
            .serving
            .register_workflow(registration)
            .await
            .map(drop)
    };
    let error = register().await.expect_err("its own model is broken");
    assert_eq!(error.code(), Code::WorkflowFailed, "{error}");
    write_model(&house, "flow/m", "m");
    register().await.expect("registered");
    let place = |name: &str| {
        let model = house.serving.registry.resolve(name, None).expect(name);
        let store = house.folder.path().canonicalize().expect("there");
        let place = model.files.dir().strip_prefix(store);
        place.expect("in the store").display().to_string()
    };
    assert_eq!(place("flow__a"), "flow/m");
    assert_eq!(place("flow__b"), "apart");
}

#[tokio::test]
async fn a_model_is_replaced_when_the_new_one_has_loaded_and_not_before() {
    let house = House::new();
    let replace = async |url: &str| {
        let registration = crate::Registration {
            url: url.into(),
            name: Some("it".into()),
            ..crate::Registration::default()
        };
        let limit = Duration::from_secs(30);
        house.serving.replace(registration, limit).await.map(drop)
    };
    let serves = async || {
        let input = Input::body("", "x");
        let reply = house.serving.predict("it", Some("7.0"), input, None).await;
        reply.expect("answered");
        let model = house.serving.registry.resolve("it", None).expect("there");
        model.url.clone()
    };
    replace("m").await.expect("registered");
    assert_eq!(serves().await, "m");
    let error = replace("broken").await.expect_err("it does not load");
    assert!(error.to_string().contains("as scripted"), "{error}");
    assert_eq!(serves().await, "m");
    replace("apart").await.expect("replaced");
    assert_eq!(serves().await, "apart");
}
