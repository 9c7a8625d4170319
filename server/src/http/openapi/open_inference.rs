//! The paths of KServe's protocols: v1, and the Open Inference Protocol v2.

use serde_json::{Map, Value, json};

use super::operation;

/// What the inference API serves.
pub(super) fn inference() -> Value {
    let model = &["model_name"][..];
    let version = &["model_name", "model_version"][..];
    let mut paths = Map::new();
    let mut put = |path: &str, method: &str, id: &str, about: &str, parameters: &[&str]| {
        let mut operation = operation(id, about, parameters, "200");
        if path.starts_with("/v2") {
            failures_of_v2(&mut operation);
        }
        paths.insert(path.to_owned(), json!({ method: operation }));
    };
    let mut get = |path: &str, id: &str, about: &str, parameters: &[&str]| {
        put(path, "get", id, about, parameters);
    };
    get("/v1/models", "v1_models", "List models (KServe v1).", &[]);
    get(
        "/v1/models/{model_name}",
        "v1_model",
        "Whether a model is ready (KServe v1).",
        model,
    );
    get(
        "/v2",
        "v2_server",
        "Describe the server (Open Inference Protocol v2).",
        &[],
    );
    get(
        "/v2/health/live",
        "v2_live",
        "Whether the server answers.",
        &[],
    );
    get(
        "/v2/health/ready",
        "v2_ready",
        "Whether everything that was registered serves.",
        &[],
    );
    get(
        "/v2/models/stats",
        "v2_all_statistics",
        "Statistics of all models.",
        &[],
    );
    let both = [
        ("/v2/models/{model_name}", "", model),
        (
            "/v2/models/{model_name}/versions/{model_version}",
            "version_",
            version,
        ),
    ];
    for (path, prefix, parameters) in both {
        let id = |name: &str| format!("v2_{prefix}{name}");
        let below = |name: &str| format!("{path}/{name}");
        get(
            path,
            &id("model"),
            "The inputs and outputs of a model or a workflow.",
            parameters,
        );
        get(
            &below("ready"),
            &id("model_ready"),
            "Whether a model or a workflow serves.",
            parameters,
        );
        get(
            &below("stats"),
            &id("statistics"),
            "Statistics of a model.",
            parameters,
        );
    }
    let mut post = |path: &str, id: &str, about: &str, parameters: &[&str]| {
        put(path, "post", id, about, parameters);
    };
    post(
        "/v1/models/{model_name}:predict",
        "v1_predict",
        "A prediction for each of a list of instances (KServe v1).",
        model,
    );
    post(
        "/v1/models/{model_name}:explain",
        "v1_explain",
        "An explanation for each of a list of instances (KServe v1).",
        model,
    );
    for (path, prefix, parameters) in both {
        let id = |name: &str| format!("v2_{prefix}{name}");
        post(
            &format!("{path}/infer"),
            &id("infer"),
            "Tensors through a model or a workflow, as JSON or with binary data.",
            parameters,
        );
        post(
            &format!("{path}/explain"),
            &id("explain"),
            "The same, asking for an explanation.",
            parameters,
        );
    }
    Value::Object(paths)
}

/// What the management API serves.
pub(super) fn repository() -> Value {
    let post = |id: &str, about: &str, parameters: &[&str]| {
        let mut operation = operation(id, about, parameters, "200");
        failures_of_v2(&mut operation);
        json!({ "post": operation })
    };
    let model = &["model_name"][..];
    json!({
        "/v2/repository/index": post("v2_index", "What is registered, and what the model store has.", &[]),
        "/v2/repository/models/{model_name}/load": post("v2_load", "Register an archive of the model store by its name, or anew.", model),
        "/v2/repository/models/{model_name}/unload": post("v2_unload", "Unregister every version of a model or a workflow.", model),
    })
}

/// Failures of this protocol are told in its own words.
fn failures_of_v2(operation: &mut Value) {
    let Some(responses) = operation["responses"].as_object_mut() else {
        return;
    };
    for (status, response) in responses {
        if status != "200" {
            response["content"]["application/json"]["schema"] = json!({
                "type": "object",
                "required": ["error"],
                "properties": { "error": { "type": "string", "description": "What was wrong." } },
            });
        }
    }
}
