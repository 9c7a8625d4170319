//! Temporary folders of this daemon's own: where it unpacks archives, and where its workers in Python listen. Each is locked,
//! so that what a killed daemon left behind can be told from what a living one uses.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::process::getuid;
use tracing::{debug, info};
use uuid::Uuid;

/// What a folder is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Models,
    Python,
}

impl Purpose {
    const ALL: [Purpose; 2] = [Purpose::Models, Purpose::Python];

    /// The folder below the system's temporary one, one for each user, and in it one folder per server.
    fn parent(self, temp: &Path) -> PathBuf {
        let name = match self {
            Purpose::Models => "models",
            Purpose::Python => "python",
        };
        temp.join(format!("torchrelay-{name}-{}", getuid().as_raw()))
    }
}

/// How much of a random name tells folders apart. Paths of sockets are short.
const NAME: usize = 12;

/// In each server's folder: locked while the server lives, whatever becomes of its process id.
const LOCK: &str = ".lock";

/// A folder of this server's. Dropping it removes it, with whatever is left in it.
#[derive(Debug)]
pub(crate) struct OwnFolder {
    path: PathBuf,
    /// Held, so that no other server takes the folder for an orphan.
    _lock: File,
}

impl OwnFolder {
    /// Makes a folder below `<temp>/torchrelay-<purpose>-<user>`, and removes those of servers that are gone, whatever they
    /// were for.
    pub(crate) fn create(temp: &Path, purpose: Purpose) -> io::Result<Self> {
        let parent = purpose.parent(temp);
        fs::create_dir_all(&parent)?;
        for purpose in Purpose::ALL {
            remove_orphans(&purpose.parent(temp));
        }
        let id = Uuid::new_v4().simple().to_string();
        let id = &id[..NAME];
        // Under a hidden name until it is locked, so that a server that starts beside this one leaves it alone.
        let hidden = parent.join(format!(".{id}"));
        DirBuilder::new().mode(0o700).create(&hidden)?;
        let lock = File::create(hidden.join(LOCK))?;
        lock.lock()?;
        let path = parent.join(id);
        fs::rename(&hidden, &path)?;
        Ok(OwnFolder { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for OwnFolder {
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
        let create = |purpose| OwnFolder::create(temp.path(), purpose).expect("made");
        let living = create(Purpose::Models);
        let listening = create(Purpose::Python);
        let place = |name: &str| Purpose::Models.parent(temp.path()).join(name);
        let sockets = Purpose::Python.parent(temp.path()).join("orphan");
        fs::create_dir_all(&sockets).expect("made");
        File::create(sockets.join(LOCK)).expect("made");
        fs::create_dir_all(place("orphan/model")).expect("made");
        File::create(place("orphan").join(LOCK)).expect("made");
        fs::create_dir_all(place("2020-photos")).expect("made");

        let folder = create(Purpose::Models);
        let own = folder.path().to_owned();
        assert!(own.is_dir() && living.path().is_dir() && listening.path().is_dir());
        assert!(!sockets.exists());
        assert!(!place("orphan").exists() && place("2020-photos").exists());
        drop(folder);
        assert!(!own.exists() && living.path().is_dir());
    }
}
