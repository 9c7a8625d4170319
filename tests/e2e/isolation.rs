//! `isolation: process`: the same answers from processes, and deaths that cost no more than their requests.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::client::{Answer, Request};
use crate::cue::{ask, poll};
use crate::fixtures::{Model, own, pictures, script, zip};
use crate::harness::{Bench, Daemon};

/// A child of a daemon, as the system lists it.
#[derive(Debug)]
struct Listed {
    pid: i32,
    /// `R`, `S`, `Z` and so on.
    state: String,
    /// Its arguments.
    line: String,
}

fn children(of: u32) -> Vec<Listed> {
    let processes = fs::read_dir("/proc").expect("the system's processes");
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let listed = numbers.filter_map(|pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        let mut fields = rest.split_whitespace();
        let state = fields.next()?.to_owned();
        let parent: u32 = fields.next()?.parse().ok()?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (parent == of).then_some(Listed { pid, state, line })
    });
    listed.collect()
}

/// The processes of that model's workers; a zombie is one.
fn workers(daemon: &Daemon, model: &str) -> Vec<i32> {
    let ours = children(daemon.process.id());
    let ours = ours.into_iter().filter(|child| {
        let named = child.line.contains(&format!("-{model}_1.0"));
        named || child.state == "Z"
    });
    ours.map(|child| child.pid).collect()
}

fn kill(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a number");
    kill_process(pid, signal).expect("it runs");
}

fn apart(model: Model) -> Model {
    let config = model.config.clone().unwrap_or_default();
    model.configured(&format!(
        "minWorkers: 1\nmaxWorkers: 1\n{config}\nisolation: process\n"
    ))
}

/// What a client sees, but for what differs by the request.
fn seen(answer: Answer) -> (u16, String, Vec<(String, String)>, Vec<u8>) {
    let mut headers = answer.headers;
    headers.retain(|(name, _)| {
        !["x-request-id", "date"].contains(&name.to_ascii_lowercase().as_str())
    });
    (answer.status, answer.reason, headers, answer.body)
}

/// Sound requests and others, to models of every kind.
fn requests() -> Vec<Request> {
    let raw = |path: &str, shape: &str, dtype: &str, bytes: &[u8]| {
        Request::post(path, bytes)
            .content_type("application/octet-stream")
            .header("X-Tensor-Shape", shape)
            .header("X-Tensor-Dtype", dtype)
            .header("Accept", "application/octet-stream")
    };
    // Quiet ones and one that signals, with something in them; a minus in front of 0.
    let nans = [
        0x7fc0_beefu32,
        0xffc0_0001,
        0x7f80_0001,
        0x8000_0000,
        0x3f80_0000,
    ];
    let nans: Vec<u8> = nans.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let large: Vec<u8> = (0..1_000_000u32)
        .flat_map(|x| (x as f32).to_le_bytes())
        .collect();
    let mut requests = vec![
        Request::post("/predictions/double", "[1.5, -2.5]"),
        Request::post("/predictions/double", "[1.5, \"x\"]"),
        Request::post("/predictions/double", "no JSON").content_type("application/json"),
        Request::post("/predictions/double", ""),
        Request::post("/predictions/double", "[[1], [2, 3]]"),
        Request::post("/explanations/double", "[1]"),
        raw("/predictions/double", "5", "float32", &nans),
        raw("/predictions/double", "1000,1000", "float32", &large),
        raw("/predictions/double", "2", "float32", &nans),
        raw("/predictions/double", "0,3", "float32", &[]),
        Request::post("/predictions/mlp", "[1, 2, 3, 4]"),
        Request::post("/predictions/mlp", "[[1, 2, 3, 4], [5, 6, 7, 8]]"),
        Request::post("/predictions/mlp", "[1, 2, 3]"),
        Request::post("/predictions/cue", "[0, 7]"),
        Request::post("/predictions/cue", "[-1, 7]"),
        Request::post("/predictions/hungry", "[3]"),
        Request::post("/predictions/substrate", "no picture"),
        Request::post("/predictions/nothing", "[1]"),
        Request::post(
            "/v2/models/double/infer",
            json!({"inputs": [
                {"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}
            ]})
            .to_string(),
        ),
        Request::new("GET", "/v2/models/double"),
        Request::new("GET", "/v2/models/mlp"),
    ];
    for (_, picture) in pictures(&own("substrates")).into_iter().take(3) {
        for model in ["substrate", "colour", "quadrat"] {
            let path = format!("/predictions/{model}");
            requests.push(Request::post(&path, picture.clone()));
            requests.push(Request::post(&path, &picture[..picture.len() / 2]));
            requests.push(Request::post(&path, "").multipart(&[("data", Some("a.png"), &picture)]));
        }
    }
    requests
}

#[test]
fn answers_and_failures_are_those_of_the_daemon_to_the_last_byte() {
    let [here, there] = ["none", "process"].map(|isolation| {
        let lines = format!("isolation={isolation}\ndefault_workers_per_model=1");
        let bench = Bench::new().config(&lines);
        let (cue, hungry) = (Model::cue(&bench), Model::hungry(&bench));
        let models = [
            Model::double(),
            Model::mlp(),
            cue,
            hungry,
            Model::substrate(),
            Model::colour(),
            Model::quadrat(),
        ];
        let daemon = models.iter().fold(bench, Bench::with).start();
        daemon.wait_for_ok("/ready");
        daemon
    });
    assert_eq!(children(here.process.id()).len(), 0);
    assert_eq!(children(there.process.id()).len(), 7, "one for each model");
    for request in requests() {
        let expected = seen(here.send(&request));
        let found = seen(there.send(&request));
        assert!(
            found == expected,
            "{request:?}: {found:?}, expected {expected:?}"
        );
    }
    // None of the failures was a death.
    assert_eq!(children(there.process.id()).len(), 7);
    // What they say is in the daemon's log, under their workers' names.
    there.log().wait_for("_1.0-stdout MODEL_LOG - serves optimised");
}

#[test]
fn a_worker_that_dies_costs_its_request_and_is_replaced() {
    let bench = Bench::new();
    let cue = apart(Model::cue(&bench));
    let daemon = bench.with(&cue).with(&Model::double()).start();
    daemon.wait_for_ok("/ready");
    let [first] = workers(&daemon, "cue")[..] else {
        panic!("{:?}", children(daemon.process.id()));
    };
    let mut asking = daemon.connect();
    asking.send(&ask("[1000000000, 1]").bytes());
    // It computes, and so uses processor time.
    let ticks = || fs::read_to_string(format!("/proc/{first}/stat")).expect("it runs");
    let used = |stat: String| -> u64 {
        let (_, rest) = stat.rsplit_once(')').expect("a name");
        rest.split_whitespace()
            .nth(11)
            .and_then(|it| it.parse().ok())
            .expect("ticks")
    };
    let before = used(ticks());
    poll("it computes", || used(ticks()) > before + 5);
    kill(first, Signal::ABORT);
    let answer = asking.answer();
    assert_eq!(answer.status, 500);
    assert_eq!(answer.message(), "Worker died. (signal 6, SIGABRT)");
    // Whatever it died of, it is not given to the next.
    let again = daemon.send(&ask("[0, 1]"));
    assert_eq!(again.prediction(), json!([0.0, 2.0]));
    daemon.check_serves();
    let [second] = workers(&daemon, "cue")[..] else {
        panic!("{:?}", children(daemon.process.id()));
    };
    assert_ne!(first, second);
    // One that dies with nothing to do is replaced before somebody asks.
    kill(second, Signal::KILL);
    daemon
        .log()
        .wait_for("the worker died while it had nothing to do");
    poll(
        "another",
        || matches!(workers(&daemon, "cue")[..], [third] if third != second),
    );
    assert_eq!(daemon.send(&ask("[0, 1]")).prediction(), json!([0.0, 2.0]));
}

#[test]
fn an_archive_whose_code_crashes_libtorch_does_not_serve_and_hurts_nobody() {
    let bench = Bench::new().config("default_startup_timeout=60");
    // Its reader calls itself for each bracket, until the stack is full.
    let depth = 400_000;
    let code = format!(
        "class Deep(Module):\n  __parameters__ = []\n  __buffers__ = []\n  def forward(self: __torch__.Deep,\n    \
         x: Tensor) -> Tensor:\n    return {}x{}\n",
        "(".repeat(depth),
        ")".repeat(depth)
    );
    bench.write("stage/deep.pt", &script("Deep", &code));
    let deep = Model::new("deep", bench.path("stage/deep.pt"), "base_handler");
    let daemon = bench.with(&apart(deep)).with(&Model::double()).start();
    daemon.log().wait_for(
        "its worker ended while it loaded (signal 6, SIGABRT): fatal runtime error: stack overflow",
    );
    daemon.check_serves();
    let answer = daemon.post("/predictions/deep", b"[1]");
    assert_eq!(answer.status, 503, "{}", answer.text());
}

#[test]
fn limits_bound_a_worker_and_no_other() {
    let bench = Bench::new();
    let limits = "limits:\n  memory: 6GiB\n  request_seconds: 2\n";
    let hungry = apart(Model::hungry(&bench).configured(limits));
    let cue = apart(Model::cue(&bench).configured(limits));
    let daemon = bench
        .with(&hungry)
        .with(&cue)
        .with(&Model::double())
        .start();
    daemon.wait_for_ok("/ready");
    let before = workers(&daemon, "hungry");
    // As many bytes, four times over: more than the limit, and less than many a machine has.
    let answer = daemon.post("/predictions/hungry", b"[2e9]");
    assert_eq!(answer.status, 507, "{}", answer.text());
    assert_eq!(workers(&daemon, "hungry"), before, "it has not died of it");
    assert_eq!(
        daemon.post("/predictions/hungry", b"[3]").prediction(),
        json!([6.0])
    );
    let answer = daemon.send(&ask("[1000000000, 1]"));
    assert_eq!(answer.status, 500);
    let message = answer.message();
    assert!(
        message.starts_with("Worker died. (it did not answer within 2."),
        "{message}"
    );
    daemon.check_serves();
}

#[test]
fn workers_end_with_their_model_and_with_the_daemon() {
    let bench = Bench::new().config("enable_model_api=true");
    let bench = bench
        .with(&apart(Model::double()))
        .with(&apart(Model::mlp()));
    let mut daemon = bench.start();
    daemon.wait_for_ok("/ready");
    let (double, mlp) = (workers(&daemon, "double"), workers(&daemon, "mlp"));
    assert_eq!((double.len(), mlp.len()), (1, 1));
    let described = daemon.manage("GET", "/models/mlp").json();
    let worker = &described[0]["workers"][0];
    assert_eq!(worker["pid"], mlp[0]);
    assert!(
        worker["memoryUsage"]
            .as_u64()
            .is_some_and(|bytes| bytes > 1 << 20),
        "{worker}"
    );
    let answer = daemon.manage("DELETE", "/models/double");
    assert_eq!(answer.status, 200, "{}", answer.text());
    // No zombie either: those count.
    poll("its end", || workers(&daemon, "double").is_empty());
    assert_eq!(workers(&daemon, "mlp"), mlp);
    // Nothing is tidied up by whoever is killed.
    daemon.process.signal(Signal::KILL);
    daemon.process.wait();
    let runs = |pid: i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    poll("the other's end", || !runs(mlp[0]));
}

#[test]
fn a_worker_has_no_key_and_no_socket_of_the_daemon() {
    let bench = Bench::new()
        .env("AWS_SECRET_ACCESS_KEY", "hush".into())
        .env("OMP_NUM_THREADS", "2".into())
        .with(&apart(Model::double()));
    let daemon = bench.start();
    daemon.wait_for_ok("/ready");
    let pid = workers(&daemon, "double")[0];
    let variables = fs::read(format!("/proc/{pid}/environ")).expect("its environment");
    let variables = String::from_utf8_lossy(&variables);
    assert!(!variables.contains("hush"), "{variables}");
    assert!(variables.contains("OMP_NUM_THREADS=2"), "{variables}");
    assert!(variables.contains("OMP_WAIT_POLICY="), "{variables}");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("its files");
    let files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    let sockets = files.iter().filter_map(|file| fs::read_link(file).ok());
    let sockets = sockets.filter(|target| target.to_string_lossy().starts_with("socket:"));
    // Its connection, which is its input, and its copy of that.
    assert_eq!(sockets.count(), 2, "{files:?}");
}

#[test]
fn an_isolation_that_is_none_keeps_the_archive_out() {
    let bench = Bench::new().config("enable_model_api=true");
    let manifest = json!({"model": {
        "modelName": "odd", "modelVersion": "1.0", "handler": "base_handler",
        "serializedFile": "double.pt", "configFile": "model-config.yaml",
    }});
    let weights = fs::read(own("double.pt")).expect("readable");
    let odd = zip(&[
        ("MAR-INF/MANIFEST.json", manifest.to_string().as_bytes()),
        ("model-config.yaml", b"isolation: proces\n"),
        ("double.pt", &weights),
    ]);
    bench.write("store/odd.mar", &odd);
    let daemon = bench.with(&Model::double()).start_with(&[
        "--model-store",
        "store",
        "--models",
        "double.mar",
    ]);
    let answer = daemon.manage("POST", "/models?url=odd.mar");
    let message = answer.message();
    let expected = "model configuration \"model-config.yaml\": key isolation: expected none or process, found \"proces\"";
    assert!(message.ends_with(expected), "{} {message}", answer.status);
    daemon.wait_for_ok("/ready");
    daemon.check_serves();
}
