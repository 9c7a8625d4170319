//! Bytes of a body to tensors and elements: the one place that knows how they lie there.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use servable::{DType, Storage, Tensor, TensorError};

// Numbers are little-endian on the wire, and are taken over as they are.
const _: () = assert!(cfg!(target_endian = "little"));

/// A tensor over bytes that are as many as its shape needs. They are shared, unless their place in the body suits no number
/// of that size: then they are copied once.
pub(super) fn tensor(dtype: DType, shape: Vec<usize>, bytes: Bytes) -> Result<Tensor, TensorError> {
    let aligned = bytes.as_ptr().align_offset(dtype.size()) == 0;
    let storage: Arc<dyn Storage> = if aligned {
        Arc::new(bytes)
    } else {
        Arc::new(Words::copy(&bytes))
    };
    Tensor::from_storage(dtype, shape, storage)
}

/// Memory on which every number can lie.
struct Words {
    words: Vec<u64>,
    bytes: usize,
}

impl Words {
    fn copy(bytes: &[u8]) -> Self {
        let mut words = vec![0u64; bytes.len().div_ceil(size_of::<u64>())];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Words {
            words,
            bytes: bytes.len(),
        }
    }
}

impl Storage for Words {
    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.bytes]
    }
}

/// The elements of a BYTES tensor, each behind its length of four bytes. They share the body.
///
/// # Errors
///
/// Where the bytes end before an element does, or go on after the last.
pub(super) fn elements(mut bytes: Bytes, count: usize) -> Result<Vec<Bytes>, String> {
    let whole = bytes.len();
    // No more room than the bytes can fill: the count is the client's word.
    let mut elements = Vec::with_capacity(count.min(whole / LENGTH));
    for index in 0..count {
        let place = whole - bytes.len();
        if bytes.len() < LENGTH {
            return Err(format!(
                "the data end at byte {whole}, before element {index} of {count}"
            ));
        }
        let length = bytes.get_u32_le() as usize;
        if bytes.len() < length {
            let left = bytes.len();
            return Err(format!(
                "element {index} at byte {place} says that it has {length} bytes, and {left} follow"
            ));
        }
        elements.push(bytes.split_to(length));
    }
    if bytes.has_remaining() {
        let left = bytes.len();
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

    #[test]
    fn a_tensor_is_the_same_wherever_its_bytes_lie() {
        let numbers = [0.1f32, -2.5, 3e7];
        let mut body = vec![7u8; 8];
        body.extend(bytemuck::cast_slice::<f32, u8>(&numbers));
        for start in 5..=8 {
            let mut shifted = vec![0; start];
            shifted.extend(&body[8..]);
            let bytes = Bytes::from(shifted).slice(start..);
            let tensor = tensor(DType::F32, vec![3], bytes).expect("three numbers");
            assert_eq!(tensor.elements::<f32>(), Some(&numbers[..]), "{start}");
        }
    }

    fn check(bytes: &'static [u8], count: usize, expected: Result<&[&str], &str>) {
        let found = elements(Bytes::from_static(bytes), count);
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
