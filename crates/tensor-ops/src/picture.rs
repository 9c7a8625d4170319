//! Pictures as `image-ops` works on them, and as they travel: the same samples in memory, never copied.

use std::sync::Arc;

use image_ops::{DecodeError, DecodeLimits, Image, decode};
use servable::{DType, Tensor};
use thiserror::Error;

/// Why something is no picture.
#[derive(Debug, Clone, Error)]
pub enum PictureError {
    #[error("cannot be used: {0}")]
    Decode(#[from] DecodeError),
    #[error("is not a picture: expected uint8 of shape [height, width, 1 or 3], found {0:?}")]
    Shape(Tensor),
}

/// The samples of a travelling picture, `[height, width, 3]`, decoded by the first who asks for everybody.
pub fn decoded(image: &servable::Image, limits: &DecodeLimits) -> Result<Tensor, PictureError> {
    image.pixels(|file| Ok(samples_of(decode(file, limits)?)))
}

/// A travelling picture to work on; decoded by the first who asks.
pub fn pixels_of(image: &servable::Image, limits: &DecodeLimits) -> Result<Image, PictureError> {
    image_of(&decoded(image, limits)?)
}

/// 8-bit samples, `[height, width]` or `[height, width, 1 or 3]`, as a picture over the same memory.
pub fn image_of(tensor: &Tensor) -> Result<Image, PictureError> {
    let (height, width, channels) = match *tensor.shape() {
        [height, width] => (height, width, 1),
        [height, width, channels] => (height, width, channels),
        _ => (0, 0, 0),
    };
    let image = (tensor.dtype() == DType::U8).then(|| {
        let (width, height) = (u32::try_from(width).ok()?, u32::try_from(height).ok()?);
        let channels = u8::try_from(channels).ok()?;
        Image::from_bytes(width, height, channels, tensor.shared_bytes()).ok()
    });
    image
        .flatten()
        .ok_or_else(|| PictureError::Shape(tensor.clone()))
}

/// The samples of a picture, `[height, width, channels]`, over the same memory.
pub fn samples_of(image: Image) -> Tensor {
    let shape = [image.height(), image.width(), image.channels().into()].map(|side| side as usize);
    Tensor::from_storage(DType::U8, shape.to_vec(), Arc::new(image.into_bytes()))
        .expect("a picture holds exactly the samples its size demands")
}

/// A colour picture, ready to travel; `None` for a grey one, whose samples travel as a tensor.
pub fn image_value(image: &Image) -> Option<servable::Image> {
    servable::Image::from_pixels(samples_of(image.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image_ops::encode_png;

    #[test]
    fn a_file_is_decoded_once_and_its_samples_are_nowhere_copied() {
        let picture = Image::new(2, 1, 3, vec![1, 2, 3, 4, 5, 6]).expect("two pixels");
        let file = encode_png(&picture).expect("encoded");
        let image = servable::Image::from_file(file);
        let limits = DecodeLimits::default();
        let first = pixels_of(&image, &limits).expect("a picture");
        let second = decoded(&image.clone(), &limits).expect("a picture");
        assert_eq!(first, picture);
        assert_eq!(first.data().as_ptr(), second.bytes().as_ptr());
        let travelling = image_value(&first).expect("three channels");
        let samples = travelling.decoded().expect("samples");
        assert_eq!(samples.bytes().as_ptr(), second.bytes().as_ptr());
    }

    #[test]
    fn other_tensors_are_no_pictures() {
        let check = |shape: &[usize], expected: bool| {
            let tensor = Tensor::new(shape.to_vec(), vec![0u8; shape.iter().product()]);
            let found = image_of(&tensor.expect("as many samples"));
            assert_eq!(found.is_ok(), expected, "{shape:?}");
        };
        check(&[2, 3], true);
        check(&[2, 3, 1], true);
        check(&[2, 3, 3], true);
        check(&[2, 3, 4], false);
        check(&[0, 3, 3], false);
        check(&[1, 2, 3, 3], false);
        check(&[], false);
        let numbers = Tensor::new(vec![1, 1, 3], vec![0f32; 3]).expect("three numbers");
        assert!(image_of(&numbers).is_err());
    }
}
