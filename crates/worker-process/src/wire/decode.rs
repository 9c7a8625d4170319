//! Reads the body of a frame. Every length and offset is checked against what is there before it is used.

use std::borrow::Cow;

use bytes::{Buf, Bytes};
use jiter::JsonValue;
use servable::{DType, Image, Rope, Tensor, Value};

use super::{Frame, TYPES, kinds, limits, memory};

/// Reads one body, piece by piece. Errors are one line.
pub struct Decoder {
    /// What is read, in messages: `an answer`.
    what: &'static str,
    body: Bytes,
    memories: Vec<Bytes>,
    values: usize,
}

impl Decoder {
    /// Takes over the frame's memories, all of them.
    ///
    /// # Errors
    ///
    /// Where a memory is not what is announced, or not sealed.
    pub fn new(what: &'static str, frame: Frame) -> Result<Self, String> {
        let mut decoder = Decoder {
            what,
            body: frame.body,
            memories: Vec::new(),
            values: 0,
        };
        // The whole table before any memory is looked at.
        let mut sizes = Vec::with_capacity(frame.descriptors.len());
        for _ in &frame.descriptors {
            sizes.push(usize::try_from(decoder.long()?).unwrap_or(usize::MAX));
        }
        for (descriptor, size) in frame.descriptors.into_iter().zip(sizes) {
            decoder.memories.push(memory::read(descriptor, size)?);
        }
        Ok(decoder)
    }

    /// To be called when all has been read.
    ///
    /// # Errors
    ///
    /// Where something is left.
    pub fn finish(self) -> Result<(), String> {
        match self.body.len() {
            0 => Ok(()),
            left => Err(format!("{left} bytes are left after {}", self.what)),
        }
    }

    /// A value, with all that is in it.
    ///
    /// # Errors
    ///
    /// As all of these, where it is none, or not there.
    pub fn value(&mut self) -> Result<Value, String> {
        self.nested(0)
    }

    fn nested(&mut self, depth: usize) -> Result<Value, String> {
        self.values += 1;
        if self.values > limits::VALUES {
            let (what, most) = (self.what, limits::VALUES);
            return Err(format!("{what} has more than {most} values"));
        }
        if depth > limits::DEPTH {
            return Err(format!(
                "lists and maps are nested more than {} deep",
                limits::DEPTH
            ));
        }
        match self.byte()? {
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
                    items.push(self.nested(depth + 1)?);
                }
                Ok(Value::list(items))
            }
            kinds::MAP => {
                let mut items: Vec<(String, Value)> = Vec::new();
                for _ in 0..self.count(limits::VALUES, "members of an object")? {
                    items.push((self.text()?, self.nested(depth + 1)?));
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
        let number = self.byte()?;
        let dtype = *TYPES
            .get(usize::from(number))
            .ok_or_else(|| format!("a tensor is of the unknown type {number}"))?;
        let rank = usize::from(self.byte()?);
        if rank > limits::RANK {
            return Err(format!(
                "a tensor has {rank} dimensions, and {} are the most",
                limits::RANK
            ));
        }
        let mut shape = Vec::with_capacity(rank);
        let mut room = limits::TENSOR / dtype.size() as u64;
        for _ in 0..rank {
            let side = self.long()?;
            room /= side.max(1);
            if room == 0 {
                return Err("a tensor is larger than one may be".into());
            }
            shape.push(usize::try_from(side).map_err(|_| format!("a side of {side}"))?);
        }
        self.elements(dtype, shape)
    }

    fn image(&mut self) -> Result<Image, String> {
        let forms = self.byte()?;
        if !(1..=3).contains(&forms) {
            return Err(format!(
                "a picture has the forms {forms}, expected 1, 2 or 3"
            ));
        }
        let file = (forms & 1 != 0).then(|| self.blob()).transpose()?;
        if forms & 2 == 0 {
            return Ok(Image::from_file(file.unwrap_or_default()));
        }
        let (height, width) = (self.number()? as usize, self.number()? as usize);
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
        match self.byte()? {
            kinds::INLINE => {
                let length = self.number()? as usize;
                self.need(length)?;
                Ok(self.body.split_to(length))
            }
            kinds::MEMORY => {
                self.need(2)?;
                let index = usize::from(self.body.get_u16());
                let (offset, length) = (self.long()?, self.long()?);
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

    pub fn text(&mut self) -> Result<String, String> {
        let length = self.number()? as usize;
        self.need(length)?;
        utf8(&self.body.split_to(length)).map(str::to_owned)
    }

    /// How many of what follow; no more than `most`.
    pub fn count(&mut self, most: usize, what: &str) -> Result<usize, String> {
        let count = self.number()? as usize;
        if count > most {
            let whole = self.what;
            return Err(format!(
                "{whole} has {count} {what}, and {most} are the most"
            ));
        }
        Ok(count)
    }

    pub fn byte(&mut self) -> Result<u8, String> {
        self.need(1)?;
        Ok(self.body.get_u8())
    }

    /// A number of 32 bits.
    pub fn number(&mut self) -> Result<u32, String> {
        self.need(4)?;
        Ok(self.body.get_u32())
    }

    pub fn signed(&mut self) -> Result<i32, String> {
        self.need(4)?;
        Ok(self.body.get_i32())
    }

    pub fn long(&mut self) -> Result<u64, String> {
        self.need(8)?;
        Ok(self.body.get_u64())
    }

    fn need(&self, count: usize) -> Result<(), String> {
        if self.body.len() < count {
            let left = self.body.len();
            let what = self.what;
            return Err(format!(
                "{what} ends {left} bytes on, where {count} are needed"
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
