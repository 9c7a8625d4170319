//! `workflow`: packs a workflow. The flags are those of TorchServe's `torch-workflow-archiver`, and `--version`.

use std::fs;
use std::path::{Path, PathBuf};

use archive::{HandlerFile, Plan, WorkflowPackOptions};

use crate::{packing, specs};

/// Packs a workflow, a spec and what belongs to it, into NAME.war.
///
/// The same input gives the same bytes, as it does for models.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the workflow, and of the archive: letters, digits, `_`, `-` and `.`
    #[arg(long)]
    workflow_name: String,
    /// YAML file with the models and the graph
    #[arg(long, value_name = "FILE")]
    spec_file: PathBuf,
    /// Python file with the functions of a graph, which TorchServe alone can run
    #[arg(long, value_name = "FILE")]
    handler: Option<PathBuf>,
    /// More files, separated by commas; wildcards are expanded, and a folder stands for what is in it
    #[arg(long, value_name = "LIST")]
    extra_files: Option<String>,
    /// Version of the workflow, which TorchServe does not know; 1.0 if left out
    #[arg(short, long)]
    version: Option<String>,
    /// Folder to write to, which must be there
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = ".",
        hide_default_value = true
    )]
    export_path: PathBuf,
    /// Replace an archive that is already there
    #[arg(short, long)]
    force: bool,
}

pub(crate) fn run(args: Args) -> anyhow::Result<String> {
    let warnings = mistakes(&args);
    let options = WorkflowPackOptions {
        workflow_name: args.workflow_name,
        spec_file: args.spec_file,
        handler: args.handler,
        extra_files: args.extra_files,
        version: args.version,
        export_path: args.export_path,
        force: args.force,
        created_at: packing::created_at()?,
    };
    packing::run(&Plan::check_workflow(options)?, warnings)
}

/// What the daemon would refuse the spec for. It is packed all the same: what cannot be read is told by who packs it.
fn mistakes(args: &Args) -> Vec<String> {
    let Ok(spec) = fs::read_to_string(&args.spec_file) else {
        return Vec::new();
    };
    let handler = args.handler.as_ref().map(|path| {
        let folder = path.parent().unwrap_or(Path::new(""));
        HandlerFile::read(path.clone(), folder)
    });
    let problems = specs::problems(&spec, handler.as_ref());
    let file = args.spec_file.display();
    let errors = problems.iter().filter(|problem| problem.is_error());
    errors.map(|problem| format!("{file}:{problem}")).collect()
}
