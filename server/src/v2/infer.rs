//! One request from the protocol's words to its answer.

use std::time::Duration;

use axum::http::StatusCode;
use servable::Input;

use super::target::Target;
use super::{InferRequest, InferResponse, inputs, outputs};
use crate::app::App;
use crate::envelope::inner_headers;
use crate::error::Failure;

/// What a wire knows of a request beside its message.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The server's own name for the request, as in the log.
    pub id: String,
    /// Headers in the client's own spelling, or what a wire has in their place.
    pub headers: Vec<(String, String)>,
    /// How long the client waits.
    pub patience: Option<Duration>,
}

/// Answers one request. Dropping the future cancels it.
///
/// # Errors
///
/// Status and text of whatever went wrong; what is wrong with a tensor names it, what was expected and what was found.
pub async fn infer(
    app: &App,
    request: InferRequest,
    asked: Asked,
) -> Result<InferResponse, Failure> {
    check_bounds(&request).map_err(Failure::bad_request)?;
    let version = request.version.as_deref();
    let target = Target::find(app, &request.model, version)?;
    let enveloped = target.is_enveloped(app);
    let patience = patience(&request, asked.patience)?;
    let mut headers = inner_headers(asked.headers, request.task);
    headers.extend(sequence_headers(app, &request));
    // Under the envelope, TorchServe answers in the name of what was asked.
    let lone = match request.inputs.first() {
        Some(first) if enveloped => first.name.clone(),
        _ => outputs::LONE.to_owned(),
    };
    let parts = inputs::parts(&target, enveloped, request.inputs).map_err(Failure::bad_request)?;
    let input = Input {
        id: asked.id.clone(),
        task: request.task,
        parts,
        headers,
        ..Input::default()
    };
    let output = target.ask(app, version, input, patience).await?;
    if let Some((status, phrase)) = output.status
        && status >= 400
    {
        return Err(refused_by_handler(
            status,
            &phrase,
            &output.value.into_body(),
        ));
    }
    let outputs = outputs::chosen(output.value, &lone, &request.outputs, target.labels())
        .map_err(Failure::bad_request)?;
    Ok(InferResponse {
        model: target.name().to_owned(),
        version: target.version().to_owned(),
        id: request.id.unwrap_or(asked.id),
        outputs,
    })
}

/// More than any model has, and less than would cost us anything.
const MOST_TENSORS: usize = 256;
const LONGEST_NAME: usize = 1024;
const MOST_SIDES: usize = 32;

fn check_bounds(request: &InferRequest) -> Result<(), String> {
    let counts = [
        ("inputs", request.inputs.len()),
        ("outputs", request.outputs.len()),
    ];
    for (what, count) in counts {
        if count > MOST_TENSORS {
            return Err(format!(
                "{what}: expected at most {MOST_TENSORS}, found {count}"
            ));
        }
    }
    let id = request.id.iter().map(|id| ("id", id));
    let inputs = request
        .inputs
        .iter()
        .map(|input| ("inputs: a name", &input.name));
    let outputs = request
        .outputs
        .iter()
        .map(|output| ("outputs: a name", &output.name));
    for (what, text) in id.chain(inputs).chain(outputs) {
        if text.len() > LONGEST_NAME {
            let found = text.len();
            return Err(format!(
                "{what}: expected at most {LONGEST_NAME} bytes, found {found}"
            ));
        }
    }
    for input in &request.inputs {
        if input.shape.len() > MOST_SIDES {
            let (name, found) = (&input.name, input.shape.len());
            return Err(format!(
                "input `{name}`: expected at most {MOST_SIDES} sides, found {found}"
            ));
        }
    }
    Ok(())
}

/// The nearer of the wire's time limit and the parameter `timeout`, in microseconds as Triton has it; 0 is none.
fn patience(
    request: &InferRequest,
    of_wire: Option<Duration>,
) -> Result<Option<Duration>, Failure> {
    let micros = request
        .parameters
        .count("timeout", 0)
        .map_err(Failure::bad_request)?;
    let micros = micros.filter(|&micros| micros > 0);
    let of_message = micros.map(|micros| Duration::from_micros(micros as u64));
    Ok(match (of_wire, of_message) {
        (Some(wire), Some(message)) => Some(wire.min(message)),
        (wire, message) => wire.or(message),
    })
}

/// The parameters that say to which sequence a request belongs, as the headers in which handlers know them.
fn sequence_headers(app: &App, request: &InferRequest) -> Vec<(String, String)> {
    let names = &app.settings.protocols.sequence_headers;
    let known = [
        ("sequence_id", &names.id),
        ("sequence_start", &names.start),
        ("sequence_end", &names.end),
    ];
    let given = known.into_iter().filter_map(|(parameter, header)| {
        let value = request.parameters.get(parameter)?.shown();
        // Clients that keep no sequence send 0.
        (value != "0").then(|| (header.clone(), value))
    });
    given.collect()
}

fn refused_by_handler(status: u16, phrase: &str, body: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(body);
    let message = if text.trim().is_empty() {
        phrase
    } else {
        text.trim()
    };
    Failure {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        ..Failure::internal(message)
    }
}
