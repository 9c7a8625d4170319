//! The socket to a worker: every read and write has a deadline, and ends as soon as the worker does.
//!
//! A worker's death is not always the end of its connection, because what the handler has started may hold the socket
//! open. So each wait looks at the process as well.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use thiserror::Error;

/// The most descriptors that come with one message.
pub const MOST_DESCRIPTORS: usize = 64;

/// Why nothing more can be said to a worker.
#[derive(Debug, Error)]
pub enum Broken {
    #[error("the process has ended")]
    Died,
    #[error("it closed its connection")]
    Closed,
    #[error("it did not answer within {:.1} s", .0.as_secs_f64())]
    TooSlow(Duration),
    #[error("its connection: {0}")]
    Io(#[from] io::Error),
    /// What was to be said cannot be; nothing was.
    #[error("{0}")]
    Unsendable(String),
    /// It said what the protocol does not allow.
    #[error("it broke the protocol: {0}")]
    Protocol(String),
}

/// From where a decoder reads.
pub trait Source {
    /// Fills all of it.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), Broken>;
}

impl Source for &[u8] {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), Broken> {
        let (head, rest) = self.split_at_checked(out.len()).ok_or(Broken::Closed)?;
        out.copy_from_slice(head);
        *self = rest;
        Ok(())
    }
}

pub struct Connection {
    socket: UnixStream,
    /// Readable when the worker is dead.
    process: Arc<OwnedFd>,
    began: Instant,
    deadline: Option<Instant>,
}

impl Connection {
    /// Takes over a socket and the descriptor of the process at its other end.
    pub fn new(socket: UnixStream, process: Arc<OwnedFd>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Connection {
            socket,
            process,
            began: Instant::now(),
            deadline: None,
        })
    }

    /// All that follows has to be done within so much time; without one, until somebody ends the process.
    pub fn within(&mut self, time: Option<Duration>) {
        self.began = Instant::now();
        self.deadline = time.and_then(|time| self.began.checked_add(time));
    }

    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), Broken> {
        while !bytes.is_empty() {
            match (&self.socket).write(bytes) {
                Ok(0) => return Err(Broken::Closed),
                Ok(count) => bytes = &bytes[count..],
                Err(error) => self.after(error, PollFlags::OUT)?,
            }
        }
        Ok(())
    }

    /// Sends bytes, and descriptors with the first of them.
    pub fn write_with(
        &mut self,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), Broken> {
        let mut sent = 0;
        if !descriptors.is_empty() {
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
                return Err(Broken::Protocol("too many descriptors".into()));
            }
            sent = loop {
                let pieces = [IoSlice::new(bytes)];
                match sendmsg(&self.socket, &pieces, &mut control, SendFlags::NOSIGNAL) {
                    Ok(count) => break count,
                    Err(error) => self.after(error.into(), PollFlags::OUT)?,
                }
            };
        }
        self.write(&bytes[sent..])
    }

    /// Fills `out`, and takes over what descriptors come with it. More than [`MOST_DESCRIPTORS`] break the protocol.
    pub fn read_with(
        &mut self,
        out: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
    ) -> Result<(), Broken> {
        let mut at = 0;
        while at < out.len() {
            let mut space =
                [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut pieces = [IoSliceMut::new(&mut out[at..])];
            let received = match recvmsg(
                &self.socket,
                &mut pieces,
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            ) {
                Ok(received) => received,
                Err(error) => {
                    self.after(error.into(), PollFlags::IN)?;
                    continue;
                }
            };
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    descriptors.extend(rights);
                }
            }
            if received.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > MOST_DESCRIPTORS
            {
                let message = format!("more than {MOST_DESCRIPTORS} descriptors came at once");
                return Err(Broken::Protocol(message));
            }
            if received.bytes == 0 {
                return Err(Broken::Closed);
            }
            at += received.bytes;
        }
        Ok(())
    }

    /// What is there, of at least one byte.
    pub fn read_some(&mut self, out: &mut [u8]) -> Result<usize, Broken> {
        loop {
            match (&self.socket).read(out) {
                Ok(0) => return Err(Broken::Closed),
                Ok(count) => return Ok(count),
                Err(error) => self.after(error, PollFlags::IN)?,
            }
        }
    }

    /// An attempt failed: waits, if it only came too soon.
    fn after(&self, error: io::Error, wanted: PollFlags) -> Result<(), Broken> {
        let kind = error.kind();
        if kind == ErrorKind::WouldBlock {
            return self.wait(wanted);
        }
        if kind == ErrorKind::Interrupted {
            return Ok(());
        }
        let is_closed = matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
        Err(if is_closed {
            Broken::Closed
        } else {
            Broken::Io(error)
        })
    }

    fn wait(&self, wanted: PollFlags) -> Result<(), Broken> {
        let mut watched = [
            PollFd::new(&self.socket, wanted),
            PollFd::new(&*self.process, PollFlags::IN),
        ];
        if !wait_until(&mut watched, self.deadline)? {
            return Err(Broken::TooSlow(self.began.elapsed()));
        }
        // What a worker said before it died is heard first.
        if watched[0].revents().is_empty() {
            return Err(Broken::Died);
        }
        Ok(())
    }
}

impl Source for Connection {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), Broken> {
        let mut at = 0;
        while at < out.len() {
            at += self.read_some(&mut out[at..])?;
        }
        Ok(())
    }
}

/// Waits until something happens to one of them. Returns whether it did before the deadline.
pub fn wait_until(watched: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(watched, timeout.as_ref()) {
            Ok(0) if left.is_none_or(|left| left.is_zero()) => return Ok(false),
            Ok(0) => {}
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether a process is dead, by its descriptor.
pub fn is_dead(process: impl AsFd, within: Duration) -> bool {
    let mut watched = [PollFd::new(&process, PollFlags::IN)];
    wait_until(&mut watched, Instant::now().checked_add(within)).unwrap_or(false)
}
