//! The protocol without sockets and without libtorch: what a client sees of a scripted model that answers what it is given.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::app::{BodyLimits, Protocols, WireSettings};
use crate::envelope::Envelope;
use crate::http::tests::{Answer, Api, send};
use crate::http::{inference_router, management_router};

/// The API over the model `m`, which takes longer bodies than other tests do.
async fn start(protocols: Protocols) -> (Api, App) {
    let api = Api::guarded_by(crate::auth::Auth::off()).await;
    let mut app = api.app.clone();
    let settings = WireSettings {
        body: BodyLimits {
            size: 4000,
            ..app.settings.body.clone()
        },
        protocols,
        ..(*app.settings).clone()
    };
    app.settings = Arc::new(settings);
    (api, app)
}

async fn ask(router: &Router, line: &str, body: &str) -> Answer {
    let (method, path) = line.split_once(' ').expect("method and path");
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::from(body.to_owned()));
    send(router, request.expect("a request")).await
}

async fn check(router: &Router, line: &str, body: &str, status: u16, expected: Value) {
    let answer = ask(router, line, body).await;
    let found: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, found), (status, expected), "{line} {body}");
}

fn tensor(name: &str) -> String {
    format!(
        "{{\"id\": \"7\", \"inputs\": [{{\"name\": \"{name}\", \"datatype\": \"FP32\", \"shape\": [1, 2], \"data\": [[0.1, -2]]}}]}}"
    )
}

#[tokio::test]
async fn the_server_and_its_models_are_described() {
    let (_api, app) = start(Protocols::default()).await;
    let router = inference_router(app);
    let extensions = json!([
        "binary_tensor_data",
        "classification",
        "model_repository",
        "parameters",
        "sequence",
        "statistics"
    ]);
    let version = env!("CARGO_PKG_VERSION");
    check(
        &router,
        "GET /v2",
        "",
        200,
        json!({ "name": "torchrelay", "version": version, "extensions": extensions }),
    )
    .await;
    check(
        &router,
        "GET /v2/health/live",
        "",
        200,
        json!({ "live": true }),
    )
    .await;
    check(
        &router,
        "GET /v2/health/ready",
        "",
        200,
        json!({ "ready": true }),
    )
    .await;
    for path in ["/v2/models/m", "/v2/models/m/versions/1.0"] {
        check(
            &router,
            &format!("GET {path}"),
            "",
            200,
            json!({
                "name": "m",
                "versions": ["1.0"],
                "platform": "pytorch_torchscript",
                "inputs": [],
                "outputs": [{ "name": "output", "datatype": "FP32", "shape": [-1] }],
            }),
        )
        .await;
        check(
            &router,
            &format!("GET {path}/ready"),
            "",
            200,
            json!({ "name": "m", "ready": true }),
        )
        .await;
    }
    let answer = ask(&router, "GET /v2/models/stats", "").await;
    let found: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(found["model_stats"][0]["name"], "m");
    assert_eq!(found["model_stats"][0]["inference_count"], 0);
    check(
        &router,
        "GET /v2/models/x/ready",
        "",
        404,
        json!({ "error": "Model not found: x" }),
    )
    .await;
    check(
        &router,
        "GET /v2/models/m/versions/2",
        "",
        404,
        json!({ "error": "Model version: 2 does not exist for model: m" }),
    )
    .await;
    check(
        &router,
        "POST /v2/health/live",
        "",
        405,
        json!({ "error": "expected the method GET, found POST" }),
    )
    .await;
    check(
        &router,
        "GET /v2/nothing",
        "",
        404,
        json!({ "error": "Requested resource is not found, please refer to API document." }),
    )
    .await;
}

#[tokio::test]
async fn a_tensor_goes_through_a_model() {
    let (_api, app) = start(Protocols::default()).await;
    let router = inference_router(app);
    let expected = json!({
        "model_name": "m",
        "model_version": "1.0",
        "id": "7",
        "outputs": [{ "name": "output", "datatype": "FP32", "shape": [1, 2], "data": [0.1, -2.0] }],
    });
    for path in ["/v2/models/m/infer", "/v2/models/m/versions/1.0/infer"] {
        let line = format!("POST {path}");
        check(&router, &line, &tensor("body"), 200, expected.clone()).await;
    }
    let answer = ask(&router, "GET /v2/models/m/stats", "").await;
    let found: Value = serde_json::from_str(&answer.body).expect("JSON");
    let of_m = &found["model_stats"][0];
    assert_eq!(
        (&of_m["inference_count"], &of_m["execution_count"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(of_m["inference_stats"]["success"]["count"], 2);
    assert_eq!(of_m["batch_stats"][0]["batch_size"], 1);
    assert_eq!(of_m["batch_stats"][0]["compute_infer"]["count"], 2);
    let unknown = json!({ "error": "Model not found: x" });
    check(
        &router,
        "POST /v2/models/x/infer",
        &tensor("body"),
        404,
        unknown,
    )
    .await;
    let line = "POST /v2/models/m/infer";
    let refusal = json!({ "error": "the request: the member `inputs` is missing" });
    check(&router, line, "{}", 400, refusal).await;
    let bad = json!({ "inputs": [{ "name": "body", "datatype": "BYTES", "shape": [1], "data": ["bad"] }] });
    let refusal = json!({ "error": "the input is bad" });
    check(&router, line, &bad.to_string(), 400, refusal).await;
    let refusal = json!({ "error": "the request is larger than max_request_size" });
    check(&router, line, &"x".repeat(4001), 413, refusal).await;
    // The model serves on, and the id is ours where the client has none.
    let fine = bad.to_string().replace("bad", "echo");
    let answer = ask(&router, line, &fine).await;
    let found: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(
        found["id"],
        answer.headers["x-request-id"].to_str().expect("text")
    );
    assert_eq!(found["outputs"][0]["data"], json!(["echo"]));
}

#[tokio::test]
async fn binary_tensors_go_in_and_come_out() {
    let (_api, app) = start(Protocols::default()).await;
    let router = inference_router(app);
    let numbers = [0.1f32, f32::MIN_POSITIVE, -0.0];
    let bytes: &[u8] = bytemuck::cast_slice(&numbers);
    let json = json!({
        "inputs": [{ "name": "body", "datatype": "FP32", "shape": [3], "parameters": { "binary_data_size": 12 } }],
        "parameters": { "binary_data_output": true },
    });
    let json = json.to_string();
    let request = Request::post("/v2/models/m/infer")
        .header(HEAD_LENGTH, json.len())
        .body(Body::from([json.as_bytes(), bytes].concat()));
    let response = router
        .oneshot(request.expect("a request"))
        .await
        .expect("an answer");
    assert_eq!(
        response.headers()["content-type"],
        "application/octet-stream"
    );
    let head: usize = response.headers()[HEAD_LENGTH]
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .expect("a length");
    let body = response
        .into_body()
        .collect()
        .await
        .expect("in memory")
        .to_bytes();
    let found: Value = serde_json::from_slice(&body[..head]).expect("JSON");
    assert_eq!(
        found["outputs"],
        json!([{ "name": "output", "datatype": "FP32", "shape": [3], "parameters": { "binary_data_size": 12 } }])
    );
    assert_eq!(&body[head..], bytes);
}

#[tokio::test]
async fn without_the_protocol_inference_stays() {
    let protocols = Protocols {
        open_inference: false,
        ..Protocols::default()
    };
    let (_api, app) = start(protocols).await;
    let router = inference_router(app);
    let answer = ask(&router, "POST /v2/models/m/infer", &tensor("body")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    for path in ["/v2", "/v2/health/live", "/v2/models/m"] {
        let answer = ask(&router, &format!("GET {path}"), "").await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_repository_is_the_management_apis() {
    let (_api, app) = start(Protocols::default()).await;
    let router = management_router(app.clone());
    let entry = |state: &str, reason: &str| {
        let version = if reason.is_empty() { "1.0" } else { "" };
        json!([{ "name": "m", "version": version, "state": state, "reason": reason }])
    };
    let index = "POST /v2/repository/index";
    check(&router, index, "", 200, entry("READY", "")).await;
    check(&router, index, "{\"ready\": true}", 200, entry("READY", "")).await;
    check(
        &router,
        "POST /v2/repository/models/m/unload",
        "{}",
        200,
        json!({}),
    )
    .await;
    check(
        &router,
        index,
        "{}",
        200,
        entry("UNAVAILABLE", "not loaded"),
    )
    .await;
    check(&router, index, "{\"ready\": true}", 200, json!([])).await;
    let config =
        json!({ "parameters": { "config": "{\"batch_size\": 4, \"initial_workers\": 1}" } });
    let load = "POST /v2/repository/models/m/load";
    check(&router, load, &config.to_string(), 200, json!({})).await;
    let model = app.serving.registry.resolve("m", None).expect("registered");
    assert_eq!(
        (model.settings.batch_size.get(), model.pool.status().ready()),
        (4, 1)
    );
    // A second time it is put in the place of what serves.
    check(&router, load, "", 200, json!({})).await;
    check(&router, index, "", 200, entry("READY", "")).await;
    for name in ["x", "..", ".hidden"] {
        let line = format!("POST /v2/repository/models/{name}/load");
        let refusal = json!({ "error": format!("Model not found at: {name}") });
        check(&router, &line, "", 404, refusal).await;
    }
    let refusal = json!({ "error": "Model not found: x" });
    check(
        &router,
        "POST /v2/repository/models/x/unload",
        "",
        404,
        refusal,
    )
    .await;
    let mut closed = app.clone();
    let mut settings = (*app.settings).clone();
    settings.management.enable_model_api = false;
    closed.settings = Arc::new(settings);
    let router = management_router(closed);
    for verb in ["load", "unload"] {
        let line = format!("POST /v2/repository/models/m/{verb}");
        let refusal = json!({
            "error": "models are not loaded and unloaded over the network here: enable_model_api is off",
        });
        check(&router, &line, "", 405, refusal).await;
    }
}

#[tokio::test]
async fn kserve_v1_takes_instances_apart() {
    let (_api, app) = start(Protocols::default()).await;
    let router = inference_router(app);
    check(
        &router,
        "GET /v1/models",
        "",
        200,
        json!({ "models": ["m"] }),
    )
    .await;
    check(
        &router,
        "GET /v1/models/m",
        "",
        200,
        json!({ "name": "m", "ready": true }),
    )
    .await;
    let answer = ask(&router, "GET /v1/models/x", "").await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    let body = "{\"instances\": [\"echo a\", {\"b64\": \"ZWNobyBi\"}, {\"data\": \"echo c\"}]}";
    let expected = json!({ "predictions": ["echo a", "echo b", "echo c"] });
    check(&router, "POST /v1/models/m:predict", body, 200, expected).await;
    let expected = json!({ "explanations": ["echo a", "echo b", "echo c"] });
    check(&router, "POST /v1/models/m:explain", body, 200, expected).await;
    let answer = ask(
        &router,
        "POST /v1/models/m:predict",
        "{\"instances\": [\"a\", \"bad\"]}",
    )
    .await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("instances[1]: the input is bad"),
        "{}",
        answer.body
    );
    let answer = ask(&router, "POST /v1/models/m:other", body).await;
    assert_eq!(answer.status, 404, "{}", answer.body);
}

#[tokio::test]
async fn envelopes_wrap_predictions() {
    let enveloped = |envelope| {
        start(Protocols {
            envelope: Some(envelope),
            ..Protocols::default()
        })
    };
    let instances = "{\"instances\": [\"echo a\", \"echo b\"]}";
    for envelope in [Envelope::Json, Envelope::Kserve] {
        let (_api, app) = enveloped(envelope).await;
        let router = inference_router(app);
        let expected = json!({ "predictions": ["echo a", "echo b"] });
        check(&router, "POST /predictions/m", instances, 200, expected).await;
    }
    let (_api, app) = enveloped(Envelope::Kservev2).await;
    let router = inference_router(app);
    for path in ["/predictions/m", "/predictions/m/1.0", "/v2/models/m/infer"] {
        let expected = json!({
            "model_name": "m",
            "model_version": "1.0",
            "id": "7",
            "outputs": [{ "name": "input-0", "datatype": "FP32", "shape": [1, 2], "data": [0.1, -2.0] }],
        });
        check(
            &router,
            &format!("POST {path}"),
            &tensor("input-0"),
            200,
            expected,
        )
        .await;
    }
    let answer = ask(&router, "POST /predictions/m", "[1]").await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("BadRequestException"),
        "{}",
        answer.body
    );
    let (_api, app) = enveloped(Envelope::Body).await;
    let answer = ask(&inference_router(app), "POST /predictions/m", "echo").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "echo"));
}
