//! The inputs of one call, taken by name and read as what a function works on, pictures within the bounds that the function
//! was made with.

use dag::{FunctionError, Inputs};
use image_ops::{DecodeLimits, Image};
use servable::{DType, Dim, Fit, Tensor, TensorType, Type, Value};
use tensor_ops::{PictureError, image_of, pixels_of};

use crate::path::whole;

/// The most bytes that a function's output may take, unless it is its input: whatever asks for more is a mistake.
pub(crate) const MAX_BYTES: usize = 512 << 20;

/// The most items of a list that a function makes; more are a mistake, as of a tensor without elements but with many rows.
pub(crate) const MAX_ITEMS: usize = 1 << 20;

/// What a call brought.
pub(crate) struct Given {
    inputs: Vec<(String, Value)>,
    limits: DecodeLimits,
}

impl Given {
    pub(crate) fn new(inputs: Vec<(String, Value)>, limits: DecodeLimits) -> Self {
        Given { inputs, limits }
    }

    /// How large a picture may be.
    pub(crate) fn limits(&self) -> DecodeLimits {
        self.limits
    }

    /// All inputs, for a function that takes whatever there is.
    pub(crate) fn all(self) -> Vec<(String, Value)> {
        self.inputs
    }

    /// The input of that name, if there is one.
    pub(crate) fn optional(&mut self, name: &str) -> Option<Value> {
        let index = self.inputs.iter().position(|(known, _)| known == name)?;
        Some(self.inputs.swap_remove(index).1)
    }

    pub(crate) fn value(&mut self, name: &str) -> Result<Value, FunctionError> {
        self.optional(name)
            .ok_or_else(|| FunctionError::BadInput(format!("input `{name}` is missing")))
    }

    /// A picture: a file, samples, or a tensor of 8-bit samples.
    pub(crate) fn picture(&mut self, name: &str) -> Result<Picture, FunctionError> {
        let value = self.value(name)?;
        self.decode(&value).map_err(|error| wrong(name, error))
    }

    /// The same of a value that came as an input.
    pub(crate) fn decode(&self, value: &Value) -> Result<Picture, String> {
        Picture::of(value, &self.limits)
    }

    /// The first tensor of what a network gave: the tensor itself, or the first of several.
    pub(crate) fn first_tensor(&mut self, name: &str) -> Result<Tensor, FunctionError> {
        let value = self.value(name)?;
        if let Value::List(items) = &value
            && let Some(Value::Tensor(first)) = items.first()
        {
            return Ok(first.clone());
        }
        tensor(value, &self.limits).map_err(|reason| wrong(name, reason))
    }

    /// A tensor, as one or as nested lists of numbers.
    pub(crate) fn tensor(&mut self, name: &str) -> Result<Tensor, FunctionError> {
        let value = self.value(name)?;
        tensor(value, &self.limits).map_err(|reason| wrong(name, reason))
    }
}

/// The type of the input of that name; anything where it is not known.
pub(crate) fn given(inputs: &Inputs<Type>, name: &str) -> Type {
    inputs
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, of)| of.clone())
        .unwrap_or_default()
}

/// What a picture of that name is: a picture, or grey samples, which are the tensor that is returned.
pub(crate) fn picture_type(inputs: &Inputs<Type>, name: &str) -> Result<Type, String> {
    let of = given(inputs, name);
    if let Type::Tensor(TensorType { dtype, shape }) = &of {
        let samples = dtype.is_none_or(|dtype| dtype == DType::U8);
        return match shape.as_deref() {
            Some([_, _, Dim::Fixed(3)]) if samples => Ok(Type::Image),
            Some([_, _] | [_, _, Dim::Fixed(1)]) if samples => Ok(of),
            Some([_, _, Dim::Any | Dim::Symbol(_)]) | None if samples => Ok(Type::Any),
            Some(_) | None => Err(format!(
                "input `{name}` must be a picture or uint8 samples [height, width, 1 or 3], not {of}"
            )),
        };
    }
    match of.fits(&Type::Image) {
        Fit::No => Err(format!("input `{name}` must be a picture, not {of}")),
        Fit::Maybe if of == Type::Any || of == Type::Json => Ok(Type::Any),
        Fit::Maybe | Fit::Yes => Ok(Type::Image),
    }
}

/// A request's mistake in one input: `input `name` reason`.
pub(crate) fn wrong(name: &str, reason: impl std::fmt::Display) -> FunctionError {
    FunctionError::BadInput(format!("input `{name}` {reason}"))
}

/// A mistake of nobody's: memory, an encoder.
pub(crate) fn failed(reason: impl std::fmt::Display) -> FunctionError {
    FunctionError::Failed(reason.to_string())
}

/// How many elements a shape has; a request's mistake where they would take more than [`MAX_BYTES`].
pub(crate) fn check_size(shape: &[usize], element: usize) -> Result<usize, FunctionError> {
    let bytes = shape
        .iter()
        .try_fold(element, |bytes, side| bytes.checked_mul(*side));
    match bytes {
        Some(bytes) if bytes <= MAX_BYTES => Ok(bytes / element),
        Some(_) | None => Err(FunctionError::BadInput(format!(
            "an output of shape {shape:?} would exceed the limit of {MAX_BYTES} bytes"
        ))),
    }
}

/// A tensor of numbers that were computed for exactly this shape.
pub(crate) fn made<T: servable::Element>(
    shape: Vec<usize>,
    elements: Vec<T>,
) -> Result<Value, FunctionError> {
    Tensor::new(shape, elements)
        .map(Value::Tensor)
        .map_err(failed)
}

/// A picture to work on.
pub(crate) struct Picture {
    pub(crate) image: Image,
    /// Whether it came as a tensor `[height, width]`, and is to leave as one.
    flat: bool,
}

impl Picture {
    fn of(value: &Value, limits: &DecodeLimits) -> Result<Self, String> {
        let told = |error: PictureError| error.to_string();
        let image = match value {
            Value::Image(image) => pixels_of(image, limits).map_err(told)?,
            Value::Bytes(bytes) => {
                let image = servable::Image::from_file(bytes.clone());
                pixels_of(&image, limits).map_err(told)?
            }
            Value::Tensor(tensor) => image_of(tensor).map_err(told)?,
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_)) => return Err(format!("is not a picture (found {})", other.kind())),
        };
        let flat = matches!(value, Value::Tensor(tensor) if tensor.shape().len() == 2);
        Ok(Picture { image, flat })
    }

    /// The value of a picture made of this one.
    pub(crate) fn made(&self, image: Image) -> Value {
        picture_value(image, self.flat)
    }
}

/// A colour picture, or the samples of a grey one, with a dimension for the channel unless `flat`.
pub(crate) fn picture_value(image: Image, flat: bool) -> Value {
    match tensor_ops::image_value(&image) {
        Some(image) => Value::Image(image),
        None => {
            let samples = tensor_ops::samples_of(image);
            let sides = samples.shape()[..2].to_vec();
            let shaped = if flat {
                samples.reshape(sides).ok()
            } else {
                None
            };
            Value::Tensor(shaped.unwrap_or(samples))
        }
    }
}

/// A value as a tensor. Lists of numbers become float32, or int64 where all are whole.
pub(crate) fn tensor(value: Value, limits: &DecodeLimits) -> Result<Tensor, String> {
    match value {
        Value::Tensor(tensor) => Ok(tensor),
        Value::Image(image) => {
            tensor_ops::decoded(&image, limits).map_err(|error| error.to_string())
        }
        other @ (Value::List(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_)) => {
            let mut numbers = Numbers::default();
            numbers.read(&other, 0)?;
            numbers.finish()
        }
        other @ (Value::Null | Value::Text(_) | Value::Bytes(_) | Value::Map(_)) => {
            match whole(&other) {
                Some(parsed) => tensor(parsed, limits),
                None => Err(format!("is not a tensor (found {})", other.kind())),
            }
        }
    }
}

/// Deeper nesting than any model takes.
const MAX_DEPTH: usize = 16;

/// Nested lists on their way to a tensor.
#[derive(Default)]
struct Numbers {
    shape: Vec<Option<usize>>,
    numbers: Vec<f64>,
    fractions: bool,
}

impl Numbers {
    fn read(&mut self, value: &Value, depth: usize) -> Result<(), String> {
        match value {
            Value::List(items) => {
                if depth >= MAX_DEPTH {
                    return Err(format!("is nested deeper than {MAX_DEPTH}"));
                }
                self.side(depth, items.len())?;
                return items.iter().try_for_each(|item| self.read(item, depth + 1));
            }
            Value::Tensor(tensor) => {
                for (below, &side) in tensor.shape().iter().enumerate() {
                    self.side(depth + below, side)?;
                }
                self.leaf(depth + tensor.shape().len())?;
                self.fractions |= tensor_ops::integers(tensor).is_none();
                self.numbers.extend(tensor_ops::doubles(tensor));
                return Ok(());
            }
            Value::Int(number) => self.numbers.push(*number as f64),
            Value::Bool(flag) => self.numbers.push(f64::from(u8::from(*flag))),
            Value::Float(number) => {
                self.fractions = true;
                self.numbers.push(*number);
            }
            other @ (Value::Null
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Image(_)
            | Value::Map(_)) => {
                return Err(format!("is not a tensor (found {} in it)", other.kind()));
            }
        }
        self.leaf(depth)
    }

    /// A list of `len` items stands at this depth: all there must be so long.
    fn side(&mut self, depth: usize, len: usize) -> Result<(), String> {
        match self.shape.get(depth) {
            None => self.shape.push(Some(len)),
            Some(Some(known)) if *known == len => {}
            Some(Some(known)) => {
                return Err(format!(
                    "is ragged: a list of {len} stands beside one of {known}"
                ));
            }
            Some(None) => return Err("is ragged: a list stands beside a number".into()),
        }
        Ok(())
    }

    /// Numbers stand at this depth.
    fn leaf(&mut self, depth: usize) -> Result<(), String> {
        match self.shape.get(depth) {
            None => self.shape.push(None),
            Some(None) => {}
            Some(Some(_)) => return Err("is ragged: a number stands beside a list".into()),
        }
        Ok(())
    }

    fn finish(self) -> Result<Tensor, String> {
        let shape: Vec<_> = self.shape.into_iter().flatten().collect();
        if self.fractions || self.numbers.is_empty() {
            let numbers = self.numbers.into_iter().map(|number| number as f32);
            Tensor::new(shape, numbers.collect::<Vec<f32>>())
        } else {
            let numbers = self.numbers.into_iter().map(|number| number as i64);
            Tensor::new(shape, numbers.collect::<Vec<i64>>())
        }
        .map_err(|error| format!("is not a tensor ({error})"))
    }
}
