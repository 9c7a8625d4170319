//! A daemon that is killed at any moment, again and again: each restart has all that was ever acknowledged, and of what
//! was asked for when it was killed either all or nothing.
//!
//! The instants come from a seed. `TORCHRELAY_CRASHES` sets how many there are, `TORCHRELAY_SEED` which.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::client::{Connection, Request};
use crate::fixtures::Model;
use crate::harness::{Bench, Daemon, Process, files_below};

const CRASHES: u64 = 200;

/// The most snapshots that stay.
const KEPT: usize = 10;

/// What a daemon has registered: name to versions, and which of them is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State(BTreeMap<String, Versions>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Versions {
    default: String,
    /// Version to the bounds of its workers and its batch size.
    all: BTreeMap<String, (u64, u64, u64)>,
}

/// What is asked of the management API.
#[derive(Debug, Clone)]
enum Operation {
    Register { workers: u64, batch_size: u64 },
    Scale { min: u64, max: u64 },
    SetDefault,
    Unregister,
}

/// An operation on one version of a model.
#[derive(Debug, Clone)]
struct Step {
    name: String,
    version: String,
    operation: Operation,
}

impl State {
    /// As the daemon tells it.
    fn of(daemon: &Daemon) -> Self {
        let mut connection = Connection::open(daemon.address_of("management_address"));
        let mut get = |path: &str| -> Value {
            let answer = connection.request(&Request::new("GET", path));
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            answer.json()
        };
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let list = get("/models");
        let names = list["models"].as_array().expect("a list").iter();
        let names: Vec<String> = names.map(|model| text(&model["modelName"])).collect();
        let mut state = State::default();
        for name in names {
            let default = text(&get(&format!("/models/{name}"))[0]["modelVersion"]);
            let all = get(&format!("/models/{name}/all"));
            let versions = all.as_array().expect("a list").iter().map(|version| {
                let number = |member: &str| version[member].as_u64().expect("a number");
                let state = (
                    number("minWorkers"),
                    number("maxWorkers"),
                    number("batchSize"),
                );
                (text(&version["modelVersion"]), state)
            });
            let all = versions.collect();
            state.0.insert(name, Versions { default, all });
        }
        state
    }

    /// Some step that this state allows.
    fn some_step(&self, random: &mut Random) -> Step {
        let name = random.one_of(&["one", "two"]).to_owned();
        let version = random.one_of(&["1.0", "2.0"]).to_owned();
        let found = self
            .0
            .get(&name)
            .filter(|found| found.all.contains_key(&version));
        let operation = match found {
            None => Operation::Register {
                workers: random.below(2),
                batch_size: 1 + random.below(4),
            },
            Some(found) => match random.below(4) {
                0 => Operation::SetDefault,
                1 if found.default != version || found.all.len() == 1 => Operation::Unregister,
                _ => {
                    let min = random.below(2);
                    let max = min + random.below(3);
                    Operation::Scale { min, max }
                }
            },
        };
        Step {
            name,
            version,
            operation,
        }
    }

    fn after(&self, step: &Step) -> State {
        let mut state = self.clone();
        let Step { name, version, .. } = step;
        let versions = state.0.entry(name.clone()).or_insert_with(|| Versions {
            default: version.clone(),
            all: BTreeMap::new(),
        });
        let found = versions.all.entry(version.clone()).or_insert((0, 0, 1));
        match step.operation {
            Operation::Register {
                workers,
                batch_size,
            } => *found = (workers, workers, batch_size),
            Operation::Scale { min, max } => (found.0, found.1) = (min, max),
            Operation::SetDefault => versions.default.clone_from(version),
            Operation::Unregister => {
                versions.all.remove(version);
            }
        }
        if versions.all.is_empty() {
            state.0.remove(name);
        }
        state
    }
}

impl Step {
    fn request(&self) -> Request {
        let Step { name, version, .. } = self;
        let (method, path) = match self.operation {
            Operation::Register {
                workers,
                batch_size,
            } => (
                "POST",
                format!(
                    "/models?url={version}.mar&model_name={name}&initial_workers={workers}&batch_size={batch_size}"
                ),
            ),
            Operation::Scale { min, max } => (
                "PUT",
                format!("/models/{name}/{version}?min_worker={min}&max_worker={max}"),
            ),
            Operation::SetDefault => ("PUT", format!("/models/{name}/{version}/set-default")),
            Operation::Unregister => ("DELETE", format!("/models/{name}/{version}")),
        };
        Request::new(method, &path).header("Connection", "close")
    }

    /// Whether somebody who asks sees that it was done, before whoever answers is gone.
    fn is_acknowledged(&self, address: SocketAddr) -> bool {
        let mut answer = Vec::new();
        if let Ok(mut stream) = TcpStream::connect(address) {
            stream
                .set_read_timeout(Some(Duration::from_secs(60)))
                .expect("positive");
            let _ = stream.write_all(&self.request().bytes());
            let _ = stream.read_to_end(&mut answer);
        }
        let answer = String::from_utf8_lossy(&answer);
        let Some(status) = answer.get(..12) else {
            return false; // Less than a status code.
        };
        assert!(status.starts_with("HTTP/1.1 20"), "{self:?}: {answer}");
        true
    }
}

/// Numbers without a pattern that matters, the same for the same seed: SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn one_of<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[usize::try_from(self.below(of.len() as u64)).expect("an index")]
    }

    /// Up to `most`, short ones as likely as long ones.
    fn instant(&mut self, most: Duration) -> Duration {
        let most = most.as_micros() as u64 >> self.below(8);
        Duration::from_micros(self.below(most + 1))
    }
}

fn bench() -> Bench {
    let lines = format!(
        "model_store=store\nload_models=double.mar\nenable_model_api=true\ndefault_workers_per_model=1\n\
         disable_system_metrics=true\nsnapshots_kept={KEPT}"
    );
    let bench = Bench::new().config(&lines).with(&Model::double());
    for version in ["1.0", "2.0"] {
        // Their files are named after their versions.
        let model = Model::double().named(version);
        let model = Model {
            version: version.to_owned(),
            ..model
        };
        let packed = Bench::new().with(&model);
        let archive = fs::read(packed.path(&format!("store/{version}.mar"))).expect("packed");
        bench.write(&format!("store/{version}.mar"), &archive);
    }
    bench
}

fn from_environment(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn what_was_acknowledged_outlives_every_crash() {
    let seed = from_environment("TORCHRELAY_SEED", 2026);
    let mut random = Random(seed);
    let mut daemon = bench().start_plain(&[]);
    let mut state = State::of(&daemon);
    for crash in 0..from_environment("TORCHRELAY_CRASHES", CRASHES) {
        let address = daemon.address_of("management_address");
        for _ in 0..random.below(3) {
            let step = state.some_step(&mut random);
            assert!(
                step.is_acknowledged(address),
                "{step:?} in crash {crash} of seed {seed}"
            );
            state = state.after(&step);
        }
        let step = state.some_step(&mut random);
        let delay = random.instant(Duration::from_millis(64));
        let asking = thread::spawn({
            let step = step.clone();
            move || step.is_acknowledged(address)
        });
        // When in the course of the request it is killed is what is drawn here.
        thread::sleep(delay);
        let bench = daemon.end(Signal::KILL);
        let acknowledged = asking
            .join()
            .unwrap_or_else(|_| panic!("seed {seed}, crash {crash}"));

        if random.below(8) == 0 {
            let process = Process::start(bench.command(&["--start", "--foreground"]));
            thread::sleep(random.instant(Duration::from_millis(256)));
            drop(process); // Killed while it starts.
        }
        daemon = bench.start_plain(&[]);
        let (found, done) = (State::of(&daemon), state.after(&step));
        assert!(
            found == done || (!acknowledged && found == state),
            "seed {seed}, crash {crash}: {found:?} after {step:?} (acknowledged: {acknowledged}, killed after {delay:?}) in {state:?}"
        );
        daemon.check_serves();
        state = found;
    }
    check_nothing_piled_up(&daemon.bench);
}

/// Of all the daemons that were killed, nothing is left but their snapshots.
fn check_nothing_piled_up(bench: &Bench) {
    let snapshots = files_below(&bench.path("logs"));
    assert!(snapshots.len() <= KEPT, "{snapshots:?}");
    let names = snapshots.iter().filter_map(|path| path.file_name());
    for name in names {
        assert!(
            !name.as_encoded_bytes().starts_with(b"."),
            "{name:?} is half a file"
        );
    }
    let locks = files_below(&bench.path("tmp"));
    let locks = locks.iter().filter(|path| path.ends_with(".lock"));
    assert_eq!(locks.count(), 1, "folders of unpacked archives");
}
