//! The model store: a name to an unpacked archive. Nothing outside its folder is opened by a bare name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use archive::{ArchiveError, Limits, Unpacked, WORKFLOW_MANIFEST};
use thiserror::Error;

use crate::error::Error;

/// A folder of archives and of unpacked models, and the place where archives are unpacked.
#[derive(Debug, Clone)]
pub struct ModelStore {
    folder: PathBuf,
    unpacked: PathBuf,
    limits: Limits,
}

/// Why there is no model store or workflow store. The text names the folder.
#[derive(Debug, Error)]
#[error("{what} {}: {source}", folder.display())]
pub struct StoreError {
    /// Which of the two.
    pub what: &'static str,
    pub folder: PathBuf,
    pub source: io::Error,
}

impl ModelStore {
    /// `folder` must be readable. Archives are unpacked below `unpacked`, which is made when it is first needed.
    pub fn open(folder: &Path, unpacked: &Path, limits: Limits) -> Result<Self, StoreError> {
        let failed = |source| StoreError {
            what: "model store",
            folder: folder.to_owned(),
            source,
        };
        let folder = folder.canonicalize().map_err(failed)?;
        fs::read_dir(&folder).map_err(failed)?;
        Ok(ModelStore {
            folder,
            unpacked: unpacked.to_owned(),
            limits,
        })
    }

    /// Opens the archive or the folder of that name. Blocks while it unpacks.
    pub fn fetch(&self, url: &str) -> Result<Unpacked, Error> {
        self.open_at(&self.locate(url)?, url)
    }

    /// Opens an archive or folder that lies elsewhere, by the leave of whoever calls; `url` is what it is called.
    pub(crate) fn open_at(&self, path: &Path, url: &str) -> Result<Unpacked, Error> {
        archive::open(path, &self.unpacked, &self.limits).map_err(|error| {
            if matches!(error, ArchiveError::NotFound { .. }) {
                not_found(url)
            } else {
                Error::InvalidModel(error.to_string())
            }
        })
    }

    /// Whether there is an archive or a folder of that name.
    pub fn contains(&self, url: &str) -> bool {
        self.locate(url).is_ok()
    }

    /// Everything in the folder that looks like a model, in the order of names: folders, `.mar`, `.model`, `.tar.gz` and
    /// `.tgz` files; nothing hidden, and no folder that is a workflow.
    pub fn list(&self) -> Result<Vec<String>, StoreError> {
        let failed = |source| StoreError {
            what: "model store",
            folder: self.folder.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let is_archive = [".mar", ".model", ".tar.gz", ".tgz"]
                .iter()
                .any(|end| name.ends_with(end));
            let path = entry.path();
            let is_folder = path.is_dir() && !path.join(WORKFLOW_MANIFEST).is_file();
            if !name.starts_with('.') && (is_archive || is_folder) {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn locate(&self, url: &str) -> Result<PathBuf, Error> {
        if url.is_empty() {
            return Err(Error::NotInStore("empty url".into()));
        }
        if Path::new(url)
            .components()
            .any(|part| part == std::path::Component::ParentDir)
        {
            return Err(Error::NotInStore(format!(
                "Relative path is not allowed in url: {url}"
            )));
        }
        let path = Path::new(url);
        // A folder may lie anywhere; an archive lies in the store, under one name.
        if path.is_absolute() {
            return if path.is_dir() {
                Ok(path.to_owned())
            } else {
                Err(not_found(url))
            };
        }
        let inside = self.folder.join(path);
        if inside.exists() {
            Ok(inside)
        } else {
            Err(not_found(url))
        }
    }
}

fn not_found(url: &str) -> Error {
    Error::NotInStore(format!("Model not found at: {url}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, ModelStore) {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.mar", "a.tar.gz", "notes.txt", ".hidden.mar"] {
            fs::write(folder.path().join(name), "not an archive").expect("written");
        }
        fs::create_dir(folder.path().join("plain")).expect("made");
        let manifest = folder.path().join("flow").join(WORKFLOW_MANIFEST);
        fs::create_dir_all(manifest.parent().expect("a folder")).expect("made");
        fs::write(manifest, "{}").expect("written");
        let unpacked = folder.path().join(".unpacked");
        let store = ModelStore::open(folder.path(), &unpacked, Limits::default()).expect("a store");
        (folder, store)
    }

    fn check_refused(url: &str, expected: &str) {
        let (_folder, store) = store();
        let error = store.fetch(url).expect_err("refused").to_string();
        assert!(error.contains(expected), "{url:?}: {error}");
    }

    #[test]
    fn a_store_lists_what_looks_like_a_model() {
        let (_folder, store) = store();
        assert_eq!(
            store.list().expect("readable"),
            ["a.tar.gz", "b.mar", "plain"]
        );
    }

    #[test]
    fn what_is_not_in_the_store_is_refused_by_name() {
        check_refused("", "empty url");
        check_refused("c.mar", "Model not found at: c.mar");
        check_refused("../c.mar", "Relative path is not allowed in url: ../c.mar");
        check_refused("/etc/passwd", "Model not found at: /etc/passwd");
        check_refused("b.mar", "b.mar");
    }

    #[test]
    fn a_missing_store_is_named() {
        let error = ModelStore::open(
            Path::new("/nowhere/at/all"),
            Path::new("/tmp"),
            Limits::default(),
        );
        assert!(
            error
                .expect_err("missing")
                .to_string()
                .starts_with("model store /nowhere/at/all: ")
        );
    }
}
