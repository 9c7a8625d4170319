//! Requests on TorchServe's own routes to models that stand in an envelope: the body is a message of another protocol, and so
//! is the answer.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use servable::{Input, Output, Rope};

use super::App;
use super::answer::output_response;
use super::inference::Received;
use super::v2::{answer, request};
use crate::envelope::{self, Envelope};
use crate::error::Failure;
use crate::{v1, v2};

/// The answer of a model in an envelope; `None` where it stands in none, or where there is no such model.
pub(super) async fn answer_of(
    app: &App,
    name: &str,
    version: Option<&str>,
    received: &Received,
) -> Option<Response> {
    let model = app.serving.registry.resolve(name, version).ok()?;
    let answer = match envelope::of(app, &model)? {
        Envelope::Body => return None,
        Envelope::Json | Envelope::Kserve => instances(app, name, version, received).await,
        Envelope::Kservev2 => tensors(app, name, version, received).await,
    };
    Some(answer.unwrap_or_else(IntoResponse::into_response))
}

async fn instances(
    app: &App,
    name: &str,
    version: Option<&str>,
    received: &Received,
) -> Result<Response, Failure> {
    let input = &received.input;
    let asked = v1::Asked {
        model: name,
        version,
        task: input.task,
        id: input.id.clone(),
        headers: input.headers.clone(),
        patience: received.patience,
    };
    let answers = v1::answer(app, asked, &message(input)?).await?;
    let settings = &app.settings;
    output_response(
        Output::new(answers),
        settings.prediction_content_type,
        settings.max_response_size,
    )
}

async fn tensors(
    app: &App,
    name: &str,
    version: Option<&str>,
    received: &Received,
) -> Result<Response, Failure> {
    let input = &received.input;
    let head = input.header("inference-header-content-length");
    let head = head.and_then(|length| length.trim().parse().ok());
    let read = request::read(&Rope::from(message(input)?), head).map_err(Failure::bad_request)?;
    let request = v2::InferRequest {
        model: name.to_owned(),
        version: version.map(str::to_owned),
        task: input.task,
        ..read.request
    };
    let asked = v2::Asked {
        id: input.id.clone(),
        headers: input.headers.clone(),
        patience: received.patience,
    };
    let response = v2::infer(app, request, asked).await?;
    answer::response(response, &read.binary, app.settings.max_response_size)
}

/// The message in a request: what a handler would have worked on.
fn message(input: &Input) -> Result<Bytes, Failure> {
    let part = input.payload().ok_or_else(|| {
        let found = input.found();
        Failure::bad_request(format!(
            "expected a request part `data` or `body`, found {found}"
        ))
    })?;
    Ok(part.value.clone().into_body())
}
