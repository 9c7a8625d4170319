//! The management API: register, scale, describe, list, unregister, choose the default version. Of workflows, `workflow.rs`
//! does the same.
//!
//! Each endpoint reads its parameters (`management/parameters.rs`), calls one function of the serving core, and says how
//! that ended in TorchServe's words. What a description holds is `management/description.rs`'s business.

mod description;
pub(super) mod page;
pub(super) mod parameters;
pub(crate) mod registration;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};
use serving::{Error, Scale};
use std::collections::HashMap;

use super::answer::{json_response, status_response};
use super::segments::Segments;
use super::{App, openapi, v2, workflow};
use crate::error::Failure;
use parameters::Parameters;

/// What the management API may do, as the configuration says.
#[derive(Debug, Clone)]
pub struct ManagementSettings {
    /// Whether models may be registered and unregistered.
    pub enable_model_api: bool,
    /// Workers of a registration that asks for none.
    pub initial_workers: usize,
    pub unregister_timeout: std::time::Duration,
}

/// What tells about the API; it is open to everybody.
pub(super) fn descriptions() -> Router<App> {
    Router::new()
        .route("/", any(description))
        .route("/api-description", any(openapi::management))
}

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/models", any(models))
        .route("/models/{model}", any(model))
        .route("/models/{model}/{version}", any(model))
        .route("/models/{model}/{version}/set-default", any(set_default))
        .merge(workflow::management_routes())
        .merge(v2::repository_routes())
}

/// What the inference API answers as well, where both share a listener.
pub(super) fn readiness() -> Router<App> {
    Router::new().route("/v1/models/{model}", any(ready))
}

type Answer = Result<Response, Failure>;

/// Which model, and perhaps which version, a path names.
#[derive(serde::Deserialize)]
struct Target {
    model: String,
    version: Option<String>,
}

async fn description(method: Method) -> Answer {
    if method == Method::OPTIONS {
        Ok(openapi::management().await)
    } else {
        Err(Failure::method_not_allowed())
    }
}

/// `GET /models` lists, `POST /models` registers.
async fn models(
    State(app): State<App>,
    query: Query<HashMap<String, String>>,
    request: Request,
) -> Answer {
    match *request.method() {
        Method::GET => Ok(list(&app, &Parameters::from_query(query.0))),
        Method::POST => {
            register(
                &app,
                Parameters::read(query.0, request, &app.settings.body).await?,
            )
            .await
        }
        _ => Err(Failure::method_not_allowed()),
    }
}

/// `/models/{model}` and `/models/{model}/{version}`: describe, scale, unregister.
async fn model(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    query: Query<HashMap<String, String>>,
    request: Request,
) -> Answer {
    let parameters = Parameters::from_query(query.0);
    match *request.method() {
        Method::GET => describe(&app, &target, &parameters).await,
        Method::PUT => scale(&app, &target, &parameters).await,
        Method::DELETE => unregister(&app, &target).await,
        Method::OPTIONS if target.version.is_none() => {
            let model = app.serving.registry.resolve(&target.model, None)?;
            Ok(openapi::model_management(&model.name))
        }
        _ => Err(Failure::method_not_allowed()),
    }
}

fn list(app: &App, parameters: &Parameters) -> Response {
    let models = app.serving.registry.defaults();
    let models = models.iter();
    let models = models.map(|model| json!({ "modelName": model.name, "modelUrl": model.url }));
    page::response(parameters, "models", models)
}

async fn register(app: &App, parameters: Parameters) -> Answer {
    let settings = &app.settings.management;
    if !settings.enable_model_api {
        return Err(Failure::method_not_allowed());
    }
    if parameters.text("url").is_none() {
        return Err(Failure::bad_request("Parameter url is required."));
    }
    let registration = registration::of(settings, &parameters)?;
    let model = app.serving.register(registration).await?;
    app.left_out.forget(&model.name, Some(&model.version));
    let workers = model.scale().min;
    let registered = format!(
        "Model \"{}\" Version: {} registered with {workers} initial workers",
        model.name, model.version
    );
    if workers == 0 {
        let hint = format!("{registered}. Use scale workers API to add workers for the model.");
        return Ok(status_response(StatusCode::OK, &hint));
    }
    if !parameters.flag("synchronous").unwrap_or(true) {
        return Ok(status_response(StatusCode::ACCEPTED, PROCESSING));
    }
    if let Err(error) = app.serving.wait_for_workers(&model).await {
        // A model that did not come up does not stay behind: the next attempt finds its name free.
        let version = Some(model.version.as_str());
        if let Err(error) = app
            .serving
            .unregister(&model.name, version, settings.unregister_timeout)
            .await
        {
            tracing::warn!(model = model.name, "{error}");
        }
        return Err(error.into());
    }
    Ok(status_response(StatusCode::OK, &registered))
}

const PROCESSING: &str = "Processing worker updates...";

async fn scale(app: &App, target: &Target, parameters: &Parameters) -> Answer {
    let version = target
        .version
        .as_deref()
        .or_else(|| parameters.text("model_version"));
    let min = parameters.number("min_worker").unwrap_or(1);
    let max = parameters.number("max_worker").unwrap_or(min);
    // First, as there: an unknown model is the first thing that is wrong with a request.
    app.serving.registry.resolve(&target.model, version)?;
    if max < min {
        return Err(Failure::bad_request(
            "max_worker cannot be less than min_worker.",
        ));
    }
    let most = i64::try_from(serving::MOST_WORKERS).unwrap_or(i64::MAX);
    let count = |name: &str, value: i64| match usize::try_from(value) {
        Ok(count) if value <= most => Ok(count),
        Ok(_) => Err(Failure::bad_request(format!(
            "{name} cannot be more than {most}."
        ))),
        Err(_) => Err(Failure::internal(format!(
            "{name} cannot be negative: {value}"
        ))),
    };
    let scale = Scale {
        min: count("min_worker", min)?,
        max: count("max_worker", max)?,
    };
    let model = app.serving.scale(&target.model, version, scale).await?;
    if !parameters.flag("synchronous").unwrap_or(false) {
        return Ok(status_response(StatusCode::ACCEPTED, PROCESSING));
    }
    app.serving.wait_for_workers(&model).await?;
    let mut text = format!("Workers scaled to {} for model: {}", scale.min, model.name);
    if let Some(version) = version {
        text.push_str(&format!(", version: {version}"));
    }
    Ok(status_response(StatusCode::OK, &text))
}

async fn describe(app: &App, target: &Target, parameters: &Parameters) -> Answer {
    let registry = &app.serving.registry;
    let models = match target.version.as_deref() {
        Some("all") => registry.versions(&target.model)?,
        version => vec![registry.resolve(&target.model, version)?],
    };
    let customized =
        parameters.flag("customized").unwrap_or(false) && target.version.as_deref() != Some("all");
    let mut descriptions = Vec::with_capacity(models.len());
    for model in &models {
        descriptions.push(description::of(model).await);
    }
    if customized
        && let (Some(model), Some(Value::Object(description))) =
            (models.first(), descriptions.first_mut())
    {
        if model.pool.status().ready() == 0 {
            return Err(Failure::unavailable(format!(
                "Model \"{}\" has no worker to serve describe request. Please use scale workers API to add workers.",
                model.name
            )));
        }
        // Native handlers have nothing to add, as TorchServe's own have not.
        description.insert("customizedMetadata".into(), json!({}));
    }
    Ok(json_response(StatusCode::OK, &Value::Array(descriptions)))
}

async fn unregister(app: &App, target: &Target) -> Answer {
    let settings = &app.settings.management;
    if !settings.enable_model_api {
        return Err(Failure::method_not_allowed());
    }
    let version = target.version.as_deref();
    let unregistered = app
        .serving
        .unregister(&target.model, version, settings.unregister_timeout)
        .await;
    match unregistered {
        // What a snapshot has and could not be registered is let go of in the same way.
        Err(Error::ModelNotFound(_) | Error::VersionNotFound { .. })
            if app.left_out.forget(&target.model, version) =>
        {
            app.serving.changed().await;
        }
        outcome => outcome?,
    }
    let text = format!("Model \"{}\" unregistered", target.model);
    Ok(status_response(StatusCode::OK, &text))
}

async fn set_default(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    method: Method,
) -> Answer {
    if method != Method::PUT {
        return Err(Failure::method_not_allowed());
    }
    let version = target.version.unwrap_or_default();
    match app.serving.set_default(&target.model, &version).await {
        Ok(()) => {
            let text = format!(
                "Default version successfully updated for model \"{}\" to \"{version}\"",
                target.model
            );
            Ok(status_response(StatusCode::OK, &text))
        }
        // One colon less than elsewhere.
        Err(error @ Error::VersionNotFound { .. }) => Err(Failure {
            message: format!(
                "Model version {version} does not exist for model {}",
                target.model
            ),
            ..error.into()
        }),
        Err(error) => Err(error.into()),
    }
}

/// KServe's question whether a model is ready: whether it has a worker, be it still loading.
async fn ready(
    State(app): State<App>,
    Segments(target): Segments<Target>,
    method: Method,
) -> Answer {
    if method != Method::GET {
        return Err(Failure::method_not_allowed());
    }
    let model = app.serving.registry.resolve(&target.model, None)?;
    let ready = model.pool.status().wanted > 0;
    Ok(json_response(
        StatusCode::OK,
        &json!({ "name": model.name, "ready": ready }),
    )
    .into_response())
}
