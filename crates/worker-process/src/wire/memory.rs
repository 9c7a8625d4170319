//! Anonymous sealed memory: made and filled by who sends, checked and read by who receives.
//!
//! It is read rather than mapped: what a worker gives is copied once, into memory that is the daemon's own. Seals matter all
//! the same, because whoever received it may hand it on.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use rustix::fs::{
    FileType, MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create,
};

use super::limits::ALIGNMENT;

const SEALS: SealFlags = SealFlags::WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

/// What one frame sends in memory: pieces one after the other, each at an aligned offset.
#[derive(Default)]
pub(super) struct Arena {
    pieces: Vec<(u64, Bytes)>,
    size: u64,
}

impl Arena {
    /// Puts it at the end, and says where that is.
    pub(super) fn add(&mut self, bytes: Bytes) -> u64 {
        let offset = self.size.next_multiple_of(ALIGNMENT);
        self.size = offset + bytes.len() as u64;
        self.pieces.push((offset, bytes));
        offset
    }

    /// 0 where nothing is in it.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The memory, which can never change again.
    pub(super) fn seal(self) -> std::io::Result<OwnedFd> {
        let memory = memfd_create(
            "torchrelay",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        let file = File::from(memory);
        file.set_len(self.size)?;
        for (offset, bytes) in &self.pieces {
            file.write_all_at(bytes, *offset)?;
        }
        fcntl_add_seals(&file, SEALS)?;
        Ok(file.into())
    }
}

/// The bytes of a memory that was received, if it is what was announced.
pub(super) fn read(memory: OwnedFd, announced: usize) -> Result<Bytes, String> {
    let told = |error: rustix::io::Errno| format!("a descriptor is no memory: {error}");
    let found = fstat(&memory).map_err(told)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err("a descriptor is no memory".into());
    }
    let seals = fcntl_get_seals(&memory).map_err(told)?;
    if !seals.contains(SEALS) {
        return Err(format!(
            "a memory is not sealed: {seals:?}, expected {SEALS:?}"
        ));
    }
    if u64::try_from(found.st_size) != Ok(announced as u64) || announced == 0 {
        let found = found.st_size;
        return Err(format!(
            "a memory has {found} bytes, announced were {announced}"
        ));
    }
    let unread = |why: String| format!("a memory of {announced} bytes cannot be read: {why}");
    let mut bytes = Vec::new();
    // What is announced may be more than there is room for; it is no reason to die.
    bytes
        .try_reserve_exact(announced)
        .map_err(|error| unread(error.to_string()))?;
    let file = File::from(memory);
    let mut start = &file;
    start
        .seek(SeekFrom::Start(0))
        .and_then(|_| start.take(announced as u64).read_to_end(&mut bytes))
        .map_err(|error| unread(error.to_string()))?;
    if bytes.len() != announced {
        return Err(unread(format!("it ends after {}", bytes.len())));
    }
    Ok(bytes.into())
}
