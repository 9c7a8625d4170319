//! Looking into a workflow archive without unpacking it.

use std::fs;
use std::path::Path;

use super::{is_spec, open_workflow, told};
use crate::list::{Lister, below, walk_folder, wrapper};
use crate::reader::{Source, check_regular};
use crate::{
    ArchiveError, Entry, Format, Limits, WORKFLOW_MANIFEST, WorkflowManifest, tree, unpack,
};

/// What is in a workflow archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowListing {
    /// `None` for a spec alone.
    pub format: Option<Format>,
    /// Bytes of the file; of a folder, the sum of its files.
    pub size: u64,
    /// Lower-case hexadecimal SHA-256 of the file; a folder has none.
    pub sha256: Option<String>,
    /// In the archive's order, a folder's sorted by name; none of a spec alone.
    pub entries: Vec<Entry>,
    pub name: String,
    pub version: Option<String>,
    pub spec_file: String,
    /// The text of the spec.
    pub spec: String,
    pub manifest: Option<WorkflowManifest>,
}

/// Whether what lies at `path` is a workflow rather than a model: by the name of a file that ends in `.war`, `.yaml` or
/// `.yml`, otherwise by its content.
///
/// # Errors
///
/// As [`inspect_workflow`].
pub fn is_workflow(path: &Path, limits: &Limits) -> Result<bool, ArchiveError> {
    let failed = |error| ArchiveError::io(path, error);
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        let dir = tree::unwrap(path.canonicalize().map_err(failed)?)?;
        return Ok(dir.join(WORKFLOW_MANIFEST).is_file());
    }
    check_regular(path, &metadata)?;
    let extension = path.extension().unwrap_or_default();
    if is_spec(path) || extension.eq_ignore_ascii_case("war") {
        return Ok(true);
    }
    let mut source = Source::open(path)?;
    let mut lister = Lister::new(WORKFLOW_MANIFEST);
    source.walk(limits, &mut lister)?;
    Ok(!lister.kept.is_empty())
}

/// Lists a workflow archive. It is unpacked for a moment below the system's temporary folder, so that what is said of it is
/// what a server says.
///
/// # Errors
///
/// As [`open_workflow`].
pub fn inspect_workflow(path: &Path, limits: &Limits) -> Result<WorkflowListing, ArchiveError> {
    let temp = std::env::temp_dir();
    let into = unpack::temp_folder(&temp, ".inspecting-")?;
    let files = open_workflow(path, into.path(), limits, None)?;
    let metadata = fs::metadata(path).map_err(|error| ArchiveError::io(path, error))?;
    let (format, size, entries) = if metadata.is_dir() {
        let mut entries = Vec::new();
        let dir = files.dir.as_deref().unwrap_or(path);
        walk_folder(dir, "", limits, path, &mut entries)?;
        let size = entries.iter().map(|entry| entry.size).sum();
        (Some(Format::Folder), size, entries)
    } else if is_spec(path) {
        (None, metadata.len(), Vec::new())
    } else {
        let mut source = Source::open(path).map_err(|error| told(path, error))?;
        let mut lister = Lister::new(WORKFLOW_MANIFEST);
        source.walk(limits, &mut lister)?;
        let top = wrapper(&lister.entries);
        let entries = below(lister.entries, &top);
        (Some(source.format), source.size, entries)
    };
    Ok(WorkflowListing {
        format,
        size,
        sha256: files.sha256.clone(),
        entries,
        name: files.name.clone(),
        version: files.version.clone(),
        spec_file: files.spec_file.clone(),
        spec: files.spec.clone(),
        manifest: files.manifest.clone(),
    })
}
