//! Answers that are sent while they come: parts of a model's answer, and nodes of a workflow.
//!
//! A client chooses the form by its `Accept` header: server-sent events, or lines of JSON. A model that gives parts unasked
//! is answered to other clients as TorchServe does, each part a chunk. What fails before anything was sent is an ordinary
//! failure; what fails later is the event `error`, or, among chunks, a body that breaks off.

mod event;
#[cfg(test)]
mod tests;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use futures_util::stream::{self, Stream};
use servable::{Output, Value};
use serving::{Piece, Stream as Answer};

use super::answer::output_response;
use crate::app::WireSettings;
use crate::connection::Lasting;
use crate::error::Failure;
use crate::memory::Claim;
pub(super) use event::{Event, Form, shown};

/// With this header TorchServe says that an answer comes in chunks.
const NEXT: HeaderName = HeaderName::from_static("ts_stream_next");

/// Asks proxies to pass on what they get.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A request that is inside while its answer is sent. Dropping it, as happens when the client leaves, cancels it.
pub(super) struct Inside {
    answer: Answer,
    /// Its part of the memory for bodies.
    _claim: Claim,
}

impl Inside {
    pub(super) fn new(answer: Answer, claim: Claim) -> Self {
        Inside {
            answer,
            _claim: claim,
        }
    }
}

/// The answer of a model.
pub(super) async fn of_model(
    mut inside: Inside,
    form: Option<Form>,
    settings: &WireSettings,
) -> Result<Response, Failure> {
    let most = settings.max_response_size;
    let first = inside.answer.next().await;
    let first = first.unwrap_or_else(|| Err(serving::Error::Stopping))?;
    let (Piece::Part(output) | Piece::Last(output)) = &first;
    let is_stream_itself = output
        .content_type
        .as_deref()
        .is_some_and(|of| of.starts_with(Form::Events.content_type()));
    let json = settings.prediction_content_type;
    // A handler that makes events itself has chosen the form.
    match form.filter(|_| !is_stream_itself) {
        Some(form) => {
            let begun = bounded(first, most)?;
            Ok(response(form, pieces(inside, begun, most, form)))
        }
        None => match first {
            Piece::Last(output) => output_response(output, json, most),
            Piece::Part(output) => {
                let mut response = output_response(output.clone(), json, most)?;
                let chunks = chunks(inside, output.value.into_body(), most);
                *response.body_mut() = Body::from_stream(chunks);
                let headers = response.headers_mut();
                headers.insert(NEXT, HeaderValue::from_static("true"));
                response.extensions_mut().insert(Lasting);
                Ok(response)
            }
        },
    }
}

/// A response whose body is events.
pub(super) fn response(form: Form, events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let events = futures_util::StreamExt::map(events, Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static(form.content_type());
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(UNBUFFERED, HeaderValue::from_static("no"));
    response.extensions_mut().insert(Lasting);
    response
}

/// A piece that is not larger than answers may be.
fn bounded(piece: Piece, most: usize) -> Result<Piece, Failure> {
    let (Piece::Part(output) | Piece::Last(output)) = &piece;
    let bytes = output.value.bytes();
    if bytes > most {
        return Err(Failure::internal(format!(
            "Worker died. (a part of the answer holds {bytes} bytes, more than max_response_size, which is {most})"
        )));
    }
    Ok(piece)
}

/// The pieces of an answer as events: `part`, any number of times, and in the end `final` or `error`.
fn pieces(
    inside: Inside,
    first: Piece,
    most: usize,
    form: Form,
) -> impl Stream<Item = Bytes> + Send + 'static {
    struct State {
        inside: Inside,
        next: Option<Piece>,
        number: u64,
        is_over: bool,
    }
    let state = State {
        inside,
        next: Some(first),
        number: 0,
        is_over: false,
    };
    stream::unfold(state, move |mut state| async move {
        if state.is_over {
            return None;
        }
        let piece = match state.next.take() {
            Some(piece) => Ok(piece),
            None => match state.inside.answer.next().await? {
                Ok(piece) => bounded(piece, most),
                Err(error) => Err(error.into()),
            },
        };
        let event = match piece {
            Ok(Piece::Part(output)) => Event::of_output("part", output, form),
            Ok(Piece::Last(output)) => Event::of_output("final", output, form),
            Err(failure) => Event::error(&failure),
        };
        state.is_over = event.ends();
        let bytes = event.written(state.number, form);
        state.number += 1;
        Some((bytes, state))
    })
}

/// The pieces of an answer as they are.
fn chunks(
    inside: Inside,
    first: Bytes,
    most: usize,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    let state = Some((inside, Some(first)));
    stream::unfold(state, move |state| async move {
        let (mut inside, first) = state?;
        if let Some(first) = first {
            return Some((Ok(first), Some((inside, None))));
        }
        let piece = match inside.answer.next().await? {
            Ok(piece) => bounded(piece, most),
            Err(error) => Err(error.into()),
        };
        Some(match piece {
            Ok(Piece::Part(output)) => (Ok(output.value.into_body()), Some((inside, None))),
            Ok(Piece::Last(output)) => (Ok(output.value.into_body()), None),
            // The connection closes without the last chunk, which is how a client can tell.
            Err(failure) => (Err(std::io::Error::other(failure.message)), None),
        })
    })
}

/// An output as the value of an event.
pub(super) fn value_of(output: Output, form: Form) -> Value {
    shown(output.value, output.content_type.as_deref(), form)
}
