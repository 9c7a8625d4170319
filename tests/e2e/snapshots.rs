//! Snapshots on the real daemon: which files there are when, and what is in them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::client::Answer;
use crate::fixtures::Model;
use crate::harness::Bench;

const CONFIG: &str =
    "model_store=store\nenable_model_api=true\ndefault_workers_per_model=1\nload_models=double.mar";

/// `double` and `double2`, which holds a version 2.0, and `mlp`, whose archive wants two workers.
pub(crate) fn bench(config: &str) -> Bench {
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
pub(crate) fn snapshots(bench: &Bench) -> Vec<String> {
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

pub(crate) fn newest_models(bench: &Bench) -> Value {
    let text = newest(bench, "model_snapshot").expect("models");
    serde_json::from_str(&text).expect("JSON")
}

#[track_caller]
pub(crate) fn check_status(answer: &Answer, expected: u16) {
    assert_eq!(answer.status, expected, "{}", answer.text());
}

#[test]
fn c_9_every_change_leaves_a_file_before_it_is_answered() {
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
