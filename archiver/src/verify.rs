//! `verify`: opens an archive as the daemon would, up to loading the weights, or up to what a spec says.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use archive::{ArchiveError, Limits, Unpacked};
use handlers::{ModelContext, weights};
use servable::LoadError;

use crate::specs;

/// Says whether the daemon would load an archive.
///
/// The archive is unpacked under the daemon's limits into a temporary folder; manifest, configuration and handler are
/// checked. The weights must be there and be a TorchScript module, but are not loaded. Of a workflow, the manifest, the files
/// that it names and the spec are checked; of functions in Python, whether the handler file defines them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An archive file, or a packed folder
    file: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<String> {
    let folder = tempfile::tempdir().context("temporary folder")?;
    if archive::is_workflow(&args.file, &Limits::default())? {
        return verify_workflow(&args.file, folder.path());
    }
    let opened = archive::open(&args.file, folder.path(), &Limits::default())?;
    let shown = args.file.display();
    // In the daemon's order, so that the first complaint is the daemon's.
    let weights = check_named_files(&opened)?;
    let refused = |error: LoadError| anyhow!("{shown}: {error}");
    check_handler(&opened).map_err(refused)?;
    weights::check(opened.dir(), weights.as_deref()).map_err(refused)?;

    let model = &opened.manifest().model;
    let handler = model
        .handler
        .as_deref()
        .unwrap_or("the server's default handler");
    let (name, version) = (&model.model_name, &model.model_version);
    let mut report = format!("OK: {shown}: {name} {version}, {handler}\n");
    for warning in opened.config().into_iter().flat_map(|it| &it.warnings) {
        report.push_str(&format!("warning: {warning}\n"));
    }
    Ok(report)
}

fn verify_workflow(file: &Path, folder: &Path) -> anyhow::Result<String> {
    let files = archive::open_workflow(file, folder, &Limits::default(), None)?;
    let shown = file.display();
    let (name, spec) = (&files.name, &files.spec_file);
    let version = files.version.as_deref().unwrap_or("1.0");
    let problems = specs::problems(&files.spec, files.handler.as_ref());
    if let Some(error) = problems.iter().find(|problem| problem.is_error()) {
        bail!("{shown}: {spec}:{error}");
    }
    let mut report = format!("OK: {shown}: workflow {name} {version}, {spec}\n");
    for warning in &problems {
        report.push_str(&format!("warning: {spec}:{warning}\n"));
    }
    let handler = files.manifest.as_ref().and_then(|it| it.handler.as_ref());
    if let (Some(handler), None) = (handler, &files.handler) {
        report.push_str(&format!(
            "warning: the handler {handler:?} is not in the archive\n"
        ));
    }
    Ok(report)
}

/// The files that the manifest names have to be there. Returns the weights, if it names some.
fn check_named_files(opened: &Unpacked) -> Result<Option<PathBuf>, ArchiveError> {
    let model = &opened.manifest().model;
    let weights = model.serialized_file.as_deref();
    let weights = weights.map(|name| opened.file(name)).transpose()?;
    for name in model.model_file.iter().chain(&model.requirements_file) {
        opened.file(name)?;
    }
    Ok(weights)
}

/// Makes the handler, as a worker of the daemon does: its settings and files are read by that.
fn check_handler(opened: &Unpacked) -> Result<(), LoadError> {
    let name = opened.manifest().model.handler.as_deref();
    let config_file = opened.config_file();
    let context = ModelContext {
        dir: opened.dir(),
        settings: opened.config().and_then(|config| config.handler()),
        config_file: config_file.as_deref(),
        limit_max_image_pixels: true,
    };
    handlers::by_name(name.unwrap_or_default(), &context).map(drop)
}
