//! From a batch to the body of a frame, and the memory that goes with it.

use std::os::fd::OwnedFd;

use bytes::Bytes;
use servable::{Image, Tensor, Value};
use worker_process::Broken;

use super::memory::Arena;
use super::{TYPES, kinds, limits};
use crate::message::Request;

/// The body of a batch and its memory, if it needs one. What does not fit is the request's fault, and said before anything
/// is sent.
pub(super) fn batch(requests: &[Request<'_>]) -> Result<(Vec<u8>, Option<OwnedFd>), Broken> {
    let mut encoder = Encoder::default();
    encoder.requests(requests).map_err(Broken::Unsendable)?;
    encoder.finish()
}

#[derive(Default)]
struct Encoder {
    body: Vec<u8>,
    arena: Arena,
    inline: usize,
    values: usize,
}

type Fits = Result<(), String>;

impl Encoder {
    fn finish(mut self) -> Result<(Vec<u8>, Option<OwnedFd>), Broken> {
        let size = self.arena.size();
        if size > 0 {
            self.body.splice(0..0, size.to_be_bytes());
        }
        if self.body.len() > limits::BODY {
            let message = format!("a batch takes {} bytes beside its memory", self.body.len());
            return Err(Broken::Unsendable(message));
        }
        let memory = (size > 0).then(|| self.arena.seal()).transpose()?;
        Ok((self.body, memory))
    }

    fn requests(&mut self, requests: &[Request<'_>]) -> Fits {
        self.count(requests.len(), limits::REQUESTS, "requests")?;
        for request in requests {
            self.text(&request.id)?;
            self.count(request.headers.len(), limits::PARTS, "headers")?;
            for (name, value) in &request.headers {
                self.text(name)?;
                self.text(value)?;
            }
            self.count(request.parts.len(), limits::PARTS, "parts")?;
            for part in request.parts {
                self.text(&part.name)?;
                self.text(&part.content_type)?;
                self.value(&part.value, 0)?;
            }
        }
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Fits {
        if depth > limits::DEPTH {
            let most = limits::DEPTH;
            return Err(format!("lists and maps are nested more than {most} deep"));
        }
        match value {
            Value::Bytes(bytes) => self.leaf(kinds::BYTES, bytes.clone()),
            Value::Text(text) => self.leaf(kinds::TEXT, Bytes::copy_from_slice(text.as_bytes())),
            Value::Image(image) => self.image(image),
            Value::Tensor(tensor) => {
                self.begin(kinds::TENSOR)?;
                self.tensor(tensor)
            }
            Value::Float(number) if !number.is_finite() => {
                self.begin(kinds::FLOAT)?;
                self.body.extend_from_slice(&number.to_be_bytes());
                Ok(())
            }
            plain if is_json(plain) => self.leaf(kinds::JSON, plain.to_json_line().into()),
            Value::List(items) => {
                self.begin(kinds::LIST)?;
                self.count(items.len(), limits::VALUES, "members of a list")?;
                items
                    .iter()
                    .try_for_each(|item| self.value(item, depth + 1))
            }
            Value::Map(items) => {
                self.begin(kinds::MAP)?;
                self.count(items.len(), limits::VALUES, "members of an object")?;
                items.iter().try_for_each(|(name, item)| {
                    self.text(name)?;
                    self.value(item, depth + 1)
                })
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                unreachable!("they are JSON")
            }
        }
    }

    fn image(&mut self, image: &Image) -> Fits {
        let (file, pixels) = (image.file(), image.decoded());
        self.begin(kinds::IMAGE)?;
        self.body
            .push(u8::from(file.is_some()) | u8::from(pixels.is_some()) << 1);
        if let Some(file) = file {
            self.blob(file);
        }
        if let Some(pixels) = pixels {
            for &side in &pixels.shape()[..2] {
                self.number(side, "a side of a picture")?;
            }
            self.blob(pixels.shared_bytes());
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &Tensor) -> Fits {
        let number = TYPES.iter().position(|&dtype| dtype == tensor.dtype());
        let number = number.expect("every type has a number");
        let rank = tensor.shape().len();
        if rank > limits::RANK {
            let most = limits::RANK;
            return Err(format!(
                "a tensor has {rank} dimensions, and {most} are the most"
            ));
        }
        self.body.extend([number as u8, rank as u8]);
        for &side in tensor.shape() {
            self.body.extend_from_slice(&(side as u64).to_be_bytes());
        }
        self.blob(tensor.shared_bytes());
        Ok(())
    }

    fn leaf(&mut self, kind: u8, bytes: Bytes) -> Fits {
        self.begin(kind)?;
        self.blob(bytes);
        Ok(())
    }

    fn begin(&mut self, kind: u8) -> Fits {
        self.values += 1;
        if self.values > limits::VALUES {
            return Err(format!("a batch has more than {} values", limits::VALUES));
        }
        self.body.push(kind);
        Ok(())
    }

    fn blob(&mut self, bytes: Bytes) {
        let fits =
            bytes.len() <= limits::INLINE && self.inline + bytes.len() <= limits::INLINE_TOTAL;
        if fits || bytes.is_empty() {
            self.inline += bytes.len();
            self.body.push(kinds::INLINE);
            self.body
                .extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            self.body.extend_from_slice(&bytes);
            return;
        }
        let length = bytes.len() as u64;
        let offset = self.arena.add(bytes);
        self.body.push(kinds::MEMORY);
        self.body.extend_from_slice(&0u16.to_be_bytes());
        self.body.extend_from_slice(&offset.to_be_bytes());
        self.body.extend_from_slice(&length.to_be_bytes());
    }

    fn text(&mut self, text: &str) -> Fits {
        self.number(text.len(), "the length of a text")?;
        self.body.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn count(&mut self, count: usize, most: usize, what: &str) -> Fits {
        if count > most {
            return Err(format!(
                "a batch has {count} {what}, and {most} are the most"
            ));
        }
        self.number(count, what)
    }

    fn number(&mut self, number: usize, what: &str) -> Fits {
        let number =
            u32::try_from(number).map_err(|_| format!("{number} is too much for {what}"))?;
        self.body.extend_from_slice(&number.to_be_bytes());
        Ok(())
    }
}

/// Whether JSON says all of it, and a reader gets the same back.
fn is_json(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) => true,
        Value::Float(number) => number.is_finite(),
        Value::Bytes(_) | Value::Image(_) | Value::Tensor(_) => false,
        Value::List(items) => items.iter().all(is_json),
        Value::Map(items) => items.iter().all(|(_, item)| is_json(item)),
    }
}
