//! In the daemon: one process as the waist sees it.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::time::Duration;

use servable::{Around, BatchError, Input, JobError, Output, Reason, Servable};
use worker_process::wire::{self, Frame};
use worker_process::{Bounds, Broken, died, died_idle};

use crate::batch::{self, Answered, Outcome};
use crate::message::{ANSWER, ASK, PART, PREDICT, WANTED, expect};
use crate::start::Worker;

/// How often an idle worker is looked at, at least.
const LOOK: Duration = Duration::from_secs(1);

/// Bytes that an answer may hold: more is no answer, but an attempt on the daemon's memory.
const MOST_ANSWER: usize = 4 << 30;

pub(crate) struct IsolatedServable {
    /// `None` once it is dead.
    worker: Option<Worker>,
    bounds: Bounds,
    /// Of the batch that was sent last.
    number: u32,
    around: Option<Around>,
    /// Whether the child says that more can be asked of it.
    alive: bool,
}

impl IsolatedServable {
    pub(crate) fn new(worker: Worker, bounds: Bounds) -> Self {
        IsolatedServable {
            worker: Some(worker),
            bounds,
            number: 0,
            around: None,
            alive: true,
        }
    }

    /// Why the worker is dead, which it is after this.
    fn bury(&mut self, broken: &Broken) -> BatchError {
        let Some(worker) = self.worker.take() else {
            return died();
        };
        let error = worker.supervised.bury(broken, &self.bounds);
        drop(worker.connection);
        error
    }

    fn converse(&mut self, inputs: &[Input], threads: NonZeroUsize) -> Result<Answered, Broken> {
        let Some(Worker {
            connection,
            supervised,
            ..
        }) = &mut self.worker
        else {
            return Err(Broken::Died);
        };
        supervised.output().forget();
        let encoded = batch::write_batch(inputs, threads)?;
        self.number = self.number.wrapping_add(1);
        connection.within(self.bounds.time);
        wire::send(connection, PREDICT, 0, self.number, &encoded)?;
        // The child has its own copy of all that is in it.
        drop(encoded);
        loop {
            let frame = wire::receive(connection)?;
            check(&frame, self.number)?;
            let wanted = match frame.kind {
                PART => {
                    let (index, part) = batch::read_part(frame).map_err(Broken::Protocol)?;
                    let parts = inputs.get(index).and_then(|input| input.parts_to.as_ref());
                    parts.is_some_and(|parts| parts.put(part).is_ok())
                }
                ASK => {
                    let index = batch::read_number(frame).map_err(Broken::Protocol)?;
                    let parts = inputs.get(index).and_then(|input| input.parts_to.as_ref());
                    parts.is_some_and(|parts| !parts.is_unwanted())
                }
                _ => {
                    let frame = expect(frame, ANSWER)?;
                    return batch::read_answer(frame).map_err(Broken::Protocol);
                }
            };
            let told = batch::write_number(wanted.into())?;
            wire::send(connection, WANTED, 0, self.number, &told)?;
        }
    }
}

/// A frame that belongs to the batch, and is no larger than one may be.
fn check(frame: &Frame, number: u32) -> Result<(), Broken> {
    if frame.number != number {
        let found = frame.number;
        let message = format!("a frame of batch {found} came, expected one of batch {number}");
        return Err(Broken::Protocol(message));
    }
    let size = wire::size(frame);
    if size > MOST_ANSWER {
        let message = format!("an answer has {size} bytes, and {MOST_ANSWER} are the most");
        return Err(Broken::Protocol(message));
    }
    Ok(())
}

impl Servable for IsolatedServable {
    fn is_alive(&mut self) -> bool {
        let Some(worker) = &self.worker else {
            return false;
        };
        if !worker.supervised.is_dead() {
            return self.alive;
        }
        died_idle(&self.bury(&Broken::Died));
        false
    }

    fn process(&self) -> Option<u32> {
        Some(self.worker.as_ref()?.supervised.process().id())
    }

    fn looked_at_every(&self) -> Option<Duration> {
        let own = self.worker.as_ref()?.looked_at_every;
        Some(own.map_or(LOOK, |own| own.min(LOOK)))
    }

    fn predict(
        &mut self,
        inputs: &[Input],
        threads: NonZeroUsize,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError> {
        let answered = match self.converse(inputs, threads) {
            Ok(answered) => answered,
            // Nothing of it was sent.
            Err(Broken::Unsendable(why)) => return Err(BatchError::new(Reason::BadInput, why)),
            Err(broken) => return Err(self.bury(&broken)),
        };
        self.around = answered.around;
        self.alive = answered.alive;
        let images = batch::images(inputs);
        for image in answered
            .upright
            .iter()
            .filter_map(|&index| images.get(index))
        {
            image.note_upright();
        }
        match answered.outcome {
            Outcome::Results(results) => Ok(results),
            Outcome::Failed(error) => Err(error),
            Outcome::Panicked(why) => {
                let _ = self.bury(&Broken::Closed);
                // As it would have gone on here.
                resume_unwind(Box::new(why))
            }
        }
    }

    fn around(&self) -> Option<Around> {
        self.around
    }
}

impl Drop for IsolatedServable {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            // An idle worker ends when its connection does.
            drop(worker.connection);
            worker.supervised.end();
        }
    }
}
