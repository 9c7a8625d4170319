//! A copy in the store that a registration brought there.

use std::fs;
use std::io;

use crate::claim::Claim;
use crate::note::{Identity, Note};
use crate::target::Paths;

/// A file of the store that came from a url.
#[derive(Debug)]
pub struct Brought {
    paths: Paths,
    /// Until this is dropped, nobody else gets the name.
    _claim: Claim,
}

impl Brought {
    pub(crate) fn new(paths: Paths, claim: Claim) -> Self {
        Brought {
            paths,
            _claim: claim,
        }
    }

    /// The file of that name, if an earlier run brought it from the same url and nobody touched it since.
    pub(crate) fn by_earlier_run(paths: Paths, claim: Claim) -> Option<Self> {
        is_ours(&paths).then(|| Brought::new(paths, claim))
    }

    /// The name in the store.
    pub fn name(&self) -> &str {
        &self.paths.name
    }

    /// Removes the copy. A file that has taken its place since is left alone. Blocks as long as the file system does.
    ///
    /// # Errors
    /// The file is still there.
    pub fn remove(&self) -> io::Result<()> {
        let outcome = if is_ours(&self.paths) {
            fs::remove_file(&self.paths.file)
        } else {
            Ok(())
        };
        match fs::remove_file(&self.paths.note) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => outcome.and(Err(error)),
            _ => outcome,
        }
    }
}

fn is_ours(paths: &Paths) -> bool {
    let Ok(metadata) = paths.file.symlink_metadata() else {
        return false;
    };
    Note::read(&paths.note) == Some(Note::File(Identity::of(&metadata)))
}
