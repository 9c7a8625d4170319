//! From the body of a frame to an answer. Every length and offset is checked against what is there before it is used.

use std::borrow::Cow;
use std::os::fd::OwnedFd;

use bytes::{Buf, Bytes};
use jiter::JsonValue;
use servable::{DType, Image, Rope, Tensor, Value};
use tracing::warn;

use super::{TYPES, kinds, limits, memory};
use crate::message::{Answer, Prediction};

/// More than an answer may hold, in one line.
pub(super) struct TooLarge(pub(super) String);

/// The answer in a frame; descriptors are taken over. One that cannot be read is an answer that says so: where the next frame
/// begins is known all the same. `most` bounds what frame and memory hold together.
pub(super) fn answer(
    body: Bytes,
    descriptors: Vec<OwnedFd>,
    more: bool,
    most: usize,
) -> Result<Answer, TooLarge> {
    let size = size(&body, descriptors.len());
    if size > most {
        return Err(TooLarge(format!(
            "an answer has {size} bytes, and {most} are the most (max_response_size)"
        )));
    }
    Ok(read(body, descriptors, more).unwrap_or_else(|why| {
        warn!("an answer cannot be read: {why}");
        Answer {
            code: 503,
            message: format!("the model's answer cannot be read: {why}"),
            predictions: Vec::new(),
            more,
        }
    }))
}

/// Bytes of a body and of the memories that its table announces.
fn size(body: &Bytes, memories: usize) -> usize {
    let announced = body.chunks_exact(8).take(memories).map(|size| {
        let size = size.try_into().map_or(u64::MAX, u64::from_be_bytes);
        usize::try_from(size).unwrap_or(usize::MAX)
    });
    announced.fold(body.len(), usize::saturating_add)
}

/// The error is one line.
pub(super) fn read(body: Bytes, descriptors: Vec<OwnedFd>, more: bool) -> Result<Answer, String> {
    let mut decoder = Decoder {
        body,
        memories: Vec::new(),
        values: 0,
    };
    decoder.read_memories(descriptors)?;
    let answer = decoder.answer(more)?;
    match decoder.body.len() {
        0 => Ok(answer),
        left => Err(format!("{left} bytes are left after an answer")),
    }
}

struct Decoder {
    body: Bytes,
    memories: Vec<Bytes>,
    values: usize,
}

impl Decoder {
    fn read_memories(&mut self, descriptors: Vec<OwnedFd>) -> Result<(), String> {
        // The whole table before any memory is looked at.
        let mut sizes = Vec::with_capacity(descriptors.len());
        for _ in &descriptors {
            sizes.push(usize::try_from(self.u64()?).unwrap_or(usize::MAX));
        }
        for (descriptor, size) in descriptors.into_iter().zip(sizes) {
            self.memories.push(memory::read(descriptor, size)?);
        }
        Ok(())
    }

    fn answer(&mut self, more: bool) -> Result<Answer, String> {
        let code = self.i32()?;
        let message = self.text()?;
        let mut predictions = Vec::new();
        for _ in 0..self.count(limits::REQUESTS, "predictions")? {
            predictions.push(self.prediction()?);
        }
        Ok(Answer {
            code,
            message,
            predictions,
            more,
        })
    }

    fn prediction(&mut self) -> Result<Prediction, String> {
        let id = self.text()?;
        let content_type = self.text()?;
        let status = self.i32()?;
        let phrase = self.text()?;
        let mut headers = Vec::new();
        for _ in 0..self.count(limits::PARTS, "headers")? {
            headers.push((self.text()?, self.text()?));
        }
        let value = self.value(0)?;
        Ok(Prediction {
            id,
            content_type,
            status,
            phrase,
            headers,
            value,
        })
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        self.values += 1;
        if self.values > limits::VALUES {
            return Err(format!("an answer has more than {} values", limits::VALUES));
        }
        if depth > limits::DEPTH {
            return Err(format!(
                "lists and maps are nested more than {} deep",
                limits::DEPTH
            ));
        }
        match self.u8()? {
            kinds::JSON => {
                let text = self.blob()?;
                let json = JsonValue::parse(&text, false)
                    .map_err(|error| format!("a JSON value is none: {error}"))?;
                from_json(&json)
            }
            kinds::TEXT => utf8(&self.blob()?).map(Value::from),
            kinds::BYTES => self.blob().map(Value::Bytes),
            kinds::TENSOR => self.tensor().map(Value::Tensor),
            kinds::IMAGE => self.image().map(Value::Image),
            kinds::LIST => {
                let mut items = Vec::new();
                for _ in 0..self.count(limits::VALUES, "members of a list")? {
                    items.push(self.value(depth + 1)?);
                }
                Ok(Value::list(items))
            }
            kinds::MAP => {
                let mut items: Vec<(String, Value)> = Vec::new();
                for _ in 0..self.count(limits::VALUES, "members of an object")? {
                    items.push((self.text()?, self.value(depth + 1)?));
                }
                map(items).ok_or_else(|| "an object has two members of one name".to_owned())
            }
            kinds::FLOAT => {
                self.need(8)?;
                Ok(Value::Float(self.body.get_f64()))
            }
            other => Err(format!("a value is of the unknown kind {other}")),
        }
    }

    fn tensor(&mut self) -> Result<Tensor, String> {
        let number = self.u8()?;
        let dtype = *TYPES
            .get(usize::from(number))
            .ok_or_else(|| format!("a tensor is of the unknown type {number}"))?;
        let rank = usize::from(self.u8()?);
        if rank > limits::RANK {
            return Err(format!(
                "a tensor has {rank} dimensions, and {} are the most",
                limits::RANK
            ));
        }
        let mut shape = Vec::with_capacity(rank);
        let mut room = limits::TENSOR / dtype.size() as u64;
        for _ in 0..rank {
            let side = self.u64()?;
            room /= side.max(1);
            if room == 0 {
                return Err("a tensor is larger than one may be".into());
            }
            shape.push(usize::try_from(side).map_err(|_| format!("a side of {side}"))?);
        }
        self.elements(dtype, shape)
    }

    fn image(&mut self) -> Result<Image, String> {
        let forms = self.u8()?;
        if !(1..=3).contains(&forms) {
            return Err(format!(
                "a picture has the forms {forms}, expected 1, 2 or 3"
            ));
        }
        let file = (forms & 1 != 0).then(|| self.blob()).transpose()?;
        if forms & 2 == 0 {
            return Ok(Image::from_file(file.unwrap_or_default()));
        }
        let (height, width) = (self.u32()? as usize, self.u32()? as usize);
        let pixels = self.elements(DType::U8, vec![height, width, 3])?;
        let image = Image::from_pixels(pixels)
            .ok_or_else(|| format!("a picture has {height} x {width} pixels"))?;
        if let Some(file) = file {
            // Both forms, as they came.
            image
                .encoded(|_| Ok::<_, std::convert::Infallible>(file))
                .ok();
        }
        Ok(image)
    }

    fn elements(&mut self, dtype: DType, shape: Vec<usize>) -> Result<Tensor, String> {
        let rope = Rope::from(self.blob()?);
        Tensor::from_rope(dtype, shape, rope).map_err(|error| error.to_string())
    }

    fn blob(&mut self) -> Result<Bytes, String> {
        match self.u8()? {
            kinds::INLINE => {
                let length = self.u32()? as usize;
                self.need(length)?;
                Ok(self.body.split_to(length))
            }
            kinds::MEMORY => {
                self.need(2)?;
                let index = usize::from(self.body.get_u16());
                let (offset, length) = (self.u64()?, self.u64()?);
                let memory = self
                    .memories
                    .get(index)
                    .ok_or_else(|| format!("there is no memory {index}"))?;
                let end = offset
                    .checked_add(length)
                    .and_then(|end| usize::try_from(end).ok())
                    .filter(|&end| end <= memory.len())
                    .ok_or_else(|| {
                        let size = memory.len();
                        format!("{length} bytes from {offset} do not lie within a memory of {size}")
                    })?;
                // Below the end, which fits.
                Ok(memory.slice(offset as usize..end))
            }
            other => Err(format!("a value is at the unknown place {other}")),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        let length = self.u32()? as usize;
        self.need(length)?;
        utf8(&self.body.split_to(length)).map(str::to_owned)
    }

    fn count(&mut self, most: usize, what: &str) -> Result<usize, String> {
        let count = self.u32()? as usize;
        if count > most {
            return Err(format!(
                "an answer has {count} {what}, and {most} are the most"
            ));
        }
        Ok(count)
    }

    fn u8(&mut self) -> Result<u8, String> {
        self.need(1)?;
        Ok(self.body.get_u8())
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.need(4)?;
        Ok(self.body.get_u32())
    }

    fn i32(&mut self) -> Result<i32, String> {
        self.need(4)?;
        Ok(self.body.get_i32())
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.need(8)?;
        Ok(self.body.get_u64())
    }

    fn need(&self, count: usize) -> Result<(), String> {
        if self.body.len() < count {
            let left = self.body.len();
            return Err(format!(
                "an answer ends {left} bytes on, where {count} are needed"
            ));
        }
        Ok(())
    }
}

fn utf8(bytes: &Bytes) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("a text is no UTF-8: {error}"))
}

/// A map, unless a name comes twice.
fn map(items: Vec<(String, Value)>) -> Option<Value> {
    let mut names: Vec<&str> = items.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let differ = names.windows(2).all(|two| two[0] != two[1]);
    differ.then(|| Value::map(items))
}

fn from_json(json: &JsonValue<'_>) -> Result<Value, String> {
    Ok(match json {
        JsonValue::Null => Value::Null,
        JsonValue::Bool(flag) => Value::Bool(*flag),
        JsonValue::Int(number) => Value::Int(*number),
        JsonValue::Float(number) => Value::Float(*number),
        JsonValue::Str(text) => Value::from(&**text),
        JsonValue::Array(items) => {
            let items: Result<Vec<Value>, String> = items.iter().map(from_json).collect();
            Value::list(items?)
        }
        JsonValue::Object(members) => {
            let member = |(name, item): &(Cow<'_, str>, JsonValue<'_>)| {
                Ok((name.clone().into_owned(), from_json(item)?))
            };
            let members: Result<Vec<(String, Value)>, String> =
                members.iter().map(member).collect();
            map(members?).ok_or("a JSON object has two members of one name")?
        }
    })
}
