//! The management API: register, scale, describe, list, unregister, choose the default version. Of workflows, `workflow.rs`
//! does the same.
//!
//! Each endpoint reads its parameters (`management/read.rs`) and calls one function of `operations/models.rs`.

mod read;

use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::json;
use std::collections::HashMap;

use super::answer::json_response;
use super::segments::Segments;
use super::{App, openapi, v2, workflow};
use crate::error::Failure;
use crate::operations::Parameters;
use crate::operations::models::{self, RegisterModel, ScaleModel};

/// What tells about the API; it is open to everybody.
pub(super) fn descriptions() -> Router<App> {
    Router::new()
        .route("/", any(description))
        .route("/api-description", any(openapi::management))
}

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/models", any(all))
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
async fn all(
    State(app): State<App>,
    query: Query<HashMap<String, String>>,
    request: Request,
) -> Answer {
    match *request.method() {
        Method::GET => {
            let parameters = Parameters::from_query(query.0);
            Ok(models::list(&app, parameters.page()).into_response())
        }
        Method::POST => {
            register(
                &app,
                read::read(query.0, request, &app.settings.body).await?,
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
        Method::DELETE => {
            let version = target.version.as_deref();
            let unregistered = models::unregister(&app, &target.model, version).await?;
            Ok(unregistered.into_response())
        }
        Method::OPTIONS if target.version.is_none() => {
            let model = app.serving.registry.resolve(&target.model, None)?;
            Ok(openapi::model_management(&model.name))
        }
        _ => Err(Failure::method_not_allowed()),
    }
}

async fn register(app: &App, parameters: Parameters) -> Answer {
    let asked = RegisterModel::from(&parameters);
    Ok(models::register(app, asked).await?.into_response())
}

async fn scale(app: &App, target: &Target, parameters: &Parameters) -> Answer {
    let version = target.version.as_deref();
    let version = version.or_else(|| parameters.text("model_version"));
    let asked = ScaleModel {
        min_worker: parameters.number("min_worker"),
        max_worker: parameters.number("max_worker"),
        synchronous: parameters.flag("synchronous").unwrap_or(false),
    };
    let scaled = models::scale(app, &target.model, version, asked).await?;
    Ok(scaled.into_response())
}

async fn describe(app: &App, target: &Target, parameters: &Parameters) -> Answer {
    let customized = parameters.flag("customized").unwrap_or(false);
    let version = target.version.as_deref();
    let described = models::describe(app, &target.model, version, customized).await?;
    Ok(described.into_response())
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
    let updated = models::set_default(&app, &target.model, &version).await?;
    Ok(updated.into_response())
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
