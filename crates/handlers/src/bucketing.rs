//! Which requests are likely to become rows of one shape, told from their first bytes: rows of different shapes cannot
//! run through a network together, so their requests need not wait for each other.
//!
//! A guess: where it errs, `batch.rs` still keeps rows of different shapes apart. The engine asks for every request before
//! it is queued.

use std::hash::{DefaultHasher, Hash, Hasher};

use servable::{DType, Input, Tensor, Value};

use crate::base_handler::{DTYPE_HEADER, SHAPE_HEADER, npy_header};

/// How a handler's requests are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bucketing {
    /// All requests become rows of one shape, or the network takes different ones together.
    #[default]
    Together,
    /// By type and shape of the tensor that a request carries; by its shape without the first dimension where that is a
    /// batch of its own.
    ByTensor { batched: bool },
    /// By width and height of the picture.
    ByPicture,
}

impl Bucketing {
    /// The bucket of a request. Requests that tell nothing share one.
    pub fn bucket(self, input: &Input) -> u64 {
        let Some(part) = input.payload() else {
            return 0;
        };
        match (self, &part.value) {
            (Bucketing::ByTensor { batched }, Value::Tensor(tensor)) => {
                let skipped = usize::from(batched).min(tensor.shape().len());
                hash(&(tensor.dtype(), &tensor.shape()[skipped..]))
            }
            (Bucketing::ByTensor { batched: false }, Value::Bytes(bytes)) => {
                match npy_header(bytes) {
                    Some(header) => hash(&header),
                    None => hash(&(input.header(SHAPE_HEADER), input.header(DTYPE_HEADER))),
                }
            }
            (Bucketing::ByPicture, Value::Bytes(bytes)) => by_header(bytes),
            (Bucketing::ByPicture, Value::Image(image)) => match (image.decoded(), image.file()) {
                (Some(samples), _) => by_samples(&samples),
                (None, Some(file)) => by_header(&file),
                (None, None) => 0,
            },
            (Bucketing::ByPicture, Value::Tensor(tensor)) => by_samples(tensor),
            _ => 0,
        }
    }
}

/// By the size that a picture's file tells in its header.
fn by_header(file: &[u8]) -> u64 {
    match image_ops::probe(file) {
        Ok(header) => hash(&(u64::from(header.width), u64::from(header.height))),
        Err(_) => 0,
    }
}

/// By the size of samples `[height, width, channels]`, which are prepared as files are; other numbers by their shape.
fn by_samples(tensor: &Tensor) -> u64 {
    match (tensor.dtype(), tensor.shape()) {
        (DType::U8, &[height, width, ..]) => hash(&(width as u64, height as u64)),
        (_, shape) => hash(&shape),
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use image_ops::{Image, encode_png};

    /// Whether the two share a bucket.
    fn check(bucketing: Bucketing, one: &Input, other: &Input, together: bool) {
        let same = bucketing.bucket(one) == bucketing.bucket(other);
        assert_eq!(same, together, "{bucketing:?}: {one:?} and {other:?}");
    }

    fn tensor(shape: &[usize]) -> Input {
        let elements = vec![0f32; shape.iter().product()];
        Input::body("", Tensor::new(shape.to_vec(), elements).expect("a tensor"))
    }

    fn npy(shape: &str) -> Input {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = u16::try_from(header.len()).expect("short").to_le_bytes();
        let bytes = [
            b"\x93NUMPY\x01\x00",
            &length[..],
            header.as_bytes(),
            &[0; 64],
        ]
        .concat();
        Input::body("application/x-npy", Bytes::from(bytes))
    }

    #[test]
    fn tensors_are_told_apart_by_their_shape() {
        let rows = Bucketing::ByTensor { batched: false };
        check(rows, &tensor(&[2, 3]), &tensor(&[2, 3]), true);
        check(rows, &tensor(&[2, 3]), &tensor(&[3, 2]), false);
        check(rows, &npy("(2, 3)"), &npy("(2, 3)"), true);
        check(rows, &npy("(2, 3)"), &npy("(2, 4)"), false);
        let batches = Bucketing::ByTensor { batched: true };
        check(batches, &tensor(&[2, 3]), &tensor(&[5, 3]), true);
        check(batches, &tensor(&[2, 3]), &tensor(&[2, 4]), false);
    }

    #[test]
    fn pictures_are_told_apart_by_their_size_and_what_tells_nothing_goes_together() {
        let png = |side| {
            let image = Image::filled(side, side, 3, 0).expect("a picture");
            let bytes = encode_png(&image).expect("encoded");
            Input::body("image/png", Bytes::from(bytes))
        };
        let picture = png(2);
        check(Bucketing::ByPicture, &png(3), &picture, false);
        let samples = Tensor::new(vec![2, 2, 3], vec![0u8; 12]).expect("a picture");
        let decoded = servable::Image::from_pixels(samples.clone()).expect("a picture");
        check(
            Bucketing::ByPicture,
            &Input::body("", decoded),
            &picture,
            true,
        );
        check(
            Bucketing::ByPicture,
            &Input::body("", samples),
            &picture,
            true,
        );
        let file = picture.payload().map(|part| part.value.clone());
        let Some(Value::Bytes(file)) = file else {
            panic!("a file")
        };
        let image = servable::Image::from_file(file);
        check(
            Bucketing::ByPicture,
            &Input::body("", image),
            &picture,
            true,
        );
        let text = Input::body("", "no picture");
        check(Bucketing::ByPicture, &picture, &picture, true);
        check(Bucketing::ByPicture, &picture, &text, false);
        check(Bucketing::ByPicture, &text, &Input::default(), true);
        check(Bucketing::Together, &picture, &text, true);
    }
}
