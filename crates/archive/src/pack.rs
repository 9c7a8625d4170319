//! Writing an archive. The same plan gives the same bytes: entries are sorted, the manifest first; times, owners and
//! modes are fixed. Files stream through, and the archive appears under its name only when it is whole.

mod folder;
mod tar;
mod zip;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::plan::{ArchiveFormat, PackError, Plan, Source};

/// Packs a plan and returns the archive's path. `progress` is told, every so often, how many bytes of
/// [`Plan::size`] were read since it was last told.
///
/// # Errors
///
/// [`PackError`]; nothing is left behind then, and an archive that was to be replaced is still there.
pub fn pack(plan: &Plan, progress: &mut dyn FnMut(u64)) -> Result<PathBuf, PackError> {
    let parent = plan.target.parent().unwrap_or(Path::new("."));
    // An empty parent is the working directory.
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    fs::create_dir_all(parent).map_err(|error| PackError::io(parent, error))?;
    match plan.format {
        ArchiveFormat::Zip | ArchiveFormat::ZipStore => {
            write_file(plan, parent, |file| zip::write(plan, file, progress))?;
        }
        ArchiveFormat::TarGz => write_file(plan, parent, |file| tar::write(plan, file, progress))?,
        ArchiveFormat::Folder => folder::write(plan, parent, progress)?,
    }
    Ok(plan.target.clone())
}

/// Writes beside the target, then takes the target's name.
fn write_file(
    plan: &Plan,
    parent: &Path,
    write: impl FnOnce(&mut File) -> Result<(), PackError>,
) -> Result<(), PackError> {
    let failed = |error| PackError::io(&plan.target, error);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".packing-");
    // What any new file has: the user's umask decides, not the temporary file's secrecy.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(parent).map_err(failed)?;
    write(file.as_file_mut())?;
    plan.check_target()?;
    let persisted = if plan.force {
        file.persist(&plan.target)
    } else {
        file.persist_noclobber(&plan.target)
    };
    persisted.map(drop).map_err(|error| failed(error.error))
}

/// Hands a source to `write`, which is to read it to its end, and finds out whose fault a failure is.
fn stream(
    source: &Source,
    target: &Path,
    progress: &mut dyn FnMut(u64),
    write: impl FnOnce(&mut dyn Read) -> io::Result<()>,
) -> Result<(), PackError> {
    let file = File::open(&source.path).map_err(|error| PackError::io(&source.path, error))?;
    let mut reader = Tracked {
        file,
        read: 0,
        failed: false,
        progress,
    };
    let written = write(&mut reader);
    let at_fault = if reader.failed { &source.path } else { target };
    written.map_err(|error| PackError::io(at_fault, error))?;
    // A format that announces a length would now hold something else than it announces.
    if reader.read != source.size {
        let path = source.path.display().to_string();
        return Err(PackError::Changed { path });
    }
    Ok(())
}

/// A file that counts what is read from it.
struct Tracked<'a> {
    file: File,
    read: u64,
    failed: bool,
    progress: &'a mut dyn FnMut(u64),
}

impl Read for Tracked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self
            .file
            .read(buffer)
            .inspect_err(|error| self.failed = error.kind() != io::ErrorKind::Interrupted)?;
        self.read += count as u64;
        (self.progress)(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
