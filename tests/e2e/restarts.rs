//! Restarts: what a daemon makes of the snapshots of the one before it.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::Daemon;
use crate::snapshots::{bench, check_status, newest_models, snapshots};

/// Every version of a model as `version min-max batch-size seconds`, the default one first.
fn described(daemon: &Daemon, model: &str) -> Vec<String> {
    let tell = |model: &Value| {
        let of = |name: &str| model[name].as_u64().expect("a number");
        let (min, max) = (of("minWorkers"), of("maxWorkers"));
        let (batch, seconds) = (of("batchSize"), of("responseTimeout"));
        let version = model["modelVersion"].as_str().expect("a version");
        format!("{version} {min}-{max} {batch} {seconds}")
    };
    let list = |path: String| -> Vec<String> {
        let answer = daemon.manage("GET", &path);
        check_status(&answer, 200);
        answer
            .json()
            .as_array()
            .expect("a list")
            .iter()
            .map(tell)
            .collect()
    };
    let mut described = list(format!("/models/{model}"));
    let default = described[0].clone();
    let all = list(format!("/models/{model}/all"));
    described.extend(all.into_iter().filter(|version| *version != default));
    described
}

#[test]
fn c_9_a_restart_has_what_was_last_acknowledged() {
    let daemon = bench("").start_plain(&[]);
    for (method, path) in [
        (
            "POST",
            "/models?url=double2.mar&model_name=double&initial_workers=0&batch_size=3&response_timeout=9",
        ),
        (
            "PUT",
            "/models/double/2.0?min_worker=1&max_worker=2&synchronous=true",
        ),
        ("PUT", "/models/double/2.0/set-default"),
        // Its archive says two workers, and seven seconds; what was asked for last counts.
        ("POST", "/models?url=mlp.mar&synchronous=true"),
        ("PUT", "/models/mlp?min_worker=1&max_worker=1"),
        ("POST", "/models?url=double.mar&model_name=gone"),
        ("DELETE", "/models/gone"),
        (
            "POST",
            "/models?url=double.mar&model_name=plain&handler=base_handler",
        ),
    ] {
        let answer = daemon.manage(method, path);
        assert!(answer.status < 300, "{path}: {}", answer.text());
    }
    let double = ["2.0 1-2 3 9", "1.0 1-1 1 120"];
    assert_eq!(described(&daemon, "double"), double);
    assert_eq!(described(&daemon, "mlp"), ["1.0 1-1 2 7"]);
    let models = newest_models(&daemon.bench);
    assert_eq!(
        models["models"]["plain"]["1.0"]["handler"], "base_handler",
        "{models}"
    );

    let mut bench = daemon.end(Signal::KILL);
    for (signal, from) in [
        (Signal::TERM, "-snapshot.cfg"),
        (Signal::TERM, "-shutdown.cfg"),
    ] {
        // Versions come back in the order of their names, which is not that in which they were registered.
        let daemon = bench.start_plain(&["--models", "mlp.mar"]);
        let text = "settings and models are those of the snapshot logs/config/";
        let line = daemon.log().wait_for(text);
        assert!(
            line.contains(from) && line.contains("in place of config.properties"),
            "{line}"
        );
        daemon
            .log()
            .wait_for("--models: load_models is ignored: the models are those of model_snapshot");
        assert_eq!(described(&daemon, "double"), double);
        assert_eq!(described(&daemon, "mlp"), ["1.0 1-1 2 7"]);
        assert_eq!(described(&daemon, "plain"), ["1.0 1-1 1 120"]);
        check_status(&daemon.manage("GET", "/models/gone"), 404);
        daemon.check_serves();
        bench = daemon.end(signal);
    }

    let daemon = bench.start_plain(&["--ncs"]);
    assert_eq!(described(&daemon, "double"), ["1.0 1-1 1 120"]);
    check_status(&daemon.manage("GET", "/models/mlp"), 404);
    let before = snapshots(&daemon.bench);
    check_status(&daemon.manage("PUT", "/models/double?min_worker=2"), 202);
    let bench = daemon.end(Signal::TERM);
    assert_eq!(snapshots(&bench), before);

    let oldest = format!("logs/config/{}", before[0]);
    assert!(oldest.ends_with("-startup.cfg"));
    let daemon = bench.start_plain(&["--ts-config", &oldest]);
    assert_eq!(described(&daemon, "double"), ["1.0 1-1 1 120"]);
    check_status(&daemon.manage("GET", "/models/mlp"), 404);
}

#[test]
fn a_model_outside_the_store_is_found_again() {
    let bench = bench("");
    bench.write(
        "elsewhere/copied/MAR-INF/MANIFEST.json",
        br#"{"model": {"modelName": "far", "modelVersion": "1.0",
        "handler": "base_handler", "serializedFile": "double.pt"}}"#,
    );
    let weights = fs::read(crate::fixtures::own("double.pt")).expect("weights");
    bench.write("elsewhere/copied/double.pt", &weights);
    let folder = bench.path("elsewhere/copied").display().to_string();
    let daemon = bench.start_plain(&[]);
    let path = format!("/models?url={folder}");
    check_status(&daemon.manage("POST", &path), 200);
    let state = newest_models(&daemon.bench)["models"]["far"]["1.0"].clone();
    assert_eq!(
        (&state["marName"], &state["url"]),
        (&json!("copied"), &json!(folder))
    );
    let daemon = daemon.end(Signal::KILL).start_plain(&[]);
    let answer = daemon.post("/predictions/far", b"[1.5]");
    assert_eq!(answer.prediction(), json!([3.0]));
    assert_eq!(
        daemon.manage("GET", "/models/far").json()[0]["modelUrl"],
        folder.as_str()
    );
}

#[test]
fn c_9_a_missing_archive_refuses_the_start() {
    let daemon = bench("").start_plain(&[]);
    check_status(
        &daemon.manage("POST", "/models?url=mlp.mar&initial_workers=0"),
        200,
    );
    let bench = daemon.end(Signal::KILL);
    let file = snapshots(&bench).pop().expect("one");
    fs::rename(
        bench.path("store/mlp.mar"),
        bench.path("store/.mlp.mar.away"),
    )
    .expect("renamed");
    let before = snapshots(&bench);
    let ran = bench.run(&["--start", "--foreground"]);
    let expected = format!(
        "logs/config/{file}: model_snapshot: Model archive file for model :mlp, version :1.0 not found in model store"
    );
    assert_eq!((ran.code, ran.stderr), (Some(1), vec![expected]));
    assert_eq!(snapshots(&bench), before);
    fs::rename(
        bench.path("store/.mlp.mar.away"),
        bench.path("store/mlp.mar"),
    )
    .expect("renamed");
    bench.start_plain(&[]).check_serves();
}

#[test]
fn a_model_that_cannot_be_restored_is_not_forgotten() {
    let daemon = bench("").start_plain(&[]);
    check_status(
        &daemon.manage("POST", "/models?url=mlp.mar&batch_size=5"),
        200,
    );
    let bench = daemon.end(Signal::KILL);
    let archive = fs::read(bench.path("store/mlp.mar")).expect("an archive");
    bench.write("store/mlp.mar", b"half an arch");
    let daemon = bench.start_plain(&[]);
    daemon.log().wait_for(
        "model mlp version 1.0 of the snapshot is left out, and tried again at the next start: ",
    );
    daemon.check_serves();
    check_status(&daemon.manage("GET", "/models/mlp"), 404);
    let ready = daemon.get("/ready");
    check_status(&ready, 503);
    assert_eq!(ready.json()["waitingFor"][0]["modelName"], "mlp");
    check_status(&daemon.manage("PUT", "/models/double?min_worker=2"), 202);
    let bench = daemon.end(Signal::TERM);
    bench.write("store/mlp.mar", &archive);
    let daemon = bench.start_plain(&[]);
    assert_eq!(described(&daemon, "mlp"), ["1.0 2-2 5 7"]);
    assert_eq!(described(&daemon, "double"), ["1.0 2-2 1 120"]);
}

#[test]
fn a_broken_snapshot_is_passed_over() {
    let daemon = bench("").start_plain(&[]);
    check_status(&daemon.manage("PUT", "/models/double?min_worker=3"), 202);
    let bench = daemon.end(Signal::KILL);
    let newest = snapshots(&bench).pop().expect("some");
    let text = fs::read(bench.path("logs/config").join(newest)).expect("readable");
    bench.write(
        "logs/config/20990101000000000-snapshot.cfg",
        &text[..text.len() - 20],
    );
    let daemon = bench.start_plain(&[]);
    let line = daemon.log().wait_for("not a whole snapshot");
    assert!(
        line.contains("logs/config/20990101000000000-snapshot.cfg"),
        "{line}"
    );
    assert_eq!(described(&daemon, "double"), ["1.0 3-3 1 120"]);
    // What this server writes is newer than what it passed over.
    let name = snapshots(&daemon.bench).pop().expect("some");
    assert_eq!(name, "20990101000000001-startup.cfg");
}
