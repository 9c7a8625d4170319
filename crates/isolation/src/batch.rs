//! Batches and what became of them, to the body of a frame and back: each is written and read by functions that stand
//! beside each other.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use servable::{
    Around, BatchError, Image, Input, JobError, Output, Part, PartSink, Parts, Reason, Task, Value,
};
use worker_process::Broken;
use worker_process::wire::{Decoder, Encoded, Encoder, Fits, Frame, limits};

const BATCH: &str = "a batch";
const ANSWER: &str = "an answer";

/// What a child says of a batch.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) outcome: Outcome,
    pub(crate) around: Option<Around>,
    /// Whether more can be asked of it.
    pub(crate) alive: bool,
    /// Which pictures of the batch were turned upright by whoever used them, in their order.
    pub(crate) upright: Vec<usize>,
}

#[derive(Debug)]
pub(crate) enum Outcome {
    Results(Vec<Result<Output, JobError>>),
    Failed(BatchError),
    /// Its first line.
    Panicked(String),
}

pub(crate) fn write_batch(inputs: &[Input], threads: NonZeroUsize) -> Result<Encoded, Broken> {
    let mut to = Encoder::new(BATCH);
    put_batch(&mut to, inputs, threads).map_err(Broken::Unsendable)?;
    to.finish()
}

fn put_batch(to: &mut Encoder, inputs: &[Input], threads: NonZeroUsize) -> Fits {
    to.number(threads.get(), "threads")?;
    to.count(inputs.len(), limits::REQUESTS, "requests")?;
    for input in inputs {
        to.text(&input.id)?;
        to.byte(match input.task {
            Task::Predict => 0,
            Task::Explain => 1,
        });
        to.byte(input.parts_to.is_some().into());
        to.byte(input.typed.into());
        // No function has no name.
        to.text(input.function.as_deref().unwrap_or_default())?;
        put_headers(to, &input.headers)?;
        to.count(input.parts.len(), limits::PARTS, "parts")?;
        for part in &input.parts {
            to.text(&part.name)?;
            to.text(&part.content_type)?;
            to.value(&part.value)?;
        }
    }
    Ok(())
}

/// The batch in a frame. `sink` makes what takes the parts of the answer to the input of that index.
pub(crate) fn read_batch(
    frame: Frame,
    mut sink: impl FnMut(usize) -> Arc<dyn PartSink>,
) -> Result<(Vec<Input>, NonZeroUsize), String> {
    let mut from = Decoder::new(BATCH, frame)?;
    let threads = NonZeroUsize::new(from.number()? as usize).unwrap_or(NonZeroUsize::MIN);
    let mut inputs = Vec::new();
    for index in 0..from.count(limits::REQUESTS, "requests")? {
        let id = from.text()?;
        let task = match from.byte()? {
            0 => Task::Predict,
            1 => Task::Explain,
            other => return Err(format!("{other} is no task")),
        };
        let takes_parts = from.byte()? != 0;
        let typed = from.byte()? != 0;
        let function = Some(from.text()?).filter(|name| !name.is_empty());
        let headers = get_headers(&mut from)?;
        let mut parts = Vec::new();
        for _ in 0..from.count(limits::PARTS, "parts")? {
            parts.push(Part {
                name: from.text()?,
                content_type: from.text()?,
                value: from.value()?,
            });
        }
        inputs.push(Input {
            id,
            task,
            parts,
            headers,
            parts_to: takes_parts.then(|| Parts::new(sink(index))),
            function: function.map(Into::into),
            typed,
        });
    }
    from.finish()?;
    Ok((inputs, threads))
}

pub(crate) fn write_answer(answered: &Answered) -> Result<Encoded, Broken> {
    let mut to = Encoder::new(ANSWER);
    put_answer(&mut to, answered).map_err(Broken::Unsendable)?;
    to.finish()
}

fn put_answer(to: &mut Encoder, answered: &Answered) -> Fits {
    to.byte(answered.alive.into());
    to.byte(answered.around.is_some().into());
    if let Some(Around { before, after }) = answered.around {
        for time in [before, after] {
            to.long(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
    }
    to.count(answered.upright.len(), limits::VALUES, "pictures")?;
    for &index in &answered.upright {
        to.number(index, "the index of a picture")?;
    }
    match &answered.outcome {
        Outcome::Results(results) => {
            to.byte(0);
            to.count(results.len(), limits::REQUESTS, "results")?;
            results.iter().try_for_each(|result| match result {
                Ok(output) => {
                    to.byte(1);
                    put_output(to, output)
                }
                Err(error) => {
                    to.byte(0);
                    put_reason(to, error.reason);
                    to.text(&error.message)
                }
            })
        }
        Outcome::Failed(error) => {
            to.byte(1);
            put_reason(to, error.reason);
            to.byte(error.dead.into());
            to.text(&error.message)?;
            to.byte(error.detail.is_some().into());
            error.detail.iter().try_for_each(|detail| to.text(detail))
        }
        Outcome::Panicked(why) => {
            to.byte(2);
            to.text(why)
        }
    }
}

pub(crate) fn read_answer(frame: Frame) -> Result<Answered, String> {
    let mut from = Decoder::new(ANSWER, frame)?;
    let alive = from.byte()? != 0;
    let around = match from.byte()? {
        0 => None,
        _ => Some(Around {
            before: Duration::from_nanos(from.long()?),
            after: Duration::from_nanos(from.long()?),
        }),
    };
    let mut upright = Vec::new();
    for _ in 0..from.count(limits::VALUES, "pictures")? {
        upright.push(from.number()? as usize);
    }
    let outcome = match from.byte()? {
        0 => {
            let mut results = Vec::new();
            for _ in 0..from.count(limits::REQUESTS, "results")? {
                results.push(match from.byte()? {
                    0 => Err(JobError {
                        reason: get_reason(&mut from)?,
                        message: from.text()?,
                    }),
                    _ => Ok(get_output(&mut from)?),
                });
            }
            Outcome::Results(results)
        }
        1 => {
            let reason = get_reason(&mut from)?;
            let dead = from.byte()? != 0;
            let message = from.text()?;
            let detail = match from.byte()? {
                0 => None,
                _ => Some(from.text()?),
            };
            Outcome::Failed(BatchError {
                reason,
                message,
                detail,
                dead,
            })
        }
        2 => Outcome::Panicked(from.text()?),
        other => return Err(format!("{other} is no outcome")),
    };
    from.finish()?;
    Ok(Answered {
        outcome,
        around,
        alive,
        upright,
    })
}

/// A part of the answer to the input of that index.
pub(crate) fn write_part(index: usize, output: &Output) -> Result<Encoded, Broken> {
    let mut to = Encoder::new(ANSWER);
    to.number(index, "an index")
        .and_then(|()| put_output(&mut to, output))
        .map_err(Broken::Unsendable)?;
    to.finish()
}

pub(crate) fn read_part(frame: Frame) -> Result<(usize, Output), String> {
    let mut from = Decoder::new(ANSWER, frame)?;
    let part = (from.number()? as usize, get_output(&mut from)?);
    from.finish()?;
    Ok(part)
}

/// A number alone: which input is asked about, or whether its answer is wanted.
pub(crate) fn write_number(number: usize) -> Result<Encoded, Broken> {
    let mut to = Encoder::new("a message");
    to.number(number, "a number").map_err(Broken::Unsendable)?;
    to.finish()
}

pub(crate) fn read_number(frame: Frame) -> Result<usize, String> {
    let mut from = Decoder::new("a message", frame)?;
    let number = from.number()? as usize;
    from.finish()?;
    Ok(number)
}

/// The pictures of a batch in their order, those inside lists and maps among them.
pub(crate) fn images(inputs: &[Input]) -> Vec<&Image> {
    fn collect<'v>(value: &'v Value, found: &mut Vec<&'v Image>) {
        match value {
            Value::Image(image) => found.push(image),
            Value::List(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Map(items) => items.iter().for_each(|(_, item)| collect(item, found)),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Tensor(_) => {}
        }
    }
    let mut found = Vec::new();
    for part in inputs.iter().flat_map(|input| &input.parts) {
        collect(&part.value, &mut found);
    }
    found
}

fn put_output(to: &mut Encoder, output: &Output) -> Fits {
    to.value(&output.value)?;
    to.byte(output.content_type.is_some().into());
    if let Some(content_type) = &output.content_type {
        to.text(content_type)?;
    }
    to.byte(output.status.is_some().into());
    if let Some((status, phrase)) = &output.status {
        to.number((*status).into(), "a status")?;
        to.text(phrase)?;
    }
    put_headers(to, &output.headers)
}

fn get_output(from: &mut Decoder) -> Result<Output, String> {
    let value = from.value()?;
    let content_type = match from.byte()? {
        0 => None,
        _ => Some(from.text()?),
    };
    let status = match from.byte()? {
        0 => None,
        _ => {
            let number = from.number()?;
            let status = u16::try_from(number).map_err(|_| format!("{number} is no status"))?;
            Some((status, from.text()?))
        }
    };
    let headers = get_headers(from)?;
    Ok(Output {
        value,
        content_type,
        status,
        headers,
    })
}

fn put_headers(to: &mut Encoder, headers: &[(String, String)]) -> Fits {
    to.count(headers.len(), limits::PARTS, "headers")?;
    headers.iter().try_for_each(|(name, value)| {
        to.text(name)?;
        to.text(value)
    })
}

fn get_headers(from: &mut Decoder) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    for _ in 0..from.count(limits::PARTS, "headers")? {
        headers.push((from.text()?, from.text()?));
    }
    Ok(headers)
}

fn put_reason(to: &mut Encoder, reason: Reason) {
    let (number, chosen) = match reason {
        Reason::BadInput => (0, 0),
        Reason::Unsupported => (1, 0),
        Reason::OutOfMemory => (2, 0),
        Reason::Failed => (3, 0),
        Reason::Chosen(status) => (4, status),
    };
    to.byte(number);
    to.signed(chosen);
}

fn get_reason(from: &mut Decoder) -> Result<Reason, String> {
    let (number, chosen) = (from.byte()?, from.signed()?);
    Ok(match number {
        0 => Reason::BadInput,
        1 => Reason::Unsupported,
        2 => Reason::OutOfMemory,
        3 => Reason::Failed,
        4 => Reason::Chosen(chosen),
        other => return Err(format!("{other} is no reason")),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(body: Vec<u8>) -> Frame {
        Frame {
            kind: 0,
            flags: 0,
            number: 0,
            body: body.into(),
            descriptors: Vec::new(),
        }
    }

    proptest! {
        /// A child may say anything.
        #[test]
        fn hostile_frames_are_a_message_or_an_error(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_answer(frame(body.clone()));
            let _ = read_part(frame(body.clone()));
            let _ = read_number(frame(body));
        }

        #[test]
        fn an_answer_is_read_back_as_it_was(
            number in any::<i32>(),
            message in ".{0,9}",
            detail in prop::option::of(".{0,9}"),
            flags in any::<[bool; 2]>(),
            times in prop::option::of(any::<[u64; 2]>()),
            upright in prop::collection::vec(0..9usize, 0..4),
        ) {
            let reason = Reason::Chosen(number);
            let error = JobError { reason, message: message.clone() };
            let failed = BatchError { reason, message: message.clone(), detail, dead: flags[0] };
            let around = times.map(|[before, after]| Around {
                before: Duration::from_nanos(before),
                after: Duration::from_nanos(after),
            });
            for outcome in [
                Outcome::Results(vec![Err(error), Ok(Output::new(Value::Int(number.into())))]),
                Outcome::Failed(failed),
                Outcome::Panicked(message.clone()),
            ] {
                let answered = Answered { outcome, around, alive: flags[1], upright: upright.clone() };
                let body = write_answer(&answered).expect("it fits").body;
                let found = read_answer(frame(body)).expect("as it was");
                prop_assert_eq!(format!("{found:?}"), format!("{answered:?}"));
            }
        }
    }
}
