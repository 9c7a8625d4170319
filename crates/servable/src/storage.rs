//! The memory under a tensor, whoever laid it out.

use bytes::Bytes;

use crate::Element;

/// Memory that a tensor keeps alive. The bytes never change while a tensor refers to them.
pub trait Storage: Send + Sync {
    /// All of it in one piece. Memory that came in several is joined by the first who asks, and stays joined.
    fn bytes(&self) -> &[u8];

    /// How many bytes it is.
    fn len(&self) -> usize {
        self.bytes().len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it in one piece, if it is that already. Never joins anything.
    fn piece(&self) -> Option<&[u8]> {
        Some(self.bytes())
    }

    /// Writes the bytes from `start` on into `out`, which ends no later than they do. Never joins anything.
    fn copy_to(&self, start: usize, out: &mut [u8]) {
        out.copy_from_slice(&self.bytes()[start..start + out.len()]);
    }
}

pub(crate) struct Elements<T>(pub(crate) Vec<T>);

impl<T: Element> Storage for Elements<T> {
    fn bytes(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl Storage for Bytes {
    fn bytes(&self) -> &[u8] {
        self
    }
}
