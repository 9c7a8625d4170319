//! Pictures that are none, hardly one, or of a kind that few send: each gets the contract's status and body, and costs nobody else.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image_ops::{Image, encode_jpeg, encode_png};
use serde_json::{Value, json};

use super::{Front, own_bench};
use crate::client::Request;
use crate::fixtures::{own, pictures};

fn missing() -> Value {
    json!({
        "errors": {"image": "An image file (encoded as PNG or JPG/JPEG) Missing required parameter in an uploaded file"},
        "message": "Input payload validation failed",
    })
}

fn invalid() -> Value {
    json!({ "message": "The provided input is not a valid image." })
}

/// A picture whose pixels tell where they are.
fn picture(width: u32, height: u32) -> Image {
    let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 90]));
    Image::new(width, height, 3, pixels.collect()).expect("as many samples")
}

fn png(width: u32, height: u32) -> Vec<u8> {
    encode_png(&picture(width, height)).expect("a PNG")
}

/// A PNG of any kind: depth, colour type, palette, and the rows as they are.
fn raw_png(
    (width, height): (u32, u32),
    depth: u8,
    colour: u8,
    palette: &[u8],
    row: &[u8],
) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        out.extend((data.len() as u32).to_be_bytes());
        let body = [&kind[..], data].concat();
        out.extend(&body);
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        out.extend(crc.sum().to_be_bytes());
    };
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([depth, colour, 0, 0, 0]);
    chunk(b"IHDR", &header);
    if !palette.is_empty() {
        chunk(b"PLTE", palette);
    }
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    for _ in 0..height {
        zlib.write_all(&[0]).expect("in memory");
        zlib.write_all(row).expect("in memory");
    }
    chunk(b"IDAT", &zlib.finish().expect("in memory"));
    chunk(b"IEND", &[]);
    out
}

/// A JPEG that says in its EXIF data that it is to be turned by a quarter.
fn turned_jpeg() -> Vec<u8> {
    let jpeg = encode_jpeg(&picture(60, 30), 90).expect("a JPEG");
    let exif: &[u8] = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let length = u16::try_from(exif.len() + 2).expect("short").to_be_bytes();
    [&jpeg[..2], b"\xff\xe1", &length, exif, &jpeg[2..]].concat()
}

/// A JPEG of four channels, eight by eight: one grey block in each.
fn cmyk_jpeg() -> Vec<u8> {
    let mut out = b"\xff\xd8\xff\xdb\0\x43\0".to_vec();
    out.extend([1; 64]);
    out.extend(b"\xff\xc0\0\x14\x08\0\x08\0\x08\x04");
    for channel in 1..=4 {
        out.extend([channel, 0x11, 0]);
    }
    // One code of one bit in each table: no difference, and the end of the block.
    for table in [0x00, 0x10] {
        out.extend(b"\xff\xc4\0\x14");
        out.extend([table, 1]);
        out.extend([0; 15]);
        out.push(0);
    }
    out.extend(b"\xff\xda\0\x0e\x04");
    for channel in 1..=4 {
        out.extend([channel, 0]);
    }
    // Two bits for each of four blocks, all of them 0.
    out.extend(b"\0\x3f\0\x00\xff\xd9");
    out
}

#[test]
fn every_kind_of_picture_gets_the_answer_of_the_contract() {
    let front = Front::of(own_bench());
    let check = |what: &str, picture: &[u8], expected: [u64; 2]| {
        let answer = front.segment(picture);
        assert_eq!(
            answer.status,
            200,
            "{what}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{what}"
        );
        let answer = answer.json();
        assert_eq!(answer["image_size"], json!(expected), "{what}");
        let rows = answer["seg_map"].as_array().expect("rows");
        let columns = rows
            .iter()
            .map(|row| row.as_array().map_or(0, Vec::len) as u64);
        assert_eq!(rows.len() as u64, expected[1], "{what}");
        assert!(columns.eq(rows.iter().map(|_| expected[0])), "{what}");
    };
    check("one pixel", &png(1, 1), [513, 513]);
    check("grey", &raw_png((20, 10), 8, 0, &[], &[80; 20]), [513, 256]);
    check(
        "one bit",
        &raw_png((16, 8), 1, 0, &[], &[0xf0; 2]),
        [513, 256],
    );
    let palette = [0, 0, 0, 255, 0, 0, 0, 255, 0];
    check(
        "palette",
        &raw_png((20, 10), 8, 3, &palette, &[2; 20]),
        [513, 256],
    );
    check(
        "grey and alpha",
        &raw_png((20, 10), 8, 4, &[], &[80; 40]),
        [513, 256],
    );
    check(
        "alpha",
        &raw_png((20, 10), 8, 6, &[], &[80; 80]),
        [513, 256],
    );
    check(
        "16 bit",
        &raw_png((20, 10), 16, 2, &[], &[80; 120]),
        [513, 256],
    );
    check(
        "16 bit grey",
        &raw_png((20, 10), 16, 0, &[], &[80; 40]),
        [513, 256],
    );
    check("CMYK", &cmyk_jpeg(), [513, 513]);
    check(
        "turned by EXIF, which is not followed",
        &turned_jpeg(),
        [513, 256],
    );
    check("20,000 wide", &png(20_000, 40), [513, 1]);
    check("wide without a type", &png(1026, 4), [513, 2]);
}

#[test]
fn what_is_no_picture_gets_the_refusal_of_the_contract() {
    let front = Front::of(own_bench());
    let (_, whole) = pictures(&own("quadrats")).swap_remove(0);
    let cut = &whole[..whole.len() / 2];
    let jpeg = encode_jpeg(&picture(200, 200), 90).expect("a JPEG");
    let spoilt: [(&str, &[u8]); 10] = [
        ("text", b"no picture at all"),
        ("empty", b""),
        ("cut short", cut),
        ("JPEG cut short", &jpeg[..jpeg.len() - jpeg.len() / 4]),
        ("header alone", &whole[..33]),
        ("JSON numbers", b"[[[0.5, 0.5], [0.5, 0.5]]]"),
        ("JSON", b"{\"b64\": \"AAAA\"}"),
        ("base64", b"iVBORw0KGgo="),
        ("PDF", b"%PDF-1.4"),
        (
            "20,000 wide and 10 high, which leaves no row",
            &png(20_000, 10),
        ),
    ];
    for (what, bytes) in spoilt {
        let answer = front.segment(bytes);
        assert_eq!((answer.status, answer.json()), (400, invalid()), "{what}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/json"),
            "{what}"
        );
    }

    let path = "/model/predict";
    let post = || Request::new("POST", path);
    let no_file = [
        ("nothing", post()),
        (
            "another field",
            post().multipart(&[("picture", Some("x.png"), &whole)]),
        ),
        (
            "a field that is no file",
            post().multipart(&[("image", None, &whole)]),
        ),
        (
            "a file that was not chosen",
            post().multipart(&[("image", Some(""), b"")]),
        ),
        (
            "another case",
            post().multipart(&[("Image", Some("x.png"), &whole)]),
        ),
        ("a form without fields", post().multipart(&[])),
        (
            "a raw body",
            post().body(whole.clone()).content_type("image/png"),
        ),
        (
            "a form of the other kind",
            post()
                .body("image=x")
                .content_type("application/x-www-form-urlencoded"),
        ),
        (
            "JSON",
            post()
                .body("{\"image\": 1}")
                .content_type("application/json"),
        ),
    ];
    for (what, request) in no_file {
        let answer = front.send(&request);
        assert_eq!((answer.status, answer.json()), (400, missing()), "{what}");
    }

    let lines = [
        ("GET", path, 405, Some("POST, OPTIONS")),
        ("DELETE", "/model/labels", 405, Some("GET, HEAD, OPTIONS")),
        ("POST", "/model/metadata", 405, Some("GET, HEAD, OPTIONS")),
        ("GET", "/model", 404, None),
        ("GET", "/model/predict/x", 404, None),
    ];
    for (method, path, status, allow) in lines {
        let answer = front.send(&Request::new(method, path));
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.json()["message"].is_string(), "{}", answer.text());
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    // Still there.
    assert_eq!(front.segment(&whole).status, 200);
}
