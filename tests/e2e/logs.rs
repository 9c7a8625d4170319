//! What the daemon writes down: its files, their lines and levels.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::client::{Connection, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon, START, Stream};

/// Longer than anything here takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

const FILES: [&str; 5] = [
    "access_log.log",
    "model_log.log",
    "model_metrics.log",
    "ts_log.log",
    "ts_metrics.log",
];

/// What is served.
const ALL: [&str; 4] = ["--model-store", "store", "--models", "all"];

pub(crate) fn bench(config: &str) -> Bench {
    Bench::new().config(config).with(&Model::double())
}

/// A daemon that serves `double`, with these variables in its environment.
pub(crate) fn start(bench: Bench, variables: &[(&str, &Path)]) -> Daemon {
    let mut command = bench.command(&[&START[..], &ALL].concat());
    command.envs(variables.iter().copied());
    bench.start_command(command)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return BTreeSet::new();
    };
    entries
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// The first line of the file that the expression matches whole, waited for.
#[track_caller]
fn wait_for_line(file: &Path, expression: &str) -> String {
    let expression = Regex::new(&format!("^{expression}$")).expect("an expression");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if let Some(line) = text.lines().find(|line| expression.is_match(line)) {
            return line.to_owned();
        }
        assert!(Instant::now() < deadline, "no {expression} in {text}");
        thread::yield_now();
    }
}

pub(crate) fn stop(daemon: &mut Daemon) {
    daemon.process.signal(Signal::TERM);
    assert_eq!(daemon.process.wait().code(), Some(0));
}

const TIME: &str = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d,\d{3}";

#[test]
fn c_16_files_have_their_lines() {
    let mut daemon = bench("").start();
    daemon.check_serves();
    assert_eq!(daemon.get("/ping").status, 200);
    let logs = daemon.bench.path("logs");
    assert_eq!(names(&logs), FILES.map(str::to_owned).into());
    let check = |file: &str, expression: &str| {
        wait_for_line(&logs.join(file), &format!("{TIME}{expression}"));
    };
    check(
        "access_log.log",
        r#" - /127\.0\.0\.1:\d+ "GET /ping HTTP/1\.1" 200 \d+"#,
    );
    check(
        "access_log.log",
        r#" - /127\.0\.0\.1:\d+ "POST /predictions/double HTTP/1\.1" 200 \d+"#,
    );
    check(
        "ts_log.log",
        r" \[INFO \] \S+ server::listeners - inference_address: listening on .*",
    );
    check(
        "ts_metrics.log",
        r" - Requests2XX\.Count:1\.0\|#Level:Host\|#hostname:[^,|]+,timestamp:\d{10}",
    );
    check(
        "ts_metrics.log",
        r" - ts_inference_requests_total\.Count:1\.0\|#model_name:double,model_version:default\|#hostname:[^,|]+,timestamp:\d{10}",
    );
    check(
        "model_metrics.log",
        r" - PredictionTime\.ms:\d+\.\d+\|#ModelName:double,Level:Model\|#hostname:[^,|]+,timestamp:\d{10}",
    );
    check(
        "model_log.log",
        r" \[INFO \] W-9\d+-double_\S+ torch_engine\S* - .*",
    );
    stop(&mut daemon);
    // The last line is written before the process ends, and standard output has what the files have, without metrics.
    let text = fs::read_to_string(logs.join("ts_log.log")).expect("a file");
    let last = text.lines().last().expect("a line");
    assert!(last.ends_with(" server - stopped"), "{last}");
    let out = daemon.log().of(Stream::Out);
    assert!(out.iter().any(|line| line == last), "{out:#?}");
    let access = Regex::new(&format!(
        r#"^{TIME} \[INFO \] \S+ ACCESS_LOG - /127\.0\.0\.1:\d+ "GET /ping HTTP/1\.1" 200 \d+$"#
    ))
    .expect("an expression");
    assert!(out.iter().any(|line| access.is_match(line)), "{out:#?}");
    assert!(!out.iter().any(|line| line.contains("METRICS")), "{out:#?}");
}

#[test]
fn c_16_the_environment_says_where_files_lie() {
    let bench = bench("");
    let (logs, metrics) = (bench.path("l/deep"), bench.path("m"));
    let variables = [
        ("LOG_LOCATION", logs.as_path()),
        ("METRICS_LOCATION", &metrics),
    ];
    let daemon = start(bench, &variables);
    daemon.check_serves();
    wait_for_line(&logs.join("access_log.log"), ".* 200 .*");
    wait_for_line(&metrics.join("ts_metrics.log"), ".* - Requests2XX.*");
    let (in_logs, in_metrics) = (names(&logs), names(&metrics));
    assert_eq!(
        in_logs.into_iter().collect::<Vec<_>>(),
        ["access_log.log", "model_log.log", "ts_log.log"]
    );
    assert_eq!(
        in_metrics.into_iter().collect::<Vec<_>>(),
        ["model_metrics.log", "ts_metrics.log"]
    );
    assert!(!daemon.bench.path("logs").exists());
}

#[test]
fn a_place_that_cannot_be_written_costs_the_files_and_nothing_else() {
    let bench = bench("");
    bench.write("file", b"no folder");
    let below = bench.path("file/logs");
    let daemon = start(
        bench,
        &[("LOG_LOCATION", &below), ("METRICS_LOCATION", &below)],
    );
    daemon.log().wait_for(&format!(
        "{}: no log files can be written there: Not a directory (os error 20); the log goes on without them",
        below.display()
    ));
    daemon.check_serves();
    daemon
        .log()
        .wait_for("\"POST /predictions/double HTTP/1.1\" 200");
    let out = daemon.log().of(Stream::Out);
    let warnings = out.iter().filter(|line| line.contains("[WARN ]")).count();
    assert_eq!(warnings, 1, "{out:#?}");
}

#[test]
fn a_full_disk_costs_lines_and_nothing_else() {
    let bench = bench("");
    fs::create_dir(bench.path("logs")).expect("a new folder");
    std::os::unix::fs::symlink("/dev/full", bench.path("logs/access_log.log")).expect("a link");
    let daemon = bench.start();
    for _ in 0..3 {
        daemon.check_serves();
    }
    let line = daemon
        .log()
        .wait_for("log lines cannot be written and are lost");
    assert!(line.contains("logs/access_log.log: "), "{line}");
    assert!(
        line.ends_with("No space left on device (os error 28)"),
        "{line}"
    );
    daemon.check_serves();
    let text = "log lines cannot be written";
    let out = daemon.log().of(Stream::Out);
    assert_eq!(out.iter().filter(|line| line.contains(text)).count(), 1);
}

#[test]
fn json_lines_carry_the_id_of_their_request() {
    let mut daemon = bench("log_format=json").start();
    let request = Request::post("/predictions/double", "[1.5]");
    let answer = daemon.send(&request);
    let id = answer.header("x-request-id").expect("an id").to_owned();
    let failed = daemon.post("/predictions/double", b"not JSON");
    let failed_id = failed.header("x-request-id").expect("an id").to_owned();
    stop(&mut daemon);
    let objects = |file: &str| -> Vec<Value> {
        let text = fs::read_to_string(daemon.bench.path("logs").join(file)).expect("a file");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    };
    let of = |objects: &[Value], id: &str, target: &str| -> Vec<String> {
        let of_request = objects
            .iter()
            .filter(|object| object["spans"]["request"]["id"] == id && object["target"] == target);
        of_request
            .map(|object| object["message"].as_str().expect("a text").to_owned())
            .collect()
    };
    for id in [&id, &failed_id] {
        let lines = of(&objects("access_log.log"), id, "ACCESS_LOG");
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains("\"POST /predictions/double HTTP/1.1\" "),
            "{lines:?}"
        );
    }
    // Said by the worker, on its own thread.
    let metrics = objects("ts_metrics.log");
    let of_worker = metrics.iter().find(|object| {
        let message = object["message"].as_str().unwrap_or_default();
        object["spans"]["request"]["id"] == id.as_str() && message.starts_with("QueueTime.")
    });
    let thread = of_worker.expect("a line of the worker")["thread"].as_str();
    assert!(
        thread.is_some_and(|thread| thread.starts_with("W-9")),
        "{thread:?}"
    );
    // Standard output has objects, too, beside the line that launchers wait for.
    for line in daemon.log().of(Stream::Out) {
        if line != "Model server started." {
            let object: Value =
                serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
            for name in ["timestamp", "level", "thread", "target", "message"] {
                assert!(object[name].is_string(), "{name}: {line}");
            }
        }
    }
}

#[test]
fn c_16_levels_and_files_come_from_a_log4j_configuration() {
    let bench = bench("");
    bench.write(
        "log4j2.xml",
        br#"<?xml version="1.0" encoding="UTF-8"?>
        <Configuration>
          <Appenders>
            <Console name="out"><PatternLayout pattern="%m%n"/></Console>
            <RollingFile name="server" fileName="${env:LOG_LOCATION:-logs}/server.log" filePattern="s.%d.gz"/>
          </Appenders>
          <Loggers>
            <Logger name="ACCESS_LOG" level="off"/>
            <Logger name="TS_METRICS" level="error"/>
            <Logger name="org.pytorch.serve" level="info"><AppenderRef ref="server"/></Logger>
            <Root level="warn"><AppenderRef ref="out"/></Root>
          </Loggers>
        </Configuration>"#,
    );
    let arguments = [
        "--model-store",
        "store",
        "--models",
        "all",
        "--log-config",
        "log4j2.xml",
    ];
    let mut daemon = bench.start_with(&arguments);
    daemon.check_serves();
    daemon.log().wait_for(
        "log4j2.xml: levels and files are honoured; without effect here: PatternLayout, filePattern",
    );
    stop(&mut daemon);
    let logs = daemon.bench.path("logs");
    let size = |name: &str| fs::metadata(logs.join(name)).map(|file| file.len()).ok();
    assert!(size("server.log") > Some(0));
    assert_eq!(size("ts_log.log"), None);
    for silent in [
        "access_log.log",
        "ts_metrics.log",
        "model_metrics.log",
        "model_log.log",
    ] {
        assert_eq!(size(silent), Some(0), "{silent}");
    }
    let out = daemon.log().of(Stream::Out);
    assert!(
        !out.iter().any(|line| line.contains("ACCESS_LOG")),
        "{out:#?}"
    );
}

#[test]
fn a_log4j_configuration_that_is_none_is_named() {
    let bench = bench("");
    bench.write(
        "log4j2.xml",
        b"<Configuration>\n  <Loggers\n</Configuration>",
    );
    let arguments = [
        "--model-store",
        "store",
        "--models",
        "all",
        "--log-config",
        "log4j2.xml",
    ];
    let daemon = bench.start_with(&arguments);
    let line = daemon.log().wait_for("log4j2.xml:3: not XML: ");
    assert!(
        line.ends_with("; the log is as without --log-config"),
        "{line}"
    );
    daemon.check_serves();
}

#[test]
fn a_reader_of_the_log_that_stalls_holds_nobody_up() {
    let bench = bench("");
    let mut command = bench.command(&[&START[..], &ALL].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut daemon = command.spawn().expect("the daemon");
    let mut output = BufReader::new(daemon.stdout.take().expect("piped")).lines();
    let mut address = None;
    for line in output.by_ref().map_while(Result::ok) {
        if let Some((_, rest)) = line.split_once(" inference_address: listening on http://") {
            address = rest.trim().parse().ok();
        }
        if line == "Model server started." {
            break;
        }
    }
    // From here on nobody reads, and a pipe holds 64 KiB.
    let mut connection = Connection::open(address.expect("the daemon says where it listens"));
    for _ in 0..2000 {
        assert_eq!(
            connection.request(&Request::new("GET", "/ping")).status,
            200
        );
    }
    let file = bench.path("logs/access_log.log");
    let deadline = Instant::now() + PATIENCE;
    let count = || fs::read_to_string(&file).map_or(0, |text| text.lines().count());
    while count() < 2000 {
        assert!(Instant::now() < deadline, "{} lines", count());
        thread::yield_now();
    }
    let pid = Pid::from_child(&daemon);
    kill_process(pid, Signal::TERM).expect("it lives");
    assert_eq!(daemon.wait().expect("a child").code(), Some(0));
}
