//! What all archive formats have in common: a format is found by its first bytes, and its entries are walked in order,
//! each with a checked name, by a [`Visitor`] that unpacks or lists.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::one_line;
use crate::limits::Meter;
use crate::name::Names;
use crate::{ArchiveError, Limits, Refusal, digest, reader_tar, reader_zip};

/// What an archive turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A zip file, `.mar`.
    Zip,
    /// A gzip-compressed tar file, `.tar.gz`.
    TarGz,
    /// A folder.
    Folder,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Zip => "zip",
            Format::TarGz => "tar.gz",
            Format::Folder => "folder",
        })
    }
}

/// What is done with an archive's entries. Names are in normal form, and no name comes twice.
pub(crate) trait Visitor {
    fn folder(&mut self, name: &str) -> Result<(), ArchiveError>;

    /// `packed`: bytes in the archive, where the format tells. A zip may leave `data` unread.
    fn file(
        &mut self,
        name: &str,
        packed: Option<u64>,
        size: u64,
        data: &mut dyn Read,
        meter: &mut Meter<'_>,
    ) -> Result<(), ArchiveError>;
}

/// An archive file that was opened and hashed, not yet walked.
pub(crate) struct Source {
    file: File,
    pub(crate) shown: String,
    pub(crate) format: Format,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

impl Source {
    /// Opens a file once, so that what is hashed is what is read.
    pub(crate) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let failed = |error| ArchiveError::io(path, error);
        let shown = path.display().to_string();
        let mut file = File::open(path).map_err(failed)?;
        let mut magic = Vec::with_capacity(4);
        (&mut file)
            .take(4)
            .read_to_end(&mut magic)
            .map_err(failed)?;
        let format = match magic.as_slice() {
            // A first entry, or the end record of a zip without entries.
            b"PK\x03\x04" | b"PK\x05\x06" => Format::Zip,
            [0x1f, 0x8b, ..] => Format::TarGz,
            _ => return Err(ArchiveError::UnknownFormat { path: shown }),
        };
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let sha256 = digest::sha256(&file).map_err(failed)?;
        let size = file.stream_position().map_err(failed)?;
        Ok(Source {
            file,
            shown,
            format,
            size,
            sha256,
        })
    }

    /// Walks all entries from the first. Stops at the first refusal.
    pub(crate) fn walk(
        &mut self,
        limits: &Limits,
        visitor: &mut dyn Visitor,
    ) -> Result<(), ArchiveError> {
        self.file
            .seek(SeekFrom::Start(0))
            .map_err(|cause| ArchiveError::Io {
                path: self.shown.clone(),
                cause,
            })?;
        let mut walk = Walk {
            archive: &self.shown,
            meter: Meter::new(&self.shown, limits, self.size),
            names: Names::default(),
            visitor,
        };
        match self.format {
            Format::Zip => reader_zip::walk(&self.file, limits, &mut walk),
            Format::TarGz => reader_tar::walk(&self.file, &mut walk),
            Format::Folder => Ok(()),
        }
    }
}

/// Refuses what is no regular file before it is opened: opening a pipe would wait for its writer.
pub(crate) fn check_regular(path: &Path, metadata: &std::fs::Metadata) -> Result<(), ArchiveError> {
    if metadata.is_file() {
        return Ok(());
    }
    let kind = io::Error::new(io::ErrorKind::InvalidInput, "neither a file nor a folder");
    Err(ArchiveError::io(path, kind))
}

/// One walk: what the readers of the formats share.
pub(crate) struct Walk<'a> {
    pub(crate) archive: &'a str,
    pub(crate) meter: Meter<'a>,
    names: Names,
    pub(crate) visitor: &'a mut dyn Visitor,
}

impl Walk<'_> {
    /// Takes an entry's name, counting it and the folders it implies.
    pub(crate) fn take(&mut self, name: &str, folder: bool) -> Result<(), ArchiveError> {
        let new = self
            .names
            .take(name, folder)
            .map_err(|why| self.refused(name.as_bytes(), why))?;
        // An entry for a folder that is already there still costs a look.
        for _ in 0..new.max(1) {
            self.meter.entry()?;
        }
        Ok(())
    }

    pub(crate) fn refused(&self, name: &[u8], why: Refusal) -> ArchiveError {
        ArchiveError::Refused {
            archive: self.archive.to_owned(),
            entry: String::from_utf8_lossy(name).chars().take(200).collect(),
            why,
        }
    }

    pub(crate) fn damaged(&self, detail: impl fmt::Display) -> ArchiveError {
        ArchiveError::Damaged {
            archive: self.archive.to_owned(),
            detail: one_line(detail),
        }
    }
}
