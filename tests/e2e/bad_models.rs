//! Models that cannot be served: the log says why in one line, requests for them are refused, and the others serve.

use std::fs;

use archive::ArchiveFormat;
use serde_json::{Value, json};

use crate::fixtures::{Model, own, zip};
use crate::harness::{Bench, Daemon};

/// A model as a folder: its manifest's `model` member, and files.
fn folder(bench: &Bench, name: &str, model: &Value, files: &[(&str, &[u8])]) {
    let manifest = json!({"runtime": "python", "model": model}).to_string();
    bench.write(
        &format!("store/{name}/MAR-INF/MANIFEST.json"),
        manifest.as_bytes(),
    );
    for (file, content) in files {
        bench.write(&format!("store/{name}/{file}"), content);
    }
}

/// A model of that name with these bytes as weights.
fn with_weights(bench: &Bench, name: &str, weights: &[u8]) {
    let model = json!({"modelName": name, "serializedFile": "w.pt", "handler": "base_handler"});
    folder(bench, name, &model, &[("w.pt", weights)]);
}

/// The log has one line on the archive with all these words, and nobody knows the model.
fn check_left_out(daemon: &Daemon, archive: &str, words: &[&str]) {
    let line = daemon
        .log()
        .wait_for(&format!("model {archive} is left out: "));
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
    let name = archive.split('.').next().expect("split gives one part");
    let answer = daemon.post(&format!("/predictions/{name}"), b"[1]");
    assert_eq!(answer.status, 404);
    assert_eq!(answer.message(), format!("Model not found: {name}"));
    daemon.check_serves();
}

#[test]
fn archives_that_cannot_be_opened_are_left_out() {
    let bench = Bench::new().with(&Model::double());
    let whole = fs::read(bench.path("store/double.mar")).expect("just packed");
    bench.write("store/cut.mar", &whole[..whole.len() / 2]);
    let mut flipped = fs::read(bench.path("store/double.mar")).expect("just packed");
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    bench.write("store/flipped.mar", &flipped);
    bench.write("store/text.mar", b"this is no archive");
    bench.write("store/empty.mar", b"");
    let escaping = [("../../escaped.txt", b"x".as_slice())];
    bench.write("store/escaping.mar", &zip(&escaping));
    let garbled = [("MAR-INF/MANIFEST.json", b"{\"model\": ".as_slice())];
    bench.write("store/garbled.mar", &zip(&garbled));
    let no_model = [("MAR-INF/MANIFEST.json", b"{}".as_slice())];
    bench.write("store/nomodel.mar", &zip(&no_model));
    bench.write("store/bare.mar", &zip(&[("w.pt", b"x".as_slice())]));
    let daemon = bench.start();
    check_left_out(&daemon, "cut.mar", &["cut.mar: damaged archive"]);
    check_left_out(&daemon, "flipped.mar", &["flipped.mar: damaged archive"]);
    check_left_out(&daemon, "text.mar", &["text.mar: not a model archive"]);
    check_left_out(&daemon, "empty.mar", &["empty.mar: not a model archive"]);
    let parent = ["escaped.txt", "refused", "parent folder"];
    check_left_out(&daemon, "escaping.mar", &parent);
    check_left_out(&daemon, "garbled.mar", &["MAR-INF/MANIFEST.json"]);
    let missing = ["MAR-INF/MANIFEST.json", "member \"model\" is missing"];
    check_left_out(&daemon, "nomodel.mar", &missing);
    check_left_out(&daemon, "bare.mar", &["names no serializedFile"]);
    assert!(!daemon.bench.path("escaped.txt").exists());
}

#[test]
fn models_that_cannot_be_served_here_are_left_out() {
    let bench = Bench::new().with(&Model::double());
    let weights = fs::read(own("double.pt")).expect("a fixture");
    let model = |name: &str, handler: &str| json!({"modelName": name, "serializedFile": "w.pt", "handler": handler});
    let files: &[(&str, &[u8])] = &[("w.pt", &weights)];
    folder(&bench, "gone", &model("gone", "yours.py"), files);
    folder(
        &bench,
        "unknown",
        &model("unknown", "image_clasifier"),
        files,
    );
    let mut absent = model("absent", "base_handler");
    absent["serializedFile"] = json!("gone.pt");
    folder(&bench, "absent", &absent, files);
    let mut outside = model("outside", "base_handler");
    outside["serializedFile"] = json!("../double.mar");
    folder(&bench, "outside", &outside, files);
    let mut typed = model("typed", "base_handler");
    typed["handler"] = json!(["base_handler"]);
    folder(&bench, "typed", &typed, files);
    let bench = bench.with(
        &Model::double()
            .named("setting")
            .configured("handler:\n  batchd: true\n")
            .packed(ArchiveFormat::TarGz),
    );
    let daemon = bench.start();
    check_left_out(&daemon, "gone", &["handler yours.py", "no file yours.py"]);
    let hint = "did you mean `image_classifier`?";
    check_left_out(
        &daemon,
        "unknown",
        &["unknown handler `image_clasifier`", hint],
    );
    check_left_out(&daemon, "absent", &["gone.pt", "no such file"]);
    check_left_out(&daemon, "outside", &["../double.mar"]);
    check_left_out(
        &daemon,
        "typed",
        &["\"model.handler\"", "expected text, found a list"],
    );
    check_left_out(
        &daemon,
        "setting.tar.gz",
        &["handler.batchd", "did you mean `batched`?"],
    );
}

#[test]
fn weights_that_are_no_torchscript_are_left_out() {
    let bench = Bench::new().with(&Model::double());
    let weights = fs::read(own("double.pt")).expect("a fixture");
    let noise: Vec<u8> = (0..4096_u32).map(|i| (i * i / 7) as u8).collect();
    with_weights(&bench, "cut", &weights[..weights.len() / 2]);
    with_weights(&bench, "noise", &noise);
    with_weights(&bench, "empty", b"");
    with_weights(&bench, "pickle", b"\x80\x02}q\x00.");
    let eager: [(&str, &[u8]); 3] = [
        ("archive/data.pkl", b"\x80\x02}q\x00."),
        ("archive/data/0", b"1234"),
        ("archive/version", b"3\n"),
    ];
    with_weights(&bench, "eager", &zip(&eager));
    let daemon = bench.start();
    check_left_out(&daemon, "cut", &["w.pt is no model file"]);
    check_left_out(&daemon, "noise", &["w.pt is no model file"]);
    check_left_out(&daemon, "empty", &["w.pt is an empty file"]);
    check_left_out(&daemon, "pickle", &["w.pt is a bare pickle", "torch.jit"]);
    let eager = ["w.pt is a pickled state dictionary", "torch.jit"];
    check_left_out(&daemon, "eager", &eager);
}

/// What only libtorch can tell comes to light when the workers load: the model is known, and has no worker.
#[test]
fn weights_that_libtorch_refuses_leave_a_model_without_workers() {
    let bench = Bench::new().with(&Model::double());
    let script: [(&str, &[u8]); 4] = [
        ("archive/data.pkl", b"\x80\x02}q\x00."),
        ("archive/constants.pkl", b"\x80\x02)."),
        ("archive/code/__torch__.py", b"no code"),
        ("archive/version", b"3\n"),
    ];
    with_weights(&bench, "broken", &zip(&script));
    let daemon = bench.start();
    let mut connection = daemon.connect();
    let answer = connection.request(&crate::client::Request::post("/predictions/broken", "[1]"));
    assert_eq!(answer.status, 503);
    let message = answer.message();
    let start = "Model \"broken\" has no worker to serve inference request.";
    assert!(message.starts_with(start), "{message}");
    assert!(message.contains("libtorch cannot load w.pt: "), "{message}");
    for noise in ["frame #", "c10::", "Exception raised"] {
        assert!(!message.contains(noise), "{message}");
    }
    let health = daemon.get("/ping");
    assert_eq!(health.status, 500);
    assert_eq!(health.text(), "{\n  \"status\": \"Unhealthy\"\n}\n");
    let ready = daemon.get("/ready");
    assert_eq!(ready.status, 503);
    // The other model may still be loading, and then it is named, too.
    let waiting = ready.json()["waitingFor"].clone();
    let broken = waiting
        .as_array()
        .into_iter()
        .flatten()
        .find(|model| model["modelName"] == "broken");
    let broken = broken.expect("named");
    assert_eq!(
        (&broken["state"], &broken["readyWorkers"]),
        (&"failed".into(), &0.into())
    );
    daemon.check_serves();
}
