//! Lines on their way out: a buffer for each sink, and one thread that writes them.
//!
//! Putting a line takes a lock and a copy. The buffers are bounded: what does not fit is dropped and counted, and the
//! count is told when there is room again. The thread gathers for a moment between two rounds of writing, so that many
//! lines cost one call and one wake-up.

use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tracing::{info, warn};

/// The most bytes that wait for one sink.
const ROOM: usize = 4 << 20;

/// The room that a buffer keeps.
const KEPT_ROOM: usize = 64 << 10;

/// What the thread rests between two rounds.
const LULL: Duration = Duration::from_millis(10);

/// How often dropped lines are told of, at most.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Where lines end up.
pub(super) trait Sink: Send {
    /// As in messages.
    fn name(&self) -> String;

    /// Writes whole lines, or fails. What fails is lost; the next call is a new attempt.
    fn write(&mut self, lines: &[u8], now: SystemTime) -> io::Result<()>;
}

/// The way to some sinks. Cheap to clone.
#[derive(Clone)]
pub(super) struct Outbox {
    shared: Arc<Shared>,
}

impl Outbox {
    /// Starts the thread of that name for these sinks. It ends with [`Outbox::close`].
    pub(super) fn start(name: &str, sinks: Vec<Box<dyn Sink>>) -> io::Result<Self> {
        // Said where everything is said: these lines go through the outboxes, too.
        Self::start_with(name, sinks, |report| match report {
            Report::Mended { .. } => info!("{report}"),
            Report::Failed { .. } | Report::Dropped { .. } => warn!("{report}"),
        })
    }

    fn start_with(
        name: &str,
        sinks: Vec<Box<dyn Sink>>,
        tell: impl Fn(&Report) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        shared.state().pending = sinks.iter().map(|_| Pending::default()).collect();
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&of_thread, sinks, tell))?;
        Ok(Outbox { shared })
    }

    /// One that drops everything.
    pub(super) fn closed() -> Self {
        let shared = Shared::default();
        shared.state().ended = true;
        Outbox {
            shared: Arc::new(shared),
        }
    }

    /// Hands on one line, in parts.
    pub(super) fn put(&self, sink: usize, parts: &[&[u8]]) {
        let mut state = self.shared.state();
        let Some(pending) = state.pending.get_mut(sink) else {
            return;
        };
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if pending.lines.len() + length > ROOM {
            pending.dropped += 1;
            return;
        }
        for part in parts {
            pending.lines.extend_from_slice(part);
        }
        if std::mem::take(&mut state.asleep) {
            drop(state);
            self.shared.changed.notify_all();
        }
    }

    /// Waits until nothing waits any more, or until `end`.
    pub(super) fn flush(&self, end: Instant) {
        self.shared.wait_until(end, |state| {
            state.ended || !state.writing && state.pending.iter().all(Pending::is_empty)
        });
    }

    /// Writes what there is and ends the thread; returns when that is done, or at `end`.
    pub(super) fn close(&self, end: Instant) {
        self.shared.state().closing = true;
        self.shared.changed.notify_all();
        self.shared.wait_until(end, |state| state.ended);
    }
}

/// What a writer has to say of its sinks.
#[derive(Debug)]
enum Report {
    Failed { sink: String, error: io::Error },
    Mended { sink: String, lost: u64 },
    Dropped { sink: String, lines: u64 },
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Failed { sink, error } => write!(
                f,
                "{sink}: log lines cannot be written and are lost: {error}"
            ),
            Report::Mended { sink, lost } => write!(
                f,
                "{sink}: log lines can be written again; {lost} of them were lost"
            ),
            Report::Dropped { sink, lines } => write!(
                f,
                "{sink}: {lines} log lines were dropped, because they came faster than they could be written"
            ),
        }
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By sink.
    pending: Vec<Pending>,
    /// The thread waits to be told of a line.
    asleep: bool,
    /// The thread has taken lines that it has not written yet.
    writing: bool,
    closing: bool,
    ended: bool,
}

#[derive(Default)]
struct Pending {
    lines: Vec<u8>,
    dropped: u64,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.dropped == 0
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, end: Instant, reached: impl Fn(&State) -> bool) {
        let mut state = self.state();
        while !reached(&state) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for lines and swaps them for the empty buffers of `taken`. Returns whether these were the last.
    fn take(&self, taken: &mut [Pending]) -> bool {
        let mut state = self.state();
        state.writing = false;
        self.changed.notify_all();
        while !state.closing && state.pending.iter().all(Pending::is_empty) {
            state.asleep = true;
            let waited = self.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep = false;
        let last = state.closing && state.pending.iter().all(Pending::is_empty);
        state.writing = !last;
        for (pending, taken) in state.pending.iter_mut().zip(taken) {
            std::mem::swap(pending, taken);
        }
        last
    }
}

/// What the thread knows of one sink.
struct Outlet {
    sink: Box<dyn Sink>,
    /// Lines that could not be written since the last that could.
    lost: Option<u64>,
    dropped: u64,
    told: Option<Instant>,
}

fn run(shared: &Shared, sinks: Vec<Box<dyn Sink>>, tell: impl Fn(&Report)) {
    let mut taken: Vec<Pending> = sinks.iter().map(|_| Pending::default()).collect();
    let outlet = |sink| Outlet {
        sink,
        lost: None,
        dropped: 0,
        told: None,
    };
    let mut outlets: Vec<Outlet> = sinks.into_iter().map(outlet).collect();
    while !shared.take(&mut taken) {
        let closing = shared.state().closing;
        for (outlet, taken) in outlets.iter_mut().zip(&mut taken) {
            if !taken.lines.is_empty()
                && let Some(report) = outlet.write(&taken.lines)
            {
                tell(&report);
            }
            outlet.dropped += std::mem::take(&mut taken.dropped);
            taken.lines.clear();
            // After a flood, its room need not be kept.
            taken.lines.shrink_to(KEPT_ROOM);
            if let Some(report) = outlet.dropped(closing) {
                tell(&report);
            }
        }
        if !closing {
            thread::sleep(LULL);
        }
    }
    shared.state().ended = true;
    shared.changed.notify_all();
}

impl Outlet {
    fn write(&mut self, lines: &[u8]) -> Option<Report> {
        match (self.sink.write(lines, SystemTime::now()), self.lost) {
            (Ok(()), None) => None,
            (Ok(()), Some(lost)) => {
                self.lost = None;
                Some(Report::Mended {
                    sink: self.sink.name(),
                    lost,
                })
            }
            (Err(error), lost) => {
                let lines = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
                self.lost = Some(lost.unwrap_or(0) + lines);
                let first = lost.is_none();
                first.then(|| Report::Failed {
                    sink: self.sink.name(),
                    error,
                })
            }
        }
    }

    /// What was dropped, unless that was told a moment ago and there will be another moment.
    fn dropped(&mut self, closing: bool) -> Option<Report> {
        let rested = self.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY);
        if self.dropped == 0 || !(rested || closing) {
            return None;
        }
        self.told = Some(Instant::now());
        Some(Report::Dropped {
            sink: self.sink.name(),
            lines: std::mem::take(&mut self.dropped),
        })
    }
}

#[cfg(test)]
mod tests;
