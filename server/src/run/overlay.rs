//! `--overlay`: what a workflow said of a picture, drawn over it.
//!
//! An answer that is a picture is laid over it as a mask; in answers of JSON, boxes are looked for, and texts that go with
//! them. Whether the photo is turned as its EXIF data say, the run tells, which has seen what became of it.

use anyhow::bail;
use image_ops::{
    DecodeLimits, DecodeOptions, Image, Kernel, decode, decode_with, draw, encode_png, resize,
};
use serde_json::Value;

use super::files::Answer;

/// How much of the mask shows.
const SHARE: f32 = 0.5;
const COLOUR: [u8; 3] = [255, 64, 64];
const PAPER: [u8; 3] = [255, 255, 255];
/// Boxes are looked for no deeper.
const DEPTH: usize = 4;

/// How far a box may reach out of the picture before that is worth a word: detectors do not cut theirs off.
const BEYOND: f64 = 0.05;

#[derive(Debug, Clone, Copy)]
pub(super) struct Overlay {
    /// Of the picture that boxes lie in, and of the drawing of a mask, where it is not the photo's.
    pub(super) size: Option<(u32, u32)>,
}

/// What is written, and what is odd about it.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) png: Vec<u8>,
    pub(super) warning: Option<String>,
}

impl Overlay {
    /// The drawing, as a PNG of the photo's size, or of the size asked for where there is a mask. `upright`: the answers speak
    /// of the photo as its EXIF data turn it.
    pub(super) fn draw(
        &self,
        photo: &[u8],
        upright: bool,
        answers: &[Answer],
    ) -> anyhow::Result<Drawn> {
        let limits = DecodeLimits::default();
        let options = DecodeOptions {
            limits,
            apply_orientation: upright,
        };
        let photo = decode_with(photo, &options)?.into_rgb();
        let frame = self.size.unwrap_or((photo.width(), photo.height()));
        let is_picture = |answer: &&Answer| answer.content_type.starts_with("image/");
        let mask = answers.iter().find(is_picture);
        let boxes: Vec<Boxed> = answers
            .iter()
            .filter_map(boxes_of)
            .next()
            .unwrap_or_default();
        if mask.is_none() && boxes.is_empty() && !answers.iter().any(has_boxes) {
            bail!("the workflow answers neither a picture nor boxes");
        }
        let mut drawing = match mask {
            Some(mask) => masked(photo, &decode(&mask.body, &limits)?.into_rgb(), frame)?,
            None => photo,
        };
        let scale = (
            f64::from(drawing.width()) / f64::from(frame.0),
            f64::from(drawing.height()) / f64::from(frame.1),
        );
        for boxed in &boxes {
            boxed.draw(&mut drawing, scale);
        }
        Ok(Drawn {
            png: encode_png(&drawing)?,
            warning: outside(&boxes, frame),
        })
    }
}

/// The mask over the photo, both brought to that size.
fn masked(photo: Image, mask: &Image, (width, height): (u32, u32)) -> anyhow::Result<Image> {
    let photo = match (photo.width(), photo.height()) == (width, height) {
        true => photo,
        false => resize(&photo, width, height, Kernel::PilBicubic)?,
    };
    let mask = enlarged(mask, width, height)?;
    Ok(draw::blend(&photo, &mask, SHARE)?)
}

/// The pixel of the mask that each pixel lies in: between two classes there is no third.
fn enlarged(mask: &Image, width: u32, height: u32) -> anyhow::Result<Image> {
    let channels = usize::from(mask.channels());
    let nearest = |at: u32, of: u32, from: u32| {
        // The centre of the pixel; the cast back is below `from`.
        ((2 * u64::from(at) + 1) * u64::from(from) / (2 * u64::from(of))) as usize
    };
    let columns: Vec<usize> = (0..width)
        .map(|x| nearest(x, width, mask.width()) * channels)
        .collect();
    let mut samples = Vec::with_capacity(width as usize * height as usize * channels);
    for y in 0..height {
        let row = nearest(y, height, mask.height()) * mask.width() as usize * channels;
        for column in &columns {
            samples.extend_from_slice(&mask.data()[row + column..][..channels]);
        }
    }
    Ok(Image::new(width, height, mask.channels(), samples)?)
}

/// That boxes lie outside the picture, if they do: then they lie in another one.
fn outside(boxes: &[Boxed], (width, height): (u32, u32)) -> Option<String> {
    let (across, down) = (f64::from(width), f64::from(height));
    let is_outside = |boxed: &&Boxed| {
        let [left, top, right, bottom] = boxed.corners;
        let is_beyond = |low: f64, high: f64, side: f64| {
            low < -BEYOND * side || high > (1.0 + BEYOND) * side || high < 0.0 || low > side
        };
        is_beyond(left, right, across) || is_beyond(top, bottom, down)
    };
    let count = boxes.iter().filter(is_outside).count();
    let all = boxes.len();
    (count > 0).then(|| {
        format!(
            "{count} of {all} boxes lie outside the picture of {width}x{height}; if they lie in one of another size, \
             say so: --overlay=WIDTHxHEIGHT"
        )
    })
}

/// A box and what is written at it.
#[derive(Debug, PartialEq)]
struct Boxed {
    corners: [f64; 4],
    text: String,
}

impl Boxed {
    fn draw(&self, image: &mut Image, (across, down): (f64, f64)) {
        let [left, top, right, bottom] = self.corners;
        // The casts cut off fractions, and whatever no picture is large enough for.
        let corners @ [left, top, ..] = [
            (left * across) as i64,
            (top * down) as i64,
            (right * across) as i64,
            (bottom * down) as i64,
        ];
        let scale = (image.width().max(image.height()) / 640).max(1);
        draw::rectangle(image, corners, scale + 1, COLOUR);
        if self.text.is_empty() {
            return;
        }
        let letter = i64::from(draw::LETTER * scale);
        let length = self.text.chars().count() as i64 * letter;
        // Above the box, or inside where there is no room.
        let y = if top >= letter + 2 {
            top - letter - 2
        } else {
            top.saturating_add(2)
        };
        let paper = [
            left,
            y.saturating_sub(1),
            left.saturating_add(length),
            y.saturating_add(letter),
        ];
        draw::fill(image, paper, PAPER);
        draw::text(image, (left, y), &self.text, scale, COLOUR);
    }
}

fn json(answer: &Answer) -> Option<Value> {
    let is_json = answer.content_type == "application/json";
    is_json
        .then(|| serde_json::from_slice(&answer.body).ok())
        .flatten()
}

fn has_boxes(answer: &Answer) -> bool {
    json(answer).is_some_and(|answer| lists(&answer, DEPTH).iter().any(|list| list.is_empty()))
}

/// The boxes of an answer: the first list of them in it, with the texts of a list as long beside it.
fn boxes_of(answer: &Answer) -> Option<Vec<Boxed>> {
    let answer = json(answer)?;
    let lists = lists(&answer, DEPTH);
    let boxes = lists.iter().find_map(|list| {
        let boxes: Option<Vec<_>> = list.iter().map(corners).collect();
        boxes.filter(|boxes| !boxes.is_empty())
    })?;
    let texts = lists.iter().find(|list| {
        list.len() == boxes.len()
            && list
                .iter()
                .all(|item| corners(item).is_none() && label(item).is_some())
    });
    let boxed = boxes.iter().enumerate().map(|(place, corners)| Boxed {
        corners: *corners,
        text: texts
            .and_then(|texts| label(&texts[place]))
            .unwrap_or_default(),
    });
    Some(boxed.collect())
}

/// All lists of an answer, the outer ones first.
fn lists(value: &Value, depth: usize) -> Vec<&Vec<Value>> {
    match value {
        Value::Array(items) => vec![items],
        Value::Object(members) if depth > 0 => {
            let inside = members.values();
            inside.flat_map(|member| lists(member, depth - 1)).collect()
        }
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Vec::new()
        }
    }
}

/// `{xmin, ymin, xmax, ymax, …}` or `[left, top, right, bottom, score, …]`.
fn corners(item: &Value) -> Option<[f64; 4]> {
    let mut corners = [0.0; 4];
    match item {
        Value::Object(members) => {
            for (corner, name) in corners.iter_mut().zip(["xmin", "ymin", "xmax", "ymax"]) {
                *corner = members.get(name)?.as_f64()?;
            }
        }
        Value::Array(numbers) if (5..=6).contains(&numbers.len()) => {
            for (corner, number) in corners.iter_mut().zip(numbers) {
                *corner = number.as_f64()?;
            }
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return None;
        }
    }
    Some(corners)
}

/// A text, or the best class of `{class: probability, …}`.
fn label(item: &Value) -> Option<String> {
    match item {
        Value::String(text) => Some(text.clone()),
        Value::Object(members) if members.values().all(Value::is_number) => {
            members.keys().next().cloned()
        }
        Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(content_type: &str, body: impl Into<bytes::Bytes>) -> Answer {
        Answer {
            content_type: content_type.into(),
            body: body.into(),
        }
    }

    fn check(found: Value, expected: Option<&[([f64; 4], &str)]>) {
        let boxes = boxes_of(&answer("application/json", found.to_string()));
        let boxes = boxes.map(|boxes| {
            boxes
                .into_iter()
                .map(|boxed| (boxed.corners, boxed.text))
                .collect::<Vec<_>>()
        });
        let expected = expected.map(|expected| {
            expected
                .iter()
                .map(|(corners, text)| (*corners, (*text).to_owned()))
                .collect()
        });
        assert_eq!(boxes, expected, "{found}");
    }

    #[test]
    fn boxes_and_their_texts_are_found() {
        let plate = json!({"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4, "confidence": 0.5});
        check(
            json!({"coordinates": [plate], "texts": ["B840"]}),
            Some(&[([1., 2., 3., 4.], "B840")]),
        );
        check(json!([plate]), Some(&[([1., 2., 3., 4.], "")]));
        check(
            json!({"boxes": [[1., 2., 3., 4., 0.5, 0.]], "digits": [{"7": 0.9, "1": 0.1}]}),
            Some(&[([1., 2., 3., 4.], "7")]),
        );
        check(json!({"coordinates": [], "texts": []}), None);
        check(json!({"cover": [{"name": "sand", "cover": 0.5}]}), None);
    }

    fn photo() -> Vec<u8> {
        encode_png(&Image::filled(40, 20, 3, 100).expect("a picture")).expect("a file")
    }

    fn read(drawn: Drawn) -> Image {
        decode(&drawn.png, &DecodeLimits::default()).expect("a picture")
    }

    /// A mask of `width` by 2 pixels, light on its left half, over a photo; the first row of what is drawn, in steps.
    fn check_mask(size: Option<(u32, u32)>, width: u32, expected: (u32, u32)) {
        let samples =
            (0..2 * width).flat_map(|at| [if at % width < width / 2 { 200 } else { 0 }; 3]);
        let mask = Image::new(width, 2, 3, samples.collect()).expect("a picture");
        let mask = answer("image/png", encode_png(&mask).expect("a file"));
        let drawn = read(
            Overlay { size }
                .draw(&photo(), false, &[mask])
                .expect("drawn"),
        );
        assert_eq!((drawn.width(), drawn.height()), expected);
        let across = expected.0 as usize;
        for (at, pixel) in drawn.data().chunks_exact(3).enumerate() {
            let light = at % across < across / 2;
            assert_eq!(
                pixel,
                [if light { 150 } else { 50 }; 3],
                "{at} of {expected:?}"
            );
        }
    }

    #[test]
    fn a_mask_lies_over_the_photo_in_the_photos_size() {
        check_mask(None, 2, (40, 20));
        check_mask(None, 40, (40, 20));
        check_mask(None, 100, (40, 20));
        check_mask(Some((20, 20)), 2, (20, 20));
    }

    #[test]
    fn the_photo_is_turned_where_the_mask_is() {
        // Left black, right white, and to be turned by a quarter to the right: then white is below.
        let samples = (0..16 * 8).flat_map(|at| [if at % 16 < 8 { 0 } else { 255 }; 3]);
        let picture = Image::new(16, 8, 3, samples.collect()).expect("a picture");
        let jpeg = image_ops::encode_jpeg(&picture, 95).expect("a file");
        let exif = b"\xFF\xE1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let photo = [&jpeg[..2], exif, &jpeg[2..]].concat();
        let grey = Image::filled(8, 16, 3, 100).expect("a picture");
        let mask = answer("image/png", encode_png(&grey).expect("a file"));
        for (upright, size, corners) in [
            (true, (8, 16), [50, 50, 178]),
            (false, (16, 8), [50, 178, 50]),
        ] {
            let overlay = Overlay { size: None };
            let drawn = overlay.draw(&photo, upright, std::slice::from_ref(&mask));
            let drawn = read(drawn.expect("drawn"));
            assert_eq!((drawn.width(), drawn.height()), size);
            let (width, height) = (size.0 as usize, size.1 as usize);
            let at = |x: usize, y: usize| i32::from(drawn.data()[(y * width + x) * 3]);
            let found = [at(0, 0), at(width - 1, 0), at(0, height - 1)];
            for (found, expected) in found.iter().zip(corners) {
                assert!(
                    (found - expected).abs() <= 3,
                    "{upright}: {found} for {expected}"
                );
            }
        }
    }

    #[test]
    fn boxes_outside_the_picture_are_told() {
        let check = |boxes: Value, expected: Option<&str>| {
            let answer = answer("application/json", boxes.to_string());
            let drawn = Overlay { size: None }.draw(&photo(), false, &[answer]);
            let warning = drawn.expect("drawn").warning;
            assert_eq!(warning.as_deref(), expected, "{boxes}");
        };
        check(json!([[0, 0, 40, 20, 0.5], [-1, 3, 41, 20.5, 0.5]]), None);
        check(
            json!([[0, 0, 40, 20, 0.5], [300, 100, 310, 110, 0.5]]),
            Some(
                "1 of 2 boxes lie outside the picture of 40x20; if they lie in one of another size, say so: \
                 --overlay=WIDTHxHEIGHT",
            ),
        );
        check(
            json!([[30, 5, 60, 10, 0.5]]),
            Some(
                "1 of 1 boxes lie outside the picture of 40x20; if they lie in one of another size, say so: \
                 --overlay=WIDTHxHEIGHT",
            ),
        );
    }

    #[test]
    fn boxes_of_another_size_are_scaled() {
        let boxes = json!([[100, 100, 199, 199, 0.5]]).to_string();
        let overlay = Overlay {
            size: Some((400, 200)),
        };
        let drawn = overlay
            .draw(&photo(), false, &[answer("application/json", boxes)])
            .expect("drawn");
        let drawn = read(drawn);
        let red = |x: usize, y: usize| drawn.data()[(y * 40 + x) * 3..][..3] == COLOUR;
        assert!(red(10, 10) && red(19, 19) && red(11, 15));
        assert!(!red(9, 10) && !red(20, 19) && !red(14, 15));
        let overlay_of = |text: &str| {
            let answers = [answer("application/json", text.to_owned())];
            Overlay { size: None }.draw(&photo(), false, &answers)
        };
        let nothing = overlay_of("{}");
        assert_eq!(
            nothing.expect_err("nothing to draw").to_string(),
            "the workflow answers neither a picture nor boxes"
        );
        assert!(overlay_of(r#"{"boxes": []}"#).is_ok());
    }
}
