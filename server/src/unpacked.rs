//! Where this daemon unpacks archives: a folder of its own, so that what a killed daemon left behind can be told from
//! what a living one uses.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tracing::{debug, info};
use uuid::Uuid;

/// The folder below the system's temporary one, as TorchServe has it; in it, one folder per server, named after its
/// process.
const NAME: &str = "models";

/// This server's folder. Dropping it removes it, with whatever is left in it.
#[derive(Debug)]
pub(crate) struct UnpackFolder(PathBuf);

impl UnpackFolder {
    /// Makes `<temp>/models/<pid>-…`, and removes the folders of processes that are gone.
    pub(crate) fn create(temp: &Path) -> io::Result<Self> {
        let parent = temp.join(NAME);
        let own = parent.join(format!(
            "{}-{}",
            std::process::id(),
            Uuid::new_v4().simple()
        ));
        fs::create_dir_all(&parent)?;
        remove_orphans(&parent);
        fs::create_dir(&own)?;
        Ok(UnpackFolder(own))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for UnpackFolder {
    fn drop(&mut self) {
        // Models remove their own folders; what is left belongs to workers that hung to the end.
        if let Err(error) = fs::remove_dir_all(&self.0) {
            debug!("{}: {error}", self.0.display());
        }
    }
}

fn remove_orphans(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.split_once('-'))
            .and_then(|(pid, _)| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let path = entry.path();
            match fs::remove_dir_all(&path) {
                Ok(()) => info!(
                    "removed {}, which a process that is gone left behind",
                    path.display()
                ),
                Err(error) => debug!("{}: {error}", path.display()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orphans_go_and_the_folders_of_the_living_stay() {
        let temp = tempfile::tempdir().expect("a folder");
        // A process id beyond what Linux hands out; the id of the first process, which lives; and something else.
        for name in ["4194999-x", "1-x", "notes"] {
            fs::create_dir_all(temp.path().join(NAME).join(name).join("model")).expect("made");
        }
        let folder = UnpackFolder::create(temp.path()).expect("made");
        let own = folder.path().to_owned();
        assert!(own.is_dir());
        let exists = |name: &str| temp.path().join(NAME).join(name).exists();
        assert_eq!(
            ["4194999-x", "1-x", "notes"].map(exists),
            [false, true, true]
        );
        drop(folder);
        assert!(!own.exists());
    }
}
