//! What a worker prints: read on a thread of its own, in bounded memory, into the log and to the sink of metrics.
//!
//! A worker must never wait for its output to be read, so this thread reads whatever comes and as fast as it comes; the
//! log drops what it cannot take. It ends when the worker has, though something that the handler started may still hold
//! the other ends of the pipes.

mod lines;
mod tail;

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tracing::{debug, error, info, warn};

use crate::connection::wait_until;
use crate::metric_line::{self, MetricSink};
use lines::Lines;
use tail::Tail;

/// The line by which a worker says that it can be connected to.
const STARTED: &str = "Torch worker started.";

/// What a worker says of itself before that, and right after it: nothing that it could die of.
const ANNOUNCEMENTS: [&str; 3] = ["Listening on ", "[PID]", "Python runtime: "];

/// How much is read at a time.
const CHUNK: usize = 64 << 10;

/// How much is still read of a worker that is dead.
const LAST_WORDS: usize = 1 << 20;

/// Whose output it is.
pub struct Speaker {
    pub model: String,
    /// As in the log: `W-9000-<model>_<version>`.
    pub worker: String,
    pub sink: Arc<dyn MetricSink>,
    /// How many processes it is, each of which says when it listens.
    pub processes: u32,
}

/// The thread that reads. Dropping it ends the thread, which says what has come so far.
pub struct Output {
    thread: Option<JoinHandle<()>>,
    /// Closed to end the thread.
    stop: Option<PipeWriter>,
    tail: Arc<Mutex<Tail>>,
    /// Readable once the worker can be connected to.
    pub started: PipeReader,
}

impl Output {
    /// Reads both streams of a process until they end, or this is dropped.
    pub fn read(stdout: OwnedFd, stderr: OwnedFd, speaker: Speaker) -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let (started, starts) = io::pipe()?;
        let tail = Arc::new(Mutex::new(Tail::default()));
        let mut streams = Vec::with_capacity(2);
        for (stream, kind) in [(stdout, Kind::Out), (stderr, Kind::Err)] {
            fcntl_setfl(&stream, fcntl_getfl(&stream)? | OFlags::NONBLOCK)?;
            streams.push(Stream {
                file: File::from(stream),
                kind,
                lines: Lines::default(),
            });
        }
        let reader = Reader {
            starting: speaker.processes,
            speaker,
            tail: Arc::clone(&tail),
            starts: Some(starts),
        };
        let name = format!("{}-output", reader.speaker.worker);
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || reader.run(streams, &stopped))?;
        Ok(Output {
            thread: Some(thread),
            stop: Some(stop),
            tail,
            started,
        })
    }

    /// Forgets what was said so far: it is of no request that comes.
    pub fn forget(&self) {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        *tail = Tail::default();
    }

    /// Ends the thread, and returns the last line that says something, errors first.
    pub fn end(&mut self) -> Option<String> {
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("reading the output of a worker panicked");
        }
        self.tail
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last_words()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Out,
    Err,
}

struct Stream {
    file: File,
    kind: Kind,
    lines: Lines,
}

struct Reader {
    speaker: Speaker,
    tail: Arc<Mutex<Tail>>,
    /// How many processes have not said that they are there.
    starting: u32,
    /// Dropped once all have.
    starts: Option<PipeWriter>,
}

impl Reader {
    fn run(mut self, mut streams: Vec<Stream>, stopped: &PipeReader) {
        let mut chunk = vec![0; CHUNK];
        while !streams.is_empty() {
            let mut watched: Vec<PollFd<'_>> = streams
                .iter()
                .map(|stream| stream.file.as_fd())
                .chain([stopped.as_fd()])
                .map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN))
                .collect();
            let waited = wait_until(&mut watched, None::<Instant>);
            let is_over = !watched[streams.len()].revents().is_empty() || waited.is_err();
            drop(watched);
            let mut left = if is_over { LAST_WORDS } else { CHUNK };
            streams.retain_mut(|stream| self.drain(stream, &mut chunk, &mut left));
            if is_over {
                break;
            }
        }
        for stream in &mut streams {
            let kind = stream.kind;
            stream.lines.end(&mut |line| self.say(kind, line));
        }
    }

    /// Reads what is there, up to `left` bytes. Returns whether more may come.
    fn drain(&mut self, stream: &mut Stream, chunk: &mut [u8], left: &mut usize) -> bool {
        let kind = stream.kind;
        while *left > 0 {
            let most = chunk.len().min(*left);
            match stream.file.read(&mut chunk[..most]) {
                Ok(0) => {
                    stream.lines.end(&mut |line| self.say(kind, line));
                    return false;
                }
                Ok(count) => {
                    *left -= count;
                    stream
                        .lines
                        .feed(&chunk[..count], &mut |line| self.say(kind, line));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        true
    }

    fn say(&mut self, kind: Kind, line: &str) {
        let Speaker {
            model,
            worker,
            sink,
            processes: _,
        } = &self.speaker;
        if kind == Kind::Err {
            lock(&self.tail).note(line, true);
            return warn!(target: "model_log", thread = format_args!("{worker}-stderr"), "{line}");
        }
        let thread = format_args!("{worker}-stdout");
        if let Some(metric) = metric_line::parse(line) {
            return sink.take(model, worker, metric);
        }
        if line.ends_with(STARTED) && self.starting > 0 {
            self.starting -= 1;
            if self.starting == 0
                && let Some(mut starts) = self.starts.take()
            {
                // Fails where nobody waits for it.
                let _ = starts.write_all(b"!");
            }
            return debug!(target: "model_log", thread, "{line}");
        }
        if !ANNOUNCEMENTS.iter().any(|own| line.starts_with(own)) {
            lock(&self.tail).note(line, false);
        }
        info!(target: "model_log", thread, "{line}");
    }
}

fn lock(tail: &Mutex<Tail>) -> std::sync::MutexGuard<'_, Tail> {
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}
