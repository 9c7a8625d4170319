//! Writes the body of a frame, and puts what is large into the memory that goes with it.

use bytes::Bytes;
use servable::{Image, Tensor, Value};

use super::memory::{Arena, Piece};
use super::{Encoded, TYPES, kinds, limits};
use crate::connection::Broken;

/// Writes one body, piece by piece. Whoever calls it writes what [`Decoder`](super::Decoder) is asked for, in that order.
pub struct Encoder {
    /// What is written, in messages: `a batch`.
    what: &'static str,
    body: Vec<u8>,
    arena: Arena,
    inline: usize,
    values: usize,
}

/// The error is one line, and the fault of whoever brought what does not fit: nothing has been sent.
pub type Fits = Result<(), String>;

impl Encoder {
    pub fn new(what: &'static str) -> Self {
        Encoder {
            what,
            body: Vec::new(),
            arena: Arena::default(),
            inline: 0,
            values: 0,
        }
    }

    /// All that was written, its memory sealed.
    ///
    /// # Errors
    ///
    /// Where it is too large for a frame, and where there is no memory.
    pub fn finish(mut self) -> Result<Encoded, Broken> {
        let size = self.arena.size();
        if size > 0 {
            self.body.splice(0..0, size.to_be_bytes());
        }
        if self.body.len() > limits::BODY {
            let (what, bytes) = (self.what, self.body.len());
            let message = format!("{what} takes {bytes} bytes beside its memory");
            return Err(Broken::Unsendable(message));
        }
        let memory = (size > 0).then(|| self.arena.seal()).transpose()?;
        Ok(Encoded {
            body: self.body,
            memory,
        })
    }

    /// A value, with all that is in it.
    ///
    /// # Errors
    ///
    /// Where it is more than the limits allow.
    pub fn value(&mut self, value: &Value) -> Fits {
        self.nested(value, 0)
    }

    fn nested(&mut self, value: &Value, depth: usize) -> Fits {
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
                    .try_for_each(|item| self.nested(item, depth + 1))
            }
            Value::Map(items) => {
                self.begin(kinds::MAP)?;
                self.count(items.len(), limits::VALUES, "members of an object")?;
                items.iter().try_for_each(|(name, item)| {
                    self.text(name)?;
                    self.nested(item, depth + 1)
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
            self.blob(Piece::Bytes(file));
        }
        if let Some(pixels) = pixels {
            for &side in &pixels.shape()[..2] {
                self.number(side, "a side of a picture")?;
            }
            self.blob(Piece::Tensor(pixels));
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
        self.blob(Piece::Tensor(tensor.clone()));
        Ok(())
    }

    fn leaf(&mut self, kind: u8, bytes: Bytes) -> Fits {
        self.begin(kind)?;
        self.blob(Piece::Bytes(bytes));
        Ok(())
    }

    fn begin(&mut self, kind: u8) -> Fits {
        self.values += 1;
        if self.values > limits::VALUES {
            let (what, most) = (self.what, limits::VALUES);
            return Err(format!("{what} has more than {most} values"));
        }
        self.body.push(kind);
        Ok(())
    }

    fn blob(&mut self, piece: Piece) {
        let bytes = piece.len();
        let fits = bytes <= limits::INLINE && self.inline + bytes <= limits::INLINE_TOTAL;
        if fits || bytes == 0 {
            self.inline += bytes;
            self.body.push(kinds::INLINE);
            self.body.extend_from_slice(&(bytes as u32).to_be_bytes());
            return piece.append_to(&mut self.body);
        }
        let offset = self.arena.add(piece);
        self.body.push(kinds::MEMORY);
        self.body.extend_from_slice(&0u16.to_be_bytes());
        self.body.extend_from_slice(&offset.to_be_bytes());
        self.body.extend_from_slice(&(bytes as u64).to_be_bytes());
    }

    /// # Errors
    ///
    /// For a text of more than 4 GiB.
    pub fn text(&mut self, text: &str) -> Fits {
        self.number(text.len(), "the length of a text")?;
        self.body.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// How many of what follow.
    ///
    /// # Errors
    ///
    /// Where they are more than `most`.
    pub fn count(&mut self, count: usize, most: usize, what: &str) -> Fits {
        if count > most {
            let whole = self.what;
            return Err(format!(
                "{whole} has {count} {what}, and {most} are the most"
            ));
        }
        self.number(count, what)
    }

    pub fn byte(&mut self, byte: u8) {
        self.body.push(byte);
    }

    pub fn signed(&mut self, number: i32) {
        self.body.extend_from_slice(&number.to_be_bytes());
    }

    pub fn long(&mut self, number: u64) {
        self.body.extend_from_slice(&number.to_be_bytes());
    }

    /// A number of 32 bits.
    ///
    /// # Errors
    ///
    /// For a larger one.
    pub fn number(&mut self, number: usize, what: &str) -> Fits {
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
