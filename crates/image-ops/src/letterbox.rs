//! Putting a picture into a detector's input, as [`crate::size::letterbox`] has laid it out.

use crate::crop::place;
use crate::size::Letterbox;
use crate::{Image, ImageError, Kernel, resize};

/// What YOLOv5 was trained with around its pictures.
pub const FILL: u8 = 114;

/// The picture scaled by `cv_linear` and bordered with [`FILL`].
///
/// Fails when the geometry is for a picture of another size, or has an empty side (a picture so narrow
/// that nothing of it is left).
pub fn letterbox(image: &Image, geometry: &Letterbox) -> Result<Image, ImageError> {
    letterbox_with(image, geometry, FILL)
}

/// [`letterbox`] with another border value.
pub fn letterbox_with(image: &Image, geometry: &Letterbox, fill: u8) -> Result<Image, ImageError> {
    if (image.width(), image.height()) != (geometry.image_width, geometry.image_height) {
        return Err(ImageError::LetterboxMismatch {
            expected_width: geometry.image_width,
            expected_height: geometry.image_height,
            width: image.width(),
            height: image.height(),
        });
    }
    let (width, height) = (geometry.scaled_width, geometry.scaled_height);
    let scaled = resize(image, width, height, Kernel::CvLinear)?;
    if (width, height) == (geometry.width, geometry.height) {
        return Ok(scaled);
    }
    let (left, top) = (geometry.left, geometry.top);
    place(&scaled, geometry.width, geometry.height, fill, left, top)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::size;

    #[test]
    fn the_picture_lies_inside_its_border() {
        // 4x2 in 8x8 cells: doubled to 8x4, two rows of border above and below.
        let image = Image::filled(4, 2, 1, 200).unwrap();
        let geometry = size::letterbox(4, 2, 8, 8);
        let boxed = letterbox(&image, &geometry).unwrap();
        let expected: Vec<u8> = [[FILL; 16], [200; 16], [200; 16], [FILL; 16]].concat();
        assert_eq!((boxed.width(), boxed.height()), (8, 8));
        assert_eq!(boxed.data(), expected);
    }

    #[test]
    fn a_geometry_serves_one_size() {
        let image = Image::filled(5, 2, 1, 200).unwrap();
        let found = letterbox(&image, &size::letterbox(4, 2, 8, 8));
        assert!(matches!(found, Err(ImageError::LetterboxMismatch { .. })));
    }

    #[test]
    fn a_thread_of_a_picture_is_refused() {
        let image = Image::filled(2000, 1, 3, 0).unwrap();
        let found = letterbox(&image, &size::letterbox(2000, 1, 640, 32));
        assert!(matches!(found, Err(ImageError::ZeroSize { .. })));
    }
}
