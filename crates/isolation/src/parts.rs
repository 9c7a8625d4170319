//! In the child: parts of answers go to the daemon, which says each time whether anybody waits for more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use servable::{Output, PartSink, Unwanted};
use worker_process::wire::{self, Encoded};
use worker_process::{Broken, Connection};

use crate::batch;
use crate::message::{ASK, PART, WANTED, expect};

/// The child's connection: the loop that answers batches has it, and parts borrow it in between.
#[derive(Clone)]
pub(crate) struct Line(Arc<Mutex<Connection>>);

impl Line {
    pub(crate) fn new(connection: Connection) -> Self {
        Line(Arc::new(Mutex::new(connection)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic of the model does not happen in the middle of a frame.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, kind: u8, number: u32, question: &Encoded) -> Result<bool, Broken> {
        let mut connection = self.lock();
        wire::send(&mut connection, kind, 0, number, question)?;
        let frame = expect(wire::receive(&mut connection)?, WANTED)?;
        let answer = batch::read_number(frame).map_err(Broken::Protocol)?;
        Ok(answer != 0)
    }
}

/// Where parts of the answer to one input of a batch go.
pub(crate) struct Sink {
    line: Line,
    /// Of the batch.
    number: u32,
    index: usize,
    has_begun: AtomicBool,
}

impl Sink {
    pub(crate) fn new(line: Line, number: u32, index: usize) -> Self {
        Sink {
            line,
            number,
            index,
            has_begun: AtomicBool::new(false),
        }
    }
}

impl PartSink for Sink {
    fn put(&self, part: Output) -> Result<(), Unwanted> {
        // What cannot be told, nobody waits for: the daemon is gone, or the part is larger than anything may be.
        let encoded = batch::write_part(self.index, &part).map_err(|_| Unwanted)?;
        let wanted = self.line.ask(PART, self.number, &encoded);
        if !wanted.unwrap_or(false) {
            return Err(Unwanted);
        }
        self.has_begun.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn is_unwanted(&self) -> bool {
        let wanted = batch::write_number(self.index)
            .and_then(|question| self.line.ask(ASK, self.number, &question));
        !wanted.unwrap_or(false)
    }

    fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }
}
