//! `verify`: opens an archive as the daemon would, up to loading the weights.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use archive::{Limits, Unpacked};
use handlers::ModelContext;

/// Says whether the daemon would load an archive.
///
/// The archive is unpacked under the daemon's limits into a temporary folder; manifest, configuration and handler are
/// checked. The weights must be there, but are not loaded.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An archive file, or a packed folder
    file: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<String> {
    let folder = tempfile::tempdir().context("temporary folder")?;
    let opened = archive::open(&args.file, folder.path(), &Limits::default())?;
    let shown = args.file.display();
    check_weights(&args.file, &opened)?;
    check_files(&opened)?;
    check_handler(&args.file, &opened)?;

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

fn check_weights(shown: &Path, opened: &Unpacked) -> anyhow::Result<()> {
    let Some(weights) = &opened.manifest().model.serialized_file else {
        let shown = shown.display();
        bail!("{shown}: the manifest names no serializedFile, so there is no model to load");
    };
    opened.file(weights)?;
    Ok(())
}

/// The other files that the manifest names.
fn check_files(opened: &Unpacked) -> anyhow::Result<()> {
    let model = &opened.manifest().model;
    for name in model.model_file.iter().chain(&model.requirements_file) {
        opened.file(name)?;
    }
    Ok(())
}

/// Makes the handler, as a worker of the daemon does: its settings and files are read by that.
fn check_handler(shown: &Path, opened: &Unpacked) -> anyhow::Result<()> {
    let name = opened.manifest().model.handler.as_deref();
    let context = ModelContext {
        dir: opened.dir(),
        settings: opened.config().and_then(|config| config.handler()),
        limit_max_image_pixels: true,
    };
    if let Err(error) = handlers::by_name(name.unwrap_or_default(), &context) {
        bail!("{}: {error}", shown.display());
    }
    Ok(())
}
