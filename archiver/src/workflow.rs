//! `workflow`: packs a workflow. The flags are those of TorchServe's `torch-workflow-archiver`, and `--version`.

use std::path::PathBuf;

use archive::{Plan, WorkflowPackOptions};

use crate::packing;

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
    packing::run(&Plan::check_workflow(options)?, None)
}
