//! From a model to a worker that has loaded it: start the process, wait until it listens, connect, load.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use servable::{Abort, Device, LoadError};
use tracing::{debug, info, warn};
use worker_process::{Broken, Connection, Speaker, Start, Supervised, wait_until};

use crate::command::{self, launched};
use crate::engine::{Shared, Sockets};
use crate::loader::Model;
use crate::message::Load;
use crate::protocol::Protocol;
use crate::ranks::OtherRanks;

/// How long a worker may take until it listens.
const STARTING: Duration = Duration::from_secs(120);

/// How long what a worker before this one has left of its debugger may hold the port.
const LEAVING: Duration = Duration::from_secs(10);

/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(50);

/// What an interpreter says that is to run a debugger it does not have.
const NO_DEBUGGER: &str = "No module named debugpy";

/// One process that has loaded its model. Dropping it ends the process.
pub(crate) struct Worker {
    pub(crate) protocol: Protocol,
    pub(crate) others: OtherRanks,
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
    let sockets = shared.new_sockets(model.processes(), model.is_distributed());
    let _files = SocketFiles(&sockets);
    let invalid = |why: String| LoadError::Invalid(format!("model {}: {why}", model.name));
    let debugger = shared.debugger_for(&model.name);
    if let Some(port) = debugger {
        free(port, abort).map_err(|error| {
            invalid(format!(
                "port {port}, on which its debugger is to listen, cannot be had: {error}"
            ))
        })?;
    }
    let line = command::line(shared, model, &sockets, debugger).map_err(invalid)?;
    let memory = model.bounds.memory;
    let group = memory.and_then(|bytes| {
        let made = shared.groups()?.bounded(bytes);
        let told = |error: &std::io::Error| {
            warn!(
                worker = name,
                "its address space is bounded instead of its memory: {error}"
            );
        };
        made.inspect_err(told).ok()
    });
    let means = group
        .as_ref()
        .map_or("address space", |_| "memory in its control group");
    let starting = Start {
        program: &model.interpreter,
        shown: None,
        arguments: launched(shared, &model.bounds, group.as_ref(), line),
        folder: &model.dir,
        environment: command::environment(shared, model, device),
        input: Stdio::null(),
        group,
    };
    let began = Instant::now();
    let speaker = Speaker {
        model: model.name.clone(),
        worker: name.clone(),
        sink: shared.settings.sink.clone(),
        processes: model.processes(),
    };
    let supervised = Supervised::start(starting, speaker, abort).map_err(|error| {
        let interpreter = model.interpreter.display();
        invalid(format!(
            "its worker cannot be started by {interpreter}: {error}"
        ))
    })?;
    let most = shared.settings.most_answer;
    let connected = connect(&supervised, &sockets.first).and_then(|first| {
        let (killer, hear) = (supervised.process().killer(), model.all_ranks_hear());
        Ok((
            first,
            OtherRanks::connect(&sockets.others, killer, hear, most)?,
        ))
    });
    let (connection, mut others) = match connected {
        Ok(connected) => connected,
        Err(broken) => return Err(failed(supervised, model, &broken)),
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
        Err(broken) => return Err(failed(supervised, model, &broken)),
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
        "loaded in {:.2} s, process {}, protocol {}{}",
        began.elapsed().as_secs_f64(),
        supervised.process().id(),
        protocol.number(),
        memory
            .map(|bytes| format!("; at most {bytes} bytes of {means}"))
            .unwrap_or_default()
    );
    if let Some(port) = debugger {
        info!(worker = name, "a debugger may attach at 127.0.0.1:{port}");
    }
    Ok(Worker {
        protocol,
        others,
        supervised,
        spelt: !model.worker.is_own,
    })
}

/// What to say of a worker that did not load.
fn failed(supervised: Supervised, model: &Model, broken: &Broken) -> LoadError {
    let error = supervised.failed_to_load(&model.name, broken);
    if !error.to_string().contains(NO_DEBUGGER) {
        return error;
    }
    let (name, interpreter) = (&model.name, model.interpreter.display());
    LoadError::Invalid(format!(
        "model {name}: {interpreter} has no debugpy ({interpreter} -m pip install debugpy)"
    ))
}

/// Waits until the port can be had. It is asked for before the debugger does, which would say at length that it cannot.
fn free(port: u16, abort: &Abort) -> std::io::Result<()> {
    let end = Instant::now() + LEAVING;
    loop {
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(()),
            Err(error)
                if error.kind() != ErrorKind::AddrInUse
                    || abort.is_fired()
                    || Instant::now() >= end =>
            {
                return Err(error);
            }
            Err(_) => thread::sleep(LOOK),
        }
    }
}

/// Waits until all processes listen, and connects to the first.
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
