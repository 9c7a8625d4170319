//! Protocol two: frames whose large values lie in memory that both sides can see. Frames and values are
//! `worker_process::wire`; here is what is in the two kinds of them.

mod answer;

use worker_process::wire::{self, Encoded, Encoder, Fits, limits};
use worker_process::{Broken, Connection};

use crate::message::{Answer, Request};

const PREDICT: u8 = b'P';
const ANSWER: u8 = b'A';
/// Flag of a batch: answers may be typed values.
const TYPED: u16 = 1;
/// Flag of an answer: more of them follow.
const MORE: u16 = 1;

pub(crate) struct Two {
    pub(crate) connection: Connection,
    /// Bytes that one answer may hold, in frame and memory together.
    most: usize,
    /// Of the batch that was sent last.
    number: u32,
}

impl Two {
    pub(crate) fn new(connection: Connection, most: usize) -> Self {
        Two {
            connection,
            most,
            number: 0,
        }
    }

    pub(crate) fn send(&mut self, requests: &[Request<'_>], typed: bool) -> Result<(), Broken> {
        let encoded = batch(requests)?;
        self.number = self.number.wrapping_add(1);
        let flags = if typed { TYPED } else { 0 };
        wire::send(&mut self.connection, PREDICT, flags, self.number, &encoded)
    }

    pub(crate) fn receive(&mut self) -> Result<Answer, Broken> {
        let frame = wire::receive(&mut self.connection)?;
        if frame.kind != ANSWER || frame.number != self.number {
            return Err(Broken::Protocol(format!(
                "a frame of kind {:?} for message {} came, expected an answer to message {}",
                char::from(frame.kind),
                frame.number,
                self.number
            )));
        }
        answer::read(frame, self.most).map_err(|answer::TooLarge(why)| Broken::Protocol(why))
    }
}

/// The body of a batch and its memory, if it needs one. What does not fit is the request's fault, and said before anything
/// is sent.
fn batch(requests: &[Request<'_>]) -> Result<Encoded, Broken> {
    let mut encoder = Encoder::new("a batch");
    put(&mut encoder, requests).map_err(Broken::Unsendable)?;
    encoder.finish()
}

fn put(encoder: &mut Encoder, requests: &[Request<'_>]) -> Fits {
    encoder.count(requests.len(), limits::REQUESTS, "requests")?;
    for request in requests {
        encoder.text(&request.id)?;
        encoder.count(request.headers.len(), limits::PARTS, "headers")?;
        for (name, value) in &request.headers {
            encoder.text(name)?;
            encoder.text(value)?;
        }
        encoder.count(request.parts.len(), limits::PARTS, "parts")?;
        for part in request.parts {
            encoder.text(&part.name)?;
            encoder.text(&part.content_type)?;
            encoder.value(&part.value)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
