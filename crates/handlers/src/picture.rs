//! From a request to a picture: encoded bytes, base64 text, or numbers that are taken as they are.

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine as _};
use bytes::Bytes;
use image_ops::{DecodeLimits, Image};
use serde::de::IgnoredAny;
use serde_json::Value as Json;
use servable::{DType, Input, JobError, Part, Tensor, Value};
use tensor_ops::{PictureError, image_of, numbers, pixels_of};

use crate::base_handler::{from_value, json_tensor, part};

/// What a vision handler finds in a request.
#[derive(Debug)]
pub(crate) enum Picture {
    /// An 8-bit picture, still to be prepared.
    Image(Image),
    /// Numbers that go to the network as they are: single precision, `[channels, height, width]`.
    Tensor(Tensor),
}

/// The picture in a request's payload. Errors are the client's, one line each.
pub(crate) fn read(input: &Input, limits: &DecodeLimits) -> Result<Picture, JobError> {
    let part = part(input)?;
    decode(part, limits)
        .map_err(|reason| JobError::bad_input(format!("request part `{}` {reason}", part.name)))
}

fn decode(part: &Part, limits: &DecodeLimits) -> Result<Picture, String> {
    match &part.value {
        Value::Bytes(bytes) if part.content_type == "application/json" => {
            if bytes.trim_ascii_start().starts_with(b"[") {
                return from_json(part, bytes);
            }
            match serde_json::from_slice(bytes) {
                Ok(json) => from_json_value(&json, limits),
                // TorchServe hands over the bytes themselves when they are no JSON.
                Err(_) => decode_bytes(bytes, limits),
            }
        }
        Value::Bytes(bytes) if part.content_type.starts_with("text") => {
            match std::str::from_utf8(bytes) {
                Ok(text) => decode_base64(text, limits),
                Err(_) => decode_bytes(bytes, limits),
            }
        }
        Value::Bytes(bytes) => decode_bytes(bytes, limits),
        Value::Text(text) => decode_base64(text, limits),
        Value::Image(image) => pixels_of(image, limits).map(Picture::Image).map_err(told),
        Value::Tensor(tensor) if tensor.dtype() == DType::U8 => {
            image_of(tensor).map(Picture::Image).map_err(told)
        }
        value @ (Value::Tensor(_) | Value::List(_)) => {
            let tensor = from_value(&part.name, value, None, limits).map_err(not_numbers)?;
            from_numbers(&tensor)
        }
        Value::Map(_) => match part.value.get("b64") {
            Some(Value::Text(text)) => decode_base64(text, limits),
            Some(_) | None => Err(NOT_JSON.into()),
        },
        other @ (Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_)) => {
            Err(format!("is not a picture (found {})", other.kind()))
        }
    }
}

const NOT_JSON: &str = "is not a picture (found JSON)";

fn from_json(part: &Part, text: &[u8]) -> Result<Picture, String> {
    let tensor = json_tensor(&part.name, text, Some(DType::F32)).map_err(not_numbers)?;
    from_numbers(&tensor)
}

fn from_json_value(json: &Json, limits: &DecodeLimits) -> Result<Picture, String> {
    match json.as_str().or_else(|| json.get("b64")?.as_str()) {
        Some(text) => decode_base64(text, limits),
        None => Err(NOT_JSON.into()),
    }
}

fn not_numbers(reason: String) -> String {
    format!("is not a picture ({reason})")
}

fn decode_bytes(bytes: &[u8], limits: &DecodeLimits) -> Result<Picture, String> {
    match image_ops::decode(bytes, limits) {
        Ok(image) => Ok(Picture::Image(image)),
        Err(_) if looks_like_json(bytes) => Err(match serde_json::from_slice(bytes) {
            Ok(IgnoredAny) => NOT_JSON.into(),
            Err(error) => format!("is neither a picture nor JSON ({error})"),
        }),
        Err(error) => Err(format!("cannot be used: {error}")),
    }
}

fn looks_like_json(bytes: &[u8]) -> bool {
    matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['))
}

fn decode_base64(text: &str, limits: &DecodeLimits) -> Result<Picture, String> {
    decode_bytes(&from_base64(text)?, limits)
}

/// A picture in whichever form it came, not decoded yet: for who chooses how that is done.
pub(crate) fn undecoded(part: &Part) -> Result<Value, String> {
    let file = |bytes: Vec<u8>| Value::Image(servable::Image::from_file(bytes));
    let as_sent = |bytes: &Bytes| Value::Image(servable::Image::from_file(bytes.clone()));
    match &part.value {
        Value::Bytes(bytes) if part.content_type == "application/json" => {
            match serde_json::from_slice::<Json>(bytes) {
                Ok(json) => match json.as_str().or_else(|| json.get("b64")?.as_str()) {
                    Some(text) => from_base64(text).map(file),
                    None => Err(NOT_JSON.into()),
                },
                Err(_) => Ok(as_sent(bytes)),
            }
        }
        Value::Bytes(bytes) if part.content_type.starts_with("text") => {
            match std::str::from_utf8(bytes) {
                Ok(text) => from_base64(text).map(file),
                Err(_) => Ok(as_sent(bytes)),
            }
        }
        Value::Bytes(bytes) => Ok(as_sent(bytes)),
        Value::Text(text) => from_base64(text).map(file),
        Value::Image(_) => Ok(part.value.clone()),
        Value::Tensor(tensor) => servable::Image::from_pixels(tensor.clone())
            .map(Value::Image)
            .ok_or_else(|| {
                format!("is not a picture: expected uint8[height, width, 3], found {tensor:?}")
            }),
        Value::Map(_) => match part.value.get("b64") {
            Some(Value::Text(text)) => from_base64(text).map(file),
            Some(_) | None => Err(NOT_JSON.into()),
        },
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::List(_)) => Err(format!("is not a picture (found {})", other.kind())),
    }
}

fn from_base64(text: &str) -> Result<Vec<u8>, String> {
    // A data URL carries its type before the comma; base64 itself has none.
    let encoded = match text.split_once(',') {
        Some((prefix, rest)) if prefix.starts_with("data:") => rest,
        Some(_) | None => text,
    };
    let dense: String = encoded.split_ascii_whitespace().collect();
    STANDARD.decode(dense).map_err(|error| {
        let start = text.len() - encoded.len();
        let reason = not_base64(error, encoded, start);
        format!("is text, but not base64 of a picture ({reason})")
    })
}

/// What is wrong with `encoded`, which stands at `start` in the text that the client sent. The decoder has seen it
/// without its spaces.
fn not_base64(error: DecodeError, encoded: &str, start: usize) -> String {
    match error {
        DecodeError::InvalidByte(place, _) | DecodeError::InvalidLastSymbol(place, _) => {
            let sent = encoded
                .bytes()
                .enumerate()
                .filter(|(_, byte)| !byte.is_ascii_whitespace())
                .nth(place)
                .map_or(place, |(sent, _)| sent);
            format!("invalid character at offset {}", start + sent)
        }
        DecodeError::InvalidLength(length) => {
            format!("cut short: {length} characters cannot be a whole number of bytes")
        }
        DecodeError::InvalidPadding => "the `=` at its end are missing or too many".into(),
    }
}

/// A request with a picture of no particular size that is neither flat nor regular, so that a network trying it out has
/// something to disagree on.
pub(crate) fn example() -> Input {
    const SIDE: usize = 320;
    let samples = (0..SIDE * SIDE * 3)
        .map(|i| (i.wrapping_mul(0x9E37_79B1) >> 13 & 0x7f) as u8 + (i / 8000) as u8);
    let picture = Tensor::new(vec![SIDE, SIDE, 3], samples.collect()).expect("a square of samples");
    Input::body("", picture)
}

fn told(error: PictureError) -> String {
    error.to_string()
}

fn from_numbers(tensor: &Tensor) -> Result<Picture, String> {
    if tensor.shape().len() != 3 || tensor.is_empty() {
        return Err(format!(
            "is not a picture: expected numbers of shape [channels, height, width], found {:?}",
            tensor.shape()
        ));
    }
    if tensor.dtype() == DType::F32 {
        return Ok(Picture::Tensor(tensor.clone()));
    }
    Tensor::new(tensor.shape().to_vec(), numbers(tensor).into_owned())
        .map(Picture::Tensor)
        .map_err(|error| error.to_string())
}
