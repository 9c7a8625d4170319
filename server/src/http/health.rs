//! Health: TorchServe's `/ping`, and beside it two answers that an orchestrator can act on.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::any;
use serde_json::{Value, json};
use serving::State as ModelState;

use super::App;
use super::answer::{json_response, status_response};

/// Open to everybody: whoever probes has no token that expires.
pub(super) fn probes() -> Router<App> {
    Router::new()
        .route("/live", any(live))
        .route("/ready", any(ready))
}

/// As TorchServe answers, behind the token.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/ping", any(ping))
        .route("/ping/{*rest}", any(ping))
}

/// Unhealthy exactly when some worker of a model's default version has been given up.
async fn ping(State(app): State<App>) -> Response {
    let models = app.serving.registry.defaults();
    if models.iter().all(|model| model.pool.status().is_healthy()) {
        status_response(StatusCode::OK, "Healthy")
    } else {
        status_response(StatusCode::INTERNAL_SERVER_ERROR, "Unhealthy")
    }
}

/// The process answers.
async fn live() -> Response {
    json_response(StatusCode::OK, &json!({ "live": true }))
}

/// Whether requests are served well: the default version of every model has all the workers it was given. Names what is
/// missing.
async fn ready(State(app): State<App>) -> Response {
    let missing: Vec<Value> = app
        .serving
        .registry
        .defaults()
        .iter()
        .filter_map(|model| {
            let status = model.pool.status();
            let scaled_to_none = status.state == ModelState::Registered;
            let ready = status.ready();
            (!scaled_to_none && ready < status.wanted).then(|| {
                json!({
                    "modelName": model.name,
                    "modelVersion": model.version,
                    "workers": status.wanted,
                    "readyWorkers": ready,
                    "state": status.state.to_string(),
                })
            })
        })
        .collect();
    if missing.is_empty() {
        return json_response(StatusCode::OK, &json!({ "ready": true }));
    }
    let document = json!({ "ready": false, "waitingFor": missing });
    json_response(StatusCode::SERVICE_UNAVAILABLE, &document)
}
