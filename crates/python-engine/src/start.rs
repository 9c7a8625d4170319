//! From a model to a worker that has loaded it: start the process, wait until it listens, connect, load.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use servable::{Abort, Device, LoadError};
use tracing::{debug, info};

use crate::connection::{Broken, Connection, wait_until};
use crate::engine::Shared;
use crate::loader::Model;
use crate::message::Load;
use crate::output::{Output, Speaker};
use crate::process::{Death, Process, Start};
use crate::protocol::{Protocol, agreement};
use crate::settings::WorkerProgram;

/// How long a worker may take until it listens.
const STARTING: Duration = Duration::from_secs(120);

/// How long a worker that fails may take to say why, by ending.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// One process that has loaded its model. Dropping it ends the process.
pub(crate) struct Worker {
    pub(crate) protocol: Protocol,
    pub(crate) process: Process,
    pub(crate) output: Output,
    pub(crate) abort: Abort,
    /// Whether it wants headers as clients spell them.
    pub(crate) spelt: bool,
}

/// Starts a worker on this thread, which must outlive it, and has it load. Firing `abort` ends it at any time.
pub(crate) fn start(
    shared: &Shared,
    model: &Model,
    device: Device,
    abort: &Abort,
) -> Result<Worker, LoadError> {
    let name = thread::current().name().unwrap_or(&model.name).to_owned();
    let socket = shared.new_socket();
    let _file = SocketFile(&socket);
    let invalid = |why: String| LoadError::Invalid(format!("model {}: {why}", model.name));
    let starting = Start {
        interpreter: &model.interpreter,
        launcher: &shared.package.launcher,
        arguments: arguments(shared, model, &socket),
        folder: &model.dir,
        environment: environment(shared, model),
        bounds: &model.bounds,
    };
    let began = Instant::now();
    let (process, stdout, stderr) = starting.run().map_err(|error| {
        let interpreter = model.interpreter.display();
        invalid(format!(
            "its worker cannot be started by {interpreter}: {error}"
        ))
    })?;
    let killer = process.killer().clone();
    abort.arm(move || killer.kill());
    let speaker = Speaker {
        model: model.name.clone(),
        worker: name.clone(),
        sink: shared.settings.sink.clone(),
    };
    let output = Output::read(stdout, stderr, speaker)
        .map_err(|error| invalid(format!("its worker's output cannot be read: {error}")))?;
    let starting = Starting {
        process,
        output,
        abort,
    };
    let connection = match starting.connect(&socket) {
        Ok(connection) => connection,
        Err(broken) => return Err(starting.failed(model, &broken)),
    };
    let load = Load {
        model: &model.name,
        folder: &model.dir.to_string_lossy(),
        batch_size: i32::try_from(model.batch_size.max(1)).unwrap_or(i32::MAX),
        handler: &model.handler,
        gpu: match device {
            Device::Cpu => None,
            Device::Cuda(index) => i32::try_from(index).ok(),
        },
        envelope: model.envelope.as_deref().unwrap_or_default(),
        limit_pixels: model.limit_max_image_pixels,
    };
    let protocol = Protocol::new(connection, shared.settings.most_answer);
    // Bounded by whoever holds the other end of `abort`, which knows how long this model may take.
    let (protocol, answer) = match protocol.load(&load) {
        Ok(loaded) => loaded,
        Err(broken) => return Err(starting.failed(model, &broken)),
    };
    match answer.code {
        200 => {}
        507 => {
            return Err(LoadError::OutOfMemory(format!(
                "model {}: {}",
                model.name, answer.message
            )));
        }
        _ => {
            let handler = &model.handler;
            return Err(invalid(format!("handler {handler}: {}", answer.message)));
        }
    }
    info!(
        worker = name,
        "loaded in {:.2} s, protocol {}",
        began.elapsed().as_secs_f64(),
        protocol.number()
    );
    let Starting {
        process, output, ..
    } = starting;
    Ok(Worker {
        protocol,
        process,
        output,
        abort: abort.clone(),
        spelt: shared.settings.worker == WorkerProgram::TorchServe,
    })
}

/// A process that has not loaded yet.
struct Starting<'a> {
    process: Process,
    output: Output,
    abort: &'a Abort,
}

impl Starting<'_> {
    fn connect(&self, socket: &Path) -> Result<Connection, Broken> {
        let descriptor = &self.process.killer().descriptor;
        let mut watched = [
            PollFd::new(&self.output.started, PollFlags::IN),
            PollFd::new(&**descriptor, PollFlags::IN),
        ];
        if !wait_until(&mut watched, Instant::now().checked_add(STARTING))? {
            return Err(Broken::TooSlow(STARTING));
        }
        if !watched[0].revents().contains(PollFlags::IN) {
            return Err(Broken::Died);
        }
        let stream = UnixStream::connect(socket)?;
        Ok(Connection::new(stream, descriptor.clone())?)
    }

    /// What to say of a worker that did not load.
    fn failed(mut self, model: &Model, broken: &Broken) -> LoadError {
        let grace = match broken {
            Broken::Died | Broken::Closed => LAST_WORDS,
            Broken::TooSlow(_) | Broken::Io(_) | Broken::Unsendable(_) | Broken::Protocol(_) => {
                Duration::ZERO
            }
        };
        let death = self.process.end(grace);
        let last = self.output.end();
        if self.abort.is_fired() {
            return LoadError::Invalid(format!("model {}: loading was given up", model.name));
        }
        let what = match (broken, death) {
            (Broken::Died | Broken::Closed, Some(death)) => {
                format!("its worker ended while it loaded ({death})")
            }
            _ => format!("its worker: {broken}"),
        };
        let text = match last {
            Some(last) => format!("model {}: {what}: {last}", model.name),
            None => format!("model {}: {what}", model.name),
        };
        if death.is_some_and(Death::is_kill) && matches!(broken, Broken::Died | Broken::Closed) {
            return LoadError::OutOfMemory(text);
        }
        LoadError::Invalid(text)
    }
}

/// Removes the file of a socket that nobody will connect to again.
struct SocketFile<'p>(&'p Path);

impl Drop for SocketFile<'_> {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            debug!("{}: {error}", self.0.display());
        }
    }
}

fn arguments(shared: &Shared, model: &Model, socket: &Path) -> Vec<OsString> {
    let metrics = shared.settings.metrics_config.as_ref();
    let arguments: [&OsStr; 7] = [
        model.worker.file.as_os_str(),
        "--sock-type".as_ref(),
        "unix".as_ref(),
        "--sock-name".as_ref(),
        socket.as_os_str(),
        "--metrics-config".as_ref(),
        metrics.unwrap_or(&shared.package.metrics).as_os_str(),
    ];
    arguments.map(OsStr::to_owned).into()
}

/// The daemon's environment without what is withheld, and what workers are told.
fn environment(shared: &Shared, model: &Model) -> Vec<(OsString, OsString)> {
    let mut inherited = None;
    let mut variables: Vec<(OsString, OsString)> = Vec::new();
    for (name, value) in std::env::vars_os() {
        if name == "PYTHONPATH" {
            inherited = Some(value);
        } else if !shared.withholds(&name) {
            variables.push((name, value));
        }
    }
    let inherited = inherited.filter(|_| !shared.withholds(OsStr::new("PYTHONPATH")));
    let mut told: Vec<(&str, OsString)> = vec![
        ("PYTHONPATH", search_path(model, inherited)),
        (
            "TS_DECODE_INPUT_REQUEST",
            shared.settings.decode_input.to_string().into(),
        ),
        ("TS_IPEX_ENABLE", "false".into()),
        ("TS_IPEX_GPU_ENABLE", "false".into()),
    ];
    let is_own = shared.settings.worker == WorkerProgram::Own;
    if is_own && shared.settings.protocol >= 2 {
        told.push((agreement::OFFER.0, agreement::OFFER.1.into()));
    }
    if let Some(environment) = &model.virtual_environment {
        told.push(("VIRTUAL_ENV", environment.into()));
    }
    variables.retain(|(name, _)| {
        name != agreement::OFFER.0 && !told.iter().any(|(known, _)| name == known)
    });
    variables.extend(told.into_iter().map(|(name, value)| (name.into(), value)));
    variables
}

/// Where modules are looked for: the handler's folder, what the daemon was given, the model's folder, its packages.
fn search_path(model: &Model, inherited: Option<OsString>) -> OsString {
    let inherited: Vec<PathBuf> = inherited
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    let folders = model
        .handler_folder
        .iter()
        .chain(&inherited)
        .chain([&model.dir])
        .chain(&model.packages)
        .filter(|folder| !folder.as_os_str().is_empty());
    // Fails for a folder with a colon in its name, which no such path can hold.
    std::env::join_paths(folders).unwrap_or_else(|_| model.dir.clone().into())
}
