//! Workflow archives: a `.war` (a zip), a gzip-compressed tar, a folder, or a YAML spec alone, to the text of the spec and
//! what lies beside it. What the spec says is not read here, but for its version.
//!
//! The server's workflow store opens them, the archiver looks into them.

mod handler;
mod list;
mod manifest;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub use handler::HandlerFile;
pub use list::{WorkflowListing, inspect_workflow, is_workflow};
pub use manifest::{WORKFLOW_MANIFEST, WorkflowManifest};

use crate::error::one_line;
use crate::reader::check_regular;
use crate::unpack::{confined, read_text, settle, stage, stem};
use crate::{ArchiveError, Limits, digest, tree};

/// The handler file of a folder without a manifest, if it has one.
const HANDLER: &str = "handler.py";

/// A workflow's files. Dropping it removes what was unpacked; a folder or a spec that is served in place stays.
#[derive(Debug)]
pub struct WorkflowFiles {
    /// What the caller calls it, else its manifest, else the spec (`name` at its top), else the name of the file.
    pub name: String,
    /// What the manifest says (`workflowVersion`), else the spec (`version` at its top), if either does.
    pub version: Option<String>,
    /// The name of the spec in the archive, for messages.
    pub spec_file: String,
    /// Its text.
    pub spec: String,
    /// The Python file with functions that nodes call, if there is one.
    pub handler: Option<HandlerFile>,
    /// The folder of the unpacked files; a spec alone has none.
    pub dir: Option<PathBuf>,
    /// Lower-case hexadecimal SHA-256 of the archive or spec; a folder has none.
    pub sha256: Option<String>,
    /// A folder and a spec alone may have none.
    pub manifest: Option<WorkflowManifest>,
    owned: Option<TempDir>,
}

/// Opens the workflow at `path`: an archive, which is unpacked into a new folder below `into` (made if absent) as
/// [`open`](crate::open) does with models; a folder, which is served where it is; or a spec, whose name ends in `.yaml` or
/// `.yml`. A folder without a manifest is one if exactly one such file lies in it; its handler file is `handler.py`.
///
/// `name` stands in place of the manifest's.
///
/// # Errors
///
/// Whatever [`ArchiveError`] says; [`ArchiveError::Workflow`] in TorchServe's words, where it has some. After an error
/// nothing is left below `into`.
pub fn open_workflow(
    path: &Path,
    into: &Path,
    limits: &Limits,
    name: Option<&str>,
) -> Result<WorkflowFiles, ArchiveError> {
    let failed = |error| ArchiveError::io(path, error);
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        // Absolute, so that a later change of the working directory does not matter.
        let dir = tree::unwrap(path.canonicalize().map_err(failed)?)?;
        return read(path, dir, name);
    }
    check_regular(path, &metadata)?;
    if is_spec(path) {
        return open_spec(path, name);
    }
    let (source, staging) = stage(path, into, limits).map_err(|error| told(path, error))?;
    // Everything is checked where nobody looks, and read again where it stays, for the sake of the paths.
    check(
        path,
        &tree::unwrap(staging.path().to_owned())?,
        &mut name.map(str::to_owned),
    )?;
    let home = settle(staging, into, &source)?;
    let mut files = read(path, tree::unwrap(home.path().to_owned())?, name)?;
    files.sha256 = Some(source.sha256);
    files.owned = Some(home);
    Ok(files)
}

impl WorkflowFiles {
    /// A spec that lies in no file.
    pub fn inline(name: String, spec: String) -> Self {
        WorkflowFiles {
            name,
            version: spec_version(&spec),
            spec_file: "spec".to_owned(),
            sha256: digest::sha256(spec.as_bytes()).ok(),
            spec,
            handler: None,
            dir: None,
            manifest: None,
            owned: None,
        }
    }

    /// Whether dropping this removes a folder.
    pub fn is_unpacked(&self) -> bool {
        self.owned.is_some()
    }
}

/// Whether a file is a spec, by its name.
pub(crate) fn is_spec(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["yaml", "yml"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

fn open_spec(path: &Path, name: Option<&str>) -> Result<WorkflowFiles, ArchiveError> {
    let spec = read_spec(path, path)?;
    let name = name.map(str::to_owned).or_else(|| spec_name(&spec));
    let name = name.unwrap_or_else(|| stem(path));
    let file = path.file_name().unwrap_or_default();
    Ok(WorkflowFiles {
        spec_file: file.to_string_lossy().into_owned(),
        ..WorkflowFiles::inline(name, spec)
    })
}

fn read(path: &Path, dir: PathBuf, name: Option<&str>) -> Result<WorkflowFiles, ArchiveError> {
    let mut name = name.map(str::to_owned);
    let (manifest, spec_path) = check(path, &dir, &mut name)?;
    let spec = read_spec(path, &spec_path)?;
    let file = spec_path.strip_prefix(&dir).unwrap_or(&spec_path);
    let named_handler = match &manifest {
        Some(manifest) => manifest.handler.as_deref(),
        None => Some(HANDLER),
    };
    let handler = named_handler.and_then(|name| confined(path, &dir, name).ok());
    let handler = handler.map(|path| HandlerFile::read(path, &dir));
    let version = manifest.as_ref().and_then(|it| it.workflow_version.clone());
    Ok(WorkflowFiles {
        name: name
            .or_else(|| spec_name(&spec))
            .unwrap_or_else(|| stem(path)),
        version: version.or_else(|| spec_version(&spec)),
        spec_file: file.display().to_string(),
        spec,
        handler,
        dir: Some(dir),
        sha256: None,
        manifest,
        owned: None,
    })
}

/// The manifest, if there is one, and where the spec is. Fills in the name that the manifest gives.
fn check(
    path: &Path,
    dir: &Path,
    name: &mut Option<String>,
) -> Result<(Option<WorkflowManifest>, PathBuf), ArchiveError> {
    let failed = |detail: String| ArchiveError::Workflow {
        archive: path.display().to_string(),
        detail,
    };
    match read_text(&dir.join(WORKFLOW_MANIFEST)) {
        Ok(text) => {
            let manifest = WorkflowManifest::from_json(&text, name.is_some()).map_err(failed)?;
            *name = name.take().or_else(|| manifest.workflow_name.clone());
            let spec = confined(path, dir, &manifest.spec_file)?;
            Ok((Some(manifest), spec))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => match lone_spec(dir)? {
            Some(spec) => Ok((None, spec)),
            None => Err(failed(manifest::MISSING_ENTRY.to_owned())),
        },
        Err(error) => Err(failed(format!("{WORKFLOW_MANIFEST}: {error}"))),
    }
}

/// The only spec of a folder without a manifest.
fn lone_spec(dir: &Path) -> Result<Option<PathBuf>, ArchiveError> {
    let failed = |error| ArchiveError::io(dir, error);
    let mut found = None;
    for child in fs::read_dir(dir).map_err(failed)? {
        let path = child.map_err(failed)?.path();
        if is_spec(&path) && path.is_file() && found.replace(path).is_some() {
            return Ok(None);
        }
    }
    Ok(found)
}

fn read_spec(archive: &Path, spec: &Path) -> Result<String, ArchiveError> {
    let failed = |detail: String| ArchiveError::Workflow {
        archive: archive.display().to_string(),
        detail: format!(
            "spec {:?}: {detail}",
            spec.file_name().unwrap_or_default().to_string_lossy()
        ),
    };
    let bytes = read_text(spec).map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| failed(one_line(error)))
}

/// What a spec calls the workflow, under `name` at its top.
pub fn spec_name(spec: &str) -> Option<String> {
    top(spec, "name")
}

fn spec_version(spec: &str) -> Option<String> {
    top(spec, "version")
}

/// A text or number at the top of the spec. Whether the rest is sound is for others to say.
fn top(spec: &str, key: &str) -> Option<String> {
    let document: serde_yaml::Value = serde_yaml::from_str(spec).ok()?;
    let value = document.get(key)?;
    let text = value.as_str().map(str::to_owned);
    let number = || value.is_number().then(|| serde_yaml::to_string(value));
    let text = text.or_else(|| number()?.ok())?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// What is no archive is said to be no workflow archive.
fn told(path: &Path, error: ArchiveError) -> ArchiveError {
    if !matches!(error, ArchiveError::UnknownFormat { .. }) {
        return error;
    }
    ArchiveError::Workflow {
        archive: path.display().to_string(),
        detail: "not a workflow: expected a zip (.war), a gzip-compressed tar (.tar.gz) or a spec (.yaml, .yml)"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests;
