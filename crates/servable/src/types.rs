//! What can be known of a value before it is there: the types of inputs and outputs, as people write them.

use std::fmt;

use crate::{DType, Value};

mod check;
mod parse;

pub use check::{Mismatch, Symbols};
pub use parse::TypeError;

/// The type of a value. Written `image`, `tensor<float32>[n, 3, 24, 94]`, `list<text>`, `{texts: list<text>, mask: image}`;
/// parsed by [`str::parse`] and printed the same way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Type {
    /// Nothing is known: whether it fits is seen when it is there.
    #[default]
    Any,
    Bool,
    Int,
    /// A number; integers fit.
    Float,
    Text,
    /// Bytes of whatever format. Text fits.
    Bytes,
    /// Whatever has a JSON form: null, booleans, numbers, text, lists and objects of these, tensors.
    Json,
    /// A picture: a file, samples, or numbers `float32 [channels, height, width]` that a network takes as they are.
    Image,
    /// `float32 [n, 6]`: left, top, right, bottom in pixels, confidence, class.
    Boxes,
    Tensor(TensorType),
    List(Box<Type>),
    /// An object with at least these members.
    Record(Vec<Field>),
}

/// Element type and shape of a tensor, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TensorType {
    pub dtype: Option<DType>,
    pub shape: Option<Vec<Dim>>,
}

/// One side of a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dim {
    Fixed(usize),
    /// Any length, but the same wherever the name stands among the inputs of one node.
    Symbol(String),
    Any,
}

/// A member of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub of: Type,
}

/// Whether what is offered can be used where something is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// Never.
    No,
    /// It depends on the value, so it is checked when there is one.
    Maybe,
    /// Always.
    Yes,
}

/// What goes into a model or a function and what comes out, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature {
    /// Named inputs; empty when nothing is known.
    pub inputs: Vec<Field>,
    pub output: Type,
}

impl Type {
    pub fn list(of: Type) -> Type {
        Type::List(Box::new(of))
    }

    /// `float32` or another element type, of any shape.
    pub fn tensor(dtype: DType) -> Type {
        Type::Tensor(TensorType {
            dtype: Some(dtype),
            shape: None,
        })
    }

    /// The type of a member. `None` where there is certainly no such member.
    pub fn member(&self, name: &str) -> Option<Type> {
        match self {
            Type::Any | Type::Json => Some(Type::Any),
            Type::Record(fields) => {
                let field = fields.iter().find(|field| field.name == name)?;
                Some(field.of.clone())
            }
            Type::Bool
            | Type::Int
            | Type::Float
            | Type::Text
            | Type::Bytes
            | Type::Image
            | Type::Boxes
            | Type::Tensor(_)
            | Type::List(_) => None,
        }
    }

    /// The type of one item: of a list, or of a tensor along its first dimension. `None` where there are certainly no items.
    pub fn item(&self) -> Option<Type> {
        match self {
            Type::Any | Type::Json => Some(Type::Any),
            Type::List(of) => Some((**of).clone()),
            Type::Boxes => Some(Type::Tensor(TensorType {
                dtype: Some(DType::F32),
                shape: Some(vec![Dim::Fixed(6)]),
            })),
            Type::Tensor(tensor) => match &tensor.shape {
                None => Some(Type::Tensor(tensor.clone())),
                Some(shape) => Some(Type::Tensor(TensorType {
                    dtype: tensor.dtype,
                    shape: Some(shape.split_first()?.1.to_vec()),
                })),
            },
            Type::Bool
            | Type::Int
            | Type::Float
            | Type::Text
            | Type::Bytes
            | Type::Image
            | Type::Record(_) => None,
        }
    }

    /// What is certain of a value.
    pub fn of(value: &Value) -> Type {
        match value {
            Value::Null => Type::Json,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Float(_) => Type::Float,
            Value::Text(_) => Type::Text,
            Value::Bytes(_) => Type::Bytes,
            Value::Image(_) => Type::Image,
            Value::Tensor(tensor) => Type::Tensor(TensorType {
                dtype: Some(tensor.dtype()),
                shape: Some(
                    tensor
                        .shape()
                        .iter()
                        .map(|&side| Dim::Fixed(side))
                        .collect(),
                ),
            }),
            Value::List(items) => {
                let mut types = items.iter().map(Type::of);
                let first = types.next().unwrap_or_default();
                if types.all(|other| other == first) {
                    Type::list(first)
                } else {
                    Type::list(Type::Any)
                }
            }
            Value::Map(members) => Type::Record(
                members
                    .iter()
                    .map(|(name, value)| Field {
                        name: name.clone(),
                        of: Type::of(value),
                    })
                    .collect(),
            ),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Any => f.write_str("any"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Float => f.write_str("float"),
            Type::Text => f.write_str("text"),
            Type::Bytes => f.write_str("bytes"),
            Type::Json => f.write_str("json"),
            Type::Image => f.write_str("image"),
            Type::Boxes => f.write_str("boxes"),
            Type::Tensor(tensor) => tensor.fmt(f),
            Type::List(of) => write!(f, "list<{of}>"),
            Type::Record(fields) => {
                f.write_str("{")?;
                for (index, field) in fields.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{}: {}", field.name, field.of)?;
                }
                f.write_str("}")
            }
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensor")?;
        if let Some(dtype) = self.dtype {
            write!(f, "<{dtype}>")?;
        }
        if let Some(shape) = &self.shape {
            f.write_str("[")?;
            for (index, side) in shape.iter().enumerate() {
                let comma = if index > 0 { ", " } else { "" };
                write!(f, "{comma}{side}")?;
            }
            f.write_str("]")?;
        }
        Ok(())
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Fixed(side) => side.fmt(f),
            Dim::Symbol(name) => f.write_str(name),
            Dim::Any => f.write_str("?"),
        }
    }
}
