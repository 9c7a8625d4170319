//! The span of a request: what its lines and its trace have in common.

use axum::extract::{MatchedPath, Request};
use axum::http::StatusCode;
use opentelemetry::trace::Status;
use tracing::{Span, error_span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::otel;

/// The name of that span.
pub(super) const REQUEST: &str = "request";

/// The span of a request that was just received. With `traces` it takes up the trace that the client began, if any, and
/// carries what a reader of traces looks for.
pub fn request_span(id: &str, request: &Request, traces: bool) -> Span {
    let span = error_span!(
        REQUEST,
        id = %id,
        otel.name = field::Empty,
        otel.kind = field::Empty,
    );
    if traces {
        if let Some(parent) = otel::parent(request.headers()) {
            // Fails only where nobody collects.
            let _ = span.set_parent(parent);
        }
        let method = request.method().to_string();
        // Routes are few; paths are as many as clients can think of.
        let route = request.extensions().get::<MatchedPath>();
        let name = match route {
            Some(route) => format!("{method} {}", route.as_str()),
            None => method.clone(),
        };
        span.record("otel.name", name);
        span.record("otel.kind", "server");
        span.set_attribute("http.request.method", method);
        span.set_attribute("url.path", request.uri().path().to_owned());
        if let Some(route) = route {
            span.set_attribute("http.route", route.as_str().to_owned());
        }
    }
    span
}

/// The request of this span is answered.
pub fn response_sent(span: &Span, status: StatusCode, traces: bool) {
    if traces {
        span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            span.set_status(Status::error(""));
        }
    }
}
