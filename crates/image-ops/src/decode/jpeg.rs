//! JPEG, through libjpeg-turbo-rs: the samples are those of libjpeg-turbo, and so of Pillow and OpenCV, bit for bit.
//!
//! Models were trained behind those two, and some answers turn on a grey level: other decoders round the transform, and the
//! colours between two samples, their own way.
//!
//! The decoder is lenient about damage inside the compressed data, as Pillow's is. It is also lenient about
//! missing data, as Pillow's is not; the marker walk below makes up for that.

use image::metadata::Orientation;
use libjpeg_turbo_rs::common::types::ComponentInfo;
use libjpeg_turbo_rs::{DecodeLimits as Bounds, Decoder, JpegError, PixelFormat};

use super::{DecodeError, DecodeOptions, Format};
use crate::Image;

/// Far more scans than a progressive picture has. Each costs a walk over the whole picture, and a dozen bytes ask for one.
const MAX_SCANS: usize = 500;

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
    let orientation = match decoder.exif_orientation() {
        Some(value) if options.apply_orientation => Orientation::from_exif(value),
        _ => None,
    };
    let components = &decoder.header().components;
    let inks = components.len() == 4;
    if inks && !is_common(components) {
        return Err(DecodeError::Unsupported {
            what: "JPEG pictures of four inks in unusual proportions".to_owned(),
        });
    }
    decoder.set_lenient(true);
    decoder.set_output_format(if inks {
        PixelFormat::Cmyk
    } else {
        PixelFormat::Rgb
    });
    let pixels = width as usize * height as usize;
    let mut data = vec![0; pixels * if inks { 4 } else { 3 }];
    decoder.decode_image_into(&mut data).map_err(convert)?;
    if inks {
        data = data.chunks_exact(4).flat_map(printed).collect();
    }
    let image = Image::new(width, height, 3, data)
        .map_err(|error| DecodeError::corrupt(Format::Jpeg, error))?;
    Ok((image, orientation.unwrap_or(Orientation::NoTransforms)))
}

pub(super) fn size(bytes: &[u8]) -> Result<(u32, u32), DecodeError> {
    open(bytes).map(|(_, size)| size)
}

pub(super) fn orientation(bytes: &[u8]) -> Result<Orientation, DecodeError> {
    let (decoder, _) = open(bytes)?;
    let said = decoder.exif_orientation().and_then(Orientation::from_exif);
    Ok(said.unwrap_or(Orientation::NoTransforms))
}

fn open(bytes: &[u8]) -> Result<(Decoder<'_>, (u32, u32)), DecodeError> {
    let bounds = Bounds {
        // The format ends at 65,535; our own limits do the refusing.
        max_width: usize::from(u16::MAX),
        max_height: usize::from(u16::MAX),
        max_pixels: u64::MAX,
        max_scans: MAX_SCANS,
        max_memory: None,
    };
    let decoder = Decoder::new_with_limits(bytes, bounds).map_err(convert)?;
    let frame = decoder.header();
    let size = (u32::from(frame.width), u32::from(frame.height));
    Ok((decoder, size))
}

/// Whether the first and the last of four components are whole, and the two between them alike. The decoder takes that for
/// granted and would panic; whoever writes four components writes them so.
fn is_common(components: &[ComponentInfo]) -> bool {
    let sampling = |at: usize| {
        let component: &ComponentInfo = &components[at];
        (component.horizontal_sampling, component.vertical_sampling)
    };
    let (whole, part) = (sampling(0), sampling(1));
    let divides = |part: u8, whole: u8| part > 0 && whole.is_multiple_of(part);
    whole == sampling(3)
        && part == sampling(2)
        && divides(part.0, whole.0)
        && divides(part.1, whole.1)
}

/// Cyan, magenta, yellow and black as Adobe stores them, 255 being no ink, to the RGB that Pillow makes of them.
fn printed(inks: &[u8]) -> [u8; 3] {
    let light = u32::from(inks[3]);
    [0, 1, 2].map(|at| {
        let product = (255 - u32::from(inks[at])) * light + 128;
        // Divided by 255 and rounded; at most `light`.
        (light - (((product >> 8) + product) >> 8)) as u8
    })
}

fn convert(error: JpegError) -> DecodeError {
    if let JpegError::UnexpectedEof | JpegError::Io(_) = error {
        return DecodeError::Truncated {
            format: Format::Jpeg,
        };
    }
    if let JpegError::Unsupported(what) = error {
        return DecodeError::Unsupported {
            what: format!("JPEG pictures of this kind ({what})"),
        };
    }
    DecodeError::corrupt(Format::Jpeg, error)
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
