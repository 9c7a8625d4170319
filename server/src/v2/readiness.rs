//! Whether the server, a model or a workflow answers now.

use super::target::Target;
use crate::app::App;
use crate::error::Failure;
use crate::http::is_ready;

/// Whether everything that was registered serves, and the server is not about to stop: what `/ready` says.
pub fn server_ready(app: &App) -> bool {
    is_ready(app)
}

/// Whether it has a worker, or whether each of a workflow's models has one.
///
/// # Errors
///
/// Where neither a model nor a workflow has that name, or not that version.
pub fn model_ready(app: &App, name: &str, version: Option<&str>) -> Result<bool, Failure> {
    let serves = |name: &str, version: &str| {
        let model = app.serving.registry.resolve(name, Some(version));
        model.is_ok_and(|model| model.pool.status().ready() > 0)
    };
    let ready = match Target::find(app, name, version)? {
        Target::Model(model) => model.pool.status().ready() > 0,
        Target::Workflow(workflow) => workflow
            .graph
            .models
            .iter()
            .all(|model| serves(&workflow.model_name(&model.name), &workflow.version)),
    };
    Ok(ready && !app.stop.is_cancelled())
}
