//! TorchServe itself, for tests that compare with it: the interpreter of `target/torchserve`, which `cargo xtask python` makes,
//! and its server in Java over the same model store. Where either is missing, the test that asks says so.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Answer, Connection, Request};
use crate::harness::{Daemon, Process, free_port};

/// Names an interpreter in place of that of `target/torchserve`.
const VARIABLE: &str = "TORCHRELAY_TORCHSERVE";

/// What the configurations of all have.
const COMMON: &str = "\
default_workers_per_model=1
number_of_gpu=0
metrics_mode=prometheus
model_metrics_auto_detect=true
";

/// Longer than a start of TorchServe with all its workers takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// The oldest Java that runs it.
const JAVA: u32 = 17;

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// The daemon with its own worker.
    Ours,
    /// The daemon with TorchServe's worker.
    TheirWorker,
    /// TorchServe's server with its worker.
    TheirServer,
}

/// Somebody who serves, until it is dropped.
pub(crate) struct Serving {
    pub(crate) who: Who,
    pub(crate) inference: SocketAddr,
    pub(crate) management: SocketAddr,
    metrics: SocketAddr,
    _running: Running,
}

enum Running {
    Daemon(#[expect(dead_code, reason = "kept until the end")] Daemon),
    Server(#[expect(dead_code, reason = "kept until the end")] Server),
}

/// The interpreter that has torch and TorchServe.
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
pub(crate) fn interpreter() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let own = || root.join("target/torchserve/bin/python3");
    let path = std::env::var_os(VARIABLE).map_or_else(own, PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    eprintln!(
        "skipped: {} is absent (cargo xtask python makes it)",
        path.display()
    );
    None
}

/// The lines of a configuration by which the daemon is this one of ours.
pub(crate) fn settings(who: Who, interpreter: &Path) -> String {
    let worker = match who {
        Who::Ours => "torchrelay",
        Who::TheirWorker | Who::TheirServer => "torchserve",
    };
    let interpreter = interpreter.display();
    format!(
        "python_executable={interpreter}\npython_worker={worker}\nenable_model_api=true\n{COMMON}"
    )
}

impl Serving {
    pub(crate) fn daemon(who: Who, daemon: Daemon) -> Self {
        Serving {
            who,
            inference: daemon.address,
            management: daemon.address_of("management_address"),
            metrics: daemon.address_of("metrics_address"),
            _running: Running::Daemon(daemon),
        }
    }

    /// TorchServe's server over that model store, with these models loaded at start.
    #[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
    pub(crate) fn theirs(interpreter: &Path, folder: &Path, models: &[&str]) -> Option<Self> {
        if !has_java() {
            eprintln!("not compared with TorchServe's server: there is no Java {JAVA}");
            return None;
        }
        let server = Server::start(interpreter, folder, models);
        Some(Serving {
            who: Who::TheirServer,
            inference: server.addresses[0],
            management: server.addresses[1],
            metrics: server.addresses[2],
            _running: Running::Server(server),
        })
    }

    pub(crate) fn send(&self, request: &Request) -> Answer {
        Connection::open(self.inference).request(request)
    }

    pub(crate) fn manage(&self, method: &str, path: &str) -> Answer {
        Connection::open(self.management).request(&Request::new(method, path))
    }

    /// The lines of all metrics.
    pub(crate) fn metrics(&self) -> Vec<String> {
        let answer = Connection::open(self.metrics).request(&Request::new("GET", "/metrics"));
        answer.text().lines().map(str::to_owned).collect()
    }

    /// Waits until a worker of each model has loaded it.
    #[track_caller]
    pub(crate) fn wait_for(&self, models: &[&str]) {
        let deadline = Instant::now() + PATIENCE;
        for model in models {
            loop {
                let described = self.manage("GET", &format!("/models/{model}"));
                if described.status == 200 && described.json()[0]["workers"][0]["status"] == "READY"
                {
                    break;
                }
                let text = String::from_utf8_lossy(&described.body).into_owned();
                assert!(Instant::now() < deadline, "{:?}, {model}: {text}", self.who);
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// TorchServe's server in a process of its own; its workers end when it does.
struct Server {
    _process: Process,
    /// Of inference, management and metrics.
    addresses: [SocketAddr; 3],
}

impl Server {
    /// With `folder/store` for a model store. What it writes goes into `folder/theirs`.
    fn start(interpreter: &Path, folder: &Path, models: &[&str]) -> Self {
        let own = folder.join("theirs");
        let temp = own.join("tmp");
        fs::create_dir_all(&temp).expect("a folder");
        let ports = [(); 5].map(|()| free_port());
        let addresses =
            [ports[0], ports[1], ports[2]].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let mut config = String::new();
        for (key, address) in ["inference", "management", "metrics"].iter().zip(addresses) {
            config += &format!("{key}_address=http://{address}\n");
        }
        config += &format!(
            "grpc_inference_port={}\ngrpc_management_port={}\n{COMMON}",
            ports[3], ports[4]
        );
        fs::write(own.join("config.properties"), config).expect("a file");
        let site = site_packages(interpreter);
        let store = folder.join("store");
        let mut command = Command::new("java");
        // As its launcher starts it; but so it ends with the one process that is killed.
        command
            .arg(format!("-Dmodel_server_home={}", site.display()))
            .arg(format!("-Djava.io.tmpdir={}", temp.display()))
            .args(["-Xmx512m", "-cp"])
            .arg(site.join("ts/frontend/*"))
            .arg("org.pytorch.serve.ModelServer")
            .arg("--python")
            .arg(interpreter)
            .args(["-f", "config.properties", "-ncs", "--disable-token-auth"])
            .arg("--enable-model-api")
            .arg("-s")
            .arg(&store)
            .arg("-w")
            .arg(&store)
            .args(models.first().map(|_| "-m"))
            .args(models)
            .env("LOG_LOCATION", own.join("logs"))
            .env("METRICS_LOCATION", own.join("logs"))
            .env_remove("PYTHONPATH")
            .current_dir(&own);
        let process = Process::start(command);
        process.log.wait_for("Model server started.");
        Server {
            _process: process,
            addresses,
        }
    }
}

fn has_java() -> bool {
    let said = Command::new("java").arg("-version").output();
    let Ok(said) = said else { return false };
    // `openjdk version "17.0.15" 2025-04-15`, on standard error.
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let version = said.split('"').nth(1).unwrap_or_default();
    let major = version.split('.').next().unwrap_or_default();
    major.parse().is_ok_and(|major: u32| major >= JAVA)
}

/// Where the interpreter's packages are.
fn site_packages(interpreter: &Path) -> PathBuf {
    let said = Command::new(interpreter)
        .args([
            "-c",
            "import sysconfig; print(sysconfig.get_path('purelib'))",
        ])
        .output()
        .expect("the interpreter starts");
    PathBuf::from(String::from_utf8_lossy(&said.stdout).trim())
}
