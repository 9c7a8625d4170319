//! One worker as the waist sees it: batches to messages, answers to results, and what is said of a death.

use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use servable::{BatchError, Input, JobError, Output, Reason, Servable};

use tracing::warn;

use crate::bounds::Bounds;
use crate::connection::{Broken, is_dead};
use crate::message::{requests, takes_values};
use crate::outcome::Outcome;
use crate::process::Death;
use crate::start::Worker;

/// What clients hear of a worker that died with their request.
const DIED: &str = "Worker died.";

/// How long an idle worker may take to end once its connection is closed.
const GRACE: Duration = Duration::from_millis(500);

/// How often an idle worker is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long a worker that has closed its connection may take to end by itself, so that its exit code is its own.
const LAST_WORDS: Duration = Duration::from_secs(2);

pub(crate) struct PythonServable {
    /// `None` once it is dead.
    worker: Option<Worker>,
    bounds: Bounds,
    /// Bytes that one answer may hold.
    most: usize,
}

impl PythonServable {
    pub(crate) fn new(worker: Worker, bounds: Bounds, most: usize) -> Self {
        PythonServable {
            worker: Some(worker),
            bounds,
            most,
        }
    }

    /// Why the worker is dead, which it is after this.
    fn bury(&mut self, broken: &Broken) -> BatchError {
        let Some(worker) = self.worker.take() else {
            return BatchError::dead(Reason::Failed, DIED);
        };
        let Worker {
            protocol,
            mut process,
            mut output,
            abort,
        } = worker;
        let was_first = matches!(broken, Broken::Died | Broken::Closed);
        let death = process.end(if was_first {
            LAST_WORDS
        } else {
            Duration::ZERO
        });
        abort.disarm();
        drop(protocol);
        let last = output.end();
        let mut detail = match death {
            Some(death) if was_first && abort.is_fired() => format!("it was ended ({death})"),
            Some(death) if death.is_out_of_time() && self.bounds.cpu.is_some() => {
                let seconds = self.bounds.cpu.unwrap_or_default();
                format!("it has used its {seconds} s of processor time ({death})")
            }
            Some(death) if was_first => death.to_string(),
            Some(_) | None => broken.to_string(),
        };
        if let Some(last) = last {
            detail = format!("{detail}; its last words: {last}");
        }
        let was_killed = was_first && !abort.is_fired() && death.is_some_and(Death::is_kill);
        let reason = if was_killed {
            // Nobody else kills without being asked.
            Reason::OutOfMemory
        } else {
            Reason::Failed
        };
        BatchError::dead(reason, DIED).with_detail(detail)
    }

    fn converse(
        &mut self,
        inputs: &[Input],
    ) -> Result<Result<Vec<Result<Output, JobError>>, BatchError>, Broken> {
        let Some(worker) = &mut self.worker else {
            return Err(Broken::Died);
        };
        let requests = requests(inputs);
        let typed = inputs.iter().any(takes_values);
        worker.protocol.connection().within(self.bounds.time);
        match worker.protocol.send(&requests, typed) {
            Err(Broken::Unsendable(why)) => {
                return Ok(Err(BatchError::new(Reason::BadInput, why)));
            }
            sent => sent?,
        }
        let mut outcome = Outcome::new(inputs, &requests, self.most);
        // The first failure counts, but the worker says all that it has to say.
        let mut failed = None;
        loop {
            let answer = worker.protocol.receive()?;
            if !answer.more {
                let finished = match failed {
                    Some(error) => Err(error),
                    None => outcome.finish(answer),
                };
                return Ok(finished);
            }
            if failed.is_none() {
                failed = outcome.part(answer).err();
            }
        }
    }
}

impl Servable for PythonServable {
    fn is_alive(&mut self) -> bool {
        let Some(worker) = &self.worker else {
            return false;
        };
        if !is_dead(&worker.process.killer().descriptor, Duration::ZERO) {
            return true;
        }
        let name = thread::current().name().unwrap_or_default().to_owned();
        let error = self.bury(&Broken::Died);
        let detail = error.detail.unwrap_or_default();
        warn!(
            worker = name,
            "the worker died while it had nothing to do: {detail}"
        );
        false
    }

    fn looked_at_every(&self) -> Option<Duration> {
        Some(LOOK)
    }

    /// `threads` is left to the handler: a process that runs cannot be told.
    fn predict(
        &mut self,
        inputs: &[Input],
        _threads: NonZeroUsize,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError> {
        match self.converse(inputs) {
            Ok(results) => results,
            Err(broken) => Err(self.bury(&broken)),
        }
    }
}

impl Drop for PythonServable {
    fn drop(&mut self) {
        let Some(worker) = self.worker.take() else {
            return;
        };
        let Worker {
            protocol,
            mut process,
            output,
            abort,
        } = worker;
        // An idle worker ends when its connection does, and its handler may tidy up.
        drop(protocol);
        process.end(GRACE);
        abort.disarm();
        drop(output);
    }
}
