//! Token authorization over HTTP: the layer that asks for a key, and the endpoint that renews one.
//!
//! A router puts [`guarded`] around what needs a key, its fallback included, and leaves API descriptions outside. The
//! endpoint [`routes`] belongs to the management API, outside of its guard: it asks for the API key itself.

use std::collections::HashMap;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use super::{App, v2};
use crate::auth::{Auth, Purpose};
use crate::error::Failure;

/// `/token?type=management|inference`, by any method.
pub(super) fn routes() -> Router<App> {
    Router::new().route("/token", any(renew))
}

/// These routes, which from now on ask for the key for `purpose` before anything else.
pub(super) fn guarded(routes: Router<App>, auth: &Auth, purpose: Purpose) -> Router<App> {
    let state = (auth.clone(), purpose);
    routes.layer(middleware::from_fn_with_state(state, ask_for_key))
}

async fn ask_for_key(
    State((auth, purpose)): State<(Auth, Purpose)>,
    request: Request,
    next: Next,
) -> Response {
    match auth.check(purpose, request.headers(), SystemTime::now()) {
        Ok(()) => next.run(request).await,
        Err(failure) if v2::is_below(request.uri().path()) => v2::Refusal(failure).into_response(),
        Err(failure) => failure.into_response(),
    }
}

/// A single newline, as TorchServe answers; the new key is in the key file.
async fn renew(
    State(app): State<App>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let kind = query.get("type").cloned();
    let renewed = tokio::task::spawn_blocking(move || {
        app.auth.renew(kind.as_deref(), &headers, SystemTime::now())
    });
    renewed
        .await
        .map_err(|_| Failure::internal("The key could not be renewed."))??;
    let mut response = Response::new(Body::from("\n"));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::super::management_router;
    use super::super::tests::{Answer, Api, send};
    use super::*;

    /// Both APIs behind keys.
    struct Guarded {
        inference: Router,
        management: Router,
        file: PathBuf,
        _folder: tempfile::TempDir,
        _api: Api,
    }

    impl Guarded {
        async fn start() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let file = folder.path().join("key_file.json");
            let hour = Duration::from_secs(3600);
            let auth = Auth::on(&file, hour, SystemTime::now()).expect("keys");
            let api = Api::guarded_by(auth).await;
            Guarded {
                inference: api.router.clone(),
                management: management_router(api.app.clone()),
                file,
                _folder: folder,
                _api: api,
            }
        }

        /// The key of that name, as the file tells it now.
        fn key(&self, name: &str) -> String {
            let text = fs::read(&self.file).expect("a key file");
            let document: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
            document[name]["key"].as_str().expect("a key").to_owned()
        }
    }

    async fn ask(router: &Router, method: &str, path: &str, key: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !key.is_empty() {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        send(router, request.body(Body::empty()).expect("a request")).await
    }

    async fn check(router: &Router, line: &str, key: &str, status: u16, body: &str) {
        let (method, path) = line.split_once(' ').expect("method and path");
        let answer = ask(router, method, path, key).await;
        assert!(
            answer.status == status && answer.body.contains(body),
            "{line}: {} {}",
            answer.status,
            answer.body
        );
    }

    const REFUSED: &str = "{\n  \"code\": 400,\n  \"type\": \"InvalidKeyException\",\n  \"message\": \"Token Authorization \
                           failed. Token either incorrect, expired, or not provided correctly\"\n}\n";
    const NOT_RENEWED: &str =
        "Token Authentication failed. Token either incorrect, expired, or not provided correctly";

    #[tokio::test]
    async fn everything_but_descriptions_asks_for_its_key() {
        let server = Guarded::start().await;
        let [inference, management, api] =
            ["inference", "management", "API"].map(|name| server.key(name));
        let router = &server.inference;
        for line in [
            "GET /ping",
            "POST /predictions/m",
            "OPTIONS /predictions/m",
            "GET /nothing/here",
        ] {
            for wrong in ["", "x", &management, &api] {
                check(router, line, wrong, 400, REFUSED).await;
            }
        }
        check(router, "GET /ping", &inference, 200, "Healthy").await;
        check(router, "POST /predictions/m", &inference, 200, "").await;
        check(
            router,
            "GET /nothing/here",
            &inference,
            404,
            "ResourceNotFoundException",
        )
        .await;
        check(router, "OPTIONS /", "", 200, "openapi").await;
        check(router, "GET /api-description", "", 200, "openapi").await;
        // The path of the management API means nothing here.
        check(router, "GET /token?type=inference", &api, 400, REFUSED).await;

        let router = &server.management;
        for wrong in ["", &inference, &api] {
            check(router, "GET /models", wrong, 400, REFUSED).await;
        }
        check(router, "GET /models", &management, 200, "").await;
        check(
            router,
            "GET /nothing",
            &management,
            404,
            "ResourceNotFoundException",
        )
        .await;
        check(router, "GET /models?x=/token", &api, 400, REFUSED).await;
    }

    #[tokio::test]
    async fn the_api_key_renews_a_key_and_the_old_one_is_void() {
        let server = Guarded::start().await;
        let names = ["inference", "management", "API"];
        let [old, management, api] = names.map(|name| server.key(name));
        let answer = ask(&server.management, "PUT", "/token?type=inference", &api).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "\n"));
        let [fresh, same_management, same_api] = names.map(|name| server.key(name));
        assert_ne!(fresh, old);
        assert_eq!((&same_management, &same_api), (&management, &api));
        check(&server.inference, "GET /ping", &old, 400, REFUSED).await;
        check(&server.inference, "GET /ping", &fresh, 200, "Healthy").await;
        check(&server.management, "GET /models", &management, 200, "").await;
    }

    #[tokio::test]
    async fn nothing_is_renewed_without_the_api_key_and_a_known_type() {
        let server = Guarded::start().await;
        let before = fs::read(&server.file).expect("a key file");
        let (management, api) = (server.key("management"), server.key("API"));
        let line = "GET /token?type=inference";
        for wrong in ["", "x", &management] {
            check(&server.management, line, wrong, 400, NOT_RENEWED).await;
        }
        for line in [
            "GET /token",
            "GET /token?type=",
            "GET /token?type=API",
            "GET /token?kind=inference",
        ] {
            check(&server.management, line, &api, 400, NOT_RENEWED).await;
        }
        assert_eq!(fs::read(&server.file).expect("a key file"), before);
    }

    #[tokio::test]
    async fn without_authorization_there_is_nothing_to_renew() {
        let api = Api::guarded_by(Auth::off()).await;
        let router = management_router(api.app.clone());
        check(&router, "GET /models", "", 200, "").await;
        let unknown = "Requested resource is not found";
        check(&router, "GET /token?type=inference", "", 404, unknown).await;
    }
}
