//! Bytes from outside to an 8-bit RGB [`Image`]: JPEG, PNG, BMP, WebP and the first frame of a GIF.
//!
//! The format is told by the content. Whatever the file holds (grey, palette, 16 bits, CMYK) comes out as
//! RGB: of 16 bits the upper 8 are kept, and alpha is dropped, not blended, so what was hidden under it
//! shows. EXIF rotation is left alone unless asked for. A file that was cut short is an error, even where
//! viewers would show a half-grey picture. Limits are applied to the header, before decoding.
//!
//! This is the only place in the crate that meets hostile input.

mod error;
mod jpeg;
mod limits;
mod other;
#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::ImageFormat;
use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

pub use error::DecodeError;
pub use limits::DecodeLimits;

use crate::Image;

/// The picture formats that can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Jpeg,
    Png,
    Bmp,
    WebP,
    Gif,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::Bmp => "BMP",
            Format::WebP => "WebP",
            Format::Gif => "GIF",
        })
    }
}

/// How to decode; the default is what TorchServe's handlers do with Pillow.
#[derive(Debug, Clone, Copy, Default)]
pub struct DecodeOptions {
    pub limits: DecodeLimits,
    /// Turn and mirror the picture as its EXIF data say. Off by default.
    pub apply_orientation: bool,
}

/// What a header says, before any rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub format: Format,
    pub width: u32,
    pub height: u32,
}

/// Decodes a whole file to RGB without applying EXIF rotation.
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<Image, DecodeError> {
    let options = DecodeOptions {
        limits: *limits,
        ..DecodeOptions::default()
    };
    decode_with(bytes, &options)
}

/// Decodes a whole file to RGB.
pub fn decode_with(bytes: &[u8], options: &DecodeOptions) -> Result<Image, DecodeError> {
    let format = format_of(bytes)?;
    let (image, orientation) = guarded(format, || match format {
        Format::Jpeg => jpeg::decode(bytes, options),
        Format::Png | Format::Bmp | Format::WebP | Format::Gif => {
            other::decode(bytes, format, options)
        }
    })?;
    orient(image, orientation)
}

/// Reads the header alone: format and size.
pub fn probe(bytes: &[u8]) -> Result<Header, DecodeError> {
    let format = format_of(bytes)?;
    let (width, height) = guarded(format, || match format {
        Format::Jpeg => jpeg::size(bytes),
        Format::Png | Format::Bmp | Format::WebP | Format::Gif => other::size(bytes, format),
    })?;
    Ok(Header {
        format,
        width,
        height,
    })
}

/// Whether EXIF data in the file say that the picture is to be turned or mirrored. Decodes nothing.
pub fn is_turned(bytes: &[u8]) -> Result<bool, DecodeError> {
    let format = format_of(bytes)?;
    let orientation = guarded(format, || match format {
        Format::Jpeg => jpeg::orientation(bytes),
        Format::Png | Format::Bmp | Format::WebP | Format::Gif => other::orientation(bytes, format),
    })?;
    Ok(orientation != Orientation::NoTransforms)
}

fn format_of(bytes: &[u8]) -> Result<Format, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => Ok(Format::Jpeg),
        Ok(ImageFormat::Png) => Ok(Format::Png),
        Ok(ImageFormat::Bmp) => Ok(Format::Bmp),
        Ok(ImageFormat::WebP) => Ok(Format::WebP),
        Ok(ImageFormat::Gif) => Ok(Format::Gif),
        Ok(other) => Err(DecodeError::Unsupported {
            what: format!("{other:?} pictures"),
        }),
        Err(_) => Err(DecodeError::NotAPicture),
    }
}

/// Runs a decoder so that a panic inside it costs one picture. The decoders are large, foreign and fed by
/// strangers; nothing of theirs outlives the call, so there is no state a panic could leave broken.
fn guarded<T>(
    format: Format,
    decoder: impl FnOnce() -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    catch_unwind(AssertUnwindSafe(decoder)).unwrap_or_else(|_| {
        Err(DecodeError::Corrupt {
            format,
            reason: "the decoder gave up".to_owned(),
        })
    })
}

fn orient(image: Image, orientation: Orientation) -> Result<Image, DecodeError> {
    if orientation == Orientation::NoTransforms {
        return Ok(image);
    }
    let (width, height) = (image.width(), image.height());
    let buffer = RgbImage::from_raw(width, height, image.into_data())
        .expect("a decoded picture has three channels and the samples its size demands");
    let mut turned = DynamicImage::ImageRgb8(buffer);
    turned.apply_orientation(orientation);
    let turned = turned.into_rgb8();
    let (width, height) = turned.dimensions();
    Ok(Image::new(width, height, 3, turned.into_raw())
        .expect("turning a picture keeps its pixels and channels"))
}
