//! What every call passes: it gets its id and its span, shows its key, has its message bounded, and leaves a line in the
//! access log.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{self, Next};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tracing::{Instrument, info};
use uuid::Uuid;

use super::{Answer, body, status};
use crate::app::App;
use crate::auth::{Auth, Purpose};
use crate::connection::Peer;
use crate::http::RequestId;
use crate::telemetry;

/// These services, which from now on ask for the key for `purpose` before anything else: `authorization: Bearer <key>`
/// among the metadata.
pub(super) fn guarded(services: Router, auth: &Auth, purpose: Purpose) -> Router {
    let state = (auth.clone(), purpose);
    services.layer(middleware::from_fn_with_state(state, ask_for_key))
}

async fn ask_for_key(
    State((auth, purpose)): State<(Auth, Purpose)>,
    request: Request,
    next: Next,
) -> Answer {
    match auth.check(purpose, request.headers(), SystemTime::now()) {
        Ok(()) => next.run(request).await,
        Err(failure) => Status::permission_denied(failure.message).into_http(),
    }
}

pub(super) async fn around_each_call(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Answer {
    let start = Instant::now();
    let id: Arc<str> = Uuid::new_v4().to_string().into();
    let peer = request.extensions().get::<Peer>().copied();
    let method = request.uri().path().trim_start_matches('/').to_owned();
    let traces = app.settings.traces;
    let span = telemetry::request_span(&id, &request, traces);

    let (mut head, incoming) = request.into_parts();
    head.extensions.insert(RequestId(Arc::clone(&id)));
    let (incoming, held) = body::bounded(incoming, &app.settings.body);
    let request = Request::from_parts(head, incoming);
    let mut answer = next.run(request).instrument(span.clone()).await;
    drop(held);

    if let Ok(id) = HeaderValue::try_from(&*id) {
        answer.headers_mut().insert("x-request-id", id);
    }
    let code = code_of(answer.headers());
    let status = status::over_http(code);
    app.metrics.response(status.as_u16());
    telemetry::response_sent(&span, status, traces);
    span.in_scope(|| {
        let millis = start.elapsed().as_millis();
        let peer = peer.unwrap_or(Peer::Unix(None));
        info!(target: "access_log", "{peer} \"gRPC {method} HTTP/2.0\" {code:?} {millis}");
    });
    answer
}

/// How the call ended, as far as its head tells: a stream may still fail on its way.
fn code_of(headers: &HeaderMap) -> Code {
    let code = headers.get("grpc-status").map(HeaderValue::as_bytes);
    code.map_or(Code::Ok, Code::from_bytes)
}

/// How long the client waits for its answer, if it says so: `grpc-timeout`, up to eight digits and a unit.
pub(super) fn patience(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// The id of the call at hand.
pub(super) fn id_of<T>(request: &tonic::Request<T>) -> String {
    let id = request.extensions().get::<RequestId>();
    id.map(|id| id.0.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_say_how_long_they_wait() {
        let check = |text: &'static str, expected: Option<Duration>| {
            let mut metadata = MetadataMap::new();
            metadata.insert("grpc-timeout", text.parse().expect("ASCII"));
            assert_eq!(patience(&metadata), expected, "{text}");
        };
        check("2H", Some(Duration::from_secs(7200)));
        check("100m", Some(Duration::from_millis(100)));
        check("99999999n", Some(Duration::from_nanos(99_999_999)));
        for none in ["", "S", "5", "-5S", "1.5S", "123456789S", "5s"] {
            check(none, None);
        }
        assert_eq!(patience(&MetadataMap::new()), None);
    }
}
