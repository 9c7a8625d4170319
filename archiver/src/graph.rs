//! What is wrong with the graph of a pipeline, said before it is packed and in the places of the files as they lie there.
//!
//! The daemon's own code reads it. Other handlers are not refused here: their archives may be for another server.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, anyhow};
use archive::{ModelConfig, PackOptions, Plan};
use handlers::ModelContext;

/// The handler whose settings are a graph.
const PIPELINE: &str = "pipeline";

/// Makes the handler of a pipeline as a worker would.
///
/// # Errors
///
/// Every mistake in the graph, with the line and column in the file that was named; a pipeline without a configuration.
pub(crate) fn check(options: &PackOptions, plan: &Plan) -> anyhow::Result<()> {
    if options.handler != PIPELINE {
        return Ok(());
    }
    let staging = tempfile::tempdir().context("temporary folder")?;
    for (name, path) in plan.files() {
        stage(staging.path(), name, path).with_context(|| path.display().to_string())?;
    }
    let config_file = options.config_file.as_deref();
    let config = config_file.map(read).transpose()?;
    let context = ModelContext {
        settings: config.as_ref().and_then(ModelConfig::handler),
        config_file,
        ..ModelContext::new(staging.path())
    };
    let made = handlers::by_name(PIPELINE, &context);
    made.map(drop).map_err(|error| anyhow!("{error}"))
}

fn read(path: &Path) -> anyhow::Result<ModelConfig> {
    let shown = || path.display().to_string();
    let text = fs::read(path).with_context(shown)?;
    ModelConfig::from_yaml(&text).map_err(|why| anyhow!("{}: {why}", path.display()))
}

/// Puts a file where it will be in the archive, without copying what may be gigabytes.
fn stage(folder: &Path, name: &str, path: &Path) -> io::Result<()> {
    let place = folder.join(name);
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    std::os::unix::fs::symlink(fs::canonicalize(path)?, place)
}
