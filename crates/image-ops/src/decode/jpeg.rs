//! JPEG, through zune-jpeg (SIMD colour conversion and transforms).
//!
//! The decoder is lenient about damage inside the compressed data, as Pillow's is. It is also lenient about
//! missing data, as Pillow's is not; the marker walk below makes up for that.

use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{DecodeError, DecodeOptions, Format};
use crate::Image;

type Decoder<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

pub(super) fn decode(
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<(Image, Orientation), DecodeError> {
    let (mut decoder, (width, height)) = open(bytes)?;
    options.limits.check(width, height, 3)?;
    if !reaches_end_marker(bytes) {
        return Err(DecodeError::Truncated {
            format: Format::Jpeg,
        });
    }
    let orientation = match decoder.exif() {
        Some(exif) if options.apply_orientation => Orientation::from_exif_chunk(exif),
        _ => None,
    };
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let (output, channels) = if grey {
        (ColorSpace::Luma, 1)
    } else {
        (ColorSpace::RGB, 3)
    };
    decoder.set_options(base_options().jpeg_set_out_colorspace(output));
    let mut data = vec![0; width as usize * height as usize * usize::from(channels)];
    decoder.decode_into(&mut data).map_err(convert)?;
    let image = Image::new(width, height, channels, data)
        .map_err(|error| DecodeError::corrupt(Format::Jpeg, error))?
        .into_rgb();
    Ok((image, orientation.unwrap_or(Orientation::NoTransforms)))
}

pub(super) fn size(bytes: &[u8]) -> Result<(u32, u32), DecodeError> {
    open(bytes).map(|(_, size)| size)
}

pub(super) fn orientation(bytes: &[u8]) -> Result<Orientation, DecodeError> {
    let (decoder, _) = open(bytes)?;
    let said = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif));
    Ok(said.unwrap_or(Orientation::NoTransforms))
}

fn open(bytes: &[u8]) -> Result<(Decoder<'_>, (u32, u32)), DecodeError> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), base_options());
    decoder.decode_headers().map_err(convert)?;
    let info = decoder
        .info()
        .ok_or_else(|| DecodeError::corrupt(Format::Jpeg, "it has no frame header"))?;
    Ok((decoder, (info.width.into(), info.height.into())))
}

fn base_options() -> DecoderOptions {
    DecoderOptions::default()
        .set_strict_mode(false)
        // The format ends at 65,535; our own limits do the refusing.
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
}

fn convert(error: DecodeErrors) -> DecodeError {
    match error {
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => DecodeError::Truncated {
            format: Format::Jpeg,
        },
        DecodeErrors::Unsupported(what) => DecodeError::Unsupported {
            what: format!("JPEG pictures of this kind ({what:?})"),
        },
        error @ (DecodeErrors::Format(_)
        | DecodeErrors::FormatStatic(_)
        | DecodeErrors::IllegalMagicBytes(_)
        | DecodeErrors::HuffmanDecode(_)
        | DecodeErrors::ZeroError
        | DecodeErrors::DqtError(_)
        | DecodeErrors::SosError(_)
        | DecodeErrors::SofError(_)
        | DecodeErrors::MCUError(_)
        | DecodeErrors::LargeDimensions(_)
        | DecodeErrors::TooSmallOutput(..)) => DecodeError::corrupt(Format::Jpeg, error),
    }
}

const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;

/// Walks the markers (ITU-T T.81, annex B) from the start to the end-of-image marker.
///
/// Segments are stepped over by their length, so that the end marker of a thumbnail inside one does not
/// count. Inside a scan a 0xFF of data is followed by 0, or by a restart marker.
fn reaches_end_marker(bytes: &[u8]) -> bool {
    let mut at = 0;
    let mut scan_seen = false;
    loop {
        // In a scan this skips the data; between segments there is nothing to skip but fill bytes.
        let Some(gap) = bytes
            .get(at..)
            .and_then(|rest| rest.iter().position(|&b| b == 0xFF))
        else {
            return false;
        };
        at += gap + 1;
        match bytes.get(at) {
            None => return false,
            Some(&END_OF_IMAGE) if scan_seen => return true,
            // A fill byte: the next one may be the marker's second half.
            Some(0xFF) => {}
            // Stuffed data, temporary and restart markers, start of image: nothing follows them.
            Some(&(0x00 | 0x01 | 0xD0..=START_OF_IMAGE | END_OF_IMAGE)) => at += 1,
            Some(&marker) => {
                scan_seen |= marker == START_OF_SCAN;
                let Some(&[high, low]) = bytes.get(at + 1..at + 3) else {
                    return false;
                };
                at += 1 + usize::from(u16::from_be_bytes([high, low]));
            }
        }
    }
}
