//! The folder of snapshots: a new one comes to lie in it whole or not at all, the newest whole one is found, old ones go.
//!
//! A file is written under a hidden name, made durable, and only then given its own, so that whenever the process or the
//! machine stops, what has a snapshot's name is a snapshot. Where a foreign hand or another server left a broken one, it
//! is passed over.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use thiserror::Error;
use tracing::debug;

use super::disk::{Disk, SystemDisk};
use super::name::{Kind, Name};

/// Ends the hidden name of a file that is being written.
const UNFINISHED: &str = ".new";

/// What a start finds in the folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Newest {
    /// The newest whole snapshot.
    pub(crate) name: Option<String>,
    /// Newer ones that are none, each with what is wrong with it.
    pub(crate) broken: Vec<(String, String)>,
}

/// Looks for the newest snapshot of a folder.
///
/// # Errors
/// The folder is there, but cannot be read.
pub(crate) fn newest_in(folder: &Path) -> io::Result<Newest> {
    newest(&SystemDisk(folder.to_owned()))
}

pub(super) fn newest(disk: &impl Disk) -> io::Result<Newest> {
    let mut found = Newest::default();
    for name in names(disk)?.iter().rev().map(Name::to_string) {
        let read = disk.read(&name).map_err(|error| error.to_string());
        match read.and_then(|bytes| super::check(&bytes)) {
            Ok(()) => {
                found.name = Some(name);
                break;
            }
            Err(message) => found.broken.push((name, message)),
        }
    }
    Ok(found)
}

/// Why there is no new snapshot. The text names the file.
#[derive(Debug, Error)]
#[error("snapshot {} cannot be written: {source}", path.display())]
pub(crate) struct WriteError {
    path: PathBuf,
    source: io::Error,
}

/// The writing end of the folder, of which there is one in a server.
pub(crate) struct Folder<D> {
    disk: D,
    /// How many files stay; `None`: all.
    kept: Option<NonZeroUsize>,
    /// The newest name that was given or seen.
    last: Option<Name>,
    /// The file that this server was started from, which stays.
    in_use: Option<Name>,
}

impl<D: Disk> Folder<D> {
    /// `in_use` is the configuration file of this server, wherever that lies.
    pub(crate) fn new(disk: D, kept: Option<NonZeroUsize>, in_use: Option<&Path>) -> Self {
        let in_use = in_use.and_then(|path| Name::parse(path.file_name()?.to_str()?));
        Folder {
            disk,
            kept,
            last: None,
            in_use,
        }
    }

    /// Removes what a server that was killed while it wrote has left behind.
    pub(crate) fn remove_unfinished(&mut self) {
        for name in self.disk.list().unwrap_or_default() {
            let hidden = name
                .strip_prefix('.')
                .and_then(|name| name.strip_suffix(UNFINISHED));
            if hidden.is_some_and(|name| Name::parse(name).is_some()) {
                self.remove(&name);
            }
        }
    }

    /// Writes `text`, which is told its name, under a name that is newer than every other in the folder. When this
    /// returns, it would outlast a power cut. After an error there is nothing new in the folder, unless the error is of
    /// the last step, and then it may be there.
    pub(crate) fn write(
        &mut self,
        kind: Kind,
        now: SystemTime,
        text: impl FnOnce(&str) -> String,
    ) -> Result<String, WriteError> {
        let present = names(&self.disk);
        let seen = present
            .as_ref()
            .ok()
            .and_then(|names| names.last().copied());
        let next = Name::next(kind, now, self.last.max(seen));
        self.last = Some(next);
        let name = next.to_string();
        let hidden = format!(".{name}{UNFINISHED}");
        let written = present.and_then(|present| {
            self.write_durably(&hidden, &name, text(&name).as_bytes())?;
            Ok(present)
        });
        match written {
            Ok(present) => {
                self.prune(present);
                Ok(name)
            }
            Err(source) => {
                let path = self.disk.path(&name);
                Err(WriteError { path, source })
            }
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.disk.path(name)
    }

    fn write_durably(&mut self, hidden: &str, name: &str, text: &[u8]) -> io::Result<()> {
        let disk = &mut self.disk;
        let written = disk
            .create(hidden, text)
            .and_then(|()| disk.sync_file(hidden))
            .and_then(|()| disk.rename(hidden, name));
        if written.is_err() {
            self.remove(hidden);
        }
        written?;
        self.disk.sync_folder()
    }

    /// `present`: what was there before the newest file, the oldest first.
    fn prune(&mut self, present: Vec<Name>) {
        let Some(kept) = self.kept else {
            return;
        };
        let too_many = (present.len() + 1).saturating_sub(kept.get());
        for name in present.into_iter().take(too_many) {
            if self.in_use != Some(name) {
                self.remove(&name.to_string());
            }
        }
    }

    fn remove(&mut self, name: &str) {
        if let Err(error) = self.disk.remove(name) {
            debug!(
                "{}: cannot be removed: {error}",
                self.disk.path(name).display()
            );
        }
    }
}

/// The snapshots of the folder, the oldest first.
fn names(disk: &impl Disk) -> io::Result<Vec<Name>> {
    let mut names: Vec<Name> = disk
        .list()?
        .iter()
        .filter_map(|name| Name::parse(name))
        .collect();
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests;
