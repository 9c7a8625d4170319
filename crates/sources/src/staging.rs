//! The part file: hidden in the store until it is whole, locked while somebody fills it, and kept for the next attempt if
//! that stops halfway.
//!
//! After a crash of the whole machine a part may hold less than its length says; the checksums of the archive show it,
//! and the next attempt begins anew.

use std::fs;
use std::io::{self, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{OFlags, RenameFlags};
use rustix::io::Errno;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt, BufWriter};

use crate::brought::Brought;
use crate::claim::Claim;
use crate::error::Cause;
use crate::note::{Identity, Note};
use crate::target::Paths;

/// Bytes that are gathered for one write.
const BUFFER: usize = 1 << 20;
/// A download that was just dropped may still hold its lock while its last write ends.
const LOCK_ATTEMPTS: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Staging {
    paths: Paths,
    claim: Claim,
    /// Locked: whoever dies unlocks it.
    file: BufWriter<File>,
    length: u64,
    /// What names the content that is in the part.
    validator: Option<String>,
}

impl Staging {
    /// Opens the part file, as far as an earlier attempt came. `None` if somebody else is filling it.
    pub(crate) async fn open(paths: Paths, claim: Claim) -> Result<Option<Self>, Cause> {
        for attempt in 0..LOCK_ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            let part = paths.part.clone();
            let locked = blocking(move || open_locked(&part)).await;
            let Some(file) = locked.map_err(|error| failed(&paths.part, error))? else {
                continue;
            };
            return Staging::over(paths, claim, file.into()).await.map(Some);
        }
        Ok(None)
    }

    async fn over(paths: Paths, claim: Claim, file: File) -> Result<Self, Cause> {
        let mut staging = Staging {
            file: BufWriter::with_capacity(BUFFER, file),
            length: 0,
            validator: None,
            paths,
            claim,
        };
        let end = staging.file.seek(SeekFrom::End(0)).await;
        let end = end.map_err(|error| failed(&staging.paths.part, error))?;
        match Note::read(&staging.paths.note) {
            Some(Note::Part { validator }) => {
                staging.length = end;
                staging.validator = Some(validator);
            }
            Some(Note::File(_)) | None => staging.restart(None).await?,
        }
        Ok(staging)
    }

    /// Bytes that have arrived.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// From where the content can be continued, and what names it.
    pub(crate) fn resume(&self) -> Option<(u64, &str)> {
        let validator = self.validator.as_deref()?;
        (self.length > 0).then_some((self.length, validator))
    }

    /// Forgets what has arrived; what comes now is the content of that name.
    pub(crate) async fn restart(&mut self, validator: Option<String>) -> Result<(), Cause> {
        let outcome = async {
            self.file.seek(SeekFrom::Start(0)).await?;
            self.file.get_mut().set_len(0).await?;
            match &validator {
                Some(validator) => {
                    let validator = validator.clone();
                    Note::Part { validator }.write(&self.paths.note)
                }
                None => remove(&self.paths.note),
            }
        };
        let outcome: io::Result<()> = outcome.await;
        outcome.map_err(|error| failed(&self.paths.part, error))?;
        self.length = 0;
        self.validator = validator;
        Ok(())
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        let written = self.file.write_all(bytes).await;
        written.map_err(|error| failed(&self.paths.part, error))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Gives the archive its name, once all of it is on the disk. `None` if that name is taken.
    pub(crate) async fn finish(mut self) -> Result<Option<Brought>, Cause> {
        let synced = async {
            self.file.flush().await?;
            self.file.get_ref().sync_all().await
        };
        let synced = synced.await;
        let paths = self.paths.clone();
        let outcome = match synced {
            Ok(()) => blocking(move || publish(&paths)).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(true) => Ok(Some(Brought::new(self.paths, self.claim))),
            Ok(false) => {
                self.remove();
                Ok(None)
            }
            Err(error) => {
                let cause = failed(&self.paths.file, error);
                self.remove();
                Err(cause)
            }
        }
    }

    /// Removes what has arrived.
    pub(crate) fn remove(self) {
        for path in [&self.paths.part, &self.paths.note] {
            if let Err(error) = remove(path) {
                tracing::warn!("{}: {error}", path.display());
            }
        }
    }
}

/// `None` while somebody else holds it.
fn open_locked(part: &Path) -> io::Result<Option<fs::File>> {
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // A link in the store must not lead the download out of it.
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(part)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    // Whoever held it may have finished or removed it between the two calls.
    let same = part
        .symlink_metadata()
        .is_ok_and(|there| file.metadata().is_ok_and(|held| held.ino() == there.ino()));
    Ok(same.then_some(file))
}

/// Renames part to file unless there is one. `false` if there is.
fn publish(paths: &Paths) -> io::Result<bool> {
    let here = rustix::fs::CWD;
    let flags = RenameFlags::NOREPLACE;
    match rustix::fs::renameat_with(here, &paths.part, here, &paths.file, flags) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(false),
        // Not every file system knows the flag; a second name for the file is refused just as well.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            match fs::hard_link(&paths.part, &paths.file) {
                Ok(()) => fs::remove_file(&paths.part)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Err(error) => return Err(error.into()),
    }
    Note::File(Identity::of(&paths.file.symlink_metadata()?)).write(&paths.note)?;
    if let Some(folder) = paths.file.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(true)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn failed(path: &Path, error: io::Error) -> Cause {
    Cause::Store {
        path: path.display().to_string(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::Claims;

    #[tokio::test]
    async fn a_full_disk_is_named_and_nothing_stays() {
        let store = tempfile::tempdir().expect("a folder");
        let path = |name: &str| store.path().join(name);
        let paths = Paths {
            name: "m.mar".into(),
            file: path("m.mar"),
            part: path(".m.mar.0123456789abcdef.part"),
            note: path(".m.mar.0123456789abcdef.note"),
        };
        let validator = "\"one\"".into();
        Note::Part { validator }.write(&paths.note).expect("a note");
        fs::write(&paths.part, "").expect("a part");
        // Every write to it fails as on a full disk.
        let full = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/full");
        let claim = Claims::default().take("m.mar").expect("free");
        let part = paths.part.display().to_string();
        let staging = Staging::over(paths, claim, full.expect("a device").into()).await;
        let mut staging = staging.expect("opened");
        // A write may succeed before the one that fails, since the system takes it over.
        let mut outcome = Ok(());
        for _ in 0..4 {
            outcome = outcome.and(staging.write(&[0; BUFFER]).await);
        }
        let expected = format!("{part}: No space left on device (os error 28)");
        assert_eq!(outcome.expect_err("full").to_string(), expected);
        staging.remove();
        assert_eq!(fs::read_dir(store.path()).expect("a folder").count(), 0);
    }
}
