//! Bytes as they came off a wire: in chunks, which nobody has copied together.
//!
//! Wires make ropes and cut tensors out of them ([`Tensor::from_rope`](crate::Tensor::from_rope)); what needs a tensor in one
//! piece has it joined then, and what lays tensors into a batch copies chunks straight to their place. It is no text
//! editor's rope: it only grows at its end.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};

use crate::Storage;

/// How many bytes of ropes were copied, as far as somebody counts. Clones share the count.
#[derive(Debug, Clone, Default)]
pub struct Copied(Option<Arc<AtomicU64>>);

impl Copied {
    /// A count from zero; the default counts nothing.
    pub fn counted() -> Self {
        Copied(Some(Arc::default()))
    }

    pub fn bytes(&self) -> u64 {
        self.0
            .as_ref()
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn add(&self, bytes: usize) {
        if let Some(count) = &self.0 {
            count.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }
}

/// Bytes in chunks. Cloning and slicing share them; one chunk takes no memory beside it.
#[derive(Clone, Default)]
pub struct Rope {
    /// Empty only where the whole rope is.
    first: Bytes,
    /// Those after the first, none of them empty, each with the place where it begins.
    rest: Vec<(usize, Bytes)>,
    len: usize,
    copied: Copied,
}

impl Rope {
    /// An empty rope. Whatever is copied of it, and of what is cut out of it, is counted there.
    pub fn new(copied: Copied) -> Self {
        Rope {
            copied,
            ..Rope::default()
        }
    }

    /// Takes a chunk over at the end, without copying.
    pub fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        let start = self.len;
        self.len += chunk.len();
        if start == 0 {
            self.first = chunk;
        } else {
            self.rest.push((start, chunk));
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunks in their order, none of them empty.
    pub fn chunks(&self) -> impl Iterator<Item = &Bytes> {
        let first = (!self.is_empty()).then_some(&self.first);
        first
            .into_iter()
            .chain(self.rest.iter().map(|(_, chunk)| chunk))
    }

    /// The part of it, sharing memory. `None` where the range does not lie within the rope.
    pub fn get(&self, range: Range<usize>) -> Option<Rope> {
        if range.start > range.end || range.end > self.len {
            return None;
        }
        let mut part = Rope::new(self.copied.clone());
        for (chunk, cut) in self.within(range) {
            part.push(chunk.slice(cut));
        }
        Some(part)
    }

    /// The part of it, sharing memory.
    ///
    /// # Panics
    ///
    /// Where the range does not lie within the rope. What a client names goes through [`Rope::get`].
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Rope {
        let len = self.len;
        self.get(range.clone())
            .unwrap_or_else(|| panic!("{range:?} does not lie within {len} bytes"))
    }

    /// All of it in one piece. One chunk is that already, and is not copied.
    pub fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() {
            return self.first;
        }
        self.copied.add(self.len);
        let mut joined = BytesMut::with_capacity(self.len);
        joined.extend_from_slice(&self.first);
        // By value: each chunk is let go of as soon as it is copied.
        for (_, chunk) in self.rest {
            joined.extend_from_slice(&chunk);
        }
        joined.freeze()
    }

    /// Writes the bytes from `start` on into `out`.
    ///
    /// # Panics
    ///
    /// Where there are not as many.
    pub fn copy_to(&self, start: usize, out: &mut [u8]) {
        assert!(
            start <= self.len && out.len() <= self.len - start,
            "{} bytes from {start} do not lie within {}",
            out.len(),
            self.len
        );
        self.copied.add(out.len());
        let mut left = &mut *out;
        for (chunk, cut) in self.within(start..start + left.len()) {
            let (into, after) = left.split_at_mut(cut.len());
            into.copy_from_slice(&chunk[cut]);
            left = after;
        }
    }

    /// The chunks that hold a range within the rope, and what of each lies in it.
    fn within(&self, range: Range<usize>) -> impl Iterator<Item = (&Bytes, Range<usize>)> {
        let before = |(start, chunk): &(usize, Bytes)| start + chunk.len() <= range.start;
        let skipped = self.rest.partition_point(before);
        let rest = self.rest[skipped..].iter();
        std::iter::once((0, &self.first))
            .chain(rest.map(|(start, chunk)| (*start, chunk)))
            .take_while(move |(start, _)| *start < range.end)
            .map(move |(start, chunk)| {
                let cut = |place: usize| place.saturating_sub(start).min(chunk.len());
                (chunk, cut(range.start)..cut(range.end))
            })
            .filter(|(_, cut)| !cut.is_empty())
    }
}

impl From<Bytes> for Rope {
    fn from(bytes: Bytes) -> Self {
        let mut rope = Rope::default();
        rope.push(bytes);
        rope
    }
}

/// Lengths only: a body in a log line must not bring its megabytes along.
impl fmt::Debug for Rope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Rope({} bytes in {} chunks)",
            self.len,
            self.chunks().count()
        )
    }
}

/// A rope under a tensor. Whoever asks for one piece gets it aligned; only the first of them waits for a copy, and none
/// where the rope is one aligned chunk.
pub(crate) struct RopeStorage {
    rope: Rope,
    /// The alignment of an element, of 8 bytes at most.
    align: usize,
    joined: OnceLock<Joined>,
}

/// Memory that is aligned for every element.
struct Joined(Vec<u64>);

impl RopeStorage {
    pub(crate) fn new(rope: Rope, align: usize) -> Self {
        RopeStorage {
            rope,
            align,
            joined: OnceLock::new(),
        }
    }

    /// The only chunk, if it is aligned.
    fn lone(&self) -> Option<&[u8]> {
        let first = &self.rope.first;
        let is_aligned = first.as_ptr().addr().is_multiple_of(self.align) || first.is_empty();
        (self.rope.rest.is_empty() && is_aligned).then_some(first)
    }

    fn cut<'j>(&self, joined: &'j Joined) -> &'j [u8] {
        &bytemuck::cast_slice(&joined.0)[..self.rope.len]
    }
}

impl Storage for RopeStorage {
    fn bytes(&self) -> &[u8] {
        self.lone().unwrap_or_else(|| {
            let joined = self.joined.get_or_init(|| {
                let mut words = vec![0u64; self.rope.len.div_ceil(8)];
                let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
                self.rope.copy_to(0, &mut bytes[..self.rope.len]);
                Joined(words)
            });
            self.cut(joined)
        })
    }

    fn len(&self) -> usize {
        self.rope.len
    }

    fn piece(&self) -> Option<&[u8]> {
        self.lone()
            .or_else(|| self.joined.get().map(|joined| self.cut(joined)))
    }

    fn copy_to(&self, start: usize, out: &mut [u8]) {
        self.rope.copy_to(start, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{DType, Tensor};

    /// A rope of those chunks, and its count.
    fn rope(chunks: &[Vec<u8>]) -> (Rope, Copied) {
        let copied = Copied::counted();
        let mut rope = Rope::new(copied.clone());
        for chunk in chunks {
            rope.push(Bytes::from(chunk.clone()));
        }
        (rope, copied)
    }

    proptest! {
        #[test]
        fn a_rope_is_its_bytes_however_it_is_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..12),
            cuts in prop::collection::vec((0..120usize, 0..120usize), 0..8),
        ) {
            let (mut rope, copied) = rope(&chunks);
            let mut plain = chunks.concat();
            for (start, end) in cuts {
                let expected = plain.get(start..end).map(<[u8]>::to_vec);
                prop_assert_eq!(rope.get(start..end).is_some(), expected.is_some());
                let (Some(part), Some(expected)) = (rope.get(start..end), expected) else {
                    continue;
                };
                let mut out = vec![0; end - start];
                rope.copy_to(start, &mut out);
                prop_assert_eq!(&out, &expected);
                prop_assert!(part.chunks().all(|chunk| !chunk.is_empty()));
                (rope, plain) = (part, expected);
            }
            prop_assert_eq!(rope.len(), plain.len());
            let chunks: Vec<u8> = rope.chunks().flatten().copied().collect();
            prop_assert_eq!(&chunks, &plain);
            let (before, several) = (copied.bytes(), rope.chunks().count() > 1);
            let length = rope.len() as u64;
            prop_assert_eq!(&rope.into_bytes()[..], &plain[..]);
            prop_assert_eq!(copied.bytes() - before, if several { length } else { 0 });
        }

        #[test]
        fn a_tensor_over_a_rope_is_the_tensor_over_its_bytes(
            numbers in prop::collection::vec(any::<i32>(), 1..40),
            places in prop::collection::vec(0..160usize, 0..6),
            row in 0..40usize,
        ) {
            let plain: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
            let mut places: Vec<usize> = places.into_iter().map(|place| place.min(plain.len())).collect();
            places.extend([0, plain.len()]);
            places.sort_unstable();
            let chunks: Vec<Vec<u8>> = places.windows(2).map(|ends| plain[ends[0]..ends[1]].to_vec()).collect();
            let (rope, copied) = rope(&chunks);
            let tensor = Tensor::from_rope(DType::I32, vec![numbers.len(), 1], rope).expect("as many bytes");
            let mut out = vec![0; plain.len()];
            let half = plain.len() / 2;
            tensor.copy_part_to(half, &mut out[half..]);
            tensor.copy_part_to(0, &mut out[..half]);
            prop_assert_eq!(&out, &plain);
            prop_assert_eq!(copied.bytes(), plain.len() as u64);
            let row = row.min(numbers.len() - 1);
            let one = tensor.row(row).expect("a row");
            prop_assert_eq!(one.elements::<i32>(), Some(&numbers[row..=row]));
            prop_assert_eq!(tensor.elements::<i32>(), Some(&numbers[..]));
            // Joined at most once, whoever asked for it.
            prop_assert!(copied.bytes() <= 2 * plain.len() as u64);
        }
    }

    #[test]
    fn one_aligned_chunk_is_used_where_it_lies() {
        let words = Bytes::from_owner(bytemuck::cast_slice::<f64, u8>(&[1.0, 2.0]).to_vec());
        let aligned = words.as_ptr().addr().is_multiple_of(8);
        let place = words.as_ptr();
        let tensor = Tensor::from_rope(DType::F64, vec![2], words.into()).expect("two elements");
        assert_eq!(tensor.is_ready(), aligned);
        assert_eq!(tensor.bytes().as_ptr() == place, aligned);
        assert_eq!(tensor.elements::<f64>(), Some(&[1.0, 2.0][..]));
        assert!(tensor.is_ready(), "joined by whoever asked");
    }

    #[test]
    fn what_a_tensor_cannot_hold_is_refused_before_anything_is_copied() {
        let (flags, copied) = rope(&[vec![0, 1], vec![1, 2]]);
        let error = Tensor::from_rope(DType::Bool, vec![4], flags.clone()).expect_err("a 2");
        assert_eq!(
            error.to_string(),
            "expected bool, found a byte other than 0 and 1"
        );
        let error = Tensor::from_rope(DType::I16, vec![3], flags).expect_err("too few");
        assert_eq!(
            error.to_string(),
            "shape [3] of int16 needs 6 bytes, found 4"
        );
        assert_eq!(copied.bytes(), 0);
    }

    #[test]
    fn debug_is_short() {
        let (rope, _) = rope(&[vec![0; 3], vec![], vec![0; 4]]);
        assert_eq!(format!("{rope:?}"), "Rope(7 bytes in 2 chunks)");
    }
}
