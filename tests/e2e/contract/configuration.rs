//! Where settings come from, and what they do. Every form of a value is tested beside the code
//! (`server/src/config/tests.rs`); here stands what reaches the models. Refused starts are in `../start_up.rs`.

use std::fs;

use serde_json::{Value, json};

use super::{Api, NOT_ALLOWED};
use crate::client::Request;
use crate::fixtures::{Model, own};
use crate::harness::{Bench, Daemon, Ran, START};

const STORE: [&str; 2] = ["--model-store", "store"];

/// The names of the models that are served.
fn names(daemon: &Daemon) -> Vec<String> {
    let list = Api::management(daemon).ask("GET /models").json();
    let models = list["models"].as_array().expect("a list");
    let names = models.iter().map(|model| model["modelName"].as_str());
    names.map(|name| name.expect("a name").to_owned()).collect()
}

/// How many requests may wait for a model.
fn capacity(daemon: &Daemon, model: &str) -> Value {
    let path = format!("/models/{model}");
    Api::management(daemon).described(&path)[0]["jobQueueStatus"]["remainingCapacity"].clone()
}

#[test]
fn c_8_1_which_source_wins() {
    let start = |lines: &str, arguments: &[&str]| {
        let bench = Bench::new()
            .config(&format!(
                "load_models=file=double.mar\njob_queue_size=5\n{lines}"
            ))
            .env("TS_LOAD_MODELS", "variable=double.mar".into())
            .env("TS_JOB_QUEUE_SIZE", "6".into())
            .with(&Model::double());
        bench.start_with(&[&STORE, arguments].concat())
    };
    let daemon = start("", &[]);
    assert_eq!(
        (names(&daemon), capacity(&daemon, "file")),
        (vec!["file".into()], json!(5))
    );
    let daemon = start("", &["--models", "flag=double.mar"]);
    assert_eq!(
        (names(&daemon), capacity(&daemon, "flag")),
        (vec!["flag".into()], json!(5))
    );
    // Variables count only if the file says so, and then before all else.
    let daemon = start(
        "enable_envvars_config=true",
        &["--models", "flag=double.mar"],
    );
    let expected = (vec!["variable".into()], json!(6));
    assert_eq!((names(&daemon), capacity(&daemon, "variable")), expected);
}

#[test]
fn c_8_1_a_variable_may_name_the_file() {
    let bench = Bench::new()
        .config("load_models=usual=double.mar")
        .with(&Model::double());
    let usual = fs::read_to_string(bench.path("config.properties")).expect("just written");
    let other = usual.replace("usual=", "other=");
    bench.write("other.properties", other.as_bytes());
    let daemon = bench
        .env("TS_CONFIG_FILE", "other.properties".into())
        .start_with(&STORE);
    assert_eq!(names(&daemon), ["other"]);
}

#[test]
fn c_8_1_the_file_is_one_of_javas_properties() {
    let bench = Bench::new()
        .config(
            "! a comment\n  # and another\njob_queue_size : 1\\u0031\nload_models=one=double.mar,\\\n      $$TWO$$=double.mar\n\
             prediction_content_type = TRUE\nenable_model_api=yes",
        )
        .env("TWO", "two".into())
        .with(&Model::double());
    let daemon = bench.start_with(&STORE);
    assert_eq!(names(&daemon), ["one", "two"]);
    assert_eq!(capacity(&daemon, "one"), 11);
    let answer = daemon.post("/predictions/one", b"[1]");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    // Only `true` is true.
    let (kind, message) = NOT_ALLOWED;
    Api::management(&daemon).check_failed(&[("DELETE /models/one", 405, kind, message)]);
}

#[test]
fn c_8_1_a_mistake_is_told_with_file_and_line() {
    let lines = "\njob_queue_size=5\ndefault_service_handler=$$ABSENT_VARIABLE$$\nmodels={";
    let bench = Bench::new().config(lines);
    let told = [
        "config.properties:4: default_service_handler: the environment variable ABSENT_VARIABLE is not set",
        "config.properties:5: models: not valid JSON: EOF while parsing an object at character 1",
    ];
    let expected = Ran {
        code: Some(1),
        stdout: Vec::new(),
        stderr: told
            .map(|line| format!("Invalid configuration: {line}"))
            .into(),
    };
    let start = [&START[..], &["--model-store", "store"]].concat();
    assert_eq!(bench.run(&start), expected);
}

#[test]
fn c_8_2_keys() {
    let bench = Bench::new().config(
        "default_workers_per_model=2\ndefault_response_timeout=50\ndefault_startup_timeout=60\njob_queue_size=7\n\
         initial_worker_port=7000\ndefault_service_handler=base_handler\nmax_request_size=1000\nenable_model_api=true\n\
         limit_max_image_pixels=false\nunregister_model_timeout=soon\nflux_capacitor=on\nvmargs=-Xmx1g\n",
    );
    // A model without a handler of its own.
    let manifest = json!({"model": {"modelName": "bare", "serializedFile": "w.pt"}}).to_string();
    bench.write("store/bare/MAR-INF/MANIFEST.json", manifest.as_bytes());
    let weights = fs::read(own("double.pt")).expect("a fixture");
    bench.write("store/bare/w.pt", &weights);
    let daemon = bench.start();
    let api = Api::management(&daemon);
    let expected = json!({
        "minWorkers": 2, "maxWorkers": 2, "responseTimeout": 50, "startupTimeout": 60,
        "jobQueueStatus": {"remainingCapacity": 7, "pendingRequests": 0},
    });
    api.check_described("/models/bare", &expected);
    assert_eq!(api.workers("/models/bare"), ["7000", "7001"]);
    let answer = daemon.post("/predictions/bare", b"[1.5]");
    assert_eq!(answer.prediction(), json!([3.0]));
    // The number of workers holds for models that are registered over the network, too.
    let registered = "Model \"again\" Version: 1.0 registered with 2 initial workers";
    api.check_said(&[("POST /models?url=bare&model_name=again", 200, registered)]);
    let large = Request::post("/predictions/bare", vec![b' '; 1001]);
    assert_eq!(daemon.send(&large).status, 413);
    // What is no number is the default, and what is not known is ignored, with a warning each.
    for warning in [
        "unregister_model_timeout: expected a whole number of seconds from 0, found `soon`; the default 120 is used",
        "flux_capacitor: unknown key; it is ignored",
        "accepted, without meaning here: vmargs (there is no Java virtual machine)",
    ] {
        daemon.log().wait_for(warning);
    }
}

#[test]
fn c_8_3_models_are_tuned_but_not_loaded() {
    let models = json!({
        "double": {"1.0": {"defaultVersion": true, "marName": "double.mar", "minWorkers": 2, "maxWorkers": 3,
            "batchSize": 4, "maxBatchDelay": 50, "responseTimeout": 30, "startupTimeout": 60, "runtimeType": "python"}},
        "other": {"1.0": {"batchSize": 0, "maxBatchDelay": -1, "minWorkers": "1"}, "2.0": {"batchSize": 9}},
        "tuned": {"1.0": {"batchSize": 9, "maxBatchDelay": 50, "responseTimeout": 30}},
        "absent": {"1.0": {"marName": "double.mar", "minWorkers": 1}},
    });
    let bench = Bench::new().config(&format!(
        "enable_model_api=true\ndefault_workers_per_model=1\nmodels={models}"
    ));
    let tuned = Model::double().named("tuned").configured("batchSize: 2\n");
    let daemon = bench.with(&Model::double()).with(&tuned).start_with(&[
        "--model-store",
        "store",
        "--models",
        "double.mar",
        "other=double.mar",
        "tuned.mar",
    ]);
    assert_eq!(names(&daemon), ["double", "other", "tuned"]);
    let api = Api::management(&daemon);
    for (name, expected) in [
        (
            "double",
            json!({"minWorkers": 2, "maxWorkers": 3, "batchSize": 4, "maxBatchDelay": 50, "responseTimeout": 30,
                "startupTimeout": 60}),
        ),
        // Numbers below one count as absent, and those of another version are not its own.
        (
            "other",
            json!({"minWorkers": 1, "batchSize": 1, "maxBatchDelay": 100}),
        ),
        // What the archive says goes first.
        (
            "tuned",
            json!({"batchSize": 2, "maxBatchDelay": 50, "responseTimeout": 120}),
        ),
    ] {
        api.check_described(&format!("/models/{name}"), &expected);
    }
    // So does what a registration says.
    assert_eq!(api.ask("DELETE /models/double").status, 200);
    let line = "POST /models?url=double.mar&batch_size=8&initial_workers=1";
    assert_eq!(api.ask(line).status, 200);
    let expected =
        json!({"minWorkers": 1, "batchSize": 8, "maxBatchDelay": 50, "responseTimeout": 30});
    api.check_described("/models/double", &expected);
}

#[test]
fn c_8_4_all_of_the_store() {
    let bench = Bench::new()
        .config("load_models=ALL")
        .with(&Model::double())
        .with(&Model::double().named("renamed"))
        .with(
            &Model::double()
                .named("tar")
                .packed(archive::ArchiveFormat::TarGz),
        )
        .with(
            &Model::double()
                .named("folder")
                .packed(archive::ArchiveFormat::Folder),
        )
        .with(&Model::double().named("hidden"))
        .with(&Model::double().named("text"));
    for (from, to) in [
        ("renamed.mar", "renamed.model"),
        ("hidden.mar", ".hidden.mar"),
        ("text.mar", "text.txt"),
    ] {
        let store = bench.path("store");
        fs::rename(store.join(from), store.join(to)).expect("just packed");
    }
    bench.write("store/broken.mar", b"no archive");
    let daemon = bench.start_with(&STORE);
    // One that fails is logged and skipped.
    assert_eq!(names(&daemon), ["double", "folder", "renamed", "tar"]);
    daemon.log().wait_for("model broken.mar is left out: ");
    for name in names(&daemon) {
        let answer = daemon.post(&format!("/predictions/{name}"), b"[1.5]");
        assert_eq!(answer.prediction(), json!([3.0]), "{name}");
    }
}

#[test]
fn c_8_4_a_list_with_names() {
    let second = Model::double().versioned("2.0").named("second");
    let bench = Bench::new()
        .config("load_models = double.mar , twice=double.mar,double=double.mar, absent.mar,double=second.mar")
        .with(&Model::double())
        .with(&second);
    let daemon = bench.start_with(&STORE);
    assert_eq!(names(&daemon), ["double", "twice"]);
    // The same name and version a second time is left out; the same name in another version is not.
    for line in [
        "model double.mar is left out: Model version 1.0 is already registered for model double",
        "model absent.mar is left out: Model not found at: absent.mar",
    ] {
        daemon.log().wait_for(line);
    }
    let api = Api::management(&daemon);
    let all = api.described("/models/double/all");
    let of = |name: &str| -> Vec<Value> { all.iter().map(|model| model[name].clone()).collect() };
    assert_eq!(of("modelVersion"), ["1.0", "2.0"]);
    assert_eq!(of("loadedAtStartup"), [true, true]);
    api.check_described(
        "/models/double",
        &json!({"modelVersion": "1.0", "modelUrl": "double.mar"}),
    );
}
