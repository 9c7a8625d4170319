//! A reader with an allowance: for the parts of an archive that a parser keeps in memory before anybody can look.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};

/// Lets through as many bytes as `left` says, then fails with [`io::ErrorKind::QuotaExceeded`]. Whoever holds the cell
/// may raise it at any time.
pub(crate) struct Gate<'c, R> {
    inner: R,
    left: &'c Cell<u64>,
}

impl<'c, R> Gate<'c, R> {
    pub(crate) fn new(inner: R, left: &'c Cell<u64>) -> Self {
        Gate { inner, left }
    }
}

impl<R: Read> Read for Gate<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "too many bytes between files",
            ));
        }
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.inner.read(&mut buffer[..most])?;
        self.left.set(left - count as u64);
        Ok(count)
    }
}

impl<R: Seek> Seek for Gate<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
