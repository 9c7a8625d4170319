//! `verify`: opens an archive as the daemon would, up to loading the weights, or up to what a spec says.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use archive::{ArchiveError, Limits, Unpacked};
use handlers::{Candidate, Cause, ModelContext, Runner, runner, weights};
use servable::LoadError;

use crate::specs;

/// Says whether the daemon would load an archive.
///
/// The archive is unpacked under the daemon's limits into a temporary folder; manifest, configuration and handler are
/// checked. Behind a native handler the weights must be there and be a TorchScript module, but are not loaded. What takes a
/// Python worker is said to, and its code is not run. Of a workflow, the manifest, the files that it names and the spec are
/// checked; of functions in Python, whether the handler file defines them.
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
    let named = check_named_files(&opened)?;
    let cause = check_handler(&opened, &named).map_err(|error| anyhow!("{shown}: {error}"))?;

    let model = &opened.manifest().model;
    let handler = model
        .handler
        .as_deref()
        .unwrap_or("the server's default handler");
    let (name, version) = (&model.model_name, &model.model_version);
    let mut report = format!("OK: {shown}: {name} {version}, {handler}");
    if let Some(cause) = cause {
        report.push_str(&format!("; takes a Python worker, because {}", why(&cause)));
        if let Some(requirements) = &model.requirements_file {
            report.push_str(&format!(", and what {requirements} asks for"));
        }
    }
    report.push('\n');
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

/// Files of the archive that the manifest names.
struct Named {
    weights: Option<PathBuf>,
    model_file: Option<PathBuf>,
}

/// The files that the manifest names have to be there.
fn check_named_files(opened: &Unpacked) -> Result<Named, ArchiveError> {
    let model = &opened.manifest().model;
    let file = |name: &Option<String>| name.as_ref().map(|name| opened.file(name)).transpose();
    let named = Named {
        weights: file(&model.serialized_file)?,
        model_file: file(&model.model_file)?,
    };
    file(&model.requirements_file)?;
    Ok(named)
}

/// Decides who runs the model as the daemon does: `None` where it does so itself. A native handler is made, as a worker of the
/// daemon does it: its settings and files are read by that.
fn check_handler(opened: &Unpacked, named: &Named) -> Result<Option<Cause>, LoadError> {
    let handler = opened.manifest().model.handler.as_deref();
    let handler = handler.unwrap_or_default();
    let decided = runner(&Candidate {
        dir: opened.dir(),
        handler,
        weights: named.weights.as_deref(),
        model_file: named.model_file.as_deref(),
    });
    let is_native = handler.is_empty() || handlers::NAMES.contains(&handler);
    match decided {
        Ok(Runner::Python(cause)) => return Ok(Some(cause)),
        Err(error) if !is_native => return Err(error),
        // Wrong settings are told before wrong weights.
        Ok(Runner::Native) | Err(_) => {}
    }
    let config_file = opened.config_file();
    let context = ModelContext {
        dir: opened.dir(),
        settings: opened.config().and_then(|config| config.handler()),
        config_file: config_file.as_deref(),
        limit_max_image_pixels: true,
    };
    handlers::by_name(handler, &context)?;
    weights::check(opened.dir(), named.weights.as_deref())?;
    decided.map(|_| None)
}

fn why(cause: &Cause) -> String {
    match cause {
        Cause::Handler(file) => format!("its handler is {}", file.display()),
        Cause::Default(name) => format!("its handler is the worker's own {name}"),
        Cause::Eager(source) => format!("its network is the source {}", source.display()),
        Cause::Weights(format) => format!("its weights are {format}"),
    }
}
