//! Protocol two: frames whose large values lie in memory that both sides can see.

mod decode;
mod encode;
mod memory;

use std::os::fd::{AsFd, OwnedFd};

use worker_process::{Broken, Connection, MOST_DESCRIPTORS};

use crate::message::{Answer, Request};

/// The bounds that both sides hold to.
mod limits {
    /// Bytes of a frame beside its head.
    pub(super) const BODY: usize = 16 << 20;
    /// Requests in a batch, and predictions in an answer.
    pub(super) const REQUESTS: usize = 4096;
    /// Parts of a request; headers, too.
    pub(super) const PARTS: usize = 4096;
    /// Values in a frame, those inside lists and maps counted.
    pub(super) const VALUES: usize = 65_536;
    /// Lists and maps inside each other.
    pub(super) const DEPTH: usize = 32;
    /// Dimensions of a tensor.
    pub(super) const RANK: usize = 16;
    /// Bytes of a tensor, dimensions of 0 counted as 1.
    pub(super) const TENSOR: u64 = 1 << 47;
    /// Bytes of a value above which it travels in memory.
    pub(super) const INLINE: usize = 64 << 10;
    /// Bytes of all values inside a frame, above which even small ones travel in memory.
    pub(super) const INLINE_TOTAL: usize = 4 << 20;
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
const PREDICT: u8 = b'P';
const ANSWER: u8 = b'A';
/// Flag of a batch: answers may be typed values.
const TYPED: u16 = 1;
/// Flag of an answer: more of them follow.
const MORE: u16 = 1;

pub(crate) struct Two {
    pub(crate) connection: Connection,
    /// Bytes that one answer may hold, in frame and memory together.
    most: usize,
    /// Of the batch that was sent last.
    number: u32,
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

impl Two {
    pub(crate) fn new(connection: Connection, most: usize) -> Self {
        Two {
            connection,
            most,
            number: 0,
        }
    }

    pub(crate) fn send(&mut self, requests: &[Request<'_>], typed: bool) -> Result<(), Broken> {
        let (body, memory) = encode::batch(requests)?;
        self.number = self.number.wrapping_add(1);
        let head = Head {
            kind: PREDICT,
            body: body.len(),
            descriptors: memory.iter().len(),
            flags: if typed { TYPED } else { 0 },
            number: self.number,
        };
        let descriptors: Vec<_> = memory.iter().map(AsFd::as_fd).collect();
        self.connection.write_with(&head.to_bytes(), &descriptors)?;
        self.connection.write(&body)
    }

    pub(crate) fn receive(&mut self) -> Result<Answer, Broken> {
        let mut descriptors: Vec<OwnedFd> = Vec::new();
        let mut head = [0; HEAD];
        self.connection.read_with(&mut head, &mut descriptors)?;
        let head = Head::read(head)?;
        if head.kind != ANSWER || head.number != self.number {
            return Err(Broken::Protocol(format!(
                "a frame of kind {:?} for message {} came, expected an answer to message {}",
                char::from(head.kind),
                head.number,
                self.number
            )));
        }
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
            at += self.connection.read_some(&mut body[at..])?;
        }
        decode::answer(body.into(), descriptors, head.flags & MORE != 0, self.most)
            .map_err(|decode::TooLarge(why)| Broken::Protocol(why))
    }
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
