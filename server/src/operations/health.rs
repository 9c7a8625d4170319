//! Whether the server and its models are well.

use serving::{Error, Model, State};

use crate::app::App;

/// TorchServe's `/ping`: unhealthy exactly when some worker of a model's default version has been given up.
pub(crate) fn is_healthy(app: &App) -> bool {
    let models = app.serving.registry.defaults();
    models.iter().all(|model| model.pool.status().is_healthy())
}

/// What `/ping` says of it.
pub(crate) fn word(healthy: bool) -> &'static str {
    if healthy { "Healthy" } else { "Unhealthy" }
}

/// Whether everything that was registered serves, nothing of the snapshot and of the start is left out, and the server is not
/// about to stop: what `/ready` says.
pub(crate) fn server_is_ready(app: &App) -> bool {
    let registry = &app.serving.registry;
    let models = registry.defaults();
    !app.stop.is_cancelled()
        && models.iter().all(|model| lacks_none(model))
        && app.left_out.missing(registry).is_empty()
        && app.missing_workflows.missing(&app.serving).is_empty()
}

/// Whether requests for a model, or else a workflow, of that name would be served now.
///
/// # Errors
///
/// There is neither.
pub(crate) fn is_ready(app: &App, name: &str, version: Option<&str>) -> Result<bool, Error> {
    let serving = &app.serving;
    match serving.registry.resolve(name, version) {
        Ok(model) => Ok(serves(&model) && !app.stop.is_cancelled()),
        Err(unknown) => {
            let workflow = serving.workflow(name, version).map_err(|_| unknown)?;
            let mut models = workflow.graph.used_models();
            let ready = models.all(|model| {
                let name = workflow.model_name(&model.name);
                let model = serving.registry.resolve(&name, Some(&workflow.version));
                model.is_ok_and(|model| serves(&model))
            });
            Ok(ready && !app.stop.is_cancelled())
        }
    }
}

/// Whether a model has all the workers that it was given, and any at all.
fn serves(model: &Model) -> bool {
    let status = model.pool.status();
    status.ready() > 0 && lacks_none(model)
}

/// Whether a model has all the workers that it was given. One that was given none is as it should be.
pub(crate) fn lacks_none(model: &Model) -> bool {
    let status = model.pool.status();
    status.state == State::Registered || status.ready() >= status.wanted
}
