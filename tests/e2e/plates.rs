//! Number plates with real networks: the handlers and both workflows of docs/guides/plates, packed as the guide says, against
//! reference answers.

mod given;
mod variants;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use archive::{Plan, WorkflowPackOptions};
use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::fixtures::{Model, json as read_json, own, shared};
use crate::harness::{Bench, Daemon};

const FORMS: [&str; 2] = ["plate_recognition", "plate_recognition_typed"];

/// The networks' names in the guide and their files.
const NETWORKS: [(&str, &str); 3] = [
    ("yolo", "plate_yolo.pt"),
    ("stn", "stn.pt"),
    ("lprnet", "lprnet_ru.pt"),
];

/// The weights and pictures of number plates, where they are there.
fn plates() -> Option<PathBuf> {
    shared("plates")
}

/// A file of the guide.
fn guide(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides/plates");
    fs::read_to_string(folder.join(name)).expect("a file of the guide")
}

/// The models that do a whole step each.
fn steps(data: &Path) -> [Model; 3] {
    NETWORKS.map(|(name, file)| {
        let weights = data.join("models").join(file);
        Model::new(name, weights, "pipeline").configured(&guide(&format!("{name}.yaml")))
    })
}

/// The networks alone.
fn networks(data: &Path) -> [Model; 3] {
    NETWORKS.map(|(name, file)| {
        let weights = data.join("models").join(file);
        let name = format!("{name}_network");
        let config = guide(&format!("{name}.yaml"));
        Model::new(&name, weights, "base_handler").configured(&config)
    })
}

/// Packs a workflow of that spec into the store, as our archiver does.
fn pack(bench: &Bench, name: &str, spec: &str) {
    let file = format!("stage/{name}.yaml");
    bench.write(&file, spec.as_bytes());
    let options = WorkflowPackOptions {
        workflow_name: name.to_owned(),
        spec_file: bench.path(&file),
        export_path: bench.path("store"),
        ..WorkflowPackOptions::default()
    };
    let plan = Plan::check_workflow(options).unwrap_or_else(|error| panic!("{error}"));
    archive::pack(&plan, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
}

/// Everything of the guide, loaded at the start.
fn daemon(data: &Path) -> Daemon {
    let models = steps(data).into_iter().chain(networks(data));
    let bench = models.fold(Bench::new(), |bench, model| bench.with(&model));
    for form in FORMS {
        pack(&bench, form, &guide(&format!("{form}.yaml")));
    }
    let daemon = bench.start_with(&[
        "--model-store",
        "store",
        "--models",
        "yolo.mar",
        "stn.mar",
        "lprnet.mar",
        "--workflows",
        "all",
    ]);
    daemon.wait_for_ok("/ready");
    daemon
}

fn picture(data: &Path, name: &str) -> Vec<u8> {
    fs::read(data.join("images").join(name)).expect("a picture")
}

fn ask(daemon: &Daemon, workflow: &str, picture: &[u8]) -> Answer {
    daemon.post(&format!("/wfpredict/{workflow}"), picture)
}

/// Places within 1.5 pixels, which cutting fractions off makes two; confidence within 0.02; texts as given.
#[track_caller]
pub(crate) fn check_plates(case: &str, found: &Value, coordinates: &Value, texts: &[&str]) {
    assert_eq!(found["texts"], json!(texts), "{case}");
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (places, expected) = (list(&found["coordinates"]), list(coordinates));
    assert_eq!(places.len(), expected.len(), "{case}: {found}");
    for (place, expected) in places.iter().zip(&expected) {
        for (side, tolerance) in [
            ("xmin", 2.0),
            ("ymin", 2.0),
            ("xmax", 2.0),
            ("ymax", 2.0),
            ("confidence", 0.02),
        ] {
            let number = |value: &Value| value[side].as_f64().expect("a number");
            let off = (number(place) - number(expected)).abs();
            assert!(off <= tolerance, "{case}, {side}: {place} for {expected}");
        }
    }
    assert!(places.iter().all(|place| place["xmin"].is_u64()), "{found}");
}

#[test]
fn both_forms_are_there_at_the_start_and_read_plates() {
    let Some(data) = plates() else { return };
    let daemon = daemon(&data);
    for form in FORMS {
        let described = daemon.manage("GET", &format!("/workflows/{form}"));
        let described = &described.prediction()[0];
        assert_eq!(described["loadedAtStartup"], true, "{form}");
        assert_eq!(described["warnings"], json!([]), "{form}");
        for (name, expected) in [
            ("car.jpg", "car.rgb.json"),
            ("cat.jpeg", "cat.rgb.json"),
            ("street_one_plate.jpg", "street_one_plate.rgb.json"),
        ] {
            let expected = read_json(&data.join("expected").join(expected));
            let expected = &expected["workflow_response"];
            let texts: Vec<&str> = expected["texts"]
                .as_array()
                .expect("texts")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            let found = ask(&daemon, form, &picture(&data, name)).prediction();
            check_plates(
                &format!("{form} {name}"),
                &found,
                &expected["coordinates"],
                &texts,
            );
        }
        // The picture that the guide shows.
        let street = fs::read(own("street.png")).expect("a picture of ours");
        let found = ask(&daemon, form, &street).prediction();
        assert_eq!(found["texts"], json!(["X904AM78"]), "{form}");
        let car = picture(&data, "car.jpg");
        let path = format!("/wfpredict/{form}");
        // The other order of channels, as a field of a form.
        let field = ("data", Some("car.jpg"), &car[..]);
        let bgr = Request::post(&path, "").multipart(&[field, ("order", None, b"bgr")]);
        let expected = read_json(&data.join("expected/car.bgr.json"));
        let expected = &expected["workflow_response"]["coordinates"];
        let found = daemon.send(&bgr).prediction();
        check_plates(&format!("{form} bgr"), &found, expected, &["B840OK197"]);
        // As curl sends a file with --data-binary.
        let curl = Request::post(&path, car).content_type("application/x-www-form-urlencoded");
        assert_eq!(
            daemon.send(&curl).prediction()["texts"],
            json!(["B840CK197"]),
            "{form}"
        );
    }
}

#[test]
fn every_step_alone_keeps_its_contract() {
    let Some(data) = plates() else { return };
    let daemon = daemon(&data);
    let found = daemon
        .post("/predictions/yolo", &picture(&data, "car.jpg"))
        .prediction();
    let crops = found["data"].as_array().expect("crops");
    assert_eq!(crops.len(), 1);
    assert_eq!(found["coordinates"][0]["xmin"], 232);
    // Each step takes what the one before it gave, as curl sends JSON with -d.
    let form = "application/x-www-form-urlencoded";
    let step = |model: &str, body: &Value| {
        let request = Request::post(&format!("/predictions/{model}"), body.to_string());
        daemon.send(&request.content_type(form)).prediction()
    };
    let straight = step("stn", &found);
    assert_eq!(straight["data"][0].as_array().map(Vec::len), Some(3));
    assert_eq!(step("lprnet", &straight), json!({"data": ["B840CK197"]}));
    let nothing = daemon
        .post("/predictions/yolo", &picture(&data, "cat.jpeg"))
        .prediction();
    assert_eq!(nothing, json!({"data": [], "coordinates": []}));
    for model in ["stn", "lprnet"] {
        assert_eq!(
            step(model, &json!({"data": []})),
            json!({"data": []}),
            "{model}"
        );
    }
    // A plate of which nothing was left has no text.
    let nothing = json!({"data": vec![vec![vec![vec![0.0; 94]; 24]; 3]; 2]});
    let straight = step("stn", &nothing);
    assert_eq!(step("lprnet", &straight), json!({"data": ["", ""]}));
    for (model, body, words) in [
        (
            "stn",
            json!({"data": [[1.0]]}),
            "data: expected tensor<float32>[n",
        ),
        ("lprnet", json!({"crops": []}), "expected a member `data`"),
        ("lprnet", json!({"data": "x"}), "data"),
    ] {
        let answer = daemon.post(
            &format!("/predictions/{model}"),
            body.to_string().as_bytes(),
        );
        let message = answer.message();
        assert_eq!(answer.status, 400, "{message}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn plates_are_read_alike_alone_and_in_a_crowd() {
    const CLIENTS: usize = 16;
    let Some(data) = plates() else { return };
    let daemon = daemon(&data);
    let names = [
        "car.jpg",
        "cat.jpeg",
        "street_one_plate.jpg",
        "street_three_plates.png",
    ];
    let pictures = names.map(|name| picture(&data, name));
    let alone: Vec<Value> = FORMS
        .iter()
        .flat_map(|form| {
            pictures
                .each_ref()
                .map(|picture| ask(&daemon, form, picture).prediction())
        })
        .collect();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (daemon, pictures, alone) = (&daemon, &pictures, &alone);
            scope.spawn(move || {
                for step in 0..2 {
                    let (form, at) = ((client + step) % 2, (client / 2 + step) % pictures.len());
                    let found = ask(daemon, FORMS[form], &pictures[at]).prediction();
                    let expected = &alone[form * pictures.len() + at];
                    let case = format!("{} {}", FORMS[form], names[at]);
                    let texts: Vec<&str> = expected["texts"]
                        .as_array()
                        .expect("texts")
                        .iter()
                        .filter_map(Value::as_str)
                        .collect();
                    check_plates(&case, &found, &expected["coordinates"], &texts);
                }
            });
        }
    });
    for (at, name) in names.iter().enumerate() {
        assert_eq!(
            alone[at],
            alone[pictures.len() + at],
            "the two forms on {name}"
        );
    }
}
