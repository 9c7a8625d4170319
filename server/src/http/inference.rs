//! The inference API: predictions, and the other spellings of a prediction that TorchServe's clients use.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Query, Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use servable::{Input, Part, Task, Value};
use serving::{Answer, Model, Taking};

use super::answer::output_response;
use super::body::Field;
use super::enveloped;
use super::segments::Segments;
use super::stream::{self, Form};
use super::{App, RequestId, body, health, ignored, openapi, v1, v2, workflow};
use crate::app::WireSettings;
use crate::error::Failure;
use crate::memory::Claim;

/// What tells about the API and how it is; open to everybody.
pub(super) fn descriptions(settings: &WireSettings) -> Router<App> {
    Router::new()
        .route("/", any(description))
        .route("/api-description", any(openapi::inference))
        .merge(health::probes())
        .merge(v2::probes(settings))
}

/// Everything else, down to the paths that do not exist.
pub(super) fn routes(settings: &WireSettings) -> Router<App> {
    Router::new()
        .merge(health::routes())
        .merge(v1::routes())
        .merge(v2::routes(settings))
        .route("/predictions/{model}", any(predictions))
        .route("/predictions/{model}/{version}", any(predictions))
        .route(
            "/predictions/{model}/{version}/{*url_path}",
            any(predictions),
        )
        .route("/explanations/{model}", any(explanations))
        .route("/explanations/{model}/{version}", any(explanations))
        .route(
            "/explanations/{model}/{version}/{*url_path}",
            any(explanations),
        )
        .merge(workflow::inference_routes())
        .route("/invocations", any(invocations))
        .route("/models/{model}/invoke", any(named))
        .route("/{model}/predict", any(named))
        .route("/{model}/{version}/predict", any(named))
        .fallback(|| async { Failure::no_such_route() })
}

/// `OPTIONS /` describes the API; any other method is not allowed there.
async fn description(method: Method) -> Response {
    if method == Method::OPTIONS {
        openapi::inference().await
    } else {
        Failure::method_not_allowed().into_response()
    }
}

/// The segments of a prediction's path.
#[derive(serde::Deserialize)]
struct Target {
    model: String,
    version: Option<String>,
    /// What follows the version; handlers see it as the header `url_path`.
    #[serde(default)]
    url_path: String,
}

async fn predictions(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    id: Extension<RequestId>,
    request: Request,
) -> Response {
    if request.method() == Method::OPTIONS {
        return match app
            .serving
            .registry
            .resolve(&target.model, target.version.as_deref())
        {
            Ok(model) => openapi::model(&model.name),
            Err(error) => Failure::from(error).into_response(),
        };
    }
    answer(&app, target, Task::Predict, &id, request).await
}

async fn explanations(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    id: Extension<RequestId>,
    request: Request,
) -> Response {
    answer(&app, target, Task::Explain, &id, request).await
}

/// The routes on which TorchServe hands query parameters to the handler, and neither `explain` nor `url_path`.
async fn named(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    Query(query): Query<HashMap<String, String>>,
    id: Extension<RequestId>,
    request: Request,
) -> Response {
    match read_input(&app, &id, request, query).await {
        Ok(received) => predict(&app, &target.model, target.version.as_deref(), received).await,
        Err(failure) => failure.into_response(),
    }
}

/// SageMaker's route: the model is a parameter, or the only one that was loaded at start.
async fn invocations(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
    id: Extension<RequestId>,
    request: Request,
) -> Response {
    let from_query = query.get("model_name").cloned();
    let received = match read_input(&app, &id, request, query).await {
        Ok(received) => received,
        Err(failure) => return failure.into_response(),
    };
    let from_body = || {
        received
            .input
            .part("model_name")
            .map(|part| part.value.clone().into_body())
    };
    let name = from_query
        .or_else(|| from_body().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        .or_else(|| only_model(&app));
    match name {
        Some(name) => predict(&app, &name, None, received).await,
        None => Failure::bad_request("Parameter model_name is required.").into_response(),
    }
}

fn only_model(app: &App) -> Option<String> {
    let mut models = app.serving.registry.defaults();
    models.retain(|model| model.loaded_at_startup);
    match models.as_slice() {
        [only] => Some(only.name.clone()),
        _ => None,
    }
}

async fn answer(
    app: &App,
    target: Target,
    task: Task,
    id: &RequestId,
    request: Request,
) -> Response {
    let query = ignored::query_names(request.uri());
    let mut received = match read_input(app, id, request, HashMap::new()).await {
        Ok(received) => received,
        Err(failure) => return failure.into_response(),
    };
    let input = &mut received.input;
    input.task = task;
    let explain = if task == Task::Explain {
        "True"
    } else {
        "False"
    };
    input.headers.push(("explain".into(), explain.into()));
    input.headers.push(("url_path".into(), target.url_path));
    let (model, version) = (&target.model, target.version.as_deref());
    let mut response = predict(app, model, version, received).await;
    // On these routes TorchServe keeps the query from the handler, which nobody would guess who has read what it takes.
    let says_all = |model: &Arc<Model>| model.takes.is_some();
    if !query.is_empty()
        && let Ok(model) = app.serving.registry.resolve(model, version)
        && says_all(&model)
    {
        ignored::tell_query(&mut response, &model.name, &query);
    }
    response
}

async fn predict(app: &App, model: &str, version: Option<&str>, received: Received) -> Response {
    if let Some(answer) = enveloped::answer_of(app, model, version, &received).await {
        return answer;
    }
    let Received {
        input,
        patience,
        _claim,
    } = received;
    let settings = &app.settings;
    let form = Form::wished(input.header("accept"));
    let taking = Taking {
        wished: form.is_some(),
        stall: settings.body.stall,
    };
    let serving = &app.serving;
    let predicted = serving.predict_as_taken(model, version, input, patience, taking);
    match predicted.await {
        Ok(Answer::Whole(output)) => {
            let json_content_type = settings.prediction_content_type;
            output_response(output, json_content_type, settings.max_response_size)
        }
        Ok(Answer::InParts(answer)) => {
            let inside = stream::Inside::new(*answer, _claim);
            stream::of_model(inside, form, settings).await
        }
        Err(error) => Err(error.into()),
    }
    .into_response()
}

/// A request that has arrived whole.
pub(super) struct Received {
    pub(super) input: Input,
    /// How long the client waits for its answer, if it says so.
    pub(super) patience: Option<Duration>,
    /// Its part of the memory for bodies, until it is answered.
    pub(super) _claim: Claim,
}

/// With this header a client says how many milliseconds it waits for its answer.
const PATIENCE: &str = "x-request-timeout-ms";

pub(super) fn patience(headers: &HeaderMap) -> Result<Option<Duration>, Failure> {
    let Some(value) = headers.get(PATIENCE) else {
        return Ok(None);
    };
    let millis = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    match millis.filter(|&millis: &u32| millis > 0) {
        Some(millis) => Ok(Some(Duration::from_millis(millis.into()))),
        None => Err(Failure::bad_request(format!(
            "header {PATIENCE}: expected a whole number of milliseconds from 1, found {value:?}"
        ))),
    }
}

/// Body and headers as an input. Query parameters, where a route hands them on, come before the body's own parts.
pub(super) async fn read_input(
    app: &App,
    id: &RequestId,
    request: Request,
    query: HashMap<String, String>,
) -> Result<Received, Failure> {
    read_fields(app, id, request, |fields| {
        let from_query = query
            .into_iter()
            .filter(|(name, _)| fields.iter().all(|field| field.part.name != *name))
            .map(|(name, value)| Part {
                name,
                content_type: String::new(),
                value: Value::Bytes(value.into()),
            });
        let from_query: Vec<Part> = from_query.collect();
        let from_body = fields.into_iter().map(|field| field.part);
        from_query.into_iter().chain(from_body).collect()
    })
    .await
}

/// Body and headers as an input of the parts that `choose` makes of the body's fields.
pub(super) async fn read_fields(
    app: &App,
    id: &RequestId,
    request: Request,
    choose: impl FnOnce(Vec<Field>) -> Vec<Part>,
) -> Result<Received, Failure> {
    let (head, body) = request.into_parts();
    let patience = patience(&head.headers)?;
    let limits = &app.settings.body;
    let mut claim = limits.memory.claim();
    let fields = body::read_fields(&head.headers, body, limits, &mut claim).await?;
    let parts = choose(fields);
    let input = Input {
        id: id.0.to_string(),
        task: Task::Predict,
        parts,
        headers: header_list(&head.headers),
        ..Input::default()
    };
    Ok(Received {
        input,
        patience,
        _claim: claim,
    })
}

/// Headers by name, the last value of a repeated one.
pub(super) fn header_list(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .keys()
        .filter_map(|name| {
            let value = headers.get_all(name).iter().next_back()?;
            Some((
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            ))
        })
        .collect()
}
