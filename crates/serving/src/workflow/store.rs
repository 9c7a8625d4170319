//! The workflow store: a name to an opened workflow. Nothing outside its folder is opened by a bare name.

use std::path::{Component, Path, PathBuf};

use archive::{ArchiveError, Limits, WorkflowFiles};

use crate::error::Error;
use crate::store::StoreError;

/// A folder of workflow archives, specs and unpacked workflows, and the place where archives are unpacked.
#[derive(Debug, Clone)]
pub struct WorkflowStore {
    folder: PathBuf,
    unpacked: PathBuf,
    limits: Limits,
}

impl WorkflowStore {
    /// `folder` must be readable. Archives are unpacked below `unpacked`, which is made when it is first needed.
    pub fn open(folder: &Path, unpacked: &Path, limits: Limits) -> Result<Self, StoreError> {
        let failed = |source| StoreError {
            folder: folder.to_owned(),
            source,
        };
        let folder = folder.canonicalize().map_err(failed)?;
        std::fs::read_dir(&folder).map_err(failed)?;
        Ok(WorkflowStore {
            folder,
            unpacked: unpacked.to_owned(),
            limits,
        })
    }

    /// Opens the archive, spec or folder of that name; `name` is what the workflow is to be called. Blocks while it unpacks.
    pub fn fetch(&self, url: &str, name: Option<&str>) -> Result<WorkflowFiles, Error> {
        let path = self.locate(url)?;
        archive::open_workflow(&path, &self.unpacked, &self.limits, name).map_err(|error| {
            match error {
                ArchiveError::NotFound { .. } => not_found(url),
                other => Error::InvalidWorkflow(other.to_string()),
            }
        })
    }

    fn locate(&self, url: &str) -> Result<PathBuf, Error> {
        let path = Path::new(url);
        if path.components().any(|part| part == Component::ParentDir) {
            let why = format!("Relative path is not allowed in url: {url}");
            return Err(Error::NotInWorkflowStore(why));
        }
        // A folder may lie anywhere; an archive lies in the store, under one name.
        if path.is_absolute() {
            return if path.is_dir() {
                Ok(path.to_owned())
            } else {
                Err(not_found(url))
            };
        }
        let path = self.folder.join(url);
        if path.exists() {
            Ok(path)
        } else {
            Err(not_found(url))
        }
    }
}

fn not_found(url: &str) -> Error {
    Error::NotInWorkflowStore(format!("Workflow not found in workflow store: {url}"))
}
