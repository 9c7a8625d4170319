//! The HTTP APIs: routers, and the layers every request passes, in order.
//!
//! Who calls it: [`crate::serve`] puts a router on each listener; tests call one without a socket.

pub mod answer;
mod body;
mod enveloped;
mod front;
mod health;
mod ignored;
mod inference;
pub(crate) mod json;
mod logged;
mod management;
mod metrics;
mod openapi;
mod segments;
mod stream;
mod token;
mod v1;
mod v2;
mod workflow;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Uri, Version, header, uri::PathAndQuery};
use axum::middleware::{self, Next};
use axum::response::Response;
use tower::ServiceExt;
use tracing::{Instrument, info};
use uuid::Uuid;

use crate::app::App;
use crate::auth::Purpose;
use crate::connection::Peer;
use crate::error::Failure;
use crate::telemetry;
pub use front::{absent_targets, front_router};

/// The id of the request at hand, as in the log and in `x-request-id`.
#[derive(Clone)]
pub struct RequestId(pub Arc<str>);

/// The service behind the inference listener.
pub fn inference_router(app: App) -> Router {
    let guarded = token::guarded(
        inference::routes(&app.settings),
        &app.auth,
        Purpose::Inference,
    );
    finish(inference::descriptions(&app.settings).merge(guarded), app)
}

/// The service behind the management listener.
pub fn management_router(app: App) -> Router {
    let routes = management::routes().merge(management::readiness());
    let routes = routes.fallback(|| async { Failure::no_such_route() });
    let guarded = token::guarded(routes, &app.auth, Purpose::Management);
    let open = management::descriptions().merge(token::routes());
    finish(open.merge(guarded), app)
}

/// The service behind a listener that serves both APIs, inference first; each asks for its own key. With `metrics`, it
/// serves those as well.
pub fn shared_router(app: App, metrics: bool) -> Router {
    let inference = token::guarded(
        inference::routes(&app.settings),
        &app.auth,
        Purpose::Inference,
    );
    let management = token::guarded(management::routes(), &app.auth, Purpose::Management);
    let mut open = inference::descriptions(&app.settings).merge(token::routes());
    if metrics {
        open = open.merge(metrics::routes());
    }
    finish(open.merge(management).merge(inference), app)
}

/// The service behind the metrics listener.
pub fn metrics_router(app: App) -> Router {
    let routes = metrics::routes().fallback(|| async { Failure::no_such_route() });
    finish(routes, app)
}

fn finish(routes: Router<App>, app: App) -> Router {
    let routes = routes
        .with_state(app.clone())
        .layer(middleware::from_fn_with_state(app, around_each_request));
    // Outermost, because routing must see the path without its trailing slashes.
    Router::new().fallback_service(routes.into_service().map_request(normal_path))
}

/// Trailing empty segments of a path do not count, and `wfpredict` is read in any case, as TorchServe does with that word
/// alone.
fn normal_path(mut request: Request) -> Request {
    let path = request.uri().path();
    let trimmed = path.trim_end_matches('/');
    let trimmed = if trimmed.is_empty() { "/" } else { trimmed };
    let below = workflow::below_predict(trimmed);
    if trimmed.len() == path.len() && below.is_none() {
        return request;
    }
    let path = below.map_or_else(
        || trimmed.to_owned(),
        |below| format!("{}{below}", workflow::PREDICT),
    );
    let text = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    if let Ok(path_and_query) = text.parse::<PathAndQuery>() {
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = Some(path_and_query);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// Gives the request its id and span, the answer its common headers, and the access log its line.
async fn around_each_request(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let start = Instant::now();
    let id: Arc<str> = Uuid::new_v4().to_string().into();
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let version = request.version();
    let peer = request.extensions().get::<Peer>().copied();
    let stays = keeps_connection(&request);
    let traces = app.settings.traces;
    let span = telemetry::request_span(&id, &request, traces);
    let mut response = next.run(request).instrument(span.clone()).await;

    let status = response.status();
    app.metrics.response(status.as_u16());
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(&*id) {
        headers.insert("x-request-id", id);
    }
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    let cache = HeaderValue::from_static("no-cache; no-store, must-revalidate, private");
    headers.insert(header::CACHE_CONTROL, cache);
    headers.insert(
        header::EXPIRES,
        HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 UTC"),
    );
    // A client that sent something wrong may be out of step with us: it gets a fresh connection.
    let refused = status.is_client_error() || status.is_server_error();
    headers.insert(
        header::CONNECTION,
        HeaderValue::from_static(if stays && !refused {
            "keep-alive"
        } else {
            "close"
        }),
    );
    for (name, value) in &app.settings.cors {
        headers.insert(name.clone(), value.clone());
    }
    telemetry::response_sent(&span, status, traces);
    span.in_scope(|| {
        let (status, millis) = (status.as_u16(), start.elapsed().as_millis());
        let peer = peer.unwrap_or(Peer::Unix(None));
        let target = logged::target(&uri);
        info!(target: "access_log", "{peer} \"{method} {target} {version:?}\" {status} {millis}");
    });
    response
}

/// Whether the client will go on with its connection: over HTTP/1.1 unless it says otherwise, over 1.0 only if it says so.
fn keeps_connection(request: &Request) -> bool {
    let says = |word: &str| {
        let values = request.headers().get_all(header::CONNECTION).iter();
        values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case(word))
    };
    if request.version() < Version::HTTP_11 {
        says("keep-alive")
    } else {
        !says("close")
    }
}

#[cfg(test)]
pub(crate) mod tests;
