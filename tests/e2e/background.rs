//! `--start` and `--stop` as launchers use them: a process in the background, and the file that holds its number.

use std::fs;

use crate::client::Connection;
use crate::client::Request;
use crate::fixtures::Model;
use crate::harness::{Bench, Process, Ran};

const START: [&str; 8] = [
    "--start",
    "--ncs",
    "--ts-config",
    "config.properties",
    "--model-store",
    "store",
    "--models",
    "double.mar",
];

const RUNNING: &str =
    "TorchServe is already running, please use torchserve --stop to stop TorchServe.";

/// Stops the daemon of a bench when the test is over, however it ends.
struct Stopper<'a>(&'a Bench);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.run(&["--stop", "--foreground"]);
    }
}

fn said(code: i32, stdout: &[&str], stderr: &[&str]) -> Ran {
    let lines = |lines: &[&str]| lines.iter().map(ToString::to_string).collect();
    Ran {
        code: Some(code),
        stdout: lines(stdout),
        stderr: lines(stderr),
    }
}

#[test]
fn a_daemon_is_started_and_stopped() {
    let bench = Bench::new().with(&Model::double());
    let pid_file = bench.path("tmp/.model_server.pid");
    let stopper = Stopper(&bench);
    // The launcher ends; the daemon goes on printing where the launcher would have.
    let mut launcher = Process::start(bench.command(&START));
    launcher.log.wait_for("Model server started.");
    let address = launcher.log.address();
    let request = Request::post("/predictions/double", "[1.5]");
    let answer = Connection::open(address).request(&request);
    assert_eq!(answer.prediction(), serde_json::json!([3.0]));

    let pid = fs::read_to_string(&pid_file).expect("written by the launcher");
    let exe = fs::read_link(format!("/proc/{pid}/exe")).expect("it runs");
    assert!(exe.ends_with("torchrelay"), "{}", exe.display());
    assert_eq!(bench.run(&START), said(1, &[], &[RUNNING]));
    let in_front = [&START[..], &["--foreground"]].concat();
    assert_eq!(bench.run(&in_front), said(1, &[], &[RUNNING]));
    assert_eq!(fs::read_to_string(&pid_file).expect("still there"), pid);

    let stopped = "TorchServe has stopped.";
    assert_eq!(bench.run(&["--stop"]), said(0, &[stopped], &[]));
    // Its output ends when it does.
    assert_eq!(launcher.wait().code(), Some(0), "the launcher's own end");
    assert!(!pid_file.exists());
    let idle = "TorchServe is not currently running.";
    assert_eq!(bench.run(&["--stop"]), said(0, &[idle], &[]));
    drop(stopper);
}

#[test]
fn a_stop_in_the_foreground_waits_for_the_end() {
    let bench = Bench::new().with(&Model::double());
    let _stopper = Stopper(&bench);
    let launcher = Process::start(bench.command(&START));
    launcher.log.wait_for("Model server started.");
    let pid_file = bench.path("tmp/.model_server.pid");
    let pid = fs::read_to_string(&pid_file).expect("written by the launcher");
    assert_eq!(bench.run(&["--stop", "--foreground"]), said(0, &[], &[]));
    assert!(fs::read_link(format!("/proc/{pid}/exe")).is_err());
    assert!(!pid_file.exists());
}

#[test]
fn the_number_of_a_process_that_is_gone_does_not_hinder() {
    let orphan = "Removing orphan pid file.";
    let idle = "TorchServe is not currently running.";
    let bench = Bench::new().with(&Model::double());
    bench.write("tmp/.model_server.pid", b"99999999");
    assert_eq!(bench.run(&["--stop"]), said(0, &[orphan, idle], &[]));

    bench.write("tmp/.model_server.pid", b"99999999");
    let daemon = bench.start();
    daemon.log().wait_for(orphan);
    daemon.check_serves();
}

#[test]
fn a_background_start_that_cannot_work_is_refused_in_front() {
    let bench = Bench::new();
    let missing = "Missing mandatory parameter --model-store";
    assert_eq!(bench.run(&["--start"]), said(1, &[], &[missing]));
    assert!(!bench.path("tmp/.model_server.pid").exists());
}
