//! OpenAPI documents: what the API offers, and what one model takes.

mod open_inference;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::answer::json_response;

/// The version of TorchServe whose contract is kept, which its documents carry.
const VERSION: &str = crate::args::TORCHSERVE_VERSION;

/// The inference API.
pub(super) async fn inference() -> Response {
    let mut paths = json!({
        "/": { "options": operation("apiDescription", "Get openapi description.", &[], "200") },
        "/ping": { "get": operation("ping", "Get TorchServe status.", &[], "200") },
        "/predictions/{model_name}": predict_item(&["model_name"]),
        "/predictions/{model_name}/{model_version}": predict_item(&["model_name", "model_version"]),
        "/explanations/{model_name}": predict_item(&["model_name"]),
        "/invocations": { "post": operation("invocations", "Predictions by the model that model_name names.", &[], "200") },
        "/models/{model_name}/invoke": { "post": operation("invoke", "Predictions by a model.", &["model_name"], "200") },
        "/wfpredict/{workflow_name}": { "post": operation("workflow_predictions", "Get inference from a workflow.", &["workflow_name"], "200") },
        "/wfpredict/{workflow_name}/{workflow_version}": { "post": operation("workflow_version_predictions", "Get inference from a version of a workflow.", &["workflow_name", "workflow_version"], "200") },
        "/api-description": { "get": operation("api-description", "Get openapi description.", &[], "200") },
    });
    add(&mut paths, open_inference::inference());
    json_response(StatusCode::OK, &document("TorchServe APIs", VERSION, paths))
}

fn add(paths: &mut Value, more: Value) {
    if let (Some(paths), Value::Object(more)) = (paths.as_object_mut(), more) {
        paths.extend(more);
    }
}

/// The management API.
pub(super) async fn management() -> Response {
    let model = &["model_name"][..];
    let version = &["model_name", "model_version"][..];
    let mut paths = json!({
        "/": { "options": operation("apiDescription", "Get openapi description.", &[], "200") },
        "/models": {
            "get": operation("listModels", "List registered models.", &[], "200"),
            "post": operation("registerModel", "Register a new model.", &[], "200"),
        },
        "/models/{model_name}": model_item(model, ""),
        "/models/{model_name}/{model_version}": model_item(version, "version_"),
        "/models/{model_name}/{model_version}/set-default": {
            "put": operation("setDefault", "Set the default version of a model.", version, "200"),
        },
        "/workflows": {
            "get": operation("listWorkflows", "List registered workflows.", &[], "200"),
            "post": operation("registerWorkflow", "Register a workflow: its archive by url, or its spec as the body.", &[], "200"),
        },
        "/workflows/{workflow_name}": workflow_item(&["workflow_name"], ""),
        "/workflows/{workflow_name}/{workflow_version}": workflow_item(&["workflow_name", "workflow_version"], "version_"),
        "/workflows/{workflow_name}/{workflow_version}/set-default": {
            "put": operation("setDefaultWorkflow", "Set the default version of a workflow.", &["workflow_name", "workflow_version"], "200"),
        },
        "/api-description": { "get": operation("api-description", "Get openapi description.", &[], "200") },
    });
    add(&mut paths, open_inference::repository());
    json_response(StatusCode::OK, &document("TorchServe APIs", VERSION, paths))
}

fn model_item(parameters: &[&str], prefix: &str) -> Value {
    let id = |name: &str| format!("{prefix}{name}");
    json!({
        "get": operation(&id("describeModel"), "Describe a model and its workers.", parameters, "200"),
        "put": operation(&id("setAutoScale"), "Choose the number of a model's workers.", parameters, "202"),
        "delete": operation(&id("unregisterModel"), "Unregister a model and free what it holds.", parameters, "200"),
    })
}

fn workflow_item(parameters: &[&str], prefix: &str) -> Value {
    let id = |name: &str| format!("{prefix}{name}");
    json!({
        "get": operation(&id("describeWorkflow"), "Describe a workflow: its numbers, its graph, or a picture of it.", parameters, "200"),
        "delete": operation(&id("unregisterWorkflow"), "Unregister a workflow and its models.", parameters, "200"),
    })
}

/// One model's management.
pub(super) fn model_management(name: &str) -> Response {
    let mut paths = serde_json::Map::new();
    paths.insert(format!("/models/{name}"), model_item(&[], ""));
    let title = format!("RESTful Management API for: {name}");
    json_response(
        StatusCode::OK,
        &document(&title, "1.0.0", Value::Object(paths)),
    )
}

/// One model's predictions.
pub(super) fn model(name: &str) -> Response {
    let mut paths = serde_json::Map::new();
    let summary = "A predict entry point for model";
    paths.insert(
        format!("/prediction/{name}"),
        json!({ "post": operation(name, summary, &[], "200") }),
    );
    json_response(
        StatusCode::OK,
        &document(
            &format!("RESTful API for: {name}"),
            "1.0.0",
            Value::Object(paths),
        ),
    )
}

fn document(title: &str, version: &str, paths: Value) -> Value {
    json!({ "openapi": "3.0.1", "info": { "title": title, "version": version }, "paths": paths })
}

fn predict_item(parameters: &[&str]) -> Value {
    let suffix = if parameters.len() > 1 {
        "version_predictions"
    } else {
        "predictions"
    };
    json!({
        "post": operation(suffix, "Predictions entry point to get inference using a model.", parameters, "200"),
        "options": operation(&format!("{suffix}_description"), "Display details of per model input and output.", parameters, "200"),
    })
}

fn operation(id: &str, description: &str, parameters: &[&str], success: &str) -> Value {
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| json!({ "in": "path", "name": name, "required": true, "schema": { "type": "string" } }))
        .collect();
    let error = |description: &str| {
        json!({
            "description": description,
            "content": { "application/json": { "schema": {
                "type": "object",
                "required": ["code", "type", "message"],
                "properties": {
                    "code": { "type": "integer", "description": "Error code." },
                    "type": { "type": "string", "description": "Error type." },
                    "message": { "type": "string", "description": "Error message." },
                },
            } } },
        })
    };
    let mut responses = serde_json::Map::new();
    responses.insert(success.into(), json!({ "description": "OK" }));
    responses.insert(
        "404".into(),
        error("Model not found or Model Version not found"),
    );
    responses.insert("500".into(), error("Internal Server Error"));
    responses.insert("503".into(), error("Service Unavailable"));
    json!({ "description": description, "operationId": id, "parameters": parameters, "responses": responses })
}
