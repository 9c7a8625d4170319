use std::sync::Arc;

use bytes::Bytes;

use crate::{Image, Tensor};

/// Whatever travels in a request, in an answer, or between two models. Cloning is cheap: long things are shared.
#[derive(Debug, Clone, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    Bytes(Bytes),
    Image(Image),
    Tensor(Tensor),
    List(Arc<[Value]>),
    /// Named values in the order in which they were put in; no name twice.
    Map(Arc<[(String, Value)]>),
}

impl Value {
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Value::List(items.into_iter().collect())
    }

    pub fn map<K: Into<String>>(items: impl IntoIterator<Item = (K, Value)>) -> Self {
        Value::Map(
            items
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }

    /// The member of a map by its name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Map(items) => items
                .iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Image(_)
            | Value::Tensor(_)
            | Value::List(_) => None,
        }
    }

    /// Whether there is nothing in it, as Python's truth test of a container says.
    pub fn is_empty(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Image(_) => false,
            Value::Text(text) => text.is_empty(),
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::Tensor(tensor) => tensor.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(items) => items.is_empty(),
        }
    }

    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => size_of::<Value>(),
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Image(image) => image.bytes(),
            Value::Tensor(tensor) => tensor.byte_len(),
            Value::List(items) => items.iter().map(Value::bytes).sum(),
            Value::Map(items) => items
                .iter()
                .map(|(key, value)| key.len() + value.bytes())
                .sum(),
        }
    }

    /// What it is, in the words an error message uses.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Int(_) => "integer",
            Value::Float(_) => "number",
            Value::Text(_) => "text",
            Value::Bytes(_) => "bytes",
            Value::Image(_) => "picture",
            Value::Tensor(_) => "tensor",
            Value::List(_) => "list",
            Value::Map(_) => "object",
        }
    }

    /// The bytes that answer a client: bytes, text and the files of pictures as they are, everything else as JSON.
    pub fn into_body(self) -> Bytes {
        match self {
            Value::Bytes(bytes) => bytes,
            Value::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Value::Image(image) => match image.file() {
                Some(file) => file,
                None => Value::Image(image).to_json().into(),
            },
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Tensor(_)
            | Value::List(_)
            | Value::Map(_)) => other.to_json().into(),
        }
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Value::Bytes(bytes)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl From<Image> for Value {
    fn from(image: Image) -> Self {
        Value::Image(image)
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Value::Tensor(tensor)
    }
}
