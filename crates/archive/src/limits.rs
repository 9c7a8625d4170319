//! How much an archive may unpack to. Enforced on the bytes as they are inflated: what a header claims is never
//! believed.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use crate::ArchiveError;
use crate::error::one_line;

/// Bounds for one archive. The defaults let the largest language models through and stop what only a bomb would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Files and folders together, folders that are only implied included.
    pub entries: u64,
    /// Bytes of one unpacked file.
    pub file_size: u64,
    /// Bytes of all unpacked files together.
    pub total_size: u64,
    /// Unpacked bytes per byte of the archive file. It does not apply below [`Limits::RATIO_FREE`] unpacked bytes.
    pub ratio: u64,
}

impl Limits {
    /// Unpacked bytes up to which any ratio is fine: small text compresses as far as it likes.
    pub const RATIO_FREE: u64 = 16 << 20;
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            entries: 10_000,
            file_size: 16 << 30,
            total_size: 32 << 30,
            ratio: 1000,
        }
    }
}

/// The running count of one archive against its limits. Every inflated byte passes through it.
pub(crate) struct Meter<'a> {
    archive: &'a str,
    limits: &'a Limits,
    /// Bytes of the archive file itself.
    packed: u64,
    total: u64,
    entries: u64,
    buffer: Box<[u8]>,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(archive: &'a str, limits: &'a Limits, packed: u64) -> Self {
        Meter {
            archive,
            limits,
            packed,
            total: 0,
            entries: 0,
            buffer: vec![0; 128 << 10].into_boxed_slice(),
        }
    }

    /// Counts one more file or folder.
    pub(crate) fn entry(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(self.passed(format!("more than {} entries", self.limits.entries)));
        }
        Ok(())
    }

    /// Counts inflated bytes that belong to no file (headers, padding).
    pub(crate) fn bytes(&mut self, count: u64) -> Result<(), ArchiveError> {
        self.total = self.total.saturating_add(count);
        if self.total > self.limits.total_size {
            let bound = self.limits.total_size;
            return Err(self.passed(format!("unpacks to more than {bound} bytes")));
        }
        let allowed = self.packed.saturating_mul(self.limits.ratio);
        if self.total > Limits::RATIO_FREE && self.total > allowed {
            let bound = self.limits.ratio;
            return Err(self.passed(format!("unpacks to more than {bound} times its size")));
        }
        Ok(())
    }

    /// Inflates `from` to its end into a new file at `path`, and returns the file's size.
    pub(crate) fn write(
        &mut self,
        entry: &str,
        from: &mut dyn Read,
        path: &Path,
    ) -> Result<u64, ArchiveError> {
        let mut file = File::create_new(path).map_err(|error| ArchiveError::io(path, error))?;
        self.pump(entry, from, |bytes| {
            file.write_all(bytes)
                .map_err(|error| ArchiveError::io(path, error))
        })
    }

    /// Inflates `from` to its end for nothing but its size (and its checksum).
    pub(crate) fn skip(&mut self, entry: &str, from: &mut dyn Read) -> Result<u64, ArchiveError> {
        self.pump(entry, from, |_| Ok(()))
    }

    /// The whole of a small file. More than `cap` bytes is [`ArchiveError::Limit`].
    pub(crate) fn read(
        &mut self,
        entry: &str,
        from: &mut dyn Read,
        cap: usize,
    ) -> Result<Vec<u8>, ArchiveError> {
        let archive = self.archive;
        let mut content = Vec::new();
        self.pump(entry, from, |bytes| {
            if content.len() + bytes.len() > cap {
                return Err(ArchiveError::Limit {
                    archive: archive.to_owned(),
                    what: format!("entry {entry:?} has more than {cap} bytes"),
                });
            }
            content.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(content)
    }

    fn pump(
        &mut self,
        entry: &str,
        from: &mut dyn Read,
        mut to: impl FnMut(&[u8]) -> Result<(), ArchiveError>,
    ) -> Result<u64, ArchiveError> {
        // Taken out for the loop, so that the counters stay reachable beside it.
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut size = 0;
        let outcome = loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => break Ok(size),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    break Err(ArchiveError::Damaged {
                        archive: self.archive.to_owned(),
                        detail: one_line(format_args!("entry {entry:?}: {error}")),
                    });
                }
            };
            size += count as u64;
            let checked = self
                .file_size(entry, size)
                .and_then(|()| self.bytes(count as u64))
                .and_then(|()| to(&buffer[..count]));
            if let Err(error) = checked {
                break Err(error);
            }
        };
        self.buffer = buffer;
        outcome
    }

    fn file_size(&self, entry: &str, size: u64) -> Result<(), ArchiveError> {
        let bound = self.limits.file_size;
        if size > bound {
            return Err(self.passed(format!("entry {entry:?} has more than {bound} bytes")));
        }
        Ok(())
    }

    fn passed(&self, what: String) -> ArchiveError {
        ArchiveError::Limit {
            archive: self.archive.to_owned(),
            what,
        }
    }
}
