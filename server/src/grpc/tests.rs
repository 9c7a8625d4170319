//! The services without sockets and without libtorch: what a client sees of a scripted model, and that both wires say the
//! same.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::http::header;
use proto::grpc::health::v1::HealthCheckRequest;
use proto::grpc::health::v1::health_client::HealthClient;
use proto::torchrelay::v1::workflow_inference_client::WorkflowInferenceClient;
use proto::torchrelay::v1::workflow_management_client::WorkflowManagementClient;
use proto::torchrelay::v1::{
    DescribeWorkflowRequest, ListWorkflowsRequest, RegisterWorkflowRequest,
    SetDefaultWorkflowRequest, UnregisterWorkflowRequest, WorkflowPredictionsRequest,
};
use proto::torchserve::inference::PredictionsRequest;
use proto::torchserve::inference::inference_ap_is_service_client::InferenceApIsServiceClient;
use proto::torchserve::management::management_ap_is_service_client::ManagementApIsServiceClient;
use proto::torchserve::management::{
    DescribeModelRequest, ListModelsRequest, RegisterModelRequest, ScaleWorkerRequest,
    SetDefaultRequest, UnregisterModelRequest,
};
use tonic::{Code, Request, Response, Status};

use super::*;
use crate::auth::Auth;
use crate::http::tests::{Api, send};

fn inference(api: &Api) -> InferenceApIsServiceClient<Router> {
    InferenceApIsServiceClient::new(inference_router(api.app.clone()))
}

fn management(api: &Api) -> ManagementApIsServiceClient<Router> {
    ManagementApIsServiceClient::new(management_router(api.app.clone()))
}

fn asking(model: &str, body: &str) -> PredictionsRequest {
    PredictionsRequest {
        model_name: model.into(),
        input: HashMap::from([("body".to_owned(), body.to_owned().into())]),
        ..PredictionsRequest::default()
    }
}

/// Code and text of a failure, or the answer.
fn told<T>(outcome: Result<Response<T>, Status>, text: impl Fn(T) -> String) -> (Code, String) {
    match outcome {
        Ok(answer) => (Code::Ok, text(answer.into_inner())),
        Err(status) => (status.code(), status.message().to_owned()),
    }
}

#[tokio::test]
async fn predictions_are_those_of_rest_and_fail_in_torchserves_words() {
    let api = Api::start().await;
    let check = async |asked: PredictionsRequest, code: Code, expected: &str| {
        let outcome = inference(&api).predictions(asked.clone()).await;
        let (found, text) = told(outcome, |answer| {
            String::from_utf8_lossy(&answer.prediction).into_owned()
        });
        assert_eq!((found, text.as_str()), (code, expected), "{asked:?}");
    };
    check(asking("m", "echo hello"), Code::Ok, "echo hello").await;
    let of_version = |version: &str| PredictionsRequest {
        model_version: version.into(),
        ..asking("m", "echo hello")
    };
    check(of_version("1.0"), Code::Ok, "echo hello").await;
    let package = "org.pytorch.serve.archive.model";
    check(
        of_version("2.0"),
        Code::Internal,
        &format!("Model version: 2.0 does not exist for model: m\n{package}.ModelVersionNotFoundException"),
    )
    .await;
    check(
        asking("x", ""),
        Code::Internal,
        &format!("Model not found: x\n{package}.ModelNotFoundException"),
    )
    .await;
    check(
        asking("", "echo"),
        Code::Internal,
        "Parameter model_name is required.\nBadRequestException.()",
    )
    .await;
    check(
        asking("m", "bad"),
        Code::InvalidArgument,
        "the input is bad\norg.pytorch.serve.http.BadRequestException",
    )
    .await;
    check(
        asking("m", "panic"),
        Code::Internal,
        "Worker died. (as scripted)\norg.pytorch.serve.http.InternalServerException",
    )
    .await;
    check(
        asking("m", &"x".repeat(65)),
        Code::ResourceExhausted,
        "the message holds 78 bytes, more than max_request_size, which is 64",
    )
    .await;
}

#[tokio::test]
async fn a_call_ends_when_the_client_waits_no_longer() {
    let api = Api::start().await;
    let mut asked = Request::new(asking("m", "wait 300"));
    asked.set_timeout(Duration::from_millis(50));
    let failure = inference(&api).predictions(asked).await;
    let failure = failure.expect_err("50 ms are over");
    assert_eq!(failure.code(), Code::DeadlineExceeded);
    assert!(
        failure.message().contains("gave no answer within 50 ms"),
        "{failure}"
    );
}

#[tokio::test]
async fn streams_answer_in_order_and_tell_failures_inside() {
    let api = Api::start().await;
    let answers = inference(&api)
        .stream_predictions(asking("m", "echo once"))
        .await;
    let mut answers = answers.expect("a stream").into_inner();
    let first = answers.message().await.expect("no failure");
    assert_eq!(first.expect("one answer").prediction, "echo once");
    assert_eq!(answers.message().await.expect("no failure"), None);

    let asked = ["bad", "echo 2"].map(|body| PredictionsRequest {
        sequence_id: Some(body.to_owned()),
        ..asking("m", body)
    });
    let asked = futures_util::stream::iter(asked.to_vec());
    let answers = inference(&api).stream_predictions2(asked).await;
    let mut answers = answers.expect("a stream").into_inner();
    let mut found = Vec::new();
    while let Some(answer) = answers.message().await.expect("failures are inside") {
        found.push(match answer.status {
            None => String::from_utf8_lossy(&answer.prediction).into_owned(),
            Some(status) => format!(
                "{} {} {:?}",
                status.code, status.message, answer.sequence_id
            ),
        });
    }
    let failed = "3 the input is bad\norg.pytorch.serve.http.BadRequestException Some(\"bad\")";
    assert_eq!(found, [failed, "echo 2"]);
}

/// What REST and gRPC answer to the same operation.
struct Both<'a> {
    api: &'a Api,
}

impl Both<'_> {
    /// The line of the REST call, its status, the call and its code. The texts must be the same; that of a failure is the
    /// `message` of REST's.
    async fn check(&self, line: &str, status: u16, (found, text): (Code, String), code: Code) {
        let (method, path) = line.split_once(' ').expect("written here");
        let request = axum::extract::Request::builder().method(method).uri(path);
        let request = request.body(Body::empty()).expect("a request");
        let answer = send(
            &crate::http::management_router(self.api.app.clone()),
            request,
        )
        .await;
        let document: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        let short = document.get("status").or_else(|| document.get("message"));
        let short = short.and_then(serde_json::Value::as_str);
        let expected = short.map_or_else(|| answer.body.clone(), str::to_owned);
        assert_eq!(
            (answer.status, found, text),
            (status, code, expected),
            "{line}"
        );
    }
}

/// Each operation on two servers that are alike, one over each wire.
#[tokio::test]
async fn every_management_call_ends_the_same_way_on_both_wires() {
    let (rest, grpc) = (Api::start().await, Api::start().await);
    let both = Both { api: &rest };
    let calls = || management(&grpc);
    let msg = |answer: proto::torchserve::management::ManagementResponse| answer.msg;

    let list = ListModelsRequest {
        limit: 100,
        ..ListModelsRequest::default()
    };
    let listed = told(calls().list_models(list).await, msg);
    both.check("GET /models", 200, listed, Code::Ok).await;
    let none = told(calls().list_models(ListModelsRequest::default()).await, msg);
    both.check("GET /models?limit=0", 200, none, Code::Ok).await;

    let register = |url: &str, workers: i32| RegisterModelRequest {
        url: url.into(),
        initial_workers: workers,
        synchronous: true,
        ..RegisterModelRequest::default()
    };
    let again = told(calls().register_model(register("m", 1)).await, msg);
    both.check("POST /models?url=m", 409, again, Code::Unknown)
        .await;
    let absent = told(calls().register_model(register("none.mar", 0)).await, msg);
    both.check("POST /models?url=none.mar", 404, absent, Code::NotFound)
        .await;
    let nothing = told(calls().register_model(register("", 0)).await, msg);
    both.check("POST /models", 400, nothing, Code::InvalidArgument)
        .await;
    let named = RegisterModelRequest {
        model_name: "n".into(),
        ..register("m", 1)
    };
    let named = told(calls().register_model(named).await, msg);
    let line = "POST /models?url=m&model_name=n&initial_workers=1";
    both.check(line, 200, named, Code::Ok).await;

    let scale = |name: &str, min: i32, max: i32| ScaleWorkerRequest {
        model_name: name.into(),
        min_worker: min,
        max_worker: max,
        synchronous: true,
        ..ScaleWorkerRequest::default()
    };
    let scaled = told(calls().scale_worker(scale("n", 2, 2)).await, msg);
    let line = "PUT /models/n?min_worker=2&max_worker=2&synchronous=true";
    both.check(line, 200, scaled, Code::Ok).await;
    let crossed = told(calls().scale_worker(scale("n", 2, 1)).await, msg);
    let line = "PUT /models/n?min_worker=2&max_worker=1";
    both.check(line, 400, crossed, Code::InvalidArgument).await;
    let absent = told(calls().scale_worker(scale("x", 1, 1)).await, msg);
    both.check("PUT /models/x", 404, absent, Code::NotFound)
        .await;
    let unnamed = told(calls().scale_worker(scale("", 1, 1)).await, msg);
    assert_eq!(unnamed.0, Code::Unknown);

    let default = |name: &str, version: &str| SetDefaultRequest {
        model_name: name.into(),
        model_version: version.into(),
    };
    let set = told(calls().set_default(default("n", "1.0")).await, msg);
    both.check("PUT /models/n/1.0/set-default", 200, set, Code::Ok)
        .await;
    let absent = told(calls().set_default(default("n", "9")).await, msg);
    let line = "PUT /models/n/9/set-default";
    both.check(line, 404, absent, Code::NotFound).await;

    let describe = |name: &str| DescribeModelRequest {
        model_name: name.into(),
        ..DescribeModelRequest::default()
    };
    let absent = told(calls().describe_model(describe("x")).await, msg);
    both.check("GET /models/x", 404, absent, Code::NotFound)
        .await;
    let described = calls().describe_model(describe("m")).await.expect("m");
    let document: serde_json::Value =
        serde_json::from_str(&described.into_inner().msg).expect("JSON");
    assert_eq!(document[0]["modelName"], "m");

    let unregister = |name: &str| UnregisterModelRequest {
        model_name: name.into(),
        ..UnregisterModelRequest::default()
    };
    let gone = told(calls().unregister_model(unregister("n")).await, msg);
    both.check("DELETE /models/n", 200, gone, Code::Ok).await;
    let again = told(calls().unregister_model(unregister("n")).await, msg);
    both.check("DELETE /models/n", 404, again, Code::NotFound)
        .await;
}

/// A workflow without models: what is asked is answered.
const SPEC: &str = "inputs: {a: text}\nnodes:\n  n: {function: passthrough, in: a}\noutput: n\n";

#[tokio::test]
async fn workflows_are_managed_and_asked_over_both_wires() {
    let (mut rest, mut grpc) = (Api::start().await, Api::start().await);
    for api in [&mut rest, &mut grpc] {
        // More than the spec.
        Arc::make_mut(&mut api.app.settings).body.size = 4096;
    }
    let both = Both { api: &rest };
    let mut calls = WorkflowManagementClient::new(management_router(grpc.app.clone()));
    let msg = |answer: proto::torchrelay::v1::WorkflowResponse| answer.msg;
    let encoded: String = form_urlencoded::byte_serialize(SPEC.as_bytes()).collect();

    let nothing = calls.register_workflow(RegisterWorkflowRequest::default());
    let nothing = told(nothing.await, msg);
    both.check("POST /workflows", 400, nothing, Code::InvalidArgument)
        .await;
    let register = |spec: String| RegisterWorkflowRequest {
        spec,
        workflow_name: "w".into(),
        ..RegisterWorkflowRequest::default()
    };
    let bad = calls.register_workflow(register(SPEC.replace("in: a", "in: b")));
    let (code, text) = told(bad.await, msg);
    assert_eq!(code, Code::InvalidArgument, "{text}");
    let good = calls.register_workflow(register(SPEC.into()));
    let good = told(good.await, msg);
    let line = format!("POST /workflows?workflow_name=w&spec={encoded}");
    both.check(&line, 200, good, Code::Ok).await;
    let again = calls.register_workflow(register(SPEC.into()));
    let again = told(again.await, msg);
    both.check(&line, 409, again, Code::AlreadyExists).await;

    let listed = calls.list_workflows(ListWorkflowsRequest::default());
    let listed = told(listed.await, msg);
    both.check("GET /workflows", 200, listed, Code::Ok).await;
    for (name, status, code) in [("w", 200, Code::Ok), ("x", 404, Code::NotFound)] {
        let asked = DescribeWorkflowRequest {
            workflow_name: name.into(),
            ..DescribeWorkflowRequest::default()
        };
        let described = told(calls.describe_workflow(asked).await, msg);
        let line = format!("GET /workflows/{name}");
        both.check(&line, status, described, code).await;
    }

    let mut client = WorkflowInferenceClient::new(inference_router(grpc.app.clone()));
    let mut ask = async |workflow: &str, input: &str, expected: Result<&str, Code>| {
        let input = (input.to_owned(), "hello".into());
        let asked = WorkflowPredictionsRequest {
            workflow_name: workflow.into(),
            input: HashMap::from([input]),
            ..WorkflowPredictionsRequest::default()
        };
        let found = client.workflow_predictions(asked).await;
        let found = found.map(|answer| answer.into_inner().prediction);
        let expected = expected.map(|text| text.to_owned().into());
        assert_eq!(found.map_err(|status| status.code()), expected);
    };
    ask("w", "a", Ok("hello")).await;
    ask("w", "body", Ok("hello")).await;
    ask("x", "a", Err(Code::NotFound)).await;
    ask("", "a", Err(Code::InvalidArgument)).await;

    for (version, status, code) in [("1.0", 200, Code::Ok), ("9", 404, Code::NotFound)] {
        let asked = SetDefaultWorkflowRequest {
            workflow_name: "w".into(),
            workflow_version: version.into(),
        };
        let set = told(calls.set_default_workflow(asked).await, msg);
        let line = format!("PUT /workflows/w/{version}/set-default");
        both.check(&line, status, set, code).await;
    }
    for (status, code) in [(200, Code::Ok), (404, Code::NotFound)] {
        let asked = UnregisterWorkflowRequest {
            workflow_name: "w".into(),
            ..UnregisterWorkflowRequest::default()
        };
        let gone = told(calls.unregister_workflow(asked).await, msg);
        both.check("DELETE /workflows/w", status, gone, code).await;
    }
}

#[tokio::test]
async fn every_call_but_health_asks_for_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("keys.json");
    let auth = Auth::on(&file, Duration::from_secs(60), SystemTime::now());
    let api = Api::guarded_by(auth.expect("keys")).await;
    let keys = fs::read(&file).expect("a key file");
    let keys: serde_json::Value = serde_json::from_slice(&keys).expect("JSON");
    let key = |name: &str| keys[name]["key"].as_str().expect("a key").to_owned();
    let with = |key: &str| {
        let mut request = Request::new(());
        if !key.is_empty() {
            let value = format!("Bearer {key}").parse().expect("ASCII");
            let name = header::AUTHORIZATION.as_str();
            request.metadata_mut().insert(name, value);
        }
        request
    };
    for wrong in [String::new(), "x".into(), key("management"), key("API")] {
        let refused = inference(&api).ping(with(&wrong)).await;
        let refused = refused.expect_err("no key");
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert_eq!(
            refused.message(),
            "Token Authorization failed. Token either incorrect, expired, or not provided correctly"
        );
    }
    let healthy = inference(&api).ping(with(&key("inference"))).await;
    let healthy = healthy.expect("the right key").into_inner();
    assert_eq!(healthy.health, "{\n  \"status\": \"Healthy\"\n}\n");
    let listing = with(&key("inference")).map(|()| ListModelsRequest::default());
    let refused = management(&api).list_models(listing).await;
    assert_eq!(
        refused.expect_err("another key").code(),
        Code::PermissionDenied
    );
    // On one port for both, each still asks for its own.
    let mut shared = ManagementApIsServiceClient::new(shared_router(api.app.clone()));
    let listing = with(&key("management")).map(|()| ListModelsRequest::default());
    shared.list_models(listing).await.expect("the right key");

    let mut health = HealthClient::new(inference_router(api.app.clone()));
    let mut check = async |service: &str, expected: Result<i32, Code>| {
        let asked = HealthCheckRequest {
            service: service.into(),
        };
        let found = health.check(asked).await;
        let found = found.map(|answer| answer.into_inner().status);
        assert_eq!(found.map_err(|status| status.code()), expected, "{service}");
    };
    check("", Ok(1)).await;
    check("m", Ok(1)).await;
    check("m/1.0", Ok(1)).await;
    check(inference_server::SERVICE_NAME, Ok(1)).await;
    check(management_server::SERVICE_NAME, Err(Code::NotFound)).await;
    check("x", Err(Code::NotFound)).await;
    check("m/2.0", Err(Code::NotFound)).await;
}

#[tokio::test]
async fn a_watch_tells_each_change() {
    let api = Api::start().await;
    let mut health = HealthClient::new(inference_router(api.app.clone()));
    let asked = HealthCheckRequest {
        service: "m".into(),
    };
    let states = health.watch(asked).await.expect("a stream");
    let mut states = states.into_inner();
    let mut next = async || {
        states
            .message()
            .await
            .map(|state| state.map(|it| it.status))
    };
    assert_eq!(next().await.expect("a state"), Some(1));
    let gone = UnregisterModelRequest {
        model_name: "m".into(),
        ..UnregisterModelRequest::default()
    };
    management(&api).unregister_model(gone).await.expect("gone");
    assert_eq!(next().await.expect("a state"), Some(3));
    api.app.stop.cancel();
    assert_eq!(next().await.expect("the end"), None);
}

#[tokio::test]
async fn an_unknown_service_is_said_to_be_none() {
    let api = Api::start().await;
    let router = inference_router(api.app.clone());
    let request = axum::extract::Request::post("/nothing.Here/Call");
    let answer = send(&router, request.body(Body::empty()).expect("a request")).await;
    let code = answer.headers.get("grpc-status");
    assert_eq!(
        code.map(axum::http::HeaderValue::as_bytes),
        Some(&b"12"[..])
    );
}
