//! PNG in and out, through the `image` crate.

use std::io::Cursor;

use image::{ExtendedColorType, ImageEncoder, ImageError, codecs::png::PngEncoder};

/// A picture of three bytes a pixel as a PNG file's bytes. Fails if `rgb` is not `3 * width * height` long.
pub fn encode(rgb: &[u8], width: usize, height: usize) -> Result<Vec<u8>, ImageError> {
    use image::codecs::png::{CompressionType, FilterType};
    use image::error::{ParameterError, ParameterErrorKind};

    let side = |pixels: usize| {
        u32::try_from(pixels).map_err(|_| {
            ImageError::Parameter(ParameterError::from_kind(
                ParameterErrorKind::DimensionMismatch,
            ))
        })
    };
    let (wide, high) = (side(width)?, side(height)?);
    if 3 * width * height != rgb.len() {
        return Err(ImageError::Parameter(ParameterError::from_kind(
            ParameterErrorKind::DimensionMismatch,
        )));
    }
    let mut file = Cursor::new(Vec::new());
    PngEncoder::new_with_quality(&mut file, CompressionType::Best, FilterType::Adaptive)
        .write_image(rgb, wide, high, ExtendedColorType::Rgb8)?;
    Ok(file.into_inner())
}

/// The pixels of a PNG file, three bytes each, with width and height.
pub fn decode(file: &[u8]) -> Result<(Vec<u8>, usize, usize), ImageError> {
    let picture = image::load_from_memory_with_format(file, image::ImageFormat::Png)?.into_rgb8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    Ok((picture.into_raw(), width, height))
}
