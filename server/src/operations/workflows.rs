//! Managing workflows: list, register, describe, unregister, choose the default version.

mod description;
pub(crate) mod graph;

use serde_json::{Value, json};
use serving::workflow::WorkflowRegistration;
use serving::{Error, SourceError};

use super::{Done, Outcome, Page};
use crate::app::App;
use crate::error::Failure;

pub(crate) fn list(app: &App, page: Page) -> Done {
    let workflows = app.serving.workflows();
    let workflows = workflows
        .iter()
        .map(|it| json!({ "workflowName": it.name, "workflowUrl": it.url }));
    page.of("workflows", workflows)
}

/// A registration that names an address, or brings the spec itself and then needs a name: that of `asked`, or the spec's.
pub(crate) fn registration(asked: WorkflowRegistration) -> Result<WorkflowRegistration, Failure> {
    let spec = asked.spec;
    let mut name = asked.name.filter(|name| !name.is_empty());
    if let Some(spec) = &spec {
        name = name.or_else(|| archive::spec_name(spec));
        if name.is_none() {
            return Err(Failure::bad_request("Parameter workflow_name is required."));
        }
    }
    let url = asked.url.filter(|_| spec.is_none());
    if url.is_none() && spec.is_none() {
        return Err(Failure::bad_request("Parameter url is required."));
    }
    Ok(WorkflowRegistration {
        url,
        spec,
        name,
        ..asked
    })
}

pub(crate) async fn register(app: &App, asked: WorkflowRegistration) -> Outcome {
    let registered = app.serving.register_workflow(registration(asked)?).await;
    let workflow = registered.map_err(registration_failure)?;
    let name = &workflow.name;
    let mut done = Done::says(format!(
        "Workflow {name} has been registered and scaled successfully."
    ));
    if !workflow.warnings.is_empty() {
        done.document["warnings"] = Value::Array(description::warnings(&workflow));
    }
    Ok(done)
}

/// What a source says is of workflows here, and not of models.
fn registration_failure(error: Error) -> Failure {
    let kind = if let Error::Source(source) = &error {
        match source {
            SourceError::Refused(_) => Some("WorkflowNotFoundException"),
            SourceError::Exists(_) => Some("FileAlreadyExistsException"),
            SourceError::Failed(_) => None,
        }
    } else {
        None
    };
    let failure = Failure::from(error);
    Failure {
        kind: kind.unwrap_or(failure.kind),
        ..failure
    }
}

/// TorchServe's list of one version, or with `all` of all.
pub(crate) fn describe(app: &App, name: &str, version: Option<&str>) -> Outcome {
    let descriptions = if version == Some("all") {
        let versions = app.serving.workflow_versions(name)?;
        versions.iter().map(|it| description::of(it)).collect()
    } else {
        let workflow = app.serving.workflow(name, version)?;
        vec![description::of(&workflow)]
    };
    Ok(Done::with(Value::Array(descriptions)))
}

pub(crate) async fn unregister(app: &App, name: &str, version: Option<&str>) -> Outcome {
    let serving = &app.serving;
    match serving.unregister_workflow(name, version).await {
        // What the start could not register is let go of in the same way.
        Err(Error::WorkflowNotFound(_) | Error::WorkflowVersionNotFound { .. })
            if app.missing_workflows.forget(name, version) =>
        {
            serving.changed().await;
        }
        outcome => outcome?,
    }
    Ok(Done::says(format!("Workflow \"{name}\" unregistered")))
}

pub(crate) async fn set_default(app: &App, name: &str, version: &str) -> Outcome {
    app.serving.set_default_workflow(name, version).await?;
    Ok(Done::says(format!(
        "Default version successfully updated for workflow \"{name}\" to \"{version}\""
    )))
}
