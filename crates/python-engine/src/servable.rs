//! One worker as the waist sees it: batches to messages, answers to results.

use std::num::NonZeroUsize;
use std::time::Duration;

use servable::{BatchError, Input, JobError, Output, Reason, Servable};

use worker_process::{Bounds, Broken, died, died_idle};

use crate::message::{Request, requests, takes_values};
use crate::outcome::Outcome;
use crate::start::Worker;

/// How often an idle worker is looked at.
const LOOK: Duration = Duration::from_secs(1);

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
            return died();
        };
        let Worker {
            protocol,
            others,
            supervised,
            spelt: _,
        } = worker;
        let error = supervised.bury(broken, &self.bounds);
        drop((protocol, others));
        error
    }

    fn converse(
        &mut self,
        inputs: &[Input],
    ) -> Result<Result<Vec<Result<Output, JobError>>, BatchError>, Broken> {
        let Some(worker) = &mut self.worker else {
            return Err(Broken::Died);
        };
        worker.supervised.output().forget();
        let mut requests = requests(inputs);
        if worker.spelt {
            requests.iter_mut().for_each(Request::spell_headers);
        }
        let typed = inputs.iter().any(takes_values);
        worker.protocol.connection().within(self.bounds.time);
        match worker.protocol.send(&requests, typed) {
            Err(Broken::Unsendable(why)) => {
                return Ok(Err(BatchError::new(Reason::BadInput, why)));
            }
            sent => sent?,
        }
        worker.others.send(&requests, self.bounds.time)?;
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
        if !worker.supervised.is_dead() {
            return true;
        }
        died_idle(&self.bury(&Broken::Died));
        false
    }

    fn process(&self) -> Option<u32> {
        Some(self.worker.as_ref()?.supervised.process().id())
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
            others,
            supervised,
            spelt: _,
        } = worker;
        // An idle worker ends when its connection does, and its handler may tidy up.
        drop((protocol, others));
        supervised.end();
    }
}
