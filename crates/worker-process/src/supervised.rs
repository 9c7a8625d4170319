//! A process with all that watches over it: what it prints, who may end it, and what is said of its death.

use std::io;
use std::thread;
use std::time::Duration;

use servable::{Abort, BatchError, LoadError, Reason};
use tracing::warn;

use crate::bounds::Bounds;
use crate::connection::{Broken, is_dead};
use crate::output::{Output, Speaker};
use crate::process::{Death, Process, Start};

/// What clients hear of a worker that died with their request.
const DIED: &str = "Worker died.";

/// How long an idle worker may take to end once its connection is closed.
const GRACE: Duration = Duration::from_millis(500);

/// How long a worker that has closed its connection may take to end by itself, so that its exit code is its own, and what it
/// has to say is said.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// One process of a model. Dropping it kills the process; [`end`](Supervised::end) is kinder.
pub struct Supervised {
    process: Process,
    output: Output,
    abort: Abort,
}

impl Supervised {
    /// Starts a process on this thread, which must outlive it. Firing `abort` ends it at any time.
    ///
    /// # Errors
    ///
    /// Where it cannot be started, or its output not be read.
    pub fn start(start: Start<'_>, speaker: Speaker, abort: &Abort) -> io::Result<Self> {
        let (process, stdout, stderr) = start.run()?;
        let killer = process.killer().clone();
        abort.arm(move || killer.kill());
        let output = Output::read(stdout, stderr, speaker)
            .map_err(|error| io::Error::other(format!("its output cannot be read: {error}")))?;
        Ok(Supervised {
            process,
            output,
            abort: abort.clone(),
        })
    }

    pub fn process(&self) -> &Process {
        &self.process
    }

    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Whether it has ended, asked without waiting.
    pub fn is_dead(&self) -> bool {
        is_dead(&self.process.killer().descriptor, Duration::ZERO)
    }

    /// Ends one that could not load; says why.
    #[must_use]
    pub fn failed_to_load(mut self, model: &str, broken: &Broken) -> LoadError {
        let was_first = matches!(broken, Broken::Died | Broken::Closed);
        let death = self.process.end(grace(was_first));
        let has_ended = was_first && self.process.ended_alone();
        let last = self.output.end();
        if self.abort.is_fired() {
            return LoadError::Invalid(format!("model {model}: loading was given up"));
        }
        let what = match death {
            Some(death) if has_ended => format!("its worker ended while it loaded ({death})"),
            _ => format!("its worker: {broken}"),
        };
        let text = match last {
            Some(last) => format!("model {model}: {what}: {last}"),
            None => format!("model {model}: {what}"),
        };
        if has_ended && death.is_some_and(Death::is_kill) {
            return LoadError::OutOfMemory(text);
        }
        LoadError::Invalid(text)
    }

    /// Ends one that broke off in a batch, or died while it had nothing to do; says why.
    #[must_use]
    pub fn bury(mut self, broken: &Broken, bounds: &Bounds) -> BatchError {
        let was_first = matches!(broken, Broken::Died | Broken::Closed);
        let death = self.process.end(grace(was_first));
        let was_first = was_first && self.process.ended_alone();
        self.abort.disarm();
        let last = self.output.end();
        let is_exhausted = self.process.was_exhausted();
        let mut detail = match death {
            Some(death) if is_exhausted => {
                let bytes = bounds.memory.unwrap_or_default();
                format!("it has used its {bytes} bytes of memory ({death})")
            }
            Some(death) if was_first && self.abort.is_fired() => {
                format!("it was ended ({death})")
            }
            Some(death) if death.is_out_of_time() && bounds.cpu.is_some() => {
                let seconds = bounds.cpu.unwrap_or_default();
                format!("it has used its {seconds} s of processor time ({death})")
            }
            Some(death) if was_first => death.to_string(),
            Some(_) | None => broken.to_string(),
        };
        // Clients are told the first line: what the process prints may be of other requests.
        if let Some(last) = last {
            detail = format!("{detail}\nits last words: {last}");
        }
        detail = format!("{detail}\nprocess {}", self.process.id());
        let was_killed = was_first && !self.abort.is_fired() && death.is_some_and(Death::is_kill);
        let reason = if was_killed || is_exhausted {
            // Nobody else kills without being asked.
            Reason::OutOfMemory
        } else {
            Reason::Failed
        };
        BatchError::dead(reason, DIED).with_detail(detail)
    }

    /// Ends one that is of no more use. Its connection is to be closed first: an idle one ends then by itself, and may tidy up.
    pub fn end(mut self) {
        self.process.end(GRACE);
        self.abort.disarm();
    }
}

/// Writes down the death of a worker of which nothing was asked, on that worker's thread.
pub fn died_idle(error: &BatchError) {
    let thread = thread::current();
    let worker = thread.name().unwrap_or_default();
    let detail = error.detail.as_deref().unwrap_or(&error.message);
    let detail = detail.replace('\n', "; ");
    warn!(
        worker,
        "the worker died while it had nothing to do: {detail}; another takes its place"
    );
}

/// What is said of a worker that had died before, and was buried.
#[must_use]
pub fn died() -> BatchError {
    BatchError::dead(Reason::Failed, DIED)
}

fn grace(has_ended: bool) -> Duration {
    if has_ended {
        LAST_WORDS
    } else {
        Duration::ZERO
    }
}
