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
use servable::Tensor;

use super::limits::ALIGNMENT;

const SEALS: SealFlags = SealFlags::WRITE
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

/// What one frame sends in memory: pieces one after the other, each at an aligned offset.
#[derive(Default)]
pub(super) struct Arena {
    pieces: Vec<(u64, Piece)>,
    size: u64,
}

/// What lies in one place.
pub(super) enum Piece {
    Bytes(Bytes),
    /// Its elements, which may have come off a wire in chunks.
    Tensor(Tensor),
}

/// How much of a tensor in chunks is joined at a time: what stays in a core's cache.
const WINDOW: usize = 128 << 10;

impl Piece {
    pub(super) fn len(&self) -> usize {
        match self {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Tensor(tensor) => tensor.byte_len(),
        }
    }

    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        match self {
            Piece::Bytes(bytes) => out.extend_from_slice(bytes),
            Piece::Tensor(tensor) => {
                let start = out.len();
                out.resize(start + tensor.byte_len(), 0);
                tensor.copy_to(&mut out[start..]);
            }
        }
    }

    fn write(&self, file: &File, offset: u64) -> std::io::Result<()> {
        let tensor = match self {
            Piece::Bytes(bytes) => return file.write_all_at(bytes, offset),
            Piece::Tensor(tensor) if tensor.is_ready() => {
                return file.write_all_at(tensor.bytes(), offset);
            }
            Piece::Tensor(tensor) => tensor,
        };
        let mut window = vec![0; WINDOW.min(tensor.byte_len())];
        for first in (0..tensor.byte_len()).step_by(WINDOW) {
            let part = &mut window[..WINDOW.min(tensor.byte_len() - first)];
            tensor.copy_part_to(first, part);
            file.write_all_at(part, offset + first as u64)?;
        }
        Ok(())
    }
}

impl Arena {
    /// Puts it at the end, and says where that is.
    pub(super) fn add(&mut self, piece: Piece) -> u64 {
        let offset = self.size.next_multiple_of(ALIGNMENT);
        self.size = offset + piece.len() as u64;
        self.pieces.push((offset, piece));
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
        for (offset, piece) in &self.pieces {
            piece.write(&file, *offset)?;
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
