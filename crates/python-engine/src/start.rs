//! From a model to a worker that has loaded it: start the process, wait until it listens, connect, load.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use servable::{Abort, Device, LoadError};
use tracing::{debug, info};
use worker_process::{Bounds, Broken, Connection, Speaker, Start, Supervised, wait_until};

use crate::engine::Shared;
use crate::loader::Model;
use crate::message::Load;
use crate::protocol::{Protocol, agreement};
use crate::settings::WorkerProgram;

/// How long a worker may take until it listens.
const STARTING: Duration = Duration::from_secs(120);

/// One process that has loaded its model. Dropping it ends the process.
pub(crate) struct Worker {
    pub(crate) protocol: Protocol,
    pub(crate) supervised: Supervised,
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
        program: &model.interpreter,
        shown: None,
        arguments: launched(shared, &model.bounds, arguments(shared, model, &socket)),
        folder: &model.dir,
        environment: environment(shared, model),
        input: Stdio::null(),
    };
    let began = Instant::now();
    let speaker = Speaker {
        model: model.name.clone(),
        worker: name.clone(),
        sink: shared.settings.sink.clone(),
    };
    let supervised = Supervised::start(starting, speaker, abort).map_err(|error| {
        let interpreter = model.interpreter.display();
        invalid(format!(
            "its worker cannot be started by {interpreter}: {error}"
        ))
    })?;
    let connection = match connect(&supervised, &socket) {
        Ok(connection) => connection,
        Err(broken) => return Err(supervised.failed_to_load(&model.name, &broken)),
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
        Err(broken) => return Err(supervised.failed_to_load(&model.name, &broken)),
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
    Ok(Worker {
        protocol,
        supervised,
        spelt: shared.settings.worker == WorkerProgram::TorchServe,
    })
}

fn connect(supervised: &Supervised, socket: &Path) -> Result<Connection, Broken> {
    let descriptor = &supervised.process().killer().descriptor;
    let mut watched = [
        PollFd::new(&supervised.output().started, PollFlags::IN),
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

/// The arguments of an interpreter that binds itself before it runs these.
pub(crate) fn launched(
    shared: &Shared,
    bounds: &Bounds,
    arguments: Vec<OsString>,
) -> Vec<OsString> {
    let launcher = shared.package.launcher.clone().into();
    let (daemon, bounds) = (process::id().to_string(), bounds.for_launcher());
    let before = [
        "-I".into(),
        "-S".into(),
        launcher,
        daemon.into(),
        bounds.into(),
    ];
    before.into_iter().chain(arguments).collect()
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
