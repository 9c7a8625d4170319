//! The metrics API: what whoever scrapes reads. No key is asked for; the listener is for the inside of a network.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serving::metrics::CONTENT_TYPE;

use super::App;

/// `/metrics[/…][?name[]=NAME&…]`, by any method. In the mode `log` the answer is empty, as in TorchServe.
pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/metrics", any(exposition))
        .route("/metrics/{*rest}", any(exposition))
}

async fn exposition(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let copied = app.settings.body.copied.bytes();
    app.metrics.tensor_bytes_copied(copied);
    let text = app.metrics.exposition(&wanted(&query.unwrap_or_default()));
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

/// The names that a query asks for; none stands for all.
fn wanted(query: &str) -> Vec<String> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == "name[]")
        .map(|(_, name)| name.into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;

    use super::super::tests::{Answer, Api, send};
    use super::super::{Purpose, metrics_router};
    use super::*;
    use crate::auth::Auth;
    use crate::metrics_config::tests::{metrics_of_mode, shipped_metrics};
    use serving::metrics::{Metrics, Mode};

    async fn get(router: &Router, method: &str, path: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        send(router, request.body(Body::empty()).expect("a request")).await
    }

    /// The routers of a server with these metrics: inference, metrics.
    async fn routers(metrics: Metrics) -> (Router, Router, Api) {
        let api = Api::guarded_by(Auth::off()).await;
        let mut app = api.app.clone();
        app.metrics = metrics;
        (
            super::super::inference_router(app.clone()),
            metrics_router(app),
            api,
        )
    }

    #[tokio::test]
    async fn responses_of_every_listener_are_counted() {
        let (inference, metrics, _api) = routers(shipped_metrics()).await;
        for path in ["/ping", "/predictions/m", "/predictions/x", "/nowhere"] {
            get(&inference, "GET", path).await;
        }
        get(&inference, "OPTIONS", "/").await;
        let nowhere = get(&metrics, "GET", "/predictions/m").await;
        assert_eq!(nowhere.status, 404);
        let check = |name: &'static str, expected: &'static str| {
            let metrics = metrics.clone();
            async move {
                let path = format!("/metrics?name[]={name}");
                let answer = get(&metrics, "GET", &path).await;
                let header = answer.headers.get("content-type");
                let header = header.and_then(|value| value.to_str().ok());
                assert_eq!(header, Some("text/plain; version=0.0.4; charset=utf-8"));
                let expected = format!(
                    "# HELP {name} Torchserve prometheus counter metric with unit: Count\n\
                     # TYPE {name} counter\n\
                     {name}{{Level=\"Host\",Hostname=\"vm\",}} {expected}\n"
                );
                assert_eq!((answer.status, answer.body), (200, expected));
            }
        };
        check("Requests2XX", "3.0").await;
        // The scrape before this one counts, too.
        check("Requests2XX", "4.0").await;
        check("Requests4XX", "3.0").await;
    }

    #[tokio::test]
    async fn any_method_and_any_suffix_will_do() {
        let (_, router, _api) = routers(shipped_metrics()).await;
        get(&router, "GET", "/metrics").await;
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
            for path in ["/metrics", "/metrics/", "/metrics/any/thing"] {
                let answer = get(&router, method, path).await;
                assert_eq!(answer.status, 200, "{method} {path}");
                assert!(answer.body.contains("Requests2XX{"), "{method} {path}");
            }
        }
        for path in [
            "/metrics?name[]=QueueTime",
            "/metrics?name%5B%5D=QueueTime&x=Requests2XX",
        ] {
            assert_eq!(get(&router, "GET", path).await.body, "", "{path}");
        }
        let both = "/metrics?name[]=QueueTime&name[]=Requests2XX";
        assert!(
            get(&router, "GET", both)
                .await
                .body
                .contains("Requests2XX{")
        );
    }

    #[tokio::test]
    async fn the_mode_log_answers_with_nothing() {
        let (_, router, _api) = routers(metrics_of_mode(Mode::Log)).await;
        for _ in 0..2 {
            let answer = get(&router, "GET", "/metrics").await;
            assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        }
    }

    #[tokio::test]
    async fn no_key_is_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("key_file.json");
        let minute = std::time::Duration::from_secs(60);
        let auth = Auth::on(&keys, minute, std::time::SystemTime::now()).expect("a key file");
        assert!(
            auth.check(
                Purpose::Inference,
                &axum::http::HeaderMap::new(),
                std::time::SystemTime::now()
            )
            .is_err()
        );
        let api = Api::guarded_by(auth).await;
        let answer = get(&metrics_router(api.app.clone()), "GET", "/metrics").await;
        assert_eq!(answer.status, 200);
    }
}
