//! From a model to a worker that has loaded it: start the process, wait until it listens, connect, load.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use servable::{Abort, Device, LoadError};
use tracing::{debug, info};

use crate::command;
use crate::connection::{Broken, Connection, wait_until};
use crate::engine::{Shared, Sockets};
use crate::loader::Model;
use crate::message::Load;
use crate::output::{Output, Speaker};
use crate::process::{Death, Process, Start};
use crate::protocol::Protocol;
use crate::ranks::OtherRanks;

/// How long a worker may take until it listens.
const STARTING: Duration = Duration::from_secs(120);

/// How long a worker that fails may take to say why, by ending.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What an interpreter says that is to run a debugger it does not have.
const NO_DEBUGGER: &str = "No module named debugpy";

/// One process that has loaded its model. Dropping it ends the process.
pub(crate) struct Worker {
    pub(crate) protocol: Protocol,
    pub(crate) others: OtherRanks,
    pub(crate) process: Process,
    pub(crate) output: Output,
    pub(crate) abort: Abort,
}

/// Starts a worker on this thread, which must outlive it, and has it load. Firing `abort` ends it at any time.
pub(crate) fn start(
    shared: &Shared,
    model: &Model,
    device: Device,
    abort: &Abort,
) -> Result<Worker, LoadError> {
    let name = thread::current().name().unwrap_or(&model.name).to_owned();
    let sockets = shared.new_sockets(model.processes(), model.is_distributed());
    let _files = SocketFiles(&sockets);
    let invalid = |why: String| LoadError::Invalid(format!("model {}: {why}", model.name));
    let debugger = shared.debugger_for(&model.name);
    if let Some(port) = debugger {
        // Asked for beforehand, because the debugger says it at length.
        TcpListener::bind(("127.0.0.1", port)).map_err(|error| {
            invalid(format!(
                "port {port}, on which its debugger is to listen, cannot be had: {error}"
            ))
        })?;
    }
    let line = command::line(shared, model, &sockets, debugger).map_err(invalid)?;
    let starting = Start {
        interpreter: &model.interpreter,
        launcher: &shared.package.launcher,
        program: line.program,
        arguments: line.arguments,
        folder: &model.dir,
        environment: command::environment(shared, model, device),
        bounds: &model.bounds,
        groups: shared.groups(),
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
    let output = Output::read(stdout, stderr, speaker, model.processes())
        .map_err(|error| invalid(format!("its worker's output cannot be read: {error}")))?;
    let starting = Starting {
        process,
        output,
        abort,
    };
    let most = shared.settings.most_answer;
    let connected = starting.connect(&sockets.first).and_then(|first| {
        let (killer, hear) = (starting.process.killer(), model.all_ranks_hear());
        Ok((
            first,
            OtherRanks::connect(&sockets.others, killer, hear, most)?,
        ))
    });
    let (connection, mut others) = match connected {
        Ok(connected) => connected,
        Err(broken) => return Err(starting.failed(model, &broken)),
    };
    let load = Load {
        model: &model.name,
        folder: &model.dir.to_string_lossy(),
        batch_size: i32::try_from(model.batch_size.max(1)).unwrap_or(i32::MAX),
        handler: &model.handler,
        gpu: match (device, &model.parallel) {
            (Device::Cpu, _) => None,
            // Of those that the process sees.
            (Device::Cuda(_), Some(_)) => Some(0),
            (Device::Cuda(index), None) => i32::try_from(index).ok(),
        },
        envelope: model.envelope.as_deref().unwrap_or_default(),
        limit_pixels: model.limit_max_image_pixels,
    };
    let protocol = Protocol::new(connection, most);
    // Bounded by whoever holds the other end of `abort`, which knows how long this model may take.
    let loaded = others
        .send_load(&load)
        .and_then(|()| protocol.load(&load))
        .and_then(|(protocol, answer)| {
            let failed = others.receive_load()?;
            Ok((protocol, failed.unwrap_or(answer)))
        });
    let (protocol, answer) = match loaded {
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
    let bound = starting.process.memory_bound();
    info!(
        worker = name,
        "loaded in {:.2} s, process {}, protocol {}{}",
        began.elapsed().as_secs_f64(),
        starting.process.id(),
        protocol.number(),
        bound.map(|bound| format!("; {bound}")).unwrap_or_default()
    );
    if let Some(port) = debugger {
        info!(worker = name, "a debugger may attach at 127.0.0.1:{port}");
    }
    let Starting {
        process, output, ..
    } = starting;
    Ok(Worker {
        protocol,
        others,
        process,
        output,
        abort: abort.clone(),
    })
}

/// A process that has not loaded yet.
struct Starting<'a> {
    process: Process,
    output: Output,
    abort: &'a Abort,
}

impl Starting<'_> {
    /// Waits until all processes listen, and connects to the first.
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
        if last.as_ref().is_some_and(|last| last.contains(NO_DEBUGGER)) {
            let interpreter = model.interpreter.display();
            return LoadError::Invalid(format!(
                "model {}: {interpreter} has no debugpy ({interpreter} -m pip install debugpy)",
                model.name
            ));
        }
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

/// Removes the files of sockets that nobody will connect to again.
struct SocketFiles<'p>(&'p Sockets);

impl Drop for SocketFiles<'_> {
    fn drop(&mut self) {
        for path in self.0.others.iter().chain([&self.0.first]) {
            if let Err(error) = fs::remove_file(path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                debug!("{}: {error}", path.display());
            }
        }
    }
}
