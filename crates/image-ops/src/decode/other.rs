//! PNG, BMP, WebP and GIF, through the `image` crate's decoders.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageResult, Limits};

use super::{DecodeError, DecodeLimits, DecodeOptions, Format};
use crate::Image;

pub(super) fn decode(
    bytes: &[u8],
    format: Format,
    options: &DecodeOptions,
) -> Result<(Image, Orientation), DecodeError> {
    let mut decoder = open(bytes, format, &options.limits)?;
    let size = decoder.dimensions();
    options
        .limits
        .check(size.0, size.1, decoder.color_type().bytes_per_pixel())?;
    if !is_whole(bytes, format) {
        return Err(DecodeError::Truncated { format });
    }
    let convert = |error| DecodeError::from_image(format, size, error);
    let orientation = if options.apply_orientation {
        decoder.orientation().map_err(convert)?
    } else {
        Orientation::NoTransforms
    };
    let decoded = DynamicImage::from_decoder(decoder).map_err(convert)?;
    Ok((to_rgb(decoded), orientation))
}

pub(super) fn size(bytes: &[u8], format: Format) -> Result<(u32, u32), DecodeError> {
    Ok(open(bytes, format, &DecodeLimits::unlimited_pixels())?.dimensions())
}

pub(super) fn orientation(bytes: &[u8], format: Format) -> Result<Orientation, DecodeError> {
    let mut decoder = open(bytes, format, &DecodeLimits::default())?;
    let size = decoder.dimensions();
    let said = decoder.orientation();
    said.map_err(|error| DecodeError::from_image(format, size, error))
}

fn open<'a>(
    bytes: &'a [u8],
    format: Format,
    limits: &DecodeLimits,
) -> Result<Box<dyn ImageDecoder + 'a>, DecodeError> {
    // Bounds what decoders keep beside the picture: frames, colour profiles, text.
    let mut memory = Limits::no_limits();
    memory.max_alloc = Some((limits.max_bytes as u64).saturating_mul(2));
    open_boxed(bytes, format, memory).map_err(|e| DecodeError::from_image(format, (0, 0), e))
}

fn open_boxed<'a>(
    bytes: &'a [u8],
    format: Format,
    memory: Limits,
) -> ImageResult<Box<dyn ImageDecoder + 'a>> {
    let reader = Cursor::new(bytes);
    let mut decoder: Box<dyn ImageDecoder + 'a> = match format {
        Format::Png => return Ok(Box::new(PngDecoder::with_limits(reader, memory)?)),
        Format::Bmp => Box::new(BmpDecoder::new(reader)?),
        Format::WebP => Box::new(WebPDecoder::new(reader)?),
        Format::Gif => Box::new(GifDecoder::new(reader)?),
        Format::Jpeg => unreachable!("JPEG has a decoder of its own"),
    };
    decoder.set_limits(memory)?;
    Ok(decoder)
}

/// Whether the container ends where it says it does. The decoders stop reading at the last sample, which
/// leaves a cut behind it unseen.
fn is_whole(bytes: &[u8], format: Format) -> bool {
    match format {
        Format::Png => png_reaches_end(bytes),
        Format::WebP => bytes
            .get(4..8)
            .and_then(|field| field.try_into().ok())
            .is_some_and(|field| bytes.len() as u64 >= 8 + u64::from(u32::from_le_bytes(field))),
        // A BMP ends with its samples, and of a GIF only the first frame is wanted.
        Format::Bmp | Format::Gif | Format::Jpeg => true,
    }
}

/// Steps over the chunks (length, name, data, checksum) to the one named IEND.
fn png_reaches_end(bytes: &[u8]) -> bool {
    const SIGNATURE: usize = 8;
    const AROUND_DATA: usize = 12;
    let mut rest = bytes.get(SIGNATURE..).unwrap_or_default();
    while let Some((&length, after)) = rest.split_first_chunk::<4>() {
        let chunk = (u32::from_be_bytes(length) as usize).saturating_add(AROUND_DATA);
        if rest.len() < chunk {
            return false;
        }
        if after.starts_with(b"IEND") {
            return true;
        }
        rest = &rest[chunk..];
    }
    false
}

/// Alpha goes, grey is repeated, and of 16 bits the upper 8 are kept.
fn to_rgb(decoded: DynamicImage) -> Image {
    let high = |v: u16| (v >> 8) as u8;
    let (width, height) = (decoded.width(), decoded.height());
    let data: Vec<u8> = match decoded {
        DynamicImage::ImageRgb8(b) => b.into_raw(),
        DynamicImage::ImageRgba8(b) => {
            let pixels = b.as_raw().chunks_exact(4);
            pixels.flat_map(|p| [p[0], p[1], p[2]]).collect()
        }
        DynamicImage::ImageLuma8(b) => b.as_raw().iter().flat_map(|&v| [v; 3]).collect(),
        DynamicImage::ImageLumaA8(b) => {
            let pixels = b.as_raw().chunks_exact(2);
            pixels.flat_map(|p| [p[0]; 3]).collect()
        }
        DynamicImage::ImageRgb16(b) => b.as_raw().iter().map(|&v| high(v)).collect(),
        DynamicImage::ImageRgba16(b) => {
            let pixels = b.as_raw().chunks_exact(4);
            pixels
                .flat_map(|p| [high(p[0]), high(p[1]), high(p[2])])
                .collect()
        }
        DynamicImage::ImageLuma16(b) => b.as_raw().iter().flat_map(|&v| [high(v); 3]).collect(),
        DynamicImage::ImageLumaA16(b) => {
            let pixels = b.as_raw().chunks_exact(2);
            pixels.flat_map(|p| [high(p[0]); 3]).collect()
        }
        // Floating point pictures, which none of the four formats holds.
        other @ (DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_) | _) => {
            other.into_rgb8().into_raw()
        }
    };
    Image::new(width, height, 3, data).expect("three samples were made of every pixel")
}
