//! Pictures of every kind, made here, and what must become of them; then everything that must not decode.

use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, Rgba, RgbaImage};
use proptest::prelude::*;

use super::*;

const WIDTH: u32 = 24;
const HEIGHT: u32 = 16;

/// A smooth picture, which JPEG keeps within a few grey levels.
fn gradient() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        image::Rgb([(x * 10) as u8, (y * 15) as u8, (x * 4 + y * 4) as u8])
    })
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn gradient_as(format: ImageFormat) -> Vec<u8> {
    encoded(&gradient().into(), format)
}

/// Big enough for several MCU rows, so that a cut can fall between them.
fn jpeg() -> Vec<u8> {
    gradient_as(ImageFormat::Jpeg)
}

/// Few colours, so that the GIF's palette holds them all.
fn gif() -> Vec<u8> {
    let mut bytes = Vec::new();
    let frame = RgbaImage::from_fn(WIDTH, HEIGHT, |x, y| {
        Rgba([(x / 8) as u8 * 80, 0, (y / 8) as u8 * 99, 255])
    });
    GifEncoder::new(&mut bytes)
        .encode(frame.as_raw(), WIDTH, HEIGHT, ExtendedColorType::Rgba8)
        .unwrap();
    bytes
}

fn all_formats() -> [(Format, Vec<u8>); 5] {
    [
        (Format::Jpeg, jpeg()),
        (Format::Png, gradient_as(ImageFormat::Png)),
        (Format::Bmp, gradient_as(ImageFormat::Bmp)),
        (Format::WebP, gradient_as(ImageFormat::WebP)),
        (Format::Gif, gif()),
    ]
}

fn decoded(bytes: &[u8]) -> Image {
    decode(bytes, &DecodeLimits::default()).unwrap()
}

/// The decoded samples lie within `tolerance` of `expected`.
fn check(bytes: &[u8], expected: &[u8], tolerance: u8) {
    let image = decoded(bytes);
    assert_eq!(image.channels(), 3);
    assert_eq!(image.data().len(), expected.len());
    for (i, (found, expected)) in image.data().iter().zip(expected).enumerate() {
        let difference = found.abs_diff(*expected);
        assert!(
            difference <= tolerance,
            "sample {i} is {found}, expected {expected}"
        );
    }
}

#[test]
fn the_content_tells_the_format() {
    for (format, bytes) in all_formats() {
        let expected = Header {
            format,
            width: WIDTH,
            height: HEIGHT,
        };
        assert_eq!(probe(&bytes), Ok(expected));
        let image = decoded(&bytes);
        assert_eq!((image.width(), image.height()), (WIDTH, HEIGHT), "{format}");
    }
}

#[test]
fn lossless_formats_keep_every_sample() {
    for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP] {
        check(&gradient_as(format), gradient().as_raw(), 0);
    }
    let expected: Vec<u8> = (0..HEIGHT)
        .flat_map(|y| (0..WIDTH).flat_map(move |x| [(x / 8) as u8 * 80, 0, (y / 8) as u8 * 99]))
        .collect();
    check(&gif(), &expected, 0);
}

#[test]
fn jpeg_keeps_a_smooth_picture() {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 98)
        .write_image(gradient().as_raw(), WIDTH, HEIGHT, ExtendedColorType::Rgb8)
        .unwrap();
    check(&bytes, gradient().as_raw(), 12);
}

#[test]
fn grey_becomes_three_equal_channels() {
    let grey = DynamicImage::from(gradient()).into_luma8();
    let expected: Vec<u8> = grey.as_raw().iter().flat_map(|&v| [v; 3]).collect();
    let grey = DynamicImage::ImageLuma8(grey);
    check(&encoded(&grey, ImageFormat::Png), &expected, 0);
    check(&encoded(&grey, ImageFormat::Bmp), &expected, 0);
    check(&encoded(&grey, ImageFormat::Jpeg), &expected, 8);
}

#[test]
fn alpha_is_dropped_and_not_blended() {
    let hidden = RgbaImage::from_fn(2, 1, |x, _| {
        Rgba([200, 100, 50, if x == 0 { 0 } else { 128 }])
    });
    let expected = [200, 100, 50, 200, 100, 50];
    let hidden = DynamicImage::ImageRgba8(hidden);
    check(&encoded(&hidden, ImageFormat::Png), &expected, 0);
    check(&encoded(&hidden, ImageFormat::WebP), &expected, 0);
    let grey = image::GrayAlphaImage::from_raw(2, 1, vec![7, 0, 9, 255]).unwrap();
    let grey = DynamicImage::ImageLumaA8(grey);
    check(&encoded(&grey, ImageFormat::Png), &[7, 7, 7, 9, 9, 9], 0);
}

#[test]
fn sixteen_bits_keep_the_upper_eight() {
    let png = |samples: &[u16], width, colour| {
        let bytes: Vec<u8> = samples.iter().flat_map(|v| v.to_ne_bytes()).collect();
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(&bytes, width, 1, colour)
            .unwrap();
        png
    };
    let rgb = png(&[0x12FF, 0x8000, 0xFFFF], 1, ExtendedColorType::Rgb16);
    check(&rgb, &[0x12, 0x80, 0xFF], 0);
    let rgba = png(&[0x12FF, 0x8000, 0xFFFF, 0], 1, ExtendedColorType::Rgba16);
    check(&rgba, &[0x12, 0x80, 0xFF], 0);
    let grey = png(&[0x00FF, 0x0100], 2, ExtendedColorType::L16);
    check(&grey, &[0, 0, 0, 1, 1, 1], 0);
}

#[test]
fn palettes_are_looked_up() {
    let palette = [10, 20, 30, 40, 50, 60, 70, 80, 90];
    let bytes = crate::encode_palette_png(&[2, 0, 1, 1], 2, 2, &palette).unwrap();
    check(&bytes, &[70, 80, 90, 10, 20, 30, 40, 50, 60, 40, 50, 60], 0);
}

/// 9 x 5 pixels of hard colours at quality 75, one colour for four pixels. Written by libjpeg-turbo, as what it reads in it.
const COLOURS: (&str, [u8; 135]) = (
    "\
     ffd8ffdb004300080606070605080707070909080a0c140d0c0b0b0c1912130f141d1a1f1e1d1a1c1c20242e2720222c231c1c2837292c30\
     313434341f27393d38323c2e333432ffdb0043010909090c0b0c180d0d1832211c2132323232323232323232323232323232323232323232\
     32323232323232323232323232323232323232323232323232323232ffc00011080005000903012200021101031101ffc400160001010100\
     000000000000000000000000000305ffc4002410000103020407000000000000000000000200010503041213152122314155a1a4e2ffc400\
     1501010100000000000000000000000000000405ffc4001f1100020202010500000000000000000000010204110331000506415161ffda00\
     0c03010002110311003f009d94046c3c2d7bba944ae000447031e5bf1130ec4dbb73f1d1686bf15d8bd9f8444fe8d8567c777956c55d80b2\
     754a6b7f7957b3d04a807266249bad91e07a239fffd9\
    ",
    [
        0, 4, 126, 34, 32, 155, 62, 30, 155, 86, 43, 176, 71, 35, 183, 114, 61, 213, 171, 73, 222,
        175, 60, 164, 195, 91, 116, 11, 47, 121, 23, 46, 116, 73, 66, 133, 106, 89, 160, 107, 98,
        187, 128, 100, 203, 148, 74, 189, 93, 1, 86, 212, 131, 140, 8, 90, 68, 34, 103, 72, 60,
        102, 52, 60, 94, 44, 113, 156, 128, 148, 172, 176, 190, 162, 211, 208, 161, 203, 216, 183,
        164, 21, 148, 79, 27, 144, 56, 86, 175, 57, 99, 177, 55, 100, 178, 79, 154, 201, 155, 209,
        188, 229, 228, 176, 238, 255, 209, 227, 4, 181, 109, 52, 216, 121, 75, 207, 69, 100, 210,
        63, 129, 227, 106, 166, 209, 166, 111, 58, 148, 159, 54, 196, 175, 53, 174,
    ],
);

#[test]
fn jpeg_has_the_samples_of_libjpeg_turbo() {
    let (hex, expected) = COLOURS;
    let digits = hex.trim_end().as_bytes().chunks_exact(2);
    let byte = |digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    let bytes: Vec<u8> = digits.map(byte).collect();
    check(&bytes, &expected, 0);
}

/// One 8x8 block of four components, each a constant, with an Adobe marker as every CMYK JPEG has.
/// Adobe stores the inks inverted: 255 is no ink.
fn cmyk_jpeg(inks: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8];
    let mut segment = |marker: u8, body: &[u8]| {
        bytes.extend([0xFF, marker]);
        bytes.extend(((body.len() + 2) as u16).to_be_bytes());
        bytes.extend(body);
    };
    segment(0xEE, b"Adobe\0\x64\0\0\0\0\0");
    let mut quantisation = [1; 65];
    quantisation[0] = 0;
    quantisation[1] = 8; // a constant block of v has the DC coefficient 8 * (v - 128)
    segment(0xDB, &quantisation);
    let frame = [
        8, 0, 8, 0, 8, 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0,
    ];
    segment(0xC0, &frame);
    // DC: the nine categories 0..=8 as the 4-bit codes 0000..=1000. AC: end of block as the code 0.
    let mut dc = vec![0x00, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    dc.extend(0..=8);
    segment(0xC4, &dc);
    segment(
        0xC4,
        &[0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    segment(0xDA, &[4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0]);
    let mut bits = String::new();
    for ink in inks {
        let dc = i32::from(ink) - 128;
        let category = (32 - dc.unsigned_abs().leading_zeros()) as usize;
        let value = if dc < 0 { dc + (1 << category) - 1 } else { dc };
        bits += &format!("{category:04b}");
        if category > 0 {
            bits += &format!("{value:0category$b}");
        }
        bits += "0";
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    for byte in bits.as_bytes().chunks(8) {
        let text = std::str::from_utf8(byte).unwrap();
        let byte = u8::from_str_radix(text, 2).unwrap();
        bytes.push(byte);
        if byte == 0xFF {
            bytes.push(0);
        }
    }
    bytes.extend([0xFF, 0xD9]);
    bytes
}

#[test]
fn cmyk_becomes_rgb() {
    let check_inks = |inks, rgb: [u8; 3]| check(&cmyk_jpeg(inks), &rgb.repeat(64), 2);
    check_inks([255, 255, 255, 255], [255, 255, 255]); // no ink is white
    check_inks([255, 255, 255, 0], [0, 0, 0]); // all black
    check_inks([0, 255, 255, 255], [0, 255, 255]); // all cyan
    check_inks([255, 0, 0, 255], [255, 0, 0]); // magenta and yellow make red
    check_inks([200, 100, 50, 255], [200, 100, 50]);
}

#[test]
fn inks_in_unusual_proportions_are_refused() {
    let mut bytes = cmyk_jpeg([0; 4]);
    let frame = bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]);
    // The sampling of black, the last of the frame's four components.
    bytes[frame.unwrap() + 20] = 0x21;
    let expected = DecodeError::Unsupported {
        what: "JPEG pictures of four inks in unusual proportions".to_owned(),
    };
    assert_eq!(decode(&bytes, &DecodeLimits::default()), Err(expected));
}

/// `jpeg` with an EXIF segment that holds one entry, the orientation.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE1];
    bytes.extend(((exif.len() + 2) as u16).to_be_bytes());
    bytes.extend(exif);
    bytes.extend(&jpeg[2..]);
    bytes
}

#[test]
fn orientation_is_applied_only_when_asked_for() {
    // 6 means: turn clockwise by a quarter to look right.
    let bytes = with_orientation(&jpeg(), 6);
    let plain = decoded(&jpeg());
    assert_eq!(decoded(&bytes), plain);

    let options = DecodeOptions {
        apply_orientation: true,
        ..DecodeOptions::default()
    };
    let turned = decode_with(&bytes, &options).unwrap();
    assert_eq!((turned.width(), turned.height()), (HEIGHT, WIDTH));
    // The lower left corner comes to the upper left.
    assert_eq!(turned.data()[..3], plain.row(HEIGHT as usize - 1)[..3]);
    assert_eq!(decode_with(&jpeg(), &options).unwrap(), plain);
}

#[test]
fn a_cut_anywhere_is_an_error() {
    for (format, bytes) in all_formats() {
        // Of a GIF only the samples of the first frame are wanted. Behind them lie the last bits of the
        // compressed stream, its terminator and the trailer.
        let needed = if format == Format::Gif {
            bytes.len() - 3
        } else {
            bytes.len()
        };
        for len in 0..needed {
            let found = decode(&bytes[..len], &DecodeLimits::default());
            assert!(
                found.is_err(),
                "{format} cut to {len} of {} bytes decodes",
                bytes.len()
            );
        }
    }
}

#[test]
fn cuts_are_named_as_such() {
    for (format, bytes) in all_formats() {
        let found = decode(&bytes[..bytes.len() * 3 / 4], &DecodeLimits::default());
        let expected = DecodeError::Truncated { format };
        assert_eq!(found, Err(expected), "{format}");
    }
    let message = DecodeError::Truncated {
        format: Format::Jpeg,
    };
    assert_eq!(message.to_string(), "the JPEG picture is cut short");
}

#[test]
fn the_end_of_a_thumbnail_does_not_end_the_picture() {
    let whole = jpeg();
    let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE2];
    bytes.extend(((whole.len() + 2) as u16).to_be_bytes());
    bytes.extend(&whole);
    bytes.extend(&whole[2..]);
    assert_eq!(decoded(&bytes), decoded(&whole));
    let cut = decode(&bytes[..bytes.len() - 2], &DecodeLimits::default());
    let truncated = DecodeError::Truncated {
        format: Format::Jpeg,
    };
    assert_eq!(cut, Err(truncated));
}

#[test]
fn bytes_behind_the_picture_do_not_matter() {
    for (format, mut bytes) in all_formats() {
        let expected = decoded(&bytes);
        bytes.extend([0; 100]);
        assert_eq!(decoded(&bytes), expected, "{format}");
    }
}

#[test]
fn what_is_no_picture_is_said_to_be_none() {
    let check = |bytes: &[u8], expected| {
        assert_eq!(
            decode(bytes, &DecodeLimits::default()).unwrap_err(),
            expected
        );
        assert_eq!(probe(bytes).unwrap_err(), expected);
    };
    check(b"", DecodeError::Empty);
    check(b"{\"data\": [1, 2]}", DecodeError::NotAPicture);
    check(b"\0", DecodeError::NotAPicture);
    let tiff = DecodeError::Unsupported {
        what: "Tiff pictures".to_owned(),
    };
    check(b"II*\0\x08\0\0\0", tiff);
}

#[test]
fn limits_hold_before_decoding() {
    for (format, bytes) in all_formats() {
        let check = |max_pixels, max_bytes, fits: bool| {
            let limits = DecodeLimits {
                max_pixels,
                max_bytes,
            };
            // Without its last byte the picture cannot be decoded, so a refusal comes from the header.
            let found = decode(&bytes[..bytes.len() - 1], &limits);
            let refused = matches!(found, Err(DecodeError::TooLarge { .. }));
            assert_eq!(
                refused, !fits,
                "{format} {max_pixels} {max_bytes}: {found:?}"
            );
        };
        let pixels = u64::from(WIDTH * HEIGHT);
        check(pixels - 1, usize::MAX, false);
        check(pixels, usize::MAX, true);
        check(u64::MAX, pixels as usize * 3 - 1, false);
        check(u64::MAX, pixels as usize * 4, true);
    }
}

#[test]
fn a_bomb_is_refused_by_its_header() {
    // The size fields of a small BMP and a small PNG rewritten to 60,000 x 60,000.
    let mut bmp = gradient_as(ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    let found = decode(&bmp, &DecodeLimits::default());
    let expected = DecodeError::TooLarge {
        width: 60_000,
        height: 60_000,
        limit: 178_956_970,
    };
    assert_eq!(found, Err(expected));
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<proptest::sample::Index>(), any::<u8>());
    let changes = proptest::collection::vec(change, 1..8);
    let cut = any::<Option<proptest::sample::Index>>();
    (0..5usize, changes, cut).prop_map(|(format, changes, cut)| {
        let mut bytes = all_formats()[format].1.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn damaged_pictures_never_panic(bytes in mutated()) {
        // Small limits: a damaged header may ask for a very large picture, which is not the point here.
        let limits = DecodeLimits { max_pixels: 1 << 20, max_bytes: 1 << 23 };
        let options = DecodeOptions { limits, apply_orientation: true };
        let header = probe(&bytes);
        if let Ok(image) = decode_with(&bytes, &options) {
            prop_assert!(header.is_ok());
            prop_assert_eq!(image.channels(), 3);
        }
    }

    #[test]
    fn noise_behind_a_signature_never_panics(
        format in 0..5usize,
        noise in proptest::collection::vec(any::<u8>(), 0..300),
        keep in 2..40usize,
    ) {
        let mut bytes = all_formats()[format].1.clone();
        bytes.truncate(keep);
        bytes.extend(noise);
        let limits = DecodeLimits { max_pixels: 1 << 20, max_bytes: 1 << 23 };
        let _ = decode(&bytes, &limits);
    }
}
