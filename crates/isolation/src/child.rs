//! In the child: has an engine load one servable, and answers batches until the daemon hangs up.

use std::any::Any;
use std::ffi::CStr;
use std::io;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rustix::process::{PidfdFlags, getppid, pidfd_open};
use rustix::stdio::stdin;
use rustix::thread::set_name;
use servable::{BatchError, Device, LoadError, Loader, Reason, Servable};
use thiserror::Error;
use tracing::warn;
use worker_process::wire::{self, Frame};
use worker_process::{Broken, Connection, Unbound, bind};

use crate::batch::{self, Answered, Outcome};
use crate::message::{self, ANSWER, LOAD, LOADED, Load, Loaded, PREDICT};
use crate::parts::{Line, Sink};

/// What lists of processes call this thread, and so the process.
const SHOWN: &CStr = c"torchrelay";

/// Why a child ends before the daemon has hung up.
#[derive(Debug, Error)]
pub enum ChildError {
    #[error("a worker is started by the daemon, with a connection as its standard input: {0}")]
    NoDaemon(io::Error),
    #[error("the process cannot be bound: {0}")]
    Unbound(#[from] Unbound),
    /// The daemon has been told.
    #[error("the model cannot be loaded")]
    NotLoaded,
    /// The daemon has been told.
    #[error("the model panicked: {0}")]
    Panicked(String),
    #[error("the daemon: {0}")]
    Broken(#[from] Broken),
}

/// Serves one model on this thread, which must be the process's first: the daemon says what to load, over the connection that is
/// this process's standard input, and `make` makes a loader of its description, for that device. Returns when the daemon hangs up.
///
/// # Errors
///
/// Where there is no daemon, the process cannot be bound, or the model has come to its end.
pub fn serve(
    make: impl FnOnce(&str, Device) -> Result<Arc<dyn Loader>, LoadError>,
) -> Result<(), ChildError> {
    let mut connection = connect().map_err(ChildError::NoDaemon)?;
    let load: Load = message::receive(&mut connection, LOAD)?;
    bind(load.daemon, &load.bounds())?;
    // Lists of processes would show the file's name; `exe`, say. No more than a courtesy.
    let _ = set_name(SHOWN);
    let loaded = make(&load.description, load.device()).and_then(|loader| {
        let servable = loader.load(load.device())?;
        Ok((loader, servable))
    });
    let (loader, mut servable) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            message::send(&mut connection, LOADED, &Loaded::failed(error))?;
            return Err(ChildError::NotLoaded);
        }
    };
    let ports = loader.signature().ports;
    let ready = Loaded::ready(&ports, servable.looked_at_every());
    message::send(&mut connection, LOADED, &ready)?;
    let line = Line::new(connection);
    loop {
        // Let go of before the batch is begun: parts of it go the same way.
        let received = wire::receive(&mut line.lock());
        let frame = match received {
            Ok(frame) => message::expect(frame, PREDICT)?,
            Err(Broken::Closed | Broken::Died) => return Ok(()),
            Err(broken) => return Err(broken.into()),
        };
        answer(&line, servable.as_mut(), frame)?;
    }
}

fn connect() -> io::Result<Connection> {
    let socket = UnixStream::from(stdin().try_clone_to_owned()?);
    // Fails for what is no connection.
    socket.peer_addr()?;
    let daemon = getppid().ok_or_else(|| io::Error::other("there is no parent"))?;
    let daemon = pidfd_open(daemon, PidfdFlags::empty())?;
    Connection::new(socket, Arc::new(daemon))
}

fn answer(line: &Line, servable: &mut dyn Servable, frame: Frame) -> Result<(), ChildError> {
    let number = frame.number;
    let sink = |index| Arc::new(Sink::new(line.clone(), number, index)) as Arc<_>;
    let mut answered = match batch::read_batch(frame, sink) {
        Ok((inputs, threads)) => {
            let call = || servable.predict(&inputs, threads);
            let outcome = match catch_unwind(AssertUnwindSafe(call)) {
                Ok(Ok(results)) => Outcome::Results(results),
                Ok(Err(error)) => Outcome::Failed(error),
                Err(panic) => Outcome::Panicked(first_line(panic.as_ref())),
            };
            let images = batch::images(&inputs).into_iter().enumerate();
            let upright = images.filter(|(_, image)| image.was_upright());
            let upright = upright.map(|(index, _)| index).collect();
            let panicked = matches!(outcome, Outcome::Panicked(_));
            Answered {
                around: if panicked { None } else { servable.around() },
                alive: !panicked && servable.is_alive(),
                outcome,
                upright,
            }
        }
        Err(why) => failed(format!("the batch cannot be read: {why}")),
    };
    let mut encoded = batch::write_answer(&answered);
    if let Err(Broken::Unsendable(why)) = encoded {
        warn!("an answer cannot be sent: {why}");
        answered = failed(format!("the model's answer cannot be sent: {why}"));
        encoded = batch::write_answer(&answered);
    }
    let encoded = encoded?;
    wire::send(&mut line.lock(), ANSWER, 0, number, &encoded)?;
    match answered.outcome {
        Outcome::Panicked(why) => Err(ChildError::Panicked(why)),
        Outcome::Results(_) | Outcome::Failed(_) => Ok(()),
    }
}

fn failed(message: String) -> Answered {
    Answered {
        outcome: Outcome::Failed(BatchError::new(Reason::Failed, message)),
        around: None,
        alive: true,
        upright: Vec::new(),
    }
}

fn first_line(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    text.lines().next().unwrap_or_default().to_owned()
}
