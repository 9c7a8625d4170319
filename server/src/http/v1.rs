//! KServe's protocol v1 over REST.

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::json;
use servable::{Output, Task};

use super::answer::{json_response, output_response};
use super::inference::{header_list, patience};
use super::segments::Segments;
use super::{App, RequestId, body};
use crate::error::Failure;
use crate::v1::{self, Asked};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/models", any(models))
        .route("/v1/models/{model}", any(model))
}

type Answer = Result<Response, Failure>;

async fn models(State(app): State<App>, method: Method) -> Answer {
    if method != Method::GET && method != Method::HEAD {
        return Err(Failure::method_not_allowed());
    }
    let models = app.serving.registry.listed();
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    Ok(json_response(StatusCode::OK, &json!({ "models": names })))
}

/// `{model}`, `{model}:predict` and `{model}:explain`. As in TorchServe, what follows the verb does not count.
async fn model(
    State(app): State<App>,
    Segments(name): Segments<String>,
    id: Extension<RequestId>,
    request: Request,
) -> Answer {
    let Some((name, verb)) = name.rsplit_once(':') else {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return Err(Failure::method_not_allowed());
        }
        let model = app.serving.registry.resolve(&name, None)?;
        let ready = model.pool.status().ready() > 0;
        let document = json!({ "name": name, "ready": ready });
        return Ok(json_response(StatusCode::OK, &document));
    };
    let task = if verb.starts_with("predict") {
        Task::Predict
    } else if verb.starts_with("explain") {
        Task::Explain
    } else {
        return Err(Failure::no_such_route());
    };
    answer(&app, name, task, &id, request).await
}

async fn answer(app: &App, name: &str, task: Task, id: &RequestId, request: Request) -> Answer {
    if request.method() == Method::OPTIONS {
        return Ok([(header::ALLOW, "POST")].into_response());
    }
    let (head, body) = request.into_parts();
    let asked = Asked {
        model: name,
        version: None,
        task,
        id: id.0.to_string(),
        patience: patience(&head.headers)?,
        headers: header_list(&head.headers),
    };
    let limits = &app.settings.body;
    let mut claim = limits.memory.claim();
    let bytes = body::read(&head.headers, body, limits, &mut claim).await?;
    let mut output = Output::new(v1::answer(app, asked, &bytes).await?);
    output.status = Some((200, "OK".into()));
    output_response(output, true, app.settings.max_response_size)
}
