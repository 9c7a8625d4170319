//! Pictures back to bytes: for answers, for artifacts and for looking at what a model saw.

use std::borrow::Cow;
use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use thiserror::Error;

use crate::Image;

/// Why a picture did not become bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EncodeError {
    #[error("a mask of {width}x{height} takes {expected} bytes, not {found}")]
    MaskLength {
        width: u32,
        height: u32,
        expected: u64,
        found: usize,
    },
    #[error("a palette holds 1 to 256 colours of 3 bytes, not {found} bytes")]
    Palette { found: usize },
    #[error("the mask holds class {class}, its palette ends at {last}")]
    ClassWithoutColour { class: u8, last: u8 },
    #[error("the JPEG quality must lie between 1 and 100, not at {found}")]
    Quality { found: u8 },
    #[error("the picture could not be written as {format}: {reason}")]
    Encoder {
        format: &'static str,
        reason: String,
    },
}

/// An 8-bit grey or RGB PNG.
pub fn encode_png(image: &Image) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(image.data(), image.width(), image.height(), colour(image))
        .map_err(|error| failed("PNG", &error))?;
    Ok(bytes)
}

/// A baseline JPEG at a quality of 1 to 100 (75 is what most programs take, 95 looks like the original).
pub fn encode_jpeg(image: &Image, quality: u8) -> Result<Vec<u8>, EncodeError> {
    if !(1..=100).contains(&quality) {
        return Err(EncodeError::Quality { found: quality });
    }
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(Cursor::new(&mut bytes), quality)
        .write_image(image.data(), image.width(), image.height(), colour(image))
        .map_err(|error| failed("JPEG", &error))?;
    Ok(bytes)
}

/// A palette PNG whose pixel values are the class numbers of `mask` (rows one after the other) and whose
/// palette holds R, G and B of each class.
///
/// Every class in the mask needs a colour; most readers refuse or misdraw a picture that lacks one.
pub fn encode_palette_png(
    mask: &[u8],
    width: u32,
    height: u32,
    palette: &[u8],
) -> Result<Vec<u8>, EncodeError> {
    let expected = u64::from(width) * u64::from(height);
    if mask.len() as u64 != expected {
        return Err(EncodeError::MaskLength {
            width,
            height,
            expected,
            found: mask.len(),
        });
    }
    let colours = palette.len() / 3;
    if !palette.len().is_multiple_of(3) || !(1..=256).contains(&colours) {
        return Err(EncodeError::Palette {
            found: palette.len(),
        });
    }
    let last = (colours - 1) as u8;
    if let Some(&class) = mask.iter().max().filter(|&&class| class > last) {
        return Err(EncodeError::ClassWithoutColour { class, last });
    }
    let mut bytes = Vec::new();
    write_palette_png(&mut bytes, mask, (width, height), palette)
        .map_err(|error| failed("palette PNG", &error))?;
    Ok(bytes)
}

fn write_palette_png(
    bytes: &mut Vec<u8>,
    mask: &[u8],
    (width, height): (u32, u32),
    palette: &[u8],
) -> Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(bytes, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(Cow::Borrowed(palette));
    let mut writer = encoder.write_header()?;
    writer.write_image_data(mask)?;
    writer.finish()
}

fn colour(image: &Image) -> ExtendedColorType {
    match image.channels() {
        1 => ExtendedColorType::L8,
        _ => ExtendedColorType::Rgb8,
    }
}

fn failed(format: &'static str, error: &dyn std::error::Error) -> EncodeError {
    EncodeError::Encoder {
        format,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DecodeLimits, decode};

    fn picture(channels: u8) -> Image {
        let data = (0..12 * channels).map(|v| v * 7).collect();
        Image::new(4, 3, channels, data).unwrap()
    }

    #[test]
    fn png_keeps_every_sample() {
        for channels in [1, 3] {
            let bytes = encode_png(&picture(channels)).unwrap();
            let found = decode(&bytes, &DecodeLimits::default()).unwrap();
            assert_eq!(found, picture(channels).into_rgb());
        }
    }

    #[test]
    fn jpeg_keeps_a_flat_picture() {
        for channels in [1, 3] {
            let flat = Image::filled(20, 9, channels, 77).unwrap();
            let bytes = encode_jpeg(&flat, 90).unwrap();
            let found = decode(&bytes, &DecodeLimits::default()).unwrap();
            assert_eq!((found.width(), found.height()), (20, 9));
            assert!(found.data().iter().all(|v| v.abs_diff(77) <= 2));
        }
        let refused = encode_jpeg(&picture(3), 0);
        assert_eq!(refused, Err(EncodeError::Quality { found: 0 }));
    }

    #[test]
    fn palette_png_stores_class_numbers() {
        let bytes = encode_palette_png(&[1, 0, 1, 1], 2, 2, &[0, 0, 0, 128, 0, 64]).unwrap();
        let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
        assert_eq!(reader.info().color_type, png::ColorType::Indexed);
        assert_eq!(
            reader.info().palette.as_deref(),
            Some(&[0, 0, 0, 128, 0, 64][..])
        );
        let mut stored = [9; 4];
        reader.next_frame(&mut stored).unwrap();
        assert_eq!(stored, [1, 0, 1, 1]);
    }

    #[test]
    fn palette_png_refuses_what_readers_would_misdraw() {
        let check = |mask: &[u8], palette: &[u8], expected: &str| {
            let error = encode_palette_png(mask, 2, 1, palette).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        check(&[0], &[0; 3], "a mask of 2x1 takes 2 bytes, not 1");
        check(
            &[0; 2],
            &[0; 4],
            "a palette holds 1 to 256 colours of 3 bytes, not 4 bytes",
        );
        check(
            &[0; 2],
            &[],
            "a palette holds 1 to 256 colours of 3 bytes, not 0 bytes",
        );
        check(
            &[0, 2],
            &[0; 6],
            "the mask holds class 2, its palette ends at 1",
        );
    }
}
