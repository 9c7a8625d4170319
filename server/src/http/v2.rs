//! The Open Inference Protocol v2 over REST: routes, and failures in the protocol's words.
//!
//! `request.rs` and `data.rs` read what a client sends, `body.rs` before them the bytes of it; `answer.rs` and `documents.rs`
//! write what it gets. What is done in between is `crate::v2`'s.

pub(super) mod answer;
mod body;
mod data;
mod documents;
pub(super) mod request;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};
use servable::Task;

use super::answer::json_response;
use super::inference::{header_list, patience};
use super::json::Reader;
use super::segments::Segments;
use super::{App, RequestId};
use crate::app::WireSettings;
use crate::error::Failure;
use crate::operations::health;
use crate::v2::{self, Asked, Parameters};

/// How many bytes of a body are JSON, where tensors follow.
pub(super) const HEAD_LENGTH: HeaderName =
    HeaderName::from_static("inference-header-content-length");

/// Whether a path is one of the protocol's.
pub(super) fn is_below(path: &str) -> bool {
    path.strip_prefix("/v2")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What the inference API serves.
pub(super) fn routes(settings: &WireSettings) -> Router<App> {
    let inference = Router::new()
        .route("/v2/models/{model}/infer", any(infer))
        .route("/v2/models/{model}/explain", any(explain));
    if !settings.protocols.open_inference {
        return inference;
    }
    inference
        .route("/v2/models/{model}/versions/{version}/infer", any(infer))
        .route(
            "/v2/models/{model}/versions/{version}/explain",
            any(explain),
        )
        .route("/v2", any(server))
        .route("/v2/models/stats", any(all_statistics))
        .route("/v2/models/{model}", any(model))
        .route("/v2/models/{model}/versions/{version}", any(model))
        .route("/v2/models/{model}/config", any(config))
        .route("/v2/models/{model}/versions/{version}/config", any(config))
        .route("/v2/models/{model}/ready", any(model_ready))
        .route(
            "/v2/models/{model}/versions/{version}/ready",
            any(model_ready),
        )
        .route("/v2/models/{model}/stats", any(statistics))
        .route(
            "/v2/models/{model}/versions/{version}/stats",
            any(statistics),
        )
        .route("/v2/{*rest}", any(no_such_route))
}

/// What the inference API answers to everybody: whoever probes has no token.
pub(super) fn probes(settings: &WireSettings) -> Router<App> {
    if !settings.protocols.open_inference {
        return Router::new();
    }
    Router::new()
        .route("/v2/health/live", any(live))
        .route("/v2/health/ready", any(ready))
}

/// What the management API serves.
pub(super) fn repository_routes() -> Router<App> {
    Router::new()
        .route("/v2/repository/index", any(index))
        .route("/v2/repository/models/{model}/load", any(load))
        .route("/v2/repository/models/{model}/unload", any(unload))
}

/// A failure in the protocol's words.
pub(super) struct Refusal(pub(super) Failure);

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal(failure)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Refusal(mut failure) = self;
        if failure.status == StatusCode::PAYLOAD_TOO_LARGE {
            failure.message = "the request is larger than max_request_size".into();
        }
        let mut response = json_response(failure.status, &json!({ "error": failure.message }));
        // Wherever it would be said otherwise.
        let plain = failure.into_response();
        if let Some(after) = plain.headers().get(header::RETRY_AFTER) {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, after.clone());
        }
        response
    }
}

type Answer = Result<Response, Refusal>;

/// Which model or workflow, and perhaps which version, a path names.
#[derive(serde::Deserialize)]
struct Target {
    model: String,
    version: Option<String>,
}

fn found(document: &Value) -> Answer {
    Ok(json_response(StatusCode::OK, document))
}

/// The only method that a route knows.
fn expect(method: &Method, only: &Method) -> Result<(), Refusal> {
    // Whoever only looks whether it is there may do so.
    if method == only || (method == Method::HEAD && only == Method::GET) {
        return Ok(());
    }
    Err(Refusal(Failure {
        message: format!("expected the method {only}, found {method}"),
        ..Failure::method_not_allowed()
    }))
}

async fn no_such_route() -> Refusal {
    Refusal(Failure::no_such_route())
}

async fn server(method: Method) -> Answer {
    expect(&method, &Method::GET)?;
    found(&documents::server())
}

async fn live(method: Method) -> Answer {
    expect(&method, &Method::GET)?;
    found(&json!({ "live": true }))
}

async fn ready(State(app): State<App>, method: Method) -> Answer {
    expect(&method, &Method::GET)?;
    Ok(readiness(health::server_is_ready(&app), json!({})))
}

/// Clients look at the status alone.
fn readiness(is_ready: bool, mut document: Value) -> Response {
    document["ready"] = json!(is_ready);
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json_response(status, &document)
}

async fn model(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    method: Method,
) -> Answer {
    expect(&method, &Method::GET)?;
    let metadata = v2::metadata(&app, &target.model, target.version.as_deref())?;
    found(&documents::model(&metadata))
}

/// What load generators ask before they begin.
async fn config(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    method: Method,
) -> Answer {
    expect(&method, &Method::GET)?;
    let metadata = v2::metadata(&app, &target.model, target.version.as_deref())?;
    found(&documents::config(&metadata))
}

async fn model_ready(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    method: Method,
) -> Answer {
    expect(&method, &Method::GET)?;
    let is_ready = health::is_ready(&app, &target.model, target.version.as_deref());
    let is_ready = is_ready.map_err(Failure::from)?;
    Ok(readiness(is_ready, json!({ "name": target.model })))
}

async fn statistics(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    method: Method,
) -> Answer {
    expect(&method, &Method::GET)?;
    let version = target.version.as_deref();
    let statistics = v2::statistics(&app, Some(&target.model), version)?;
    found(&documents::statistics(&statistics))
}

async fn all_statistics(State(app): State<App>, method: Method) -> Answer {
    expect(&method, &Method::GET)?;
    let statistics = v2::statistics(&app, None, None)?;
    found(&documents::statistics(&statistics))
}

async fn infer(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    id: Extension<RequestId>,
    request: Request,
) -> Answer {
    answer(&app, target, Task::Predict, &id, request).await
}

async fn explain(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    id: Extension<RequestId>,
    request: Request,
) -> Answer {
    answer(&app, target, Task::Explain, &id, request).await
}

async fn answer(app: &App, target: Target, task: Task, id: &RequestId, request: Request) -> Answer {
    expect(request.method(), &Method::POST)?;
    let (head, body) = request.into_parts();
    let asked = Asked {
        id: id.0.to_string(),
        headers: header_list(&head.headers),
        patience: patience(&head.headers)?,
    };
    let length = body::head_length(&head.headers)?;
    let (rope, _claim) = body::read(&head.headers, body, &app.settings.body).await?;
    let read = request::read(&rope, length).map_err(Failure::bad_request)?;
    // Tensors hold on to what they need of it.
    drop(rope);
    let mut request = read.request;
    request.model = target.model;
    request.version = target.version;
    request.task = task;
    let answer = v2::infer(app, request, asked).await?;
    let most = app.settings.max_response_size;
    Ok(answer::response(answer, &read.binary, most)?)
}

async fn index(State(app): State<App>, request: Request) -> Answer {
    let body = small_body(&app, request).await?;
    let mut only_ready = false;
    read_object(&body, |reader, member| {
        match member {
            "ready" => only_ready = reader.flag("ready")?,
            _ => reader.pass()?,
        }
        Ok(())
    })?;
    found(&documents::index(&v2::index(&app, only_ready)?))
}

async fn load(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    request: Request,
) -> Answer {
    let body = small_body(&app, request).await?;
    let mut parameters = Parameters::default();
    read_object(&body, |reader, member| {
        match member {
            "parameters" => parameters = request::parameters(reader, "parameters")?,
            _ => reader.pass()?,
        }
        Ok(())
    })?;
    v2::load(&app, &target.model, &parameters).await?;
    found(&json!({}))
}

async fn unload(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    request: Request,
) -> Answer {
    small_body(&app, request).await?;
    v2::unload(&app, &target.model).await?;
    found(&json!({}))
}

/// The body of a call that changes or asks the repository.
async fn small_body(app: &App, request: Request) -> Result<bytes::Bytes, Refusal> {
    expect(request.method(), &Method::POST)?;
    let (head, body) = request.into_parts();
    let (rope, _claim) = body::read(&head.headers, body, &app.settings.body).await?;
    Ok(rope.into_bytes())
}

/// A body that is a JSON object, or nothing.
fn read_object(
    body: &[u8],
    each: impl FnMut(&mut Reader<'_>, &str) -> Result<(), String>,
) -> Result<(), Failure> {
    if body.trim_ascii().is_empty() {
        return Ok(());
    }
    let mut reader = Reader::new(body);
    let read = reader.object("the request", each);
    let read = read.and_then(|()| reader.finish());
    read.map_err(Failure::bad_request)
}

#[cfg(test)]
mod tests;
