//! `model`: packs a model. The flags are TorchServe's.
//!
//! What TorchServe's archiver packs is packed, but what this daemon could then never load is told on stderr. A graph, which
//! TorchServe does not have, is refused where it is wrong.

use std::path::{Path, PathBuf};

use archive::{ArchiveFormat, PackOptions, Plan, Runtime};
use clap::ValueEnum;
use handlers::{Candidate, runner};

use crate::{graph, packing};

/// Packs a model into an archive.
///
/// The same input gives the same bytes: times and owners of files are left out, and the manifest's creation time is
/// SOURCE_DATE_EPOCH (seconds since 1970) or else the newest change of a packed file, in UTC.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the model, and of the archive: letters, digits, `_`, `-` and `.`
    #[arg(long)]
    model_name: String,
    /// Weights: a TorchScript module, a .pt2 package, or a state dictionary
    #[arg(long, value_name = "FILE")]
    serialized_file: Option<PathBuf>,
    /// Python file with the model's class, for an eager model
    #[arg(long, value_name = "FILE")]
    model_file: Option<PathBuf>,
    /// One that this daemon serves natively: base_handler, image_classifier, image_segmenter, object_detector, pipeline or
    /// text_classifier. For TorchServe alone: dali_image_classifier, vllm_handler, trt_llm_handler, or a Python file as
    /// FILE or FILE:FUNCTION
    #[arg(long)]
    handler: String,
    /// More files, separated by commas; wildcards are expanded, and a folder stands for what is in it
    #[arg(long, value_name = "LIST")]
    extra_files: Option<String>,
    /// What runs the handler
    #[arg(long, value_enum, default_value_t = RuntimeName::Python)]
    runtime: RuntimeName,
    /// Folder to write to, made if absent
    #[arg(
        long,
        value_name = "FOLDER",
        default_value = ".",
        hide_default_value = true
    )]
    export_path: PathBuf,
    /// What to write: `default` is a deflated NAME.mar, `zip-store` an undeflated one, `tgz` NAME.tar.gz, `no-archive`
    /// a folder NAME
    #[arg(long, value_enum, default_value_t = FormatName::Default, hide_possible_values = true)]
    archive_format: FormatName,
    /// Replace an archive that is already there
    #[arg(short, long)]
    force: bool,
    /// Version of the model
    #[arg(short, long)]
    version: String,
    /// requirements.txt with the Python packages the handler needs
    #[arg(short, long, value_name = "FILE")]
    requirements_file: Option<PathBuf>,
    /// model-config.yaml
    #[arg(short, long, value_name = "FILE")]
    config_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RuntimeName {
    Python,
    Python3,
    #[value(name = "LSP")]
    Lsp,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatName {
    Tgz,
    NoArchive,
    ZipStore,
    Default,
}

pub(crate) fn run(args: Args) -> anyhow::Result<String> {
    let options = args.into_options()?;
    let warnings = weights_warning(&options);
    let plan = Plan::check(options.clone())?;
    graph::check(&options, &plan)?;
    packing::run(&plan, warnings)
}

impl Args {
    fn into_options(self) -> anyhow::Result<PackOptions> {
        Ok(PackOptions {
            model_name: self.model_name,
            version: self.version,
            handler: self.handler,
            serialized_file: self.serialized_file,
            model_file: self.model_file,
            extra_files: self.extra_files,
            runtime: match self.runtime {
                RuntimeName::Python => Runtime::Python,
                RuntimeName::Python3 => Runtime::Python3,
                RuntimeName::Lsp => Runtime::Lsp,
            },
            requirements_file: self.requirements_file,
            config_file: self.config_file,
            export_path: self.export_path,
            format: match self.archive_format {
                FormatName::Tgz => ArchiveFormat::TarGz,
                FormatName::NoArchive => ArchiveFormat::Folder,
                FormatName::ZipStore => ArchiveFormat::ZipStore,
                FormatName::Default => ArchiveFormat::Zip,
            },
            force: self.force,
            created_at: packing::created_at()?,
        })
    }
}

/// Why the daemon would refuse the weights. Of other handlers than its own it is not known what they load.
fn weights_warning(options: &PackOptions) -> Option<String> {
    let handler = options.handler.as_str();
    if !handlers::NAMES.contains(&handler) {
        return None;
    }
    let (weights, model_file) = (&options.serialized_file, &options.model_file);
    if weights.is_none() && model_file.is_none() {
        return Some(format!(
            "there is no --serialized-file, so {handler} has no network to load"
        ));
    }
    let decided = runner(&Candidate {
        // Below no folder, so that they are named as on the command line.
        dir: Path::new(""),
        handler,
        weights: weights.as_deref(),
        model_file: model_file.as_deref(),
    });
    let refused = decided.err()?;
    Some(format!("the daemon would not load this: {refused}"))
}
