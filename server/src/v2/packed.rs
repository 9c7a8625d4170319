//! Bytes of a body to tensors and elements: the one place that knows how they lie there.

use bytes::{BufMut, Bytes, BytesMut};
use servable::{DType, Rope, Tensor, TensorError};

/// A tensor over numbers that are as many as its shape needs. They are shared with the body, and copied once at most.
pub(super) fn tensor(dtype: DType, shape: Vec<usize>, rope: Rope) -> Result<Tensor, TensorError> {
    Tensor::from_rope(dtype, shape, rope)
}

/// The elements of a BYTES tensor, each behind its length of four bytes. They share the body wherever they lie in one piece
/// of it.
///
/// # Errors
///
/// Where the bytes end before an element does, or go on after the last.
pub fn elements(rope: &Rope, count: usize) -> Result<Vec<Bytes>, String> {
    let whole = rope.len();
    // No more room than the bytes can fill: the count is the client's word.
    let mut elements = Vec::with_capacity(count.min(whole / LENGTH));
    let mut place = 0;
    for index in 0..count {
        let start = place + LENGTH;
        if whole < start {
            return Err(format!(
                "the data end at byte {whole}, before element {index} of {count}"
            ));
        }
        let mut length = [0; LENGTH];
        rope.copy_to(place, &mut length);
        let length = u32::from_le_bytes(length) as usize;
        let element = rope.get(start..start.saturating_add(length));
        let element = element.ok_or_else(|| {
            let left = whole - start;
            format!(
                "element {index} at byte {place} says that it has {length} bytes, and {left} follow"
            )
        })?;
        elements.push(element.into_bytes());
        place = start + length;
    }
    if place < whole {
        let left = whole - place;
        return Err(format!("{left} bytes follow the last of {count} elements"));
    }
    Ok(elements)
}

/// The bytes of a length.
const LENGTH: usize = 4;

/// Elements as they travel, each behind its length.
///
/// # Errors
///
/// An element whose length four bytes do not hold.
pub fn pack_elements(elements: &[Bytes]) -> Result<Bytes, String> {
    let bytes: usize = elements.iter().map(|element| LENGTH + element.len()).sum();
    let mut packed = BytesMut::with_capacity(bytes);
    for element in elements {
        let length = u32::try_from(element.len())
            .map_err(|_| format!("an element of {} bytes is too long", element.len()))?;
        packed.put_u32_le(length);
        packed.put_slice(element);
    }
    Ok(packed.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that came in pieces of that size.
    fn in_pieces(bytes: &[u8], piece: usize) -> Rope {
        let mut rope = Rope::default();
        for piece in bytes.chunks(piece) {
            rope.push(Bytes::copy_from_slice(piece));
        }
        rope
    }

    #[test]
    fn a_tensor_is_the_same_however_its_bytes_came() {
        let numbers = [0.1f32, -2.5, 3e7];
        let mut body = vec![7u8; 5];
        body.extend(bytemuck::cast_slice::<f32, u8>(&numbers));
        for piece in [1, 3, 8, 100] {
            let rope = in_pieces(&body, piece).slice(5..17);
            let tensor = tensor(DType::F32, vec![3], rope).expect("three numbers");
            assert_eq!(tensor.elements::<f32>(), Some(&numbers[..]), "{piece}");
        }
    }

    fn check(bytes: &'static [u8], count: usize, expected: Result<&[&str], &str>) {
        let found = elements(&in_pieces(bytes, 3), count);
        let found = found.as_ref().map(|elements| {
            let texts = elements.iter().map(|it| std::str::from_utf8(it));
            texts.collect::<Result<Vec<_>, _>>().expect("text")
        });
        assert_eq!(
            found.map_err(String::as_str),
            expected.map(<[&str]>::to_vec),
            "{bytes:?}"
        );
    }

    #[test]
    fn elements_stand_behind_their_lengths() {
        check(b"\x02\0\0\0ab\0\0\0\0\x01\0\0\0c", 3, Ok(&["ab", "", "c"]));
        check(b"", 0, Ok(&[]));
        check(b"", 1, Err("the data end at byte 0, before element 0 of 1"));
        check(
            b"\x03\0\0\0ab",
            1,
            Err("element 0 at byte 0 says that it has 3 bytes, and 2 follow"),
        );
        check(
            b"\xff\xff\xff\xff",
            1,
            Err("element 0 at byte 0 says that it has 4294967295 bytes, and 0 follow"),
        );
        check(
            b"\x01\0\0\0abc",
            1,
            Err("2 bytes follow the last of 1 elements"),
        );
        let packed = pack_elements(&[Bytes::from("ab"), Bytes::new()]);
        assert_eq!(packed.as_deref(), Ok(&b"\x02\0\0\0ab\0\0\0\0"[..]));
    }
}
