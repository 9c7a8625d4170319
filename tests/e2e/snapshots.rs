//! Snapshots on the real daemon: which files there are when, and what a restart makes of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};

const CONFIG: &str =
    "model_store=store\nenable_model_api=true\ndefault_workers_per_model=1\nload_models=double.mar";

/// `double` and `double2`, which holds a version 2.0, and `mlp`, whose archive wants two workers.
fn bench(config: &str) -> Bench {
    let second = Model {
        version: "2.0".to_owned(),
        ..Model::double().named("double2")
    };
    let mlp =
        Model::mlp().configured("minWorkers: 2\nmaxWorkers: 2\nbatchSize: 2\nresponseTimeout: 7\n");
    Bench::new()
        .config(&format!("{CONFIG}\n{config}"))
        .with(&Model::double())
        .with(&second)
        .with(&mlp)
}

/// The names of the snapshots, the oldest first.
fn snapshots(bench: &Bench) -> Vec<String> {
    let Ok(entries) = fs::read_dir(bench.path("logs/config")) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What comes after the time stamps.
#[track_caller]
fn check_kinds(bench: &Bench, expected: &str) {
    let names = snapshots(bench);
    for name in &names {
        let (stamp, _) = name.split_once('-').expect("a name of two parts");
        assert!(stamp.len() == 17 && stamp.starts_with("20"), "{name}");
    }
    let kinds = names.iter().map(|name| &name[18..]);
    assert_eq!(
        kinds.collect::<Vec<_>>().join(" "),
        expected.replace(' ', ".cfg ") + ".cfg"
    );
}

/// The newest snapshot's line of that key, unescaped as far as these tests need it.
fn newest(bench: &Bench, key: &str) -> Option<String> {
    let names = snapshots(bench);
    let name = names.last().expect("a snapshot");
    let text = fs::read_to_string(bench.path("logs/config").join(name)).expect("text");
    let mut lines = text.lines();
    lines.find_map(|line| Some(line.strip_prefix(&format!("{key}="))?.replace("\\\\", "\\")))
}

fn newest_models(bench: &Bench) -> Value {
    let text = newest(bench, "model_snapshot").expect("models");
    serde_json::from_str(&text).expect("JSON")
}

#[track_caller]
fn check_status(answer: &Answer, expected: u16) {
    assert_eq!(answer.status, expected, "{}", answer.text());
}

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
fn every_change_leaves_a_file_before_it_is_answered() {
    let daemon = bench("keystore_pass=s:e=c").start_plain(&[]);
    let bench = &daemon.bench;
    check_kinds(bench, "startup");
    let name = snapshots(bench).pop().expect("one");
    let mode = fs::metadata(bench.path("logs/config").join(&name))
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(newest(bench, "keystore_pass").as_deref(), Some("s:e=c"));
    assert_eq!(
        newest(bench, "inference_address").as_deref(),
        Some("http://127.0.0.1:0")
    );
    let mut models = newest_models(bench);
    assert!(
        models["created"].take().as_u64() > Some(1_700_000_000_000),
        "{models}"
    );
    let version = json!({
        "defaultVersion": true, "marName": "double.mar", "minWorkers": 1, "maxWorkers": 1, "batchSize": 1,
        "maxBatchDelay": 100, "responseTimeout": 120, "startupTimeout": 120, "runtimeType": "python",
    });
    let expected = json!({ "name": name, "modelCount": 1, "created": null, "models": { "double": { "1.0": version } } });
    assert_eq!(models.to_string(), expected.to_string());

    let steps: &[(&str, &str, u16, &str)] = &[
        (
            "POST",
            "/models?url=double2.mar&model_name=double",
            200,
            "startup snapshot",
        ),
        (
            "PUT",
            "/models/double/2.0?min_worker=1&synchronous=true",
            200,
            "startup snapshot snapshot",
        ),
        (
            "PUT",
            "/models/double/2.0/set-default",
            200,
            "startup snapshot snapshot snapshot",
        ),
        (
            "DELETE",
            "/models/double/1.0",
            200,
            "startup snapshot snapshot snapshot snapshot",
        ),
        // What fails, and what only asks, changes nothing.
        (
            "DELETE",
            "/models/double/1.0",
            404,
            "startup snapshot snapshot snapshot snapshot",
        ),
        (
            "POST",
            "/models?url=double2.mar&model_name=double",
            409,
            "startup snapshot snapshot snapshot snapshot",
        ),
        (
            "PUT",
            "/models/absent/1.0/set-default",
            404,
            "startup snapshot snapshot snapshot snapshot",
        ),
        (
            "GET",
            "/models/double",
            200,
            "startup snapshot snapshot snapshot snapshot",
        ),
    ];
    for (method, path, status, kinds) in steps {
        check_status(&daemon.manage(method, path), *status);
        check_kinds(bench, kinds);
    }
    let models = newest_models(bench);
    assert_eq!(
        models["models"]["double"]["2.0"]["defaultVersion"], true,
        "{models}"
    );
    assert_eq!(models["models"]["double"]["1.0"], Value::Null, "{models}");

    // A registration that comes to nothing is not in the newest one.
    let late = "/models?url=double.mar&model_name=late&initial_workers=1&startup_timeout=0";
    check_status(&daemon.manage("POST", late), 500);
    let models = newest_models(bench);
    assert_eq!(models["models"]["late"], Value::Null, "{models}");

    let bench = daemon.end(Signal::TERM);
    assert!(
        snapshots(&bench)
            .pop()
            .expect("some")
            .ends_with("-shutdown.cfg")
    );
}

#[test]
fn a_restart_has_what_was_last_acknowledged() {
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
fn changes_at_once_are_all_written() {
    let daemon = bench("").start_plain(&[]);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let daemon = &daemon;
            scope.spawn(move || {
                let path = format!("/models?url=double.mar&model_name=m{number}&initial_workers=0");
                check_status(&daemon.manage("POST", &path), 200);
                let models = newest_models(&daemon.bench);
                assert!(
                    models["models"][format!("m{number}")].is_object(),
                    "{models}"
                );
            });
        }
    });
    let bench = daemon.end(Signal::KILL);
    assert_eq!(newest_models(&bench)["modelCount"], 9);
    // Some may have shared a file; the hidden ones of the writing are gone.
    let names = snapshots(&bench);
    assert!((2..=9).contains(&names.len()), "{names:?}");
    assert!(names.iter().all(|name| !name.starts_with('.')), "{names:?}");
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
fn a_missing_archive_refuses_the_start() {
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

#[test]
fn old_ones_go() {
    let daemon = bench("snapshots_kept=3").start_plain(&[]);
    for workers in 0..5 {
        let path = format!("/models/double?min_worker={workers}");
        check_status(&daemon.manage("PUT", &path), 202);
    }
    check_kinds(&daemon.bench, "snapshot snapshot snapshot");
    let bench = daemon.end(Signal::TERM);
    check_kinds(&bench, "snapshot snapshot shutdown");
}

#[test]
fn the_environment_says_where_they_go() {
    let bench = bench("");
    let folder = bench.path("elsewhere");
    let mut command = bench.command(&["--start", "--foreground"]);
    command.env("LOG_LOCATION", &folder);
    let daemon = bench.start_command(command);
    assert_eq!(
        fs::read_dir(folder.join("config"))
            .expect("a folder")
            .count(),
        1
    );
    assert!(!daemon.bench.path("logs/config").exists());
}

#[test]
fn a_folder_that_cannot_be_written_costs_snapshots_alone() {
    let bench = bench("");
    // Nobody, not even root, makes a folder below a file.
    bench.write("logs", b"a file");
    let daemon = bench.start_plain(&[]);
    let text = "-startup.cfg cannot be written: Not a directory";
    daemon.log().wait_for(text);
    check_status(
        &daemon.manage("PUT", "/models/double?min_worker=2&synchronous=true"),
        200,
    );
    daemon
        .log()
        .wait_for("-snapshot.cfg cannot be written: Not a directory");
    daemon.check_serves();
    daemon.end(Signal::TERM);
}
