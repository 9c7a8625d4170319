//! The few things that are done to files of one folder, so that tests can have a disk that stops in the middle of them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// One folder, and its files by name. All of it blocks.
pub(crate) trait Disk {
    /// The names of everything in the folder; none if there is no folder.
    fn list(&self) -> io::Result<Vec<String>>;
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// A new file that its owner alone may read. Makes the folder if need be.
    fn create(&mut self, name: &str, content: &[u8]) -> io::Result<()>;
    /// Returns when the content would outlast a power cut.
    fn sync_file(&mut self, name: &str) -> io::Result<()>;
    /// Gives a file another name, which no other has.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Returns when the names would outlast a power cut.
    fn sync_folder(&mut self) -> io::Result<()>;
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// For messages.
    fn path(&self, name: &str) -> PathBuf;
}

/// A folder of the file system.
#[derive(Debug)]
pub(crate) struct SystemDisk(pub(crate) PathBuf);

impl Disk for SystemDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        // Names that are no text are not ours.
        entries
            .filter_map(|entry| {
                entry
                    .map(|entry| entry.file_name().into_string().ok())
                    .transpose()
            })
            .collect()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name))
    }

    fn create(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        make(&self.0)?;
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path(name))?;
        file.write_all(content)
    }

    fn sync_file(&mut self, name: &str) -> io::Result<()> {
        File::open(self.path(name))?.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// Makes a folder and those above it, each of them durably.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    make(parent)?;
    match DirBuilder::new().mode(0o755).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_are_their_owners_and_folders_come_by_themselves() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut disk = SystemDisk(folder.path().join("logs/config"));
        assert_eq!(disk.list().expect("nothing there"), [""; 0]);
        disk.create("a", b"text").expect("written");
        disk.sync_file("a").expect("synced");
        disk.rename("a", "b").expect("renamed");
        disk.sync_folder().expect("synced");
        assert_eq!(disk.list().expect("readable"), ["b"]);
        assert_eq!(disk.read("b").expect("readable"), b"text");
        let mode = fs::metadata(disk.path("b"))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let taken = disk.create("b", b"other").expect_err("the name is taken");
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
        disk.remove("b").expect("removed");
        assert_eq!(disk.list().expect("readable"), [""; 0]);
    }
}
