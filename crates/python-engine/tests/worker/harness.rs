//! A folder with a model in it, an engine, and what a worker answers.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use python_engine::{Metric, MetricSink, ModelFiles, PythonEngine, Settings};
use servable::{
    Abort, BatchError, Device, Input, JobError, LoadError, Loader, Output, Servable, Value,
};
use tempfile::TempDir;

/// How long a test waits for what must come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The interpreter that tests run, if this machine has one: the real one, behind whatever stands on the path.
pub(crate) fn python() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let said = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .ok()?;
        let path = String::from_utf8(said.stdout).ok()?;
        Some(PathBuf::from(path.trim())).filter(|path| path.is_file())
    });
    if found.is_none() {
        eprintln!("skipped: this machine has no python3");
    }
    found.as_deref()
}

/// Returns from a test where there is no interpreter.
macro_rules! python_or_return {
    () => {
        match $crate::harness::python() {
            Some(python) => python,
            None => return,
        }
    };
}
pub(crate) use python_or_return;

#[derive(Default)]
pub(crate) struct Sink(Mutex<Vec<(String, Metric)>>);

impl MetricSink for Sink {
    fn take(&self, model: &str, _worker: &str, metric: Metric) {
        self.0
            .lock()
            .expect("a lock")
            .push((model.to_owned(), metric));
    }
}

/// One model in a folder of its own.
pub(crate) struct Model {
    pub(crate) root: TempDir,
    pub(crate) files: ModelFiles,
    pub(crate) settings: Settings,
    pub(crate) sink: Arc<Sink>,
}

impl Model {
    /// A model whose handler is that text of `h.py`.
    pub(crate) fn new(python: &Path, handler: &str) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let dir = root.path().join("model");
        fs::create_dir_all(&dir).expect("a folder");
        fs::write(dir.join("h.py"), handler).expect("written");
        let sink = Arc::new(Sink::default());
        let mut settings = Settings::new(root.path().join("run"), root.path().join("environments"));
        settings.interpreter = python.to_owned();
        settings.sink = Arc::clone(&sink) as Arc<dyn MetricSink>;
        Model {
            settings,
            files: ModelFiles {
                name: "m".into(),
                dir,
                handler: "h.py".into(),
                batch_size: 4,
                limit_max_image_pixels: true,
                ..ModelFiles::default()
            },
            root,
            sink,
        }
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.files.dir.join(name);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("a folder");
        fs::write(path, text).expect("written");
    }

    pub(crate) fn loader(&self) -> Result<impl Loader + use<>, LoadError> {
        let engine = PythonEngine::new(self.settings.clone()).expect("an engine");
        engine.loader(self.files.clone())
    }

    pub(crate) fn load(&self) -> Result<Box<dyn Servable>, LoadError> {
        self.load_abortable(&Abort::default())
    }

    pub(crate) fn load_abortable(&self, abort: &Abort) -> Result<Box<dyn Servable>, LoadError> {
        self.loader()?.load_abortable(Device::Cpu, abort)
    }

    /// The metrics that have come, once there are so many.
    pub(crate) fn metrics(&self, count: usize) -> Vec<(String, Metric)> {
        wait_until("metrics", || {
            let metrics = self.sink.0.lock().expect("a lock");
            (metrics.len() >= count).then(|| metrics.clone())
        })
    }
}

/// Asks again until there is an answer.
pub(crate) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "no {what} within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn text(body: &str) -> Input {
    Input {
        id: "r1".into(),
        ..Input::body("text/plain", Value::Bytes(body.to_owned().into()))
    }
}

pub(crate) type Results = Result<Vec<Result<Output, JobError>>, BatchError>;

pub(crate) fn predict(servable: &mut dyn Servable, inputs: &[Input]) -> Results {
    servable.predict(inputs, NonZeroUsize::MIN)
}

/// What one request gets: its body, or the batch's message.
pub(crate) fn ask(servable: &mut dyn Servable, body: &str) -> Result<String, BatchError> {
    ask_with(servable, text(body))
}

pub(crate) fn ask_with(servable: &mut dyn Servable, input: Input) -> Result<String, BatchError> {
    let mut results = predict(servable, &[input])?;
    assert_eq!(results.len(), 1);
    let output = results.remove(0).expect("a worker fails whole batches");
    Ok(body(&output))
}

pub(crate) fn body(output: &Output) -> String {
    String::from_utf8_lossy(&output.value.clone().into_body()).into_owned()
}

/// Whether a process of that number runs, zombies excepted. One of several threads is a zombie in name while the others still end.
pub(crate) fn runs(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().any(|thread| {
        // A thread that is gone meanwhile has nothing to read.
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
        !state.is_empty() && !state.starts_with(['Z', 'X'])
    })
}

/// Whether there is a process of that number, dead or alive.
pub(crate) fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
