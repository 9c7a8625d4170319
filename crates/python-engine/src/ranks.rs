//! The other processes of a worker whose model is spread over several. They load what the first loads, and may hear of
//! batches; only the first answers these.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use worker_process::{Broken, Connection, Killer};

use crate::message::{Answer, Load, Request};
use crate::protocol::one::One;

/// Connections to all but the first.
#[derive(Default)]
pub(crate) struct OtherRanks {
    connections: Vec<One>,
    /// Whether they hear of batches.
    hear: bool,
}

impl OtherRanks {
    /// Connects to the processes that listen there. `most` are the bytes of an answer.
    pub(crate) fn connect(
        sockets: &[PathBuf],
        process: &Killer,
        hear: bool,
        most: usize,
    ) -> Result<Self, Broken> {
        let connect = |path: &PathBuf| {
            let stream = UnixStream::connect(path)?;
            let connection = Connection::new(stream, process.descriptor.clone())?;
            Ok::<_, Broken>(One::new(connection, most))
        };
        Ok(OtherRanks {
            connections: sockets.iter().map(connect).collect::<Result<_, _>>()?,
            hear,
        })
    }

    /// Has all of them load, and waits for none: they may wait for the first.
    pub(crate) fn send_load(&mut self, load: &Load<'_>) -> Result<(), Broken> {
        for (rank, one) in (1..).zip(&mut self.connections) {
            let of_rank = Load {
                gpu: load.gpu.map(|_| rank),
                ..load.clone()
            };
            one.send_load(&of_rank)?;
        }
        Ok(())
    }

    /// The first answer to the load that is none of success, once all have answered.
    pub(crate) fn receive_load(&mut self) -> Result<Option<Answer>, Broken> {
        let mut failed = None;
        for one in &mut self.connections {
            let answer = one.receive()?;
            if answer.code != 200 && failed.is_none() {
                failed = Some(answer);
            }
        }
        Ok(failed)
    }

    /// Tells them of a batch, if they are to hear of it.
    pub(crate) fn send(
        &mut self,
        requests: &[Request<'_>],
        within: Option<Duration>,
    ) -> Result<(), Broken> {
        if self.hear {
            for one in &mut self.connections {
                one.connection.within(within);
                one.send(requests)?;
            }
        }
        Ok(())
    }
}
