//! From a frame to an answer.

use tracing::warn;
use worker_process::wire::{self, Decoder, Frame, limits};

use super::MORE;
use crate::message::{Answer, Prediction};

/// More than an answer may hold, in one line.
pub(super) struct TooLarge(pub(super) String);

/// The answer in a frame. One that cannot be read is an answer that says so: where the next frame begins is known all the
/// same. `most` bounds what frame and memory hold together.
pub(super) fn read(frame: Frame, most: usize) -> Result<Answer, TooLarge> {
    let size = wire::size(&frame);
    if size > most {
        return Err(TooLarge(format!(
            "an answer has {size} bytes, and {most} are the most (max_response_size)"
        )));
    }
    let more = frame.flags & MORE != 0;
    Ok(decode(frame).unwrap_or_else(|why| {
        warn!("an answer cannot be read: {why}");
        Answer {
            code: 503,
            message: format!("the model's answer cannot be read: {why}"),
            predictions: Vec::new(),
            more,
        }
    }))
}

/// The error is one line.
pub(super) fn decode(frame: Frame) -> Result<Answer, String> {
    let more = frame.flags & MORE != 0;
    let mut decoder = Decoder::new("an answer", frame)?;
    let code = decoder.signed()?;
    let message = decoder.text()?;
    let mut predictions = Vec::new();
    for _ in 0..decoder.count(limits::REQUESTS, "predictions")? {
        predictions.push(prediction(&mut decoder)?);
    }
    decoder.finish()?;
    Ok(Answer {
        code,
        message,
        predictions,
        more,
    })
}

fn prediction(decoder: &mut Decoder) -> Result<Prediction, String> {
    let id = decoder.text()?;
    let content_type = decoder.text()?;
    let status = decoder.signed()?;
    let phrase = decoder.text()?;
    let mut headers = Vec::new();
    for _ in 0..decoder.count(limits::PARTS, "headers")? {
        headers.push((decoder.text()?, decoder.text()?));
    }
    let value = decoder.value()?;
    Ok(Prediction {
        id,
        content_type,
        status,
        phrase,
        headers,
        value,
    })
}
