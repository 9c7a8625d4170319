//! The files to send: `FOLDER/MODEL/*`, of models that are there and of no other folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;

use crate::error::Error;

/// The most that a sample and an answer may hold.
pub(super) const MOST_BYTES: usize = 64 << 20;

/// The most samples of one model.
const MOST_FILES: usize = 1000;

pub(super) struct Samples {
    by_model: BTreeMap<String, Vec<PathBuf>>,
    /// Folders that are called like no model.
    strays: Vec<String>,
}

impl Samples {
    /// # Errors
    /// A folder that cannot be read, or that has more files than are sent.
    pub(super) fn find(folder: &Path, models: &[&str]) -> Result<Self, Error> {
        let mut by_model = BTreeMap::new();
        let mut strays = Vec::new();
        for path in children(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !path.is_dir() {
                continue;
            }
            // What a server calls its models leads nowhere but to a folder in this one.
            if !models.contains(&&*name) || !is_plain(&name) {
                strays.push(name.into_owned());
                continue;
            }
            let mut files = children(&path)?;
            files.retain(|file| file.is_file());
            if files.len() > MOST_FILES {
                let (path, found) = (path.display(), files.len());
                return Err(Error::Usage(format!(
                    "{path}: {found} samples; {MOST_FILES} of a model are the most"
                )));
            }
            by_model.insert(name.into_owned(), files);
        }
        Ok(Samples { by_model, strays })
    }

    /// In the order of their names.
    pub(super) fn of(&self, model: &str) -> &[PathBuf] {
        self.by_model.get(model).map_or(&[], Vec::as_slice)
    }

    pub(super) fn strays(self) -> Vec<String> {
        self.strays
    }
}

/// # Errors
/// A file that cannot be read, or that is too large.
pub(super) fn read(path: &Path) -> Result<Bytes, Error> {
    let failed = |source| Error::File {
        path: path.to_owned(),
        source,
    };
    let file = fs::File::open(path).map_err(failed)?;
    let mut content = Vec::new();
    let most = MOST_BYTES as u64 + 1;
    file.take(most).read_to_end(&mut content).map_err(failed)?;
    if content.len() > MOST_BYTES {
        let (path, most) = (path.display(), MOST_BYTES >> 20);
        return Err(Error::Usage(format!(
            "{path}: a sample of more than {most} MiB is not sent"
        )));
    }
    Ok(content.into())
}

/// What lies in a folder and is not hidden, in the order of names.
fn children(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::File {
        path: folder.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!(parts.next(), Some(Component::Normal(_))) && parts.next().is_none()
}
