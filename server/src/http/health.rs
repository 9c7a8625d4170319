//! Health: TorchServe's `/ping`, and beside it two answers that an orchestrator can act on.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};
use serving::Model;

use super::App;
use super::answer::{json_response, status_response};
use super::segments::Segments;
use crate::error::Failure;
use crate::missing::MissingWorkflow;
use crate::operations::health;
use crate::snapshot::LeftVersion;

/// Open to everybody: whoever probes has no token that expires.
pub(super) fn probes() -> Router<App> {
    Router::new()
        .route("/live", any(live))
        .route("/ready", any(ready))
        .route("/ready/{model}", any(model_ready))
        .route("/ready/{model}/{version}", any(model_ready))
}

/// As TorchServe answers, behind the token.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/ping", any(ping))
        .route("/ping/{*rest}", any(ping))
}

/// Unhealthy exactly when some worker of a model's default version has been given up.
async fn ping(State(app): State<App>) -> Response {
    let healthy = health::is_healthy(&app);
    let status = if healthy {
        StatusCode::OK
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    status_response(status, health::word(healthy))
}

/// The process answers.
async fn live() -> Response {
    json_response(StatusCode::OK, &json!({ "live": true }))
}

/// Whether requests are served well: the default version of every model has all the workers it was given, no model of the
/// snapshot and no workflow of the start is left out, and the server is not about to stop. Names what is missing.
async fn ready(State(app): State<App>) -> Response {
    if app.stop.is_cancelled() {
        let document = json!({ "ready": false, "stopping": true });
        return json_response(StatusCode::SERVICE_UNAVAILABLE, &document);
    }
    let missing = waiting_for(&app);
    if missing.is_empty() {
        return json_response(StatusCode::OK, &json!({ "ready": true }));
    }
    let document = json!({ "ready": false, "waitingFor": missing });
    json_response(StatusCode::SERVICE_UNAVAILABLE, &document)
}

fn waiting_for(app: &App) -> Vec<Value> {
    let registry = &app.serving.registry;
    let models = registry.defaults();
    let left_out = app.left_out.missing(registry);
    let workflows = app.missing_workflows.missing(&app.serving);
    models
        .iter()
        .filter_map(|model| missing(model))
        .chain(left_out.iter().map(left_out_description))
        .chain(workflows.iter().map(workflow_description))
        .collect()
}

/// Which model, and perhaps which version, a path names.
#[derive(serde::Deserialize)]
struct Target {
    model: String,
    version: Option<String>,
}

impl Target {
    fn means(&self, left: &LeftVersion) -> bool {
        let version = self.version.as_ref();
        self.model == left.model && version.is_none_or(|version| *version == left.version)
    }
}

/// The same of one model, which is also not ready when it was scaled to no workers.
async fn model_ready(State(app): State<App>, Segments(target): Segments<Target>) -> Response {
    let registry = &app.serving.registry;
    let model = match registry.resolve(&target.model, target.version.as_deref()) {
        Ok(model) => model,
        Err(error) => {
            let mut left_out = app.left_out.missing(registry).into_iter();
            return match left_out.find(|left| target.means(left)) {
                Some(left) => not_ready(&left_out_description(&left)),
                None => Failure::from(error).into_response(),
            };
        }
    };
    let missing = missing(&model);
    if missing.is_none() && model.pool.status().ready() > 0 && !app.stop.is_cancelled() {
        return json_response(StatusCode::OK, &json!({ "ready": true }));
    }
    not_ready(&missing.unwrap_or_else(|| description(&model)))
}

fn not_ready(waiting_for: &Value) -> Response {
    let document = json!({ "ready": false, "waitingFor": [waiting_for] });
    json_response(StatusCode::SERVICE_UNAVAILABLE, &document)
}

/// The model, if it has not all the workers that it was given.
fn missing(model: &Model) -> Option<Value> {
    (!health::lacks_none(model)).then(|| description(model))
}

fn left_out_description(left: &LeftVersion) -> Value {
    json!({
        "modelName": left.model,
        "modelVersion": left.version,
        "state": "left out",
        "failure": left.why,
    })
}

fn workflow_description(missing: &MissingWorkflow) -> Value {
    let mut document = json!({
        "workflowUrl": missing.url,
        "state": "left out",
        "failure": missing.why,
    });
    if let Some(name) = &missing.name {
        document["workflowName"] = json!(name);
    }
    document
}

fn description(model: &Model) -> Value {
    let status = model.pool.status();
    let mut document = json!({
        "modelName": model.name,
        "modelVersion": model.version,
        "workers": status.wanted,
        "readyWorkers": status.ready(),
        "state": status.state.to_string(),
    });
    if let Some(failure) = status.failure {
        document["failure"] = json!(failure.to_string());
    }
    document
}
