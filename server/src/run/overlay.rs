//! `--overlay`: what a workflow said of a picture, drawn over it.
//!
//! An answer that is a picture is laid over it as a mask; in answers of JSON, boxes are looked for, and texts that go with
//! them.

use anyhow::bail;
use image_ops::{DecodeLimits, Image, Kernel, decode, draw, encode_png, resize};
use serde_json::Value;

use super::files::Answer;

/// How much of the mask shows.
const SHARE: f32 = 0.5;
const COLOUR: [u8; 3] = [255, 64, 64];
const PAPER: [u8; 3] = [255, 255, 255];
/// Boxes are looked for no deeper.
const DEPTH: usize = 4;

#[derive(Debug, Clone, Copy)]
pub(super) struct Overlay {
    /// Of the picture that boxes lie in, where it is not the photo.
    pub(super) size: Option<(u32, u32)>,
}

impl Overlay {
    /// The drawing, as a PNG of the photo's size, or of the mask's where there is one.
    pub(super) fn draw(&self, photo: &[u8], answers: &[Answer]) -> anyhow::Result<Vec<u8>> {
        let limits = DecodeLimits::default();
        let photo = decode(photo, &limits)?.into_rgb();
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
            Some(mask) => masked(photo, &decode(&mask.body, &limits)?.into_rgb())?,
            None => photo,
        };
        let scale = (
            f64::from(drawing.width()) / f64::from(frame.0),
            f64::from(drawing.height()) / f64::from(frame.1),
        );
        for boxed in &boxes {
            boxed.draw(&mut drawing, scale);
        }
        Ok(encode_png(&drawing)?)
    }
}

fn masked(photo: Image, mask: &Image) -> anyhow::Result<Image> {
    let (width, height) = (mask.width(), mask.height());
    let photo = match (photo.width(), photo.height()) == (width, height) {
        true => photo,
        false => resize(&photo, width, height, Kernel::PilBicubic)?,
    };
    Ok(draw::blend(&photo, mask, SHARE)?)
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

    #[test]
    fn a_mask_lies_over_the_photo_in_its_own_size() {
        let mask = encode_png(&Image::filled(20, 10, 3, 200).expect("a picture")).expect("a file");
        let drawn = Overlay { size: None }
            .draw(&photo(), &[answer("image/png", mask)])
            .expect("drawn");
        let drawn = decode(&drawn, &DecodeLimits::default()).expect("a picture");
        assert_eq!((drawn.width(), drawn.height()), (20, 10));
        assert!(drawn.data().iter().all(|sample| *sample == 150));
    }

    #[test]
    fn boxes_of_another_size_are_scaled() {
        let boxes = json!([[100, 100, 199, 199, 0.5]]).to_string();
        let overlay = Overlay {
            size: Some((400, 200)),
        };
        let drawn = overlay
            .draw(&photo(), &[answer("application/json", boxes)])
            .expect("drawn");
        let drawn = decode(&drawn, &DecodeLimits::default()).expect("a picture");
        let red = |x: usize, y: usize| drawn.data()[(y * 40 + x) * 3..][..3] == COLOUR;
        assert!(red(10, 10) && red(19, 19) && red(11, 15));
        assert!(!red(9, 10) && !red(20, 19) && !red(14, 15));
        let nothing = Overlay { size: None }.draw(&photo(), &[answer("application/json", "{}")]);
        assert_eq!(
            nothing.expect_err("nothing to draw").to_string(),
            "the workflow answers neither a picture nor boxes"
        );
        assert!(
            overlay
                .draw(&photo(), &[answer("application/json", r#"{"boxes": []}"#)])
                .is_ok()
        );
    }
}
