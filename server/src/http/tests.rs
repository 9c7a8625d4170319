//! The router without sockets and without libtorch: what a client sees of a scripted model.

use std::fs;
use std::num::NonZeroUsize;
use std::time::{Duration, SystemTime};

use archive::{Limits, ModelConfig, Unpacked};
use axum::body::Body;
use http_body_util::BodyExt;
use servable::{Device, LoadError, Loader};
use serving::testing::ScriptedLoader;
use serving::{Cores, Engine, ModelStore, Parts, Registration, Settings, Wishes, WorkflowStore};

use super::*;
use crate::app::{AppParts, BodyLimits, ManagementSettings, Protocols, WireSettings};
use crate::auth::Auth;
use crate::memory::Memory;
use crate::missing::MissingWorkflows;
use crate::snapshot::LeftOut;
use serving::Serving;
use serving::metrics::Metrics;
use tokio_util::sync::CancellationToken;

struct ScriptedEngine;

impl Engine for ScriptedEngine {
    fn loader(
        &self,
        name: &str,
        _: &Unpacked,
        _: Option<&str>,
    ) -> Result<Arc<dyn Loader>, LoadError> {
        Ok(Arc::new(if name == "in_parts" {
            ScriptedLoader::in_parts()
        } else {
            ScriptedLoader::default()
        }))
    }

    fn gpus(&self) -> usize {
        0
    }

    fn devices(&self, _: Option<&ModelConfig>, workers: usize) -> Vec<Device> {
        vec![Device::Cpu; workers]
    }
}

/// A router over the model `m`, version 1.0, with one worker and room for one waiting request.
pub(crate) struct Api {
    pub(crate) app: App,
    pub(crate) router: Router,
    _store: tempfile::TempDir,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: String,
}

/// What a router answers.
pub(crate) async fn send(router: &Router, request: Request) -> Answer {
    let response = router.clone().oneshot(request).await;
    let (head, body) = response.expect("a router answers").into_parts();
    let bytes = body.collect().await.expect("in memory").to_bytes();
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

impl Api {
    pub(crate) async fn start() -> Self {
        Api::guarded_by(Auth::off()).await
    }

    pub(crate) async fn guarded_by(auth: Auth) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("m/MAR-INF")).expect("made");
        let manifest = r#"{"model": {"modelName": "m", "modelVersion": "1.0"}}"#;
        fs::write(folder.path().join("m/MAR-INF/MANIFEST.json"), manifest).expect("written");
        let unpacked = folder.path().join(".unpacked");
        let store = ModelStore::open(folder.path(), &unpacked, Limits::default()).expect("a store");
        let workflow_store = WorkflowStore::open(folder.path(), &unpacked, Limits::default());
        let serving = Arc::new(Serving::new(Parts {
            store,
            workflow_store: workflow_store.expect("a store"),
            workflow_source: Arc::new(serving::StoreOnly),
            functions: Arc::new(functions::Functions::default()),
            source: Arc::new(serving::StoreOnly),
            engine: Arc::new(ScriptedEngine),
            cores: Cores::new(NonZeroUsize::MIN),
            admission_limit: 16,
            first_worker_id: 9000,
            defaults: Settings {
                response_timeout: Duration::from_millis(400),
                queue_size: 1,
                ..Settings::default()
            },
            sequence_headers: Default::default(),
            configured: Box::new(|_, _| Wishes::default()),
            metrics: Metrics::off(),
        }));
        let registration = Registration {
            url: "m".into(),
            at_startup: true,
            ..Registration::default()
        };
        let model = serving.register(registration).await.expect("registered");
        model.pool.settled().await;
        let body = BodyLimits {
            size: 64,
            stall: Duration::from_secs(1),
            memory: Memory::new(1 << 20),
            copied: servable::Copied::default(),
        };
        let settings = WireSettings {
            body,
            prediction_content_type: false,
            max_response_size: 1 << 20,
            management: ManagementSettings {
                enable_model_api: true,
                initial_workers: 0,
                unregister_timeout: Duration::from_secs(10),
            },
            protocols: Protocols::default(),
            workflow_save_dir: None,
            traces: false,
            cors: Vec::new(),
        };
        let app = App::from(AppParts {
            serving,
            settings: Arc::new(settings),
            auth,
            metrics: Metrics::off(),
            left_out: LeftOut::default(),
            missing_workflows: MissingWorkflows::default(),
            stop: CancellationToken::new(),
        });
        Api {
            router: inference_router(app.clone()),
            app,
            _store: folder,
        }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::from(body.to_owned()));
        send(&self.router, request.expect("a request")).await
    }

    async fn check(&self, method: &str, path: &str, body: &str, status: u16, expected: &str) {
        let answer = self.ask(method, path, body).await;
        let found = (answer.status, answer.body.as_str());
        assert!(
            answer.status == status && answer.body.contains(expected),
            "{method} {path} {body:?}: {found:?}"
        );
    }
}

#[tokio::test]
async fn every_spelling_of_a_prediction_reaches_the_model() {
    let api = Api::start().await;
    for path in [
        "/predictions/m",
        "/predictions/m/",
        "/predictions/m/1.0",
        "/predictions/m/1.0/any/thing",
        "/predictions/m?ignored=1",
        "/invocations",
        "/invocations?model_name=m",
        "/models/m/invoke",
        "/m/predict",
        "/m/1.0/predict",
    ] {
        for method in ["POST", "PUT", "GET", "DELETE"] {
            api.check(method, path, "echo hello", 200, "echo hello")
                .await;
        }
    }
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let api = Api::start().await;
    let unknown_route = "Requested resource is not found, please refer to API document.";
    api.check("POST", "/predictions", "", 404, unknown_route)
        .await;
    api.check("POST", "/models/m", "", 404, unknown_route).await;
    api.check("GET", "/nothing/here", "", 404, unknown_route)
        .await;
    api.check("GET", "/", "", 405, "MethodNotAllowedException")
        .await;
    api.check(
        "POST",
        "/predictions/x",
        "",
        404,
        "\"message\": \"Model not found: x\"",
    )
    .await;
    let version = "Model version: 2.0 does not exist for model: m";
    api.check("POST", "/predictions/m/2.0", "", 404, version)
        .await;
    api.check("OPTIONS", "/predictions/x", "", 404, "Model not found: x")
        .await;
}

#[tokio::test]
async fn failures_of_the_model_have_their_status() {
    let api = Api::start().await;
    api.check("POST", "/predictions/m", "bad", 400, "the input is bad")
        .await;
    api.check(
        "POST",
        "/predictions/m",
        "fail",
        503,
        "InternalServerException",
    )
    .await;
    api.check(
        "POST",
        "/predictions/m",
        "panic",
        500,
        "Worker died. (as scripted)",
    )
    .await;
    api.check(
        "POST",
        "/predictions/m",
        "wait 600",
        408,
        "gave no answer within 400 ms",
    )
    .await;
    api.check("POST", "/predictions/m", &"x".repeat(65), 413, "")
        .await;
    api.check(
        "POST",
        "/predictions/m",
        "echo still here",
        200,
        "still here",
    )
    .await;
}

#[tokio::test]
async fn a_full_queue_refuses_the_next_and_serves_the_rest() {
    let api = Api::start().await;
    let asked = ["wait 100", "wait 1", "wait 2", "wait 3", "wait 4"];
    let asks = asked.map(|body| api.ask("POST", "/predictions/m", body));
    let statuses = futures_util::future::join_all(asks).await;
    let count = |status| {
        statuses
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!(count(200) + count(503), asked.len());
    assert!(count(200) >= 1 && count(503) >= 2, "{} served", count(200));
    let refused = statuses
        .iter()
        .find(|answer| answer.status == 503)
        .expect("one refused");
    assert!(
        refused.body.contains("ServiceUnavailableException"),
        "{}",
        refused.body
    );
    assert!(
        refused.body.contains("its queue holds 1 requests"),
        "{}",
        refused.body
    );
}

#[tokio::test]
async fn answers_carry_the_common_headers() {
    let api = Api::start().await;
    let good = api.ask("GET", "/ping", "").await;
    assert_eq!(
        (good.status, good.body.as_str()),
        (200, "{\n  \"status\": \"Healthy\"\n}\n")
    );
    let bad = api.ask("POST", "/predictions/x", "").await;
    for (answer, connection) in [(&good, "keep-alive"), (&bad, "close")] {
        let header = |name: &str| {
            answer
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        assert_eq!(header("connection"), Some(connection));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("pragma"), Some("no-cache"));
        assert_eq!(header("x-request-id").map(str::len), Some(36));
    }
    assert_ne!(
        good.headers.get("x-request-id"),
        bad.headers.get("x-request-id")
    );
    let prediction = api.ask("POST", "/predictions/m", "echo").await;
    assert_eq!(prediction.headers.get("content-type"), None);
}

#[tokio::test]
async fn descriptions_are_open_api() {
    let api = Api::start().await;
    for (method, path, title) in [
        ("OPTIONS", "/", "TorchServe APIs"),
        ("GET", "/api-description", "TorchServe APIs"),
        ("OPTIONS", "/predictions/m", "RESTful API for: m"),
    ] {
        let answer = api.ask(method, path, "").await;
        let document: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(document["openapi"], "3.0.1");
        assert_eq!(document["info"]["title"], title);
    }
}

#[tokio::test]
async fn probes_say_what_is_ready_and_need_no_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = folder.path().join("keys.json");
    let auth = Auth::on(&keys, Duration::from_secs(60), SystemTime::now());
    let api = Api::guarded_by(auth.expect("keys")).await;
    api.check("GET", "/ping", "", 400, "InvalidKeyException")
        .await;
    api.check("GET", "/live", "", 200, "\"live\": true").await;
    api.check("GET", "/ready", "", 200, "\"ready\": true").await;
}

#[tokio::test]
async fn a_server_is_not_ready_while_a_model_of_the_snapshot_is_left_out() {
    let api = Api::start().await;
    let why = "gone.mar: not a model archive";
    let lose = |model: &str, version: &str| {
        let state = crate::snapshot::SnapshotVersion::default();
        api.app.left_out.add(model, version, state, why.into());
    };
    // What is registered is not missing.
    lose("m", "1.0");
    api.check("GET", "/ready", "", 200, "\"ready\": true").await;
    lose("gone", "1.0");
    for path in ["/ready", "/ready/gone", "/ready/gone/1.0"] {
        let answer = api.ask("GET", path, "").await;
        let document: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        let expected = serde_json::json!({ "ready": false, "waitingFor": [
            { "modelName": "gone", "modelVersion": "1.0", "state": "left out", "failure": why },
        ] });
        assert_eq!((answer.status, document), (503, expected), "{path}");
    }
    api.check("GET", "/ready/gone/2.0", "", 404, "gone").await;
    api.check("GET", "/ready/m", "", 200, "\"ready\": true")
        .await;
    api.check("GET", "/ping", "", 200, "Healthy").await;
    let manage = async |line: &str, status: u16, expected: &str| {
        let (method, path) = line.split_once(' ').expect("written here");
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::empty()).expect("a request");
        let answer = send(&management_router(api.app.clone()), request).await;
        let found = (answer.status, answer.body.as_str());
        assert!(
            answer.status == status && answer.body.contains(expected),
            "{line}: {found:?}"
        );
    };
    manage("DELETE /models/gone/2.0", 404, "gone").await;
    manage("DELETE /models/gone", 200, "unregistered").await;
    api.check("GET", "/ready", "", 200, "\"ready\": true").await;
    manage("DELETE /models/gone", 404, "Model not found: gone").await;
    // Registered and unregistered again, it is missed no more.
    manage("DELETE /models/m", 200, "unregistered").await;
    manage("POST /models?url=m", 200, "registered").await;
    manage("DELETE /models/m", 200, "unregistered").await;
    api.check("GET", "/ready", "", 200, "\"ready\": true").await;
}

#[tokio::test]
async fn a_registration_may_not_give_requests_no_time() {
    let api = Api::start().await;
    let request = Request::post("/models?url=m&model_name=n&response_timeout=0");
    let request = request.body(Body::empty()).expect("a request");
    let answer = send(&management_router(api.app.clone()), request).await;
    assert_eq!(answer.status, 400);
    let message = "response_timeout cannot be 0.";
    assert!(answer.body.contains(message), "{}", answer.body);
    assert!(api.app.serving.registry.resolve("n", None).is_err());
}
