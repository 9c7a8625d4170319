//! What the server knows of a run before it begins: with which workflow, which models and which parameters, and when. An
//! answer that holds it says where it comes from.

use std::time::SystemTime;

use servable::Value;

use crate::Serving;
use crate::workflow::{Workflow, model_name};

/// Longer texts are no parameters but content.
const LONGEST_PARAMETER: usize = 1000;

/// `{server, workflow, version, started, parameters, models}`. `parts` are the inputs of the request; those that are pictures or
/// tensors, or otherwise large, are not among the parameters.
pub(super) fn of(serving: &Serving, workflow: &Workflow, parts: &[(String, Value)]) -> Value {
    let parameters = parts.iter().filter(|(_, value)| is_short(value)).cloned();
    let models = workflow.graph.models.iter();
    let models = models.map(|model| (model.name.as_str(), self::model(serving, workflow, model)));
    let started = humantime::format_rfc3339_millis(SystemTime::now());
    Value::map([
        (
            "server",
            concat!("torchrelay ", env!("CARGO_PKG_VERSION")).into(),
        ),
        ("workflow", workflow.name.as_str().into()),
        ("version", workflow.version.as_str().into()),
        ("started", started.to_string().into()),
        ("parameters", Value::map(parameters)),
        ("models", Value::map(models)),
    ])
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => true,
        Value::Text(text) => text.len() <= LONGEST_PARAMETER,
        Value::Null
        | Value::Bytes(_)
        | Value::Image(_)
        | Value::Tensor(_)
        | Value::List(_)
        | Value::Map(_) => false,
    }
}

/// `{name, version, sha256, devices}`: what is in its manifest, the digest of its archive (a folder has none), and where its
/// workers compute.
fn model(serving: &Serving, workflow: &Workflow, asked: &dag::Model) -> Value {
    let name = model_name(&workflow.name, &asked.name);
    let Ok(model) = serving.registry.resolve(&name, Some(&workflow.version)) else {
        return Value::Null;
    };
    let manifest = &model.files.manifest().model;
    // A handler file has no manifest, and is of the workflow's version.
    let (name, version) = match asked.functions.is_empty() {
        true => (&manifest.model_name, &manifest.model_version),
        false => (&asked.name, &model.version),
    };
    let workers = model.pool.status().workers;
    let mut devices: Vec<String> = workers
        .iter()
        .map(|worker| worker.device.to_string())
        .collect();
    devices.sort();
    devices.dedup();
    Value::map([
        ("name", name.as_str().into()),
        ("version", version.as_str().into()),
        (
            "sha256",
            model.files.sha256().map_or(Value::Null, Value::from),
        ),
        ("devices", Value::list(devices.into_iter().map(Value::from))),
    ])
}
