//! In the daemon: from a model to a process that has loaded it.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use servable::{Abort, Device, LoadError, Ports};
use tracing::info;
use worker_process::{Broken, Connection, NoSink, Speaker, Start, Supervised};

use crate::environment;
use crate::loader::Isolation;
use crate::message::{self, LOAD, LOADED, Load, Loaded, ports};

/// What lists of processes call a child.
const SHOWN: &str = "torchrelay";

/// One process that has loaded its model.
pub(crate) struct Worker {
    pub(crate) connection: Connection,
    pub(crate) supervised: Supervised,
    pub(crate) ports: Ports,
    pub(crate) looked_at_every: Option<Duration>,
}

/// Starts a worker on this thread, which must outlive it, and has it load. Firing `abort` ends it at any time.
pub(crate) fn start(
    isolation: &Isolation,
    device: Device,
    abort: &Abort,
) -> Result<Worker, LoadError> {
    let model = &isolation.model;
    let name = thread::current().name().unwrap_or(model).to_owned();
    let cannot = |why: String| {
        LoadError::Invalid(format!("model {model}: its worker cannot be started{why}"))
    };
    let began = Instant::now();
    let (ours, theirs) = UnixStream::pair().map_err(|error| cannot(format!(": {error}")))?;
    let mut arguments = isolation.arguments.clone();
    // For whoever reads a list of processes.
    arguments.push(name.clone().into());
    let starting = Start {
        program: &isolation.program,
        shown: Some(SHOWN),
        arguments,
        folder: &isolation.folder,
        environment: environment::of_child(std::env::vars_os()),
        input: OwnedFd::from(theirs).into(),
        group: None,
    };
    let speaker = Speaker {
        model: model.clone(),
        worker: name.clone(),
        sink: Arc::new(NoSink),
        processes: 1,
    };
    let supervised = Supervised::start(starting, speaker, abort).map_err(|error| {
        let program = isolation.program.display();
        cannot(format!(" ({program}): {error}"))
    })?;
    let process = Arc::clone(&supervised.process().killer().descriptor);
    let connection = Connection::new(ours, process);
    let loaded = connection.map_err(Broken::from).and_then(|mut connection| {
        let load = Load {
            daemon: process::id(),
            memory: isolation.bounds.memory,
            cpu: isolation.bounds.cpu,
            files: isolation.bounds.files,
            cuda: match device {
                Device::Cpu => None,
                Device::Cuda(index) => Some(index),
            },
            description: isolation.description.clone(),
        };
        message::send(&mut connection, LOAD, &load)?;
        // Bounded by whoever holds the other end of `abort`, which knows how long this model may take.
        let loaded: Loaded = message::receive(&mut connection, LOADED)?;
        Ok((connection, loaded))
    });
    let (connection, loaded) = match loaded {
        Ok(loaded) => loaded,
        Err(broken) => return Err(supervised.failed_to_load(model, &broken)),
    };
    let (takes, gives, looked_at_every) = match loaded {
        Loaded::Ready {
            takes,
            gives,
            looked_at_every,
        } => (takes, gives, looked_at_every),
        Loaded::Invalid(why) => return Err(LoadError::Invalid(why)),
        Loaded::Unsupported(why) => return Err(LoadError::Unsupported(why)),
        Loaded::OutOfMemory(why) => return Err(LoadError::OutOfMemory(why)),
    };
    info!(
        worker = name,
        "loaded in {:.2} s, in process {}",
        began.elapsed().as_secs_f64(),
        supervised.process().id()
    );
    Ok(Worker {
        connection,
        supervised,
        ports: Ports {
            takes: ports(takes),
            gives: ports(gives),
        },
        looked_at_every: looked_at_every.map(Duration::from_millis),
    })
}
