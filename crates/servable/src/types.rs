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

impl Type {
    /// What it is to somebody who sends a value and knows no types: `a whole number`.
    pub fn in_words(&self) -> String {
        match self {
            Type::Bool => "true or false".into(),
            Type::Int => "a whole number".into(),
            Type::Float => "a number".into(),
            Type::Text => "a text".into(),
            Type::Image => "a picture".into(),
            other @ (Type::Any
            | Type::Bytes
            | Type::Json
            | Type::Boxes
            | Type::Tensor(_)
            | Type::List(_)
            | Type::Record(_)) => other.to_string(),
        }
    }
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
    /// The same as tensors, for wires that speak of nothing else. It promises less than the types: what goes in is made a
    /// tensor of, so texts and bytes may fit as well, and what comes out may have been seen but once.
    pub ports: Ports,
}

/// The tensors that a model takes and gives, as far as they are known; empty where it does not work on tensors, or nobody
/// knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ports {
    pub takes: Vec<Port>,
    pub gives: Vec<Port>,
}

/// One tensor by its name. Its shape is that of one request, and begins with the side of the batch where each request is
/// a batch of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub name: String,
    pub of: TensorType,
}

impl Port {
    pub fn new(name: impl Into<String>, of: TensorType) -> Self {
        Port {
            name: name.into(),
            of,
        }
    }
}

impl Ports {
    /// The name of an only input, where the network has none for it.
    pub const INPUT: &'static str = "input";

    /// The name of an only output.
    pub const OUTPUT: &'static str = "output";

    /// The tensors of a value: itself, or the members of a list or an object of tensors. Empty for any other.
    pub fn of(value: &Value) -> Vec<Port> {
        let port =
            |name: String, value: &Value| Some(Port::new(name, Type::of(value).tensor_type()?));
        let members: Option<Vec<Port>> = match value {
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| port(format!("{}_{index}", Ports::OUTPUT), item))
                .collect(),
            Value::Map(members) => members
                .iter()
                .map(|(name, item)| port(name.clone(), item))
                .collect(),
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Image(_)
            | Value::Tensor(_)) => port(Ports::OUTPUT.into(), other).map(|port| vec![port]),
        };
        members.unwrap_or_default()
    }

    /// The tensors of a type, in the same way.
    pub fn of_type(of: &Type) -> Vec<Port> {
        if let Type::Record(fields) = of {
            return Ports::of_fields(fields);
        }
        let tensor = of.clone().tensor_type();
        tensor.map_or_else(Vec::new, |of| vec![Port::new(Ports::OUTPUT, of)])
    }

    /// The tensors of named types; empty unless all of them are.
    pub fn of_fields(fields: &[Field]) -> Vec<Port> {
        let port = |field: &Field| Some(Port::new(&field.name, field.of.clone().tensor_type()?));
        let all: Option<Vec<Port>> = fields.iter().map(port).collect();
        all.unwrap_or_default()
    }
}

impl TensorType {
    /// What fits both: where two sides differ, any.
    #[must_use]
    pub fn or(&self, other: &TensorType) -> TensorType {
        let shape = match (&self.shape, &other.shape) {
            (Some(one), Some(other)) if one.len() == other.len() => {
                let side =
                    |(one, other): (&Dim, &Dim)| if one == other { one.clone() } else { Dim::Any };
                Some(one.iter().zip(other).map(side).collect())
            }
            _ => None,
        };
        TensorType {
            dtype: self.dtype.filter(|dtype| other.dtype == Some(*dtype)),
            shape,
        }
    }
}

impl Type {
    fn tensor_type(self) -> Option<TensorType> {
        if let Type::Tensor(of) = self {
            Some(of)
        } else {
            None
        }
    }

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
