//! The workflow store: a name to an opened workflow. Nothing outside its folder is opened.

use std::fs;
use std::path::{Component, Path, PathBuf};

use archive::{ArchiveError, Limits, WORKFLOW_MANIFEST, WorkflowFiles};

use crate::error::Error;
use crate::store::StoreError;

/// A folder of workflow archives, specs and unpacked workflows, and the place where archives are unpacked. It may be the
/// model store's folder.
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
            what: "workflow store",
            folder: folder.to_owned(),
            source,
        };
        let folder = folder.canonicalize().map_err(failed)?;
        fs::read_dir(&folder).map_err(failed)?;
        Ok(WorkflowStore {
            folder,
            unpacked: unpacked.to_owned(),
            limits,
        })
    }

    /// Opens the archive, the spec or the folder of that name. `name` is what the workflow is called in place of its
    /// manifest's name. Blocks while it unpacks.
    pub fn fetch(&self, url: &str, name: Option<&str>) -> Result<WorkflowFiles, Error> {
        let path = self.locate(url)?;
        archive::open_workflow(&path, &self.unpacked, &self.limits, name).map_err(|error| {
            match error {
                ArchiveError::NotFound { .. } => not_found(url),
                // Clients know these sentences, which name no archive; the log does.
                ArchiveError::Workflow { archive, detail } => {
                    tracing::warn!("{archive}: {detail}");
                    Error::InvalidWorkflow(detail)
                }
                ArchiveError::UnknownFormat { .. }
                | ArchiveError::Damaged { .. }
                | ArchiveError::Refused { .. }
                | ArchiveError::Limit { .. }
                | ArchiveError::Manifest { .. }
                | ArchiveError::Config { .. }
                | ArchiveError::File { .. }
                | ArchiveError::Io { .. } => Error::InvalidWorkflow(error.to_string()),
            }
        })
    }

    /// Everything in the folder that looks like a workflow, in the order of names: `.war`, `.yaml` and `.yml` files, and
    /// folders with a workflow's manifest; nothing hidden.
    pub fn list(&self) -> Result<Vec<String>, StoreError> {
        let failed = |source| StoreError {
            what: "workflow store",
            folder: self.folder.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let is_file = [".war", ".yaml", ".yml"]
                .iter()
                .any(|end| name.ends_with(end))
                && entry.path().is_file();
            let is_folder = entry.path().join(WORKFLOW_MANIFEST).is_file();
            if !name.starts_with('.') && (is_file || is_folder) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn locate(&self, url: &str) -> Result<PathBuf, Error> {
        if url.is_empty() {
            return Err(Error::NotInWorkflowStore("empty url".into()));
        }
        let path = Path::new(url);
        if path.components().any(|part| part == Component::ParentDir) {
            let why = format!("Relative path is not allowed in url: {url}");
            return Err(Error::NotInWorkflowStore(why));
        }
        let inside = self.folder.join(path);
        if path.is_absolute() || !inside.exists() {
            return Err(not_found(url));
        }
        Ok(inside)
    }
}

fn not_found(url: &str) -> Error {
    Error::NotInWorkflowStore(format!("Workflow not found in workflow store: {url}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, WorkflowStore) {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("below the folder")).expect("made");
            fs::write(path, text).expect("written");
        };
        for name in ["b.war", "a.yaml", "m.mar", ".hidden.war"] {
            write(name, "dag: {}");
        }
        write("plain/notes.txt", "");
        write("packed/WAR-INF/MANIFEST.json", "{}");
        let unpacked = folder.path().join(".unpacked");
        let store = WorkflowStore::open(folder.path(), &unpacked, Limits::default());
        (folder, store.expect("a store"))
    }

    #[test]
    fn a_store_lists_what_looks_like_a_workflow() {
        let (_folder, store) = store();
        assert_eq!(
            store.list().expect("readable"),
            ["a.yaml", "b.war", "packed"]
        );
    }

    #[test]
    fn what_is_not_in_the_store_is_refused_in_torchserves_words() {
        let (folder, store) = store();
        let check = |url: &str, expected: Error| {
            assert_eq!(store.fetch(url, None).expect_err(url), expected);
        };
        let absent = |url: &str| not_found(url);
        check("c.war", absent("c.war"));
        check("/etc/passwd", absent("/etc/passwd"));
        // Not even what lies in it is opened by any name but its own.
        let whole = folder.path().join("a.yaml").display().to_string();
        check(&whole, absent(&whole));
        check("", Error::NotInWorkflowStore("empty url".into()));
        let up = "Relative path is not allowed in url: ../c.war";
        check("../c.war", Error::NotInWorkflowStore(up.into()));
        let missing = "Missing Workflow entry in manifest file.";
        check("packed", Error::InvalidWorkflow(missing.into()));
    }

    #[test]
    fn a_spec_is_opened_under_its_own_name_or_a_given_one() {
        let (_folder, store) = store();
        let called = |name| store.fetch("a.yaml", name).expect("opened").name;
        assert_eq!(
            (called(None), called(Some("x"))),
            ("a".to_owned(), "x".to_owned())
        );
    }
}
