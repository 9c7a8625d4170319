//! Frames whose large values lie in memory that both sides can see: the common half of what is said to worker processes.
//!
//! A frame is a head of 16 bytes, a body, and descriptors of sealed memory (`memory.rs`) that travel with its first byte.
//! Bodies are written by an [`Encoder`] and read by a [`Decoder`], which know texts, numbers and [values](servable::Value). The
//! layout, byte by byte, stands in `python/PROTOCOL.md`; which kinds of frames there are and what is in their bodies is the
//! affair of whoever speaks.

mod decode;
mod encode;
mod memory;

use std::os::fd::{AsFd, OwnedFd};

use bytes::Bytes;

use crate::connection::{Broken, Connection, MOST_DESCRIPTORS};

pub use decode::Decoder;
pub use encode::{Encoder, Fits};

/// The bounds that both sides hold to.
pub mod limits {
    /// Bytes of a frame beside its head.
    pub const BODY: usize = 16 << 20;
    /// Requests in a batch, and predictions in an answer.
    pub const REQUESTS: usize = 4096;
    /// Parts of a request; headers, too.
    pub const PARTS: usize = 4096;
    /// Values in a frame, those inside lists and maps counted.
    pub const VALUES: usize = 65_536;
    /// Lists and maps inside each other.
    pub const DEPTH: usize = 32;
    /// Dimensions of a tensor.
    pub const RANK: usize = 16;
    /// Bytes of a tensor, dimensions of 0 counted as 1.
    pub const TENSOR: u64 = 1 << 47;
    /// Bytes of a value above which it travels in memory.
    pub const INLINE: usize = 64 << 10;
    /// Bytes of all values inside a frame, above which even small ones travel in memory.
    pub const INLINE_TOTAL: usize = 4 << 20;
    /// Of a value's start within a memory.
    pub(super) const ALIGNMENT: u64 = 64;
}

/// The kinds of values.
mod kinds {
    pub(super) const JSON: u8 = 1;
    pub(super) const TEXT: u8 = 2;
    pub(super) const BYTES: u8 = 3;
    pub(super) const TENSOR: u8 = 4;
    pub(super) const IMAGE: u8 = 5;
    pub(super) const LIST: u8 = 6;
    pub(super) const MAP: u8 = 7;
    pub(super) const FLOAT: u8 = 8;
    /// Where a value's bytes are.
    pub(super) const INLINE: u8 = 0;
    pub(super) const MEMORY: u8 = 1;
}

/// The types of elements, by their numbers.
const TYPES: [servable::DType; 10] = {
    use servable::DType::{BF16, Bool, F16, F32, F64, I8, I16, I32, I64, U8};
    [Bool, U8, I8, I16, I32, I64, F16, BF16, F32, F64]
};

const HEAD: usize = 16;
const MAGIC: &[u8; 3] = b"TR2";

/// A body and the memory that goes with it, if it needs one.
#[derive(Debug)]
pub struct Encoded {
    pub body: Vec<u8>,
    pub memory: Option<OwnedFd>,
}

/// A frame that was received. Nothing of its body has been looked at.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u16,
    /// Of the message, which the daemon chooses.
    pub number: u32,
    pub body: Bytes,
    pub descriptors: Vec<OwnedFd>,
}

/// What the head of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    kind: u8,
    body: usize,
    descriptors: usize,
    flags: u16,
    number: u32,
}

/// Sends a frame.
///
/// # Errors
///
/// Where the connection is broken.
pub fn send(
    connection: &mut Connection,
    kind: u8,
    flags: u16,
    number: u32,
    encoded: &Encoded,
) -> Result<(), Broken> {
    let head = Head {
        kind,
        body: encoded.body.len(),
        descriptors: encoded.memory.iter().len(),
        flags,
        number,
    };
    let descriptors: Vec<_> = encoded.memory.iter().map(AsFd::as_fd).collect();
    connection.write_with(&head.to_bytes(), &descriptors)?;
    connection.write(&encoded.body)
}

/// Receives a frame, of no more than [`limits::BODY`] bytes beside its memory.
///
/// # Errors
///
/// Where the connection is broken, or the head is none.
pub fn receive(connection: &mut Connection) -> Result<Frame, Broken> {
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    let mut head = [0; HEAD];
    connection.read_with(&mut head, &mut descriptors)?;
    let head = Head::read(head)?;
    if head.descriptors != descriptors.len() {
        return Err(Broken::Protocol(format!(
            "{} descriptors came with a frame that has {}",
            descriptors.len(),
            head.descriptors
        )));
    }
    let mut body = vec![0; head.body];
    let mut at = 0;
    while at < body.len() {
        at += connection.read_some(&mut body[at..])?;
    }
    Ok(Frame {
        kind: head.kind,
        flags: head.flags,
        number: head.number,
        body: body.into(),
        descriptors,
    })
}

/// Bytes of a frame's body and of the memories that its table announces. What is announced is held against what came when
/// it is read, so a frame holds no more than this.
pub fn size(frame: &Frame) -> usize {
    let announced = frame.body.chunks_exact(8).take(frame.descriptors.len());
    let announced = announced.map(|size| {
        let size = size.try_into().map_or(u64::MAX, u64::from_be_bytes);
        usize::try_from(size).unwrap_or(usize::MAX)
    });
    announced.fold(frame.body.len(), usize::saturating_add)
}

impl Head {
    fn to_bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..3].copy_from_slice(MAGIC);
        bytes[3] = self.kind;
        // Both were bounded when the body was made.
        bytes[4..8].copy_from_slice(&u32::try_from(self.body).unwrap_or(u32::MAX).to_be_bytes());
        let descriptors = u16::try_from(self.descriptors).unwrap_or(u16::MAX);
        bytes[8..10].copy_from_slice(&descriptors.to_be_bytes());
        bytes[10..12].copy_from_slice(&self.flags.to_be_bytes());
        bytes[12..].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }

    fn read(bytes: [u8; HEAD]) -> Result<Self, Broken> {
        let [
            m0,
            m1,
            m2,
            kind,
            b0,
            b1,
            b2,
            b3,
            d0,
            d1,
            f0,
            f1,
            n0,
            n1,
            n2,
            n3,
        ] = bytes;
        let body = u32::from_be_bytes([b0, b1, b2, b3]) as usize;
        let descriptors = u16::from_be_bytes([d0, d1]).into();
        if [m0, m1, m2] != *MAGIC {
            let message = format!(
                "a frame begins with {:?}",
                [m0, m1, m2].escape_ascii().to_string()
            );
            return Err(Broken::Protocol(message));
        }
        if body > limits::BODY || descriptors > MOST_DESCRIPTORS {
            return Err(Broken::Protocol(format!(
                "a frame of {body} bytes and {descriptors} descriptors is larger than one may be"
            )));
        }
        Ok(Head {
            kind,
            body,
            descriptors,
            flags: u16::from_be_bytes([f0, f1]),
            number: u32::from_be_bytes([n0, n1, n2, n3]),
        })
    }
}

#[cfg(test)]
mod tests;
