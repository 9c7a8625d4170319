//! Handlers in Python that do their worst, beside others that do well: whatever the first do, the second answer every
//! request, and nothing of it stays in the daemon: no process, no descriptor, no memory.
//!
//! `TORCHRELAY_CHAOS` sets for how many seconds; without it, long enough that every kind of trouble comes often.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Answer, Connection, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon};
use crate::python_handlers::has_python;

const SECONDS: u64 = 20;

/// Clients of the model that is well, and of each that is not.
const HEALTHY_CLIENTS: usize = 4;

/// What the daemon may have grown by in memory since its first trouble: what an allocator keeps, not what a leak of each
/// request or worker makes.
const GROWTH: u64 = 48 << 20;

/// How long what is dead or unregistered may take to be gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// Neither what a flood prints nor a line for each of many requests: the harness keeps all.
const LOGGED: &str = "info,access_log=off,model_log=off,ts_metrics=off,model_metrics=off";

const HEALTHY: &str = "
def handle(data, context):
    return [row.get('data') or row.get('body') for row in data] if data else None
";

/// A handler, what it needs in its configuration, and every answer that its clients may get: a status and words.
struct Trouble {
    name: &'static str,
    handler: &'static str,
    config: &'static str,
    answers: &'static [(u16, &'static str)],
}

const TROUBLES: [Trouble; 7] = [
    Trouble {
        name: "aborts",
        handler: "
import os
def handle(data, context):
    if data:
        os.abort()
",
        config: "",
        answers: &[(500, "Worker died.")],
    },
    Trouble {
        name: "kills_itself",
        handler: "
import os, signal
def handle(data, context):
    if data:
        os.kill(os.getpid(), signal.SIGKILL)
",
        config: "",
        answers: &[(507, "Worker died.")],
    },
    Trouble {
        name: "sleeps",
        handler: "
import time
def handle(data, context):
    if data:
        time.sleep(1000000)
",
        config: "responseTimeout: 1\n",
        answers: &[(408, "gave no answer within 1000 ms")],
    },
    Trouble {
        name: "allocates",
        handler: "
def handle(data, context):
    hoard = []
    while data:
        hoard.append(bytearray(16 << 20))
",
        config: "limits:\n  memory: 512MiB\n",
        answers: &[(507, "")],
    },
    Trouble {
        name: "floods",
        handler: "
import sys
def handle(data, context):
    for _ in range(100 if data else 0):
        sys.stdout.write((('x' * 1023) + '\\n') * 1024)
    return ['done'] * len(data) if data else None
",
        config: "",
        answers: &[(200, "done")],
    },
    Trouble {
        name: "miscounts",
        handler: "
def handle(data, context):
    return ['one', 'two', 'three'] if data else None
",
        config: "",
        answers: &[(503, "number of batch response mismatched")],
    },
    Trouble {
        name: "leaves_children",
        handler: "
import os, time
def handle(data, context):
    if data:
        if os.fork() == 0:
            os.setsid()
            time.sleep(1000000)
        os.abort()
",
        config: "",
        answers: &[(500, "Worker died.")],
    },
];

/// It never gets as far as to answer.
const EXITS: &str = "
import sys
sys.exit(3)
";

#[test]
fn what_bad_handlers_do_costs_the_good_ones_nothing() {
    if !has_python() {
        return;
    }
    let seconds = std::env::var("TORCHRELAY_CHAOS").ok();
    let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("a number of seconds"));
    let bench = Bench::new().with(&Model::double());
    let bench = bench.config("enable_model_api=true").logging(LOGGED);
    write(&bench, "healthy", HEALTHY, "minWorkers: 2\nmaxWorkers: 2\n");
    write(&bench, "exits", EXITS, "");
    for trouble in &TROUBLES {
        write(&bench, trouble.name, trouble.handler, trouble.config);
    }
    let models = ["--model-store", "store", "--models", "healthy,double.mar"];
    let daemon = bench.start_with(&models);
    daemon.wait_for_ok("/ready");
    assert_eq!(ask(&mut daemon.connect(), "healthy", "well").text(), "well");
    let before = Held::by(&daemon);

    for trouble in &TROUBLES {
        let path = format!(
            "/models?url={}&initial_workers=1&synchronous=true",
            trouble.name
        );
        let answer = daemon.manage("POST", &path);
        assert_eq!(answer.status, 200, "{}: {}", trouble.name, answer.text());
    }
    let load = Load::default();
    let end = Instant::now() + Duration::from_secs(seconds);
    let first = thread::scope(|scope| {
        for client in 0..HEALTHY_CLIENTS {
            let (daemon, load) = (&daemon, &load);
            scope.spawn(move || load.or_end(|| healthy(daemon, client, load)));
        }
        for trouble in &TROUBLES {
            let (daemon, load) = (&daemon, &load);
            scope.spawn(move || load.or_end(|| trouble.provoke(daemon, load)));
        }
        scope.spawn(|| load.or_end(|| loads_and_exits(&daemon, &load)));
        let mut first = None;
        while Instant::now() < end && !load.ended() {
            thread::sleep(Duration::from_millis(100));
            let held = Held::by(&daemon);
            if first.is_none() && load.everything_came() {
                first = Some(held);
            }
        }
        load.stop.store(true, Ordering::Relaxed);
        first
    });
    let first = first.expect("every trouble came, and came twice");
    daemon.check_serves();

    for trouble in &TROUBLES {
        let answer = daemon.manage("DELETE", &format!("/models/{}", trouble.name));
        assert_eq!(answer.status, 200, "{}: {}", trouble.name, answer.text());
    }
    let after = until(|| {
        let after = Held::by(&daemon);
        // Before, connections that were no more may have been open still.
        let same =
            after.children == before.children && after.files <= before.files && after.orphans == 0;
        if same {
            Ok(after)
        } else {
            Err(format!("{after:?}, before it all {before:?}"))
        }
    });
    let counts = load.counts.lock().unwrap_or_else(PoisonError::into_inner);
    eprintln!(
        "{seconds} s: answers {counts:?}; memory {} KiB, then {} KiB",
        first.memory >> 10,
        after.memory >> 10
    );
    assert!(
        after.memory < first.memory + GROWTH,
        "memory grew from {} to {} bytes",
        first.memory,
        after.memory
    );
}

/// A model's folder in the store, as an archive lies there unpacked.
fn write(bench: &Bench, name: &str, handler: &str, config: &str) {
    let model = json!({
        "modelName": name, "modelVersion": "1.0", "handler": "handler.py:handle", "configFile": "model-config.yaml",
    });
    let manifest = json!({"runtime": "python", "model": model}).to_string();
    let write =
        |file: &str, text: &str| bench.write(&format!("store/{name}/{file}"), text.as_bytes());
    write("MAR-INF/MANIFEST.json", &manifest);
    write("handler.py", handler);
    write("model-config.yaml", config);
}

fn ask(connection: &mut Connection, model: &str, body: &str) -> Answer {
    let request = Request::post(&format!("/predictions/{model}"), body);
    connection.request(&request.content_type("text/plain"))
}

/// What the clients share.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    serial: AtomicU64,
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Load {
    fn ended(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A failed client ends the others, so that the test ends with it.
    fn or_end(&self, client: impl FnOnce()) {
        struct End<'l>(&'l Load);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                if thread::panicking() {
                    self.0.stop.store(true, Ordering::Relaxed);
                }
            }
        }
        let _end = End(self);
        client();
    }

    /// A text that nobody has sent: a request that has killed before would be refused.
    fn fresh(&self) -> String {
        self.serial.fetch_add(1, Ordering::Relaxed).to_string()
    }

    fn count(&self, model: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(model.to_owned()).or_default() += 1;
    }

    /// Whether each trouble has been asked for more than once.
    fn everything_came(&self) -> bool {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let often = |name: &str| counts.get(name).is_some_and(|count| *count > 1);
        TROUBLES.iter().all(|trouble| often(trouble.name)) && often("exits")
    }
}

fn healthy(daemon: &Daemon, client: usize, load: &Load) {
    let mut connection = daemon.connect();
    while !load.ended() {
        let body = format!("{client} {}", load.fresh());
        let answer = ask(&mut connection, "healthy", &body);
        assert_eq!((answer.status, answer.text()), (200, body.as_str()));
        load.count("healthy");
    }
}

impl Trouble {
    fn provoke(&self, daemon: &Daemon, load: &Load) {
        while !load.ended() {
            // An answer that tells of a failure ends its connection.
            let answer = ask(&mut daemon.connect(), self.name, &load.fresh());
            let text = answer.text();
            let fits =
                |(status, words): &(u16, &str)| answer.status == *status && text.contains(words);
            assert!(
                self.answers.iter().any(fits),
                "{}: {} {text}",
                self.name,
                answer.status
            );
            load.count(self.name);
        }
    }
}

fn loads_and_exits(daemon: &Daemon, load: &Load) {
    while !load.ended() {
        let answer = daemon.manage(
            "POST",
            "/models?url=exits&initial_workers=1&synchronous=true",
        );
        assert_eq!(answer.status, 500, "{}", answer.text());
        load.count("exits");
    }
}

/// What the daemon holds.
#[derive(Debug)]
struct Held {
    /// Names and states of its children.
    children: Vec<String>,
    /// Open descriptors.
    files: usize,
    /// Processes that a handler started and that outlived their worker.
    orphans: usize,
    /// Bytes of memory in use.
    memory: u64,
}

impl Held {
    fn by(daemon: &Daemon) -> Self {
        let pid = daemon.process.id();
        let store = daemon.bench.path("store");
        let mut held = Held {
            children: Vec::new(),
            files: fs::read_dir(format!("/proc/{pid}/fd"))
                .expect("ours")
                .count(),
            orphans: 0,
            memory: memory(pid),
        };
        for process in fs::read_dir("/proc").expect("a system").flatten() {
            // One that is gone meanwhile has nothing to read.
            let Ok(stat) = fs::read_to_string(process.path().join("stat")) else {
                continue;
            };
            let Some((head, tail)) = stat.rsplit_once(')') else {
                continue;
            };
            let mut fields = tail.split_whitespace();
            let (state, parent) = (fields.next().unwrap_or_default(), fields.next());
            if parent == Some(&pid.to_string()) {
                let name = head.split_once('(').map_or(head, |(_, name)| name);
                held.children.push(format!(
                    "{name} {}",
                    if state == "Z" { "dead" } else { "alive" }
                ));
            } else if fs::read_link(process.path().join("cwd"))
                .is_ok_and(|cwd| cwd.starts_with(&store))
            {
                held.orphans += 1;
            }
        }
        held.children.sort();
        held
    }
}

fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("ours");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|text| text.trim().strip_suffix(" kB"));
    kib.and_then(|text| text.parse::<u64>().ok())
        .expect("a size")
        << 10
}

/// Waits until it holds.
fn until<T>(holds: impl Fn() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match holds() {
            Ok(value) => return value,
            Err(why) => assert!(Instant::now() < deadline, "{why}"),
        }
        thread::sleep(Duration::from_millis(100));
    }
}
