//! Number plates with handlers in Python, as one writes them for TorchServe: the archives and the workflow of
//! docs/examples/plates-python, packed by our archiver and served three times, by the daemon with either worker and by TorchServe's
//! own server. All must say what the reference says, and the same.

use std::fs;
use std::path::{Path, PathBuf};

use archive::{ArchiveFormat, PackOptions, Plan, WorkflowPackOptions};
use serde_json::{Value, json};

use crate::client::Request;
use crate::fixtures::{json as read_json, shared};
use crate::harness::Bench;
use crate::plates::check_plates;
use crate::torchserve::{Serving, Who, interpreter, settings};

const MODELS: [(&str, &str); 3] = [
    ("yolo", "plate_yolo.pt"),
    ("stn", "stn.pt"),
    ("lprnet", "lprnet_ru.pt"),
];

const PICTURES: [(&str, &str); 3] = [
    ("car.jpg", "car.rgb.json"),
    ("cat.jpeg", "cat.rgb.json"),
    ("street_one_plate.jpg", "street_one_plate.rgb.json"),
];

/// What one server says of one picture.
#[derive(Debug)]
struct Told {
    /// The answers of the three models, each to what the one before it said.
    models: [Vec<u8>; 3],
    /// `None` where the server has no such workflow.
    workflow: Option<Value>,
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/examples/plates-python")
        .join(name)
}

/// The archives and the workflow in a store.
fn store(data: &Path) -> Bench {
    let bench = Bench::new();
    for (name, weights) in MODELS {
        let plan = Plan::check(PackOptions {
            model_name: name.to_owned(),
            version: "1.0".to_owned(),
            handler: example(&format!("{name}.py")).display().to_string(),
            serialized_file: Some(data.join("models").join(weights)),
            export_path: bench.path("store"),
            format: ArchiveFormat::Zip,
            ..PackOptions::default()
        });
        archive::pack(&plan.expect("a plan"), &mut |_| {}).expect("packed");
    }
    let plan = Plan::check_workflow(WorkflowPackOptions {
        workflow_name: "plate_recognition".to_owned(),
        spec_file: example("plate_recognition.yaml"),
        handler: Some(example("aggregate.py")),
        export_path: bench.path("store"),
        ..WorkflowPackOptions::default()
    });
    archive::pack(&plan.expect("a plan"), &mut |_| {}).expect("packed");
    bench
}

/// Starts that one over a store of its own, asks it about every picture, and ends it.
fn told(who: Who, data: &Path, interpreter: &Path) -> Option<Vec<Told>> {
    let bench = store(data).config(&settings(who, interpreter));
    let serving = if who == Who::TheirServer {
        let files = MODELS.map(|(name, _)| format!("{name}.mar"));
        let files = files.each_ref().map(String::as_str);
        Serving::theirs(interpreter, &bench.path("."), &files)?
    } else {
        Serving::daemon(who, bench.start())
    };
    serving.wait_for(&MODELS.map(|(name, _)| name));
    let is_there = has_workflow(&serving);
    let pictures = PICTURES.iter().map(|(file, _)| {
        let picture = fs::read(data.join("images").join(file)).expect("a picture");
        let models = chain(&serving, &picture);
        let workflow = is_there.then(|| {
            let request = Request::post("/wfpredict/plate_recognition", picture);
            serving.send(&request).prediction()
        });
        Told { models, workflow }
    });
    Some(pictures.collect())
}

/// Registers the workflow; where that is refused, says so.
#[expect(clippy::print_stderr, reason = "what is not compared has to be said")]
fn has_workflow(serving: &Serving) -> bool {
    let answer = serving.manage("POST", "/workflows?url=plate_recognition.war");
    if answer.status != 200 {
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(serving.who, Who::TheirServer, "{text}");
        eprintln!(
            "not compared: {:?} refuses the workflow: {text}",
            serving.who
        );
    }
    answer.status == 200
}

fn chain(serving: &Serving, picture: &[u8]) -> [Vec<u8>; 3] {
    let mut body = picture.to_vec();
    MODELS.map(|(model, _)| {
        let request = Request::post(&format!("/predictions/{model}"), body.clone());
        let answer = serving.send(&request);
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "{:?}, {model}: {text}", serving.who);
        body.clone_from(&answer.body);
        answer.body
    })
}

#[test]
fn archives_of_torchserve_say_the_same_wherever_they_run() {
    let (Some(data), Some(interpreter)) = (shared("plates"), interpreter()) else {
        return;
    };
    let ours = told(Who::Ours, &data, &interpreter).expect("it serves");
    for (told, (picture, expected)) in ours.iter().zip(PICTURES) {
        let expected = &read_json(&data.join("expected").join(expected))["workflow_response"];
        let texts = expected["texts"].as_array().expect("texts").iter();
        let texts: Vec<&str> = texts.filter_map(Value::as_str).collect();
        let [found, _, read] = &told.models;
        let value = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("JSON");
        let joined =
            json!({"coordinates": value(found)["coordinates"], "texts": value(read)["data"]});
        check_plates(picture, &joined, &expected["coordinates"], &texts);
        assert_eq!(told.workflow, Some(joined), "{picture}");
    }
    for who in [Who::TheirWorker, Who::TheirServer] {
        let Some(theirs) = told(who, &data, &interpreter) else {
            continue;
        };
        for ((ours, theirs), (picture, _)) in ours.iter().zip(&theirs).zip(PICTURES) {
            for ((ours, theirs), (model, _)) in ours.models.iter().zip(&theirs.models).zip(MODELS) {
                assert!(
                    ours == theirs,
                    "{who:?}, {picture}, {model}: {} for {}",
                    String::from_utf8_lossy(theirs),
                    String::from_utf8_lossy(ours)
                );
            }
            if theirs.workflow.is_some() {
                assert_eq!(ours.workflow, theirs.workflow, "{who:?}, {picture}");
            }
        }
    }
}

#[test]
fn doctor_knows_that_they_take_a_worker() {
    let Some(data) = shared("plates") else { return };
    let bench = store(&data);
    let ran = bench.run(&["doctor", "config.properties", "--model-store", "store"]);
    for (model, _) in MODELS {
        let line = ran
            .stdout
            .iter()
            .find(|line| line.contains(&format!("{model}.mar")));
        let line = line.unwrap_or_else(|| panic!("{ran:?}"));
        assert!(line.starts_with("runs with a Python worker"), "{line}");
    }
}
