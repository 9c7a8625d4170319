//! From what a user asks to be packed to a checked list of files. Whatever can be wrong is found here, before a byte
//! is written.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use thiserror::Error;

use crate::date::created_on;
use crate::error::without_path;
use crate::name::Names;
use crate::unpack::read_text;
use crate::{
    MANIFEST, Manifest, ModelConfig, Refusal, Runtime, WORKFLOW_MANIFEST, WorkflowManifest,
    is_default_handler, name,
};

mod files;
mod workflow;

pub use workflow::WorkflowPackOptions;

/// What is to be packed, as a user says it. Field by field this is TorchServe's archiver's command line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PackOptions {
    /// Letters, digits, `_`, `-` and `.`, a letter or digit first; also the archive's file name.
    pub model_name: String,
    /// Free text, not empty.
    pub version: String,
    /// A default handler's name, or a Python file (`.py` may be left out) with an optional `:function`. With the `LSP`
    /// runtime: `BaseHandler`, `TorchScriptHandler`, or a shared library's path without `.so`.
    pub handler: String,
    pub serialized_file: Option<PathBuf>,
    pub model_file: Option<PathBuf>,
    /// Paths separated by commas, wildcards `*`, `?` and `[…]` allowed. A folder stands for what is in it.
    pub extra_files: Option<String>,
    pub runtime: Runtime,
    pub requirements_file: Option<PathBuf>,
    pub config_file: Option<PathBuf>,
    /// The folder the archive is written to.
    pub export_path: PathBuf,
    pub format: ArchiveFormat,
    /// Replace an archive that is already there.
    pub force: bool,
    /// The manifest's `createdOn` in seconds since 1970; absent means the newest change of a packed file, so that the
    /// same input gives the same bytes. See [`source_date`].
    pub created_at: Option<u64>,
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ArchiveFormat {
    /// `<name>.mar`, a deflated zip.
    #[default]
    Zip,
    /// `<name>.mar`, a zip without compression.
    ZipStore,
    /// `<name>.tar.gz`, everything below `<name>/`.
    TarGz,
    /// `<name>/`, a folder.
    Folder,
}

/// A packing job that can only fail for the disk's reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Of the model or workflow.
    pub(crate) name: String,
    pub(crate) manifest: PlannedManifest,
    /// Name in the archive to file, sorted, without the manifest.
    pub(crate) files: BTreeMap<String, Source>,
    dated: bool,
    pub(crate) format: ArchiveFormat,
    pub(crate) target: PathBuf,
    pub(crate) force: bool,
}

/// What the archive says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PlannedManifest {
    Model(Box<Manifest>),
    Workflow(WorkflowManifest),
}

impl PlannedManifest {
    /// Where it lies in the archive.
    pub(crate) fn place(&self) -> &'static str {
        match self {
            PlannedManifest::Model(_) => MANIFEST,
            PlannedManifest::Workflow(_) => WORKFLOW_MANIFEST,
        }
    }

    pub(crate) fn to_json(&self) -> String {
        match self {
            PlannedManifest::Model(manifest) => manifest.to_json(),
            PlannedManifest::Workflow(manifest) => manifest.to_json(),
        }
    }
}

/// One file to pack.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    /// Bytes when the plan was made.
    pub(crate) size: u64,
    /// Seconds since 1970.
    modified: u64,
}

/// Why nothing was packed. Every message is one line.
#[derive(Debug, Error)]
pub enum PackError {
    #[error(
        "model name {name:?}: expected letters, digits, _, - and ., starting with a letter or digit"
    )]
    ModelName { name: String },
    #[error(
        "workflow name {name:?}: expected letters, digits, _, - and ., starting with a letter or digit"
    )]
    WorkflowName { name: String },
    #[error("version: expected text, found nothing")]
    Version,
    #[error("handler {handler:?}: {detail}")]
    Handler { handler: String, detail: String },
    /// An option names a file that is not there or cannot be what the option wants.
    #[error("{option} {path}: {detail}")]
    Option {
        option: &'static str,
        path: String,
        detail: String,
    },
    /// Two files would have the same name in the archive.
    #[error("{first} and {second}: both would be {name:?} in the archive")]
    Clash {
        name: String,
        first: String,
        second: String,
    },
    /// A file's name in the archive would be refused when the archive is opened.
    #[error("{path}: cannot be packed: {why}")]
    Name { path: String, why: Refusal },
    #[error("{path}: already there (--force replaces it)")]
    Exists { path: String },
    /// `force` replaces a folder only if that folder is a model's.
    #[error("{path}: not replaced: it has no {MANIFEST}, so it is no packed model")]
    ForeignFolder { path: String },
    #[error("{path}: changed while it was packed")]
    Changed { path: String },
    #[error("{path}: {cause}")]
    Io { path: String, cause: io::Error },
}

impl PackError {
    pub(crate) fn io(path: &Path, cause: io::Error) -> Self {
        PackError::Io {
            path: path.display().to_string(),
            cause: without_path(cause),
        }
    }
}

/// `SOURCE_DATE_EPOCH` as [`PackOptions::created_at`] wants it: seconds since 1970, written as a decimal number.
///
/// # Errors
///
/// One line, if the text is no such number.
pub fn source_date(text: &str) -> Result<u64, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("SOURCE_DATE_EPOCH: expected seconds since 1970, found {text:?}"))
}

impl Plan {
    /// Checks what a user asked for.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong. Nothing has been written by then.
    pub fn check(options: PackOptions) -> Result<Self, PackError> {
        if !is_sound(&options.model_name) {
            let name = options.model_name;
            return Err(PackError::ModelName { name });
        }
        if options.version.trim().is_empty() {
            return Err(PackError::Version);
        }
        let mut files = Files::default();
        files.add_handler(&options.handler, options.runtime)?;
        let serialized_file = files.add_option("--serialized-file", &options.serialized_file)?;
        let model_file = files.add_option("--model-file", &options.model_file)?;
        let requirements_file =
            files.add_option("--requirements-file", &options.requirements_file)?;
        let config_file = files.add_option("--config-file", &options.config_file)?;
        if let Some(path) = &options.config_file {
            check_config(path)?;
        }
        if let Some(list) = &options.extra_files {
            files::add_extra(list, &mut files)?;
        }

        let newest = files.by_name.values().map(|source| source.modified).max();
        let created_at = options.created_at.or(newest);
        let mut manifest = Manifest::absent(options.model_name.clone());
        manifest.created_on = Some(created_on(created_at.unwrap_or(0)));
        manifest.runtime = options.runtime;
        manifest.archiver_version = Some(env!("CARGO_PKG_VERSION").to_owned());
        manifest.model.serialized_file = serialized_file;
        manifest.model.handler = Some(base_name(&options.handler).to_owned());
        manifest.model.model_file = model_file;
        manifest.model.model_version = options.version;
        manifest.model.requirements_file = requirements_file;
        manifest.model.config_file = config_file;

        let suffix = match options.format {
            ArchiveFormat::Zip | ArchiveFormat::ZipStore => ".mar",
            ArchiveFormat::TarGz => ".tar.gz",
            ArchiveFormat::Folder => "",
        };
        let target = options
            .export_path
            .join(format!("{}{suffix}", options.model_name));
        let plan = Plan {
            name: options.model_name,
            manifest: PlannedManifest::Model(Box::new(manifest)),
            files: files.by_name,
            dated: created_at.is_some(),
            format: options.format,
            target,
            force: options.force,
        };
        plan.check_target()?;
        Ok(plan)
    }

    /// The files to pack: the name in the archive, and where each is now.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Path)> {
        let files = self.files.iter();
        files.map(|(name, source)| (name.as_str(), source.path.as_path()))
    }

    /// Where the archive will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Whether anything gave the manifest its date. Without [`PackOptions::created_at`] and without a file it is 1970.
    pub fn is_dated(&self) -> bool {
        self.dated
    }

    /// Bytes to pack, before compression.
    pub fn size(&self) -> u64 {
        self.files.values().map(|source| source.size).sum()
    }

    /// Whether the target may be written: free, or replaced on request.
    pub(crate) fn check_target(&self) -> Result<(), PackError> {
        let path = || self.target.display().to_string();
        let Ok(metadata) = fs::symlink_metadata(&self.target) else {
            return Ok(());
        };
        if !self.force {
            return Err(PackError::Exists { path: path() });
        }
        let is_model = || self.target.join(self.manifest.place()).is_file();
        if metadata.is_dir() && !(self.format == ArchiveFormat::Folder && is_model()) {
            return Err(PackError::ForeignFolder { path: path() });
        }
        Ok(())
    }
}

/// Letters, digits, `_`, `-` and `.`, a letter or digit first.
fn is_sound(name: &str) -> bool {
    let mut letters = name.chars();
    let first = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphanumeric());
    first && letters.all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
}

/// The archive would not open with a configuration that is no YAML mapping.
fn check_config(path: &Path) -> Result<(), PackError> {
    read_text(path)
        .map_err(|error| error.to_string())
        .and_then(|text| ModelConfig::from_yaml(&text))
        .map(drop)
        .map_err(|detail| PackError::Option {
            option: "--config-file",
            path: path.display().to_string(),
            detail,
        })
}

/// What follows the last slash.
fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The files gathered so far.
#[derive(Default)]
struct Files {
    by_name: BTreeMap<String, Source>,
    names: Names,
}

impl Files {
    fn add_handler(&mut self, handler: &str, runtime: Runtime) -> Result<(), PackError> {
        let failed = |detail: String| PackError::Handler {
            handler: handler.to_owned(),
            detail,
        };
        let (file, function) = match handler.split_once(':') {
            Some((file, function)) => (file, Some(function)),
            None => (handler, None),
        };
        let (built_in, extension) = match runtime {
            Runtime::Python | Runtime::Python3 => (is_default_handler(handler), ".py"),
            Runtime::Lsp => (
                ["BaseHandler", "TorchScriptHandler"].contains(&handler),
                ".so",
            ),
        };
        if built_in {
            return Ok(());
        }
        if function == Some("") || base_name(file).is_empty() {
            return Err(failed("expected file or file:function".to_owned()));
        }
        let path = if file.ends_with(extension) {
            PathBuf::from(file)
        } else {
            PathBuf::from(format!("{file}{extension}"))
        };
        if !path.is_file() {
            let path = path.display();
            return Err(failed(format!(
                "neither a default handler's name nor a file: {path} is not there"
            )));
        }
        self.add("--handler", &path).map(drop)
    }

    /// The file of an option that names one, under its base name, which is returned.
    fn add_option(
        &mut self,
        option: &'static str,
        path: &Option<PathBuf>,
    ) -> Result<Option<String>, PackError> {
        path.as_deref()
            .map(|path| self.add(option, path))
            .transpose()
    }

    fn add(&mut self, option: &'static str, path: &Path) -> Result<String, PackError> {
        let failed = |detail: String| PackError::Option {
            option,
            path: path.display().to_string(),
            detail,
        };
        let metadata = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
        if !metadata.is_file() {
            return Err(failed("expected a file".to_owned()));
        }
        let name = path
            .file_name()
            .ok_or_else(|| failed("expected a file".to_owned()))?;
        self.add_as(name.as_encoded_bytes(), path, &metadata)
    }

    /// Adds a file under a name in the archive. The same file under the same name is no clash.
    fn add_as(
        &mut self,
        raw: &[u8],
        path: &Path,
        metadata: &fs::Metadata,
    ) -> Result<String, PackError> {
        let unfit = |why| PackError::Name {
            path: path.display().to_string(),
            why,
        };
        let name = name::normal(raw)
            .and_then(|name| name.ok_or(Refusal::EmptyName))
            .map_err(unfit)?;
        if [MANIFEST, WORKFLOW_MANIFEST]
            .iter()
            .any(|manifest| name.eq_ignore_ascii_case(manifest))
        {
            return Err(self.clash(&name, Path::new("the archiver's own manifest"), path));
        }
        if let Some(there) = self.by_name.get(&name) {
            let same = match (there.path.canonicalize(), path.canonicalize()) {
                (Ok(there), Ok(here)) => there == here,
                _ => false,
            };
            if same {
                return Ok(name);
            }
            return Err(self.clash(&name, &there.path, path));
        }
        self.names.take(&name, false).map_err(unfit)?;
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |age| age.as_secs());
        let source = Source {
            path: path.to_owned(),
            size: metadata.len(),
            modified,
        };
        self.by_name.insert(name.clone(), source);
        Ok(name)
    }

    fn clash(&self, name: &str, first: &Path, second: &Path) -> PackError {
        PackError::Clash {
            name: name.to_owned(),
            first: first.display().to_string(),
            second: second.display().to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
