//! Where this daemon unpacks archives: a folder of its own, so that what a killed daemon left behind can be told from
//! what a living one uses.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::process::getuid;
use tracing::{debug, info};
use uuid::Uuid;

/// The folder below the system's temporary one, one for each user, and in it one folder per server.
fn parent(temp: &Path) -> PathBuf {
    temp.join(format!("torchrelay-models-{}", getuid().as_raw()))
}

/// In each server's folder: locked while the server lives, whatever becomes of its process id.
const LOCK: &str = ".lock";

/// This server's folder. Dropping it removes it, with whatever is left in it.
#[derive(Debug)]
pub(crate) struct UnpackFolder {
    path: PathBuf,
    /// Held, so that no other server takes the folder for an orphan.
    _lock: File,
}

impl UnpackFolder {
    /// Makes a folder below `<temp>/torchrelay-models-<user>`, and removes those of servers that are gone.
    pub(crate) fn create(temp: &Path) -> io::Result<Self> {
        let parent = parent(temp);
        fs::create_dir_all(&parent)?;
        remove_orphans(&parent);
        let id = Uuid::new_v4();
        // Under a hidden name until it is locked, so that a server that starts beside this one leaves it alone.
        let hidden = parent.join(format!(".{id}"));
        DirBuilder::new().mode(0o700).create(&hidden)?;
        let lock = File::create(hidden.join(LOCK))?;
        lock.lock()?;
        let path = parent.join(id.to_string());
        fs::rename(&hidden, &path)?;
        Ok(UnpackFolder { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnpackFolder {
    fn drop(&mut self) {
        // Models remove their own folders; what is left belongs to workers that hung to the end.
        if let Err(error) = fs::remove_dir_all(&self.path) {
            debug!("{}: {error}", self.path.display());
        }
    }
}

/// Removes folders with a lock that nobody holds. Anything else is not ours.
fn remove_orphans(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let Ok(lock) = File::open(path.join(LOCK)) else {
            continue;
        };
        if lock.try_lock().is_err() {
            continue;
        }
        match fs::remove_dir_all(&path) {
            Ok(()) => info!(
                "removed {}, which a server that was killed left behind",
                path.display()
            ),
            Err(error) => debug!("{}: {error}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orphans_go_and_the_folders_of_the_living_stay() {
        let temp = tempfile::tempdir().expect("a folder");
        let living = UnpackFolder::create(temp.path()).expect("made");
        let place = |name: &str| parent(temp.path()).join(name);
        fs::create_dir_all(place("orphan/model")).expect("made");
        File::create(place("orphan").join(LOCK)).expect("made");
        fs::create_dir_all(place("2020-photos")).expect("made");

        let folder = UnpackFolder::create(temp.path()).expect("made");
        let own = folder.path().to_owned();
        assert!(own.is_dir() && living.path().is_dir());
        assert!(!place("orphan").exists() && place("2020-photos").exists());
        drop(folder);
        assert!(!own.exists() && living.path().is_dir());
    }
}
