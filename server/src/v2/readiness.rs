//! Whether the server, a model or a workflow answers now.

use crate::app::App;
use crate::error::Failure;
use crate::http;
use crate::operations::health;

/// Whether everything that was registered serves, and the server is not about to stop: what `/ready` says.
pub fn server_ready(app: &App) -> bool {
    http::is_ready(app)
}

/// Whether it has all the workers that it was given and any at all, or whether each of a workflow's models has.
///
/// # Errors
///
/// Where neither a model nor a workflow has that name, or not that version.
pub fn model_ready(app: &App, name: &str, version: Option<&str>) -> Result<bool, Failure> {
    Ok(health::is_ready(app, name, version)?)
}
