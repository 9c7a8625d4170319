//! A daemon per test: a fresh model store, port 0, ready when it says so, its log shown when the test fails.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use archive::{PackOptions, Plan};
use rustix::process::{Pid, Signal, kill_process};

use crate::client::{Answer, Connection, Request};
use crate::fixtures::Model;

/// Longer than anything here takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A start in the foreground that reads the configuration file and no snapshot, and writes none.
pub(crate) const START: [&str; 5] = [
    "--start",
    "--foreground",
    "--ncs",
    "--ts-config",
    "config.properties",
];

/// A folder with a model store, a folder for temporary files, and a configuration file.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    /// `RUST_LOG` of its daemons.
    log: Option<&'static str>,
    /// More of their environment.
    env: Vec<(&'static str, String)>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let bench = Bench {
            folder,
            log: None,
            env: Vec::new(),
        };
        for name in ["store", "tmp"] {
            fs::create_dir(bench.path(name)).expect("a new folder");
        }
        bench.config("")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration file: these lines, and unless they say otherwise, any free ports and no tokens. The last of a
    /// key counts.
    pub(crate) fn config(self, lines: &str) -> Self {
        let mut text = format!("inference_address=http://127.0.0.1:0\n{lines}\n");
        if !lines.contains("disable_token_authorization") {
            text.push_str("disable_token_authorization=true\n");
        }
        for key in ["management_address", "metrics_address"] {
            if !lines.contains(key) {
                text.push_str(&format!("{key}=http://127.0.0.1:0\n"));
            }
        }
        for key in ["grpc_inference_port", "grpc_management_port"] {
            if !lines.contains(key) {
                text.push_str(&format!("{key}=0\n"));
            }
        }
        self.write("config.properties", text.as_bytes());
        self
    }

    /// What its daemons log, as `RUST_LOG` says it.
    pub(crate) fn logging(self, filter: &'static str) -> Self {
        Bench {
            log: Some(filter),
            ..self
        }
    }

    /// A variable of its daemons' environment.
    pub(crate) fn env(mut self, name: &'static str, value: String) -> Self {
        self.env.push((name, value));
        self
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("a folder");
        fs::write(path, content).expect("a file");
    }

    /// Packs a model into the store.
    pub(crate) fn with(self, model: &Model) -> Self {
        let options = self.pack_options(model);
        let plan = Plan::check(options).unwrap_or_else(|error| panic!("{error}"));
        archive::pack(&plan, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
        self
    }

    /// What packs a model into the store. Its texts are written to a folder of their own first.
    pub(crate) fn pack_options(&self, model: &Model) -> PackOptions {
        let stage = |name: &str, content: &[u8]| {
            let name = format!("stage/{}/{name}", model.name);
            self.write(&name, content);
            self.path(&name)
        };
        let config = model.config.as_ref();
        let labels = model.labels.as_ref().map(|path| {
            let labels = fs::read(path).expect("labels");
            stage("index_to_name.json", &labels).display().to_string()
        });
        PackOptions {
            model_name: model.name.clone(),
            version: model.version.clone(),
            handler: model.handler.clone(),
            serialized_file: Some(model.weights.clone()),
            extra_files: labels,
            config_file: config.map(|text| stage("model-config.yaml", text.as_bytes())),
            export_path: self.path("store"),
            format: model.format,
            ..PackOptions::default()
        }
    }

    /// The daemon's program with these arguments, in this folder and with nothing of the environment that it reads.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_torchrelay"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("TMPDIR", self.path("tmp"))
            .env("TEMP", self.path("tmp"))
            .env_remove("TS_CONFIG_FILE")
            .env_remove("LOG_LOCATION")
            .env_remove("RUST_LOG")
            .envs(self.log.map(|filter| ("RUST_LOG", filter)))
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program until it ends by itself.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let mut process = Process::start(self.command(arguments));
        let status = process.wait();
        Ran {
            code: status.code(),
            stdout: process.log.of(Stream::Out),
            stderr: process.log.of(Stream::Err),
        }
    }

    /// Starts a daemon that serves all of the store, and waits until it says that it does.
    pub(crate) fn start(self) -> Daemon {
        self.start_with(&["--model-store", "store", "--models", "all"])
    }

    /// Starts a daemon with the configuration file and these arguments.
    pub(crate) fn start_with(self, arguments: &[&str]) -> Daemon {
        let command = self.command(&[&START, arguments].concat());
        self.start_command(command)
    }

    /// Starts a daemon in the foreground with no other arguments than these, so that it finds its settings itself.
    pub(crate) fn start_plain(self, arguments: &[&str]) -> Daemon {
        let command = self.command(&[&["--start", "--foreground"], arguments].concat());
        self.start_command(command)
    }

    /// Starts a daemon by this command of [`Bench::command`]'s, perhaps changed.
    pub(crate) fn start_command(self, command: Command) -> Daemon {
        let process = Process::start(command);
        let address = process.log.address();
        process.log.wait_for("Model server started.");
        Daemon {
            process,
            address,
            bench: self,
        }
    }
}

/// What a run of the program gave: whole output, one line an entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

/// A daemon that serves, until it is dropped.
pub(crate) struct Daemon {
    pub(crate) process: Process,
    pub(crate) address: SocketAddr,
    pub(crate) bench: Bench,
}

impl Daemon {
    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// One request on a connection of its own.
    pub(crate) fn send(&self, request: &Request) -> Answer {
        self.connect().request(request)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&Request::new("GET", path))
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.send(&Request::post(path, body))
    }

    /// Where the listener of that configuration key is.
    pub(crate) fn address_of(&self, key: &str) -> SocketAddr {
        self.process.log.address_of(key)
    }

    pub(crate) fn log(&self) -> &Log {
        &self.process.log
    }

    /// Asks the management API.
    pub(crate) fn manage(&self, method: &str, path: &str) -> Answer {
        Connection::open(self.address_of("management_address")).request(&Request::new(method, path))
    }

    /// Ends it by this signal, and gives back what it was started in.
    pub(crate) fn end(mut self, signal: Signal) -> Bench {
        self.process.signal(signal);
        self.process.wait();
        self.bench
    }

    /// Waits until the answer to a question is 200.
    #[track_caller]
    pub(crate) fn wait_for_ok(&self, path: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.get(path);
            if answer.status == 200 {
                return;
            }
            assert!(Instant::now() < deadline, "{path}: {}", answer.text());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Fails unless the model `double` still doubles.
    #[track_caller]
    pub(crate) fn check_serves(&self) {
        let answer = self.post("/predictions/double", b"[1.5, 2.5]");
        assert_eq!(answer.prediction(), serde_json::json!([3.0, 5.0]));
    }
}

/// A child process whose output is collected. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    pub(crate) log: Arc<Log>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Arc::new(Log::default());
        log.follow(Stream::Out, child.stdout.take().expect("piped"));
        log.follow(Stream::Err, child.stderr.take().expect("piped"));
        Process { child, log }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a child of ours");
    }

    /// Waits until it ends.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.log.wait_for_end();
        self.child.wait().expect("a child of ours")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            self.log.show();
        }
    }
}

/// A port for a program that cannot be told to take any: below those that the system gives to who asks for any, so that no
/// other test gets it in between.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    // Another run of the tests at the same time begins elsewhere.
    let start = std::process::id().wrapping_mul(97);
    loop {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        assert!(taken < COUNT, "no port is free");
        let number = FIRST + start.wrapping_add(taken) % COUNT;
        let port = u16::try_from(number).expect("below 32,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// What a process printed so far.
#[derive(Default)]
pub(crate) struct Log {
    printed: Mutex<Printed>,
    changed: Condvar,
}

#[derive(Default)]
struct Printed {
    lines: Vec<(Stream, String)>,
    /// Streams that have not ended.
    open: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

impl Log {
    fn follow(self: &Arc<Self>, stream: Stream, pipe: impl Read + Send + 'static) {
        self.printed().open += 1;
        let log = Arc::clone(self);
        // Ends with the process, whose end of the pipe it reads.
        thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                log.printed().lines.push((stream, line));
                log.changed.notify_all();
            }
            log.printed().open -= 1;
            log.changed.notify_all();
        });
    }

    fn printed(&self) -> MutexGuard<'_, Printed> {
        self.printed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first line that contains `text`, waited for if need be.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_for_any(&[text])
    }

    /// The first line that contains one of them, waited for if need be.
    #[track_caller]
    fn wait_for_any(&self, texts: &[&str]) -> String {
        let found = self.wait_until(|printed| {
            let says = |line: &String| texts.iter().any(|text| line.contains(text));
            let line = printed.lines.iter().find(|(_, line)| says(line));
            line.map(|(_, line)| Some(line.clone()))
                .or((printed.open == 0).then_some(None))
        });
        found.unwrap_or_else(|| panic!("the process ended without saying any of {texts:?}"))
    }

    /// Waits until whoever prints here has ended.
    #[track_caller]
    pub(crate) fn wait_for_end(&self) {
        self.wait_until(|printed| (printed.open == 0).then_some(()));
    }

    #[track_caller]
    fn wait_until<T>(&self, mut look: impl FnMut(&Printed) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut printed = self.printed();
        loop {
            if let Some(found) = look(&printed) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited {PATIENCE:?} in vain");
            printed = self
                .changed
                .wait_timeout(printed, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The inference address, as the log tells it.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address_of("inference_address")
    }

    pub(crate) fn address_of(&self, key: &str) -> SocketAddr {
        let text = format!("{key}: listening on http");
        let line = self.wait_for_any(&[&format!(" {text}"), &format!("\"{text}")]);
        let (_, address) = line.split_once(&text).expect("just found");
        let address = address.trim_start_matches('s').trim_start_matches("://");
        // In a line of JSON more follows.
        let address = address.trim_end_matches(['"', '}']);
        address.trim().parse().expect("an address with a port")
    }

    pub(crate) fn of(&self, stream: Stream) -> Vec<String> {
        let printed = self.printed();
        let of_stream = printed.lines.iter().filter(|(from, _)| *from == stream);
        of_stream.map(|(_, line)| line.clone()).collect()
    }

    #[expect(clippy::print_stderr, reason = "for whoever reads why a test failed")]
    fn show(&self) {
        eprintln!("--- log of the process");
        for (_, line) in &self.printed().lines {
            eprintln!("{line}");
        }
        eprintln!("---");
    }
}

/// Everything below a folder that is no folder, or `[]` where there is none.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.expect("an entry").path())
        .flat_map(|path| {
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
