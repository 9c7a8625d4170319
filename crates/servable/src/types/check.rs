//! Whether types fit together, and values their types.

use thiserror::Error;

use super::{Dim, Field, Fit, TensorType, Type};
use crate::{DType, Tensor, Value};

/// A value that is not what its place wants.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}expected {expected}, found {found}")]
pub struct Mismatch {
    /// Where inside the value, such as `texts[3]: `; empty for the value itself.
    pub path: String,
    pub expected: String,
    pub found: String,
}

impl Mismatch {
    /// The same to somebody who sends a value of that type and knows none: `expected a whole number, found text`.
    pub fn in_words(&self, of: &Type) -> String {
        let Mismatch {
            path,
            expected,
            found,
        } = self;
        match path.is_empty() && *expected == of.to_string() {
            true => format!("expected {}, found {found}", of.in_words()),
            false => self.to_string(),
        }
    }
}

/// Lengths that symbols have taken so far: one per run of a node.
#[derive(Debug, Default)]
pub struct Symbols(Vec<(String, usize)>);

impl Symbols {
    fn agree(&mut self, name: &str, side: usize) -> bool {
        match self.0.iter().find(|(known, _)| known == name) {
            Some((_, length)) => *length == side,
            None => {
                self.0.push((name.to_owned(), side));
                true
            }
        }
    }

    fn text(&self, shape: &[Dim]) -> String {
        let side = |side: &Dim| match side {
            Dim::Symbol(name) => match self.0.iter().find(|(known, _)| known == name) {
                Some((_, length)) => format!("{name}={length}"),
                None => name.clone(),
            },
            Dim::Fixed(_) | Dim::Any => side.to_string(),
        };
        shape.iter().map(side).collect::<Vec<_>>().join(", ")
    }
}

impl Type {
    /// Whether a value of this type can be used where `wanted` is asked for.
    pub fn fits(&self, wanted: &Type) -> Fit {
        match (self, wanted) {
            (_, Type::Any) => Fit::Yes,
            (Type::Any, _) => Fit::Maybe,
            (same, other) if same == other => Fit::Yes,
            (Type::Int, Type::Float)
            | (Type::Text, Type::Bytes)
            | (
                Type::Bool
                | Type::Int
                | Type::Float
                | Type::Text
                | Type::Boxes
                | Type::Tensor(_)
                | Type::List(_)
                | Type::Record(_),
                Type::Json,
            ) => Fit::Yes,
            // What is in a file, or in a JSON value, is seen when it is there.
            (Type::Bytes, Type::Image | Type::Text | Type::Json)
            | (Type::Json, _)
            | (Type::Image, Type::Bytes)
            | (Type::Float, Type::Int) => Fit::Maybe,
            (Type::Image, Type::Tensor(tensor)) => tensor_fits(&samples(), tensor),
            (Type::Tensor(tensor), Type::Image) => {
                let fit = tensor_fits(tensor, &samples());
                fit.max(tensor_fits(tensor, &numbers())).min(Fit::Maybe)
            }
            (Type::Boxes, Type::Tensor(tensor)) => tensor_fits(&boxes(), tensor),
            (Type::Tensor(tensor), Type::Boxes) => tensor_fits(tensor, &boxes()),
            (Type::Tensor(offered), Type::Tensor(wanted)) => tensor_fits(offered, wanted),
            // Nested lists of numbers are tensors to whoever reads them.
            (Type::List(_), Type::Tensor(_) | Type::Boxes) => Fit::Maybe,
            (Type::Boxes | Type::Tensor(_), Type::List(of)) => {
                let item = self.item().map_or(Fit::No, |item| item.fits(of));
                item.min(Fit::Maybe)
            }
            (Type::List(offered), Type::List(wanted)) => offered.fits(wanted),
            (Type::Record(offered), Type::Record(wanted)) => wanted
                .iter()
                .map(|field| member_fits(offered, field))
                .min()
                .unwrap_or(Fit::Yes),
            (
                Type::Bool
                | Type::Int
                | Type::Float
                | Type::Text
                | Type::Bytes
                | Type::Image
                | Type::Boxes
                | Type::Tensor(_)
                | Type::List(_)
                | Type::Record(_),
                Type::Bool
                | Type::Int
                | Type::Float
                | Type::Text
                | Type::Bytes
                | Type::Json
                | Type::Image
                | Type::Boxes
                | Type::Tensor(_)
                | Type::List(_)
                | Type::Record(_),
            ) => Fit::No,
        }
    }

    /// Whether a value is of this type; `symbols` holds the lengths seen so far and takes new ones.
    ///
    /// # Errors
    ///
    /// Names the place inside the value, what was expected there and what was found.
    pub fn check(&self, value: &Value, symbols: &mut Symbols) -> Result<(), Mismatch> {
        match (self, value) {
            (Type::Any | Type::Json, _)
            | (Type::Bool, Value::Bool(_))
            | (Type::Int, Value::Int(_))
            | (Type::Float, Value::Int(_) | Value::Float(_))
            | (Type::Text, Value::Text(_))
            | (Type::Bytes, Value::Bytes(_) | Value::Text(_) | Value::Image(_))
            | (Type::Image, Value::Image(_) | Value::Bytes(_)) => Ok(()),
            (Type::Image, Value::Tensor(tensor)) if tensor.dtype() == DType::F32 => {
                tensor_is(&numbers(), tensor, symbols)
            }
            (Type::Image, Value::Tensor(tensor)) => tensor_is(&samples(), tensor, symbols),
            (Type::Tensor(wanted), Value::Tensor(tensor)) => tensor_is(wanted, tensor, symbols),
            (Type::Boxes, Value::Tensor(tensor)) => tensor_is(&boxes(), tensor, symbols),
            // Whoever takes a tensor reads nested lists too, and says what is wrong with them.
            (Type::Tensor(_) | Type::Boxes, Value::List(_) | Value::Image(_)) => Ok(()),
            (Type::Text, Value::Bytes(bytes)) if std::str::from_utf8(bytes).is_ok() => Ok(()),
            (Type::List(of), Value::List(items)) => {
                items.iter().enumerate().try_for_each(|(index, item)| {
                    of.check(item, symbols)
                        .map_err(|error| error.inside(&format!("[{index}]")))
                })
            }
            (Type::List(_), Value::Tensor(tensor)) if !tensor.shape().is_empty() => Ok(()),
            (Type::Record(fields), Value::Map(_)) => fields.iter().try_for_each(|field| {
                let member = value.get(&field.name).ok_or_else(|| Mismatch {
                    path: String::new(),
                    expected: format!("a member `{}`", field.name),
                    found: describe(value),
                })?;
                let checked = field.of.check(member, symbols);
                checked.map_err(|error| error.inside(&field.name))
            }),
            (
                Type::Bool
                | Type::Int
                | Type::Float
                | Type::Text
                | Type::Bytes
                | Type::Image
                | Type::Boxes
                | Type::Tensor(_)
                | Type::List(_)
                | Type::Record(_),
                _,
            ) => Err(Mismatch {
                path: String::new(),
                expected: self.to_string(),
                found: describe(value),
            }),
        }
    }
}

impl Mismatch {
    fn inside(mut self, place: &str) -> Self {
        let inner = if self.path.is_empty() { ": " } else { "" };
        let dot = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{place}{dot}{}{inner}", self.path);
        self
    }
}

fn samples() -> TensorType {
    TensorType {
        dtype: Some(DType::U8),
        shape: Some(vec![Dim::Any, Dim::Any, Dim::Fixed(3)]),
    }
}

/// A picture as numbers that a network takes as they are: `[channels, height, width]`.
fn numbers() -> TensorType {
    TensorType {
        dtype: Some(DType::F32),
        shape: Some(vec![Dim::Any, Dim::Any, Dim::Any]),
    }
}

fn boxes() -> TensorType {
    TensorType {
        dtype: Some(DType::F32),
        shape: Some(vec![Dim::Any, Dim::Fixed(6)]),
    }
}

fn tensor_fits(offered: &TensorType, wanted: &TensorType) -> Fit {
    let dtype = match (offered.dtype, wanted.dtype) {
        (_, None) => Fit::Yes,
        (None, Some(_)) => Fit::Maybe,
        (Some(offered), Some(wanted)) if offered == wanted => Fit::Yes,
        (Some(_), Some(_)) => Fit::No,
    };
    let shape = match (&offered.shape, &wanted.shape) {
        (_, None) => Fit::Yes,
        (None, Some(_)) => Fit::Maybe,
        (Some(offered), Some(wanted)) if offered.len() != wanted.len() => Fit::No,
        (Some(offered), Some(wanted)) => offered
            .iter()
            .zip(wanted)
            .map(|(offered, wanted)| match (offered, wanted) {
                (Dim::Fixed(offered), Dim::Fixed(wanted)) if offered != wanted => Fit::No,
                (_, Dim::Any) | (Dim::Fixed(_), Dim::Fixed(_)) => Fit::Yes,
                (Dim::Symbol(offered), Dim::Symbol(wanted)) if offered == wanted => Fit::Yes,
                (Dim::Symbol(_) | Dim::Any | Dim::Fixed(_), Dim::Symbol(_) | Dim::Fixed(_)) => {
                    Fit::Maybe
                }
            })
            .min()
            .unwrap_or(Fit::Yes),
    };
    dtype.min(shape)
}

fn member_fits(offered: &[Field], wanted: &Field) -> Fit {
    let field = offered.iter().find(|field| field.name == wanted.name);
    field.map_or(Fit::No, |field| field.of.fits(&wanted.of))
}

fn tensor_is(wanted: &TensorType, tensor: &Tensor, symbols: &mut Symbols) -> Result<(), Mismatch> {
    let dtype = wanted.dtype.is_none_or(|dtype| dtype == tensor.dtype());
    let shape = wanted.shape.as_ref().is_none_or(|shape| {
        shape.len() == tensor.shape().len()
            && shape
                .iter()
                .zip(tensor.shape())
                .all(|(wanted, &side)| match wanted {
                    Dim::Fixed(wanted) => *wanted == side,
                    Dim::Symbol(name) => symbols.agree(name, side),
                    Dim::Any => true,
                })
    });
    if dtype && shape {
        return Ok(());
    }
    let element = wanted
        .dtype
        .map(|dtype| format!("<{dtype}>"))
        .unwrap_or_default();
    let sides = wanted
        .shape
        .as_ref()
        .map(|shape| format!("[{}]", symbols.text(shape)))
        .unwrap_or_default();
    Err(Mismatch {
        path: String::new(),
        expected: format!("tensor{element}{sides}"),
        found: Type::of(&Value::Tensor(tensor.clone())).to_string(),
    })
}

/// A value in the words of an error message: its type, shortened.
fn describe(value: &Value) -> String {
    match value {
        Value::Map(members) => {
            let names: Vec<_> = members
                .iter()
                .map(|(name, _)| name.as_str())
                .take(8)
                .collect();
            format!(
                "an object with {}",
                if names.is_empty() {
                    "nothing".into()
                } else {
                    names.join(", ")
                }
            )
        }
        Value::List(items) => format!("a list of {}", items.len()),
        Value::Tensor(_) => Type::of(value).to_string(),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_) => value.kind().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Type {
        text.parse().expect(text)
    }

    fn check_fit(offered: &str, wanted: &str, expected: Fit) {
        assert_eq!(
            of(offered).fits(&of(wanted)),
            expected,
            "{offered} for {wanted}"
        );
    }

    #[test]
    fn types_fit_always_never_or_as_the_value_will_show() {
        check_fit("image", "any", Fit::Yes);
        check_fit("any", "image", Fit::Maybe);
        check_fit("int", "float", Fit::Yes);
        check_fit("float", "text", Fit::No);
        check_fit("bytes", "image", Fit::Maybe);
        check_fit("image", "tensor<u8>[h, w, 3]", Fit::Maybe);
        check_fit("image", "tensor<f32>[h, w, 3]", Fit::No);
        check_fit("tensor<f32>[3, 32, 32]", "image", Fit::Maybe);
        check_fit("tensor<f32>[n, 3, 32, 32]", "image", Fit::No);
        check_fit("boxes", "tensor<f32>[n, 6]", Fit::Maybe);
        check_fit("boxes", "tensor<f32>[?, 6]", Fit::Yes);
        check_fit("boxes", "tensor<f32>[n, 5]", Fit::No);
        check_fit("tensor<f32>[1, 3]", "tensor<f32>[n, 3]", Fit::Maybe);
        check_fit("tensor<f32>[n, 3]", "tensor<f32>[n, 3]", Fit::Yes);
        check_fit("tensor<f32>[3]", "tensor<f32>[1, 3]", Fit::No);
        check_fit("tensor<f32>[1, 3]", "tensor[1, 3]", Fit::Yes);
        check_fit("list<int>", "list<float>", Fit::Yes);
        check_fit("list<text>", "list<float>", Fit::No);
        check_fit("{a: int, b: text}", "{a: float}", Fit::Yes);
        check_fit("{a: int}", "{b: int}", Fit::No);
        check_fit("{a: int}", "json", Fit::Yes);
    }

    fn check_value(wanted: &str, value: Value, expected: &str) {
        let found = of(wanted).check(&value, &mut Symbols::default());
        let found = found.map_or_else(|error| error.to_string(), |()| "fits".into());
        assert_eq!(found, expected, "{wanted}");
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_with_its_place() {
        let tensor = |shape: &[usize]| {
            Value::Tensor(
                Tensor::new(shape.to_vec(), vec![0f32; shape.iter().product()]).expect("a tensor"),
            )
        };
        check_value("tensor<f32>[n, n]", tensor(&[2, 2]), "fits");
        check_value(
            "tensor<f32>[n, n]",
            tensor(&[2, 3]),
            "expected tensor<float32>[n=2, n=2], found tensor<float32>[2, 3]",
        );
        check_value("int", Value::Float(1.5), "expected int, found number");
        check_value(
            "list<text>",
            Value::list([Value::from("a"), Value::Int(1)]),
            "[1]: expected text, found integer",
        );
        let nested = Value::map([("a", Value::list([Value::map([("b", Value::Null)])]))]);
        check_value(
            "{a: list<{b: text}>}",
            nested.clone(),
            "a[0].b: expected text, found null",
        );
        check_value(
            "{c: any}",
            nested,
            "expected a member `c`, found an object with a",
        );
        check_value("boxes", tensor(&[0, 6]), "fits");
    }
}
