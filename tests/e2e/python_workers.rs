//! Workers in Python as an operator meets them: what the log says of their deaths, and what is left of a daemon that was
//! killed.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};
use crate::python_handlers::has_python;

const HANDLER: &str = "
import os, subprocess

def handle(data, context):
    if data and bytes(data[0]['body']) == b'start':
        # In a session of its own, so that it does not end with its parent's group.
        return [str(subprocess.Popen(['sleep', '3600'], start_new_session=True).pid)]
    if data and b'die' in [bytes(row['body']) for row in data]:
        os.abort()
    return data and ['alive'] * len(data)
";

fn bench() -> Bench {
    let bench = Bench::new()
        .with(&Model::double())
        .config("default_workers_per_model=1");
    let model = json!({"modelName": "mortal", "modelVersion": "1.0", "handler": "mine.py:handle"});
    let manifest = json!({"runtime": "python", "model": model}).to_string();
    bench.write("store/mortal/MAR-INF/MANIFEST.json", manifest.as_bytes());
    bench.write("store/mortal/mine.py", HANDLER.as_bytes());
    bench
}

fn start(bench: Bench) -> Daemon {
    let daemon = bench.start();
    daemon.wait_for_ok("/ready");
    daemon
}

#[test]
fn a_death_is_one_line_of_the_log() {
    if !has_python() {
        return;
    }
    let daemon = start(bench());
    let loaded = daemon.log().wait_for("loaded in ");
    let (_, process) = loaded.split_once(" process ").expect("its number");
    let process = process.split(',').next().expect("its number").to_owned();
    let answer = daemon.post("/predictions/mortal", b"die");
    assert_eq!(answer.status, 500);
    let line = daemon.log().wait_for("the worker died: ");
    for part in [
        "W-9",
        "mortal_1.0",
        "signal 6, SIGABRT",
        "its last words: Fatal Python error: Aborted, File ",
        "mine.py\", line 9 in handle",
        &format!("process {process}"),
        "another takes its place",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    for private in ["process", "last words"] {
        assert!(!answer.text().contains(private), "{}", answer.text());
    }
    let answer = daemon.post("/predictions/mortal", b"live");
    assert_eq!(answer.text(), "alive");
}

/// Folders of daemons that run handlers, below the temporary one.
fn folders(tmp: &Path) -> Vec<String> {
    let is_ours = |name: &String| name.starts_with("torchrelay-python-");
    let parents = names(tmp).into_iter().filter(is_ours);
    parents.flat_map(|name| names(&tmp.join(name))).collect()
}

/// Whether there is a process of that number, zombies excepted.
fn runs(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
    !state.is_empty() && !state.starts_with(['Z', 'X'])
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn what_a_killed_daemon_leaves_is_removed_by_the_next() {
    if !has_python() {
        return;
    }
    let daemon = start(bench());
    let started = daemon.post("/predictions/mortal", b"start");
    let started = started.text().to_owned();
    let bench = daemon.end(Signal::KILL);
    assert!(runs(&started), "nothing is left to end");
    let tmp = bench.path("tmp");
    assert_eq!(folders(&tmp).len(), 1);
    // It runs no handler itself.
    fs::remove_dir_all(bench.path("store/mortal")).expect("removed");
    let daemon = start(bench);
    assert_eq!(folders(&tmp), Vec::<String>::new());
    assert!(!runs(&started), "{started}");
    daemon.check_serves();
}
