//! The words of the protocol: what a client asks and what it gets, whichever wire it came by.

use bytes::Bytes;
use servable::{Rope, Task, Tensor};

use super::Datatype;

/// One request for an inference.
#[derive(Debug, Clone, Default)]
pub struct InferRequest {
    /// A model, or else a workflow.
    pub model: String,
    /// `None`: the default one.
    pub version: Option<String>,
    /// The client's name for the request, which is sent back.
    pub id: Option<String>,
    pub task: Task,
    pub parameters: Parameters,
    pub inputs: Vec<InferInput>,
    /// Empty: every output that there is.
    pub outputs: Vec<WantedOutput>,
}

/// One input as it came, not checked yet.
#[derive(Debug, Clone)]
pub struct InferInput {
    pub name: String,
    pub datatype: Datatype,
    /// As the client wrote it: sides may be negative, and their product anything.
    pub shape: Vec<i64>,
    pub parameters: Parameters,
    pub content: Content,
}

/// The elements of an input, in row-major order.
#[derive(Debug, Clone)]
pub enum Content {
    /// Numbers, little-endian and side by side; of [`Datatype::Bytes`], each element behind its length of four bytes.
    Packed(Rope),
    /// Elements of [`Datatype::Bytes`].
    Elements(Vec<Bytes>),
}

/// An output that a client asks for.
#[derive(Debug, Clone)]
pub struct WantedOutput {
    pub name: String,
    /// `classification`: so many of the best classes in place of the scores.
    pub parameters: Parameters,
}

#[derive(Debug, Clone)]
pub struct InferResponse {
    pub model: String,
    pub version: String,
    /// The request's, or else the server's own.
    pub id: String,
    /// In the order in which they were asked for, or else that of the answer.
    pub outputs: Vec<InferOutput>,
}

#[derive(Debug, Clone)]
pub enum InferOutput {
    Numbers {
        name: String,
        tensor: Tensor,
    },
    /// As many elements as the shape has.
    Bytes {
        name: String,
        shape: Vec<usize>,
        elements: Vec<Bytes>,
    },
}

impl InferOutput {
    pub fn name(&self) -> &str {
        match self {
            InferOutput::Numbers { name, .. } | InferOutput::Bytes { name, .. } => name,
        }
    }

    pub fn datatype(&self) -> Datatype {
        match self {
            InferOutput::Numbers { tensor, .. } => Datatype::Of(tensor.dtype()),
            InferOutput::Bytes { .. } => Datatype::Bytes,
        }
    }

    pub fn shape(&self) -> &[usize] {
        match self {
            InferOutput::Numbers { tensor, .. } => tensor.shape(),
            InferOutput::Bytes { shape, .. } => shape,
        }
    }
}

/// A value of `parameters`.
#[derive(Debug, Clone, PartialEq)]
pub enum Parameter {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

/// Named values beside the tensors, of a request, an input or an output. Those that nobody knows mean nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters(pub Vec<(String, Parameter)>);

impl Parameters {
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        let mut named = self.0.iter().filter(|(key, _)| key == name);
        named.next().map(|(_, value)| value)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Parameter::Text(text)) => Some(text),
            Some(Parameter::Bool(_) | Parameter::Int(_) | Parameter::Float(_)) | None => None,
        }
    }

    /// # Errors
    ///
    /// What is there and neither true nor false.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Parameter::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(format!(
                "parameter `{name}`: expected true or false, found {}",
                other.shown()
            )),
        }
    }

    /// A whole number from `least`.
    ///
    /// # Errors
    ///
    /// What is there and no such number.
    pub fn count(&self, name: &str, least: usize) -> Result<Option<usize>, String> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let count = match value {
            Parameter::Int(number) => usize::try_from(*number).ok(),
            Parameter::Bool(_) | Parameter::Float(_) | Parameter::Text(_) => None,
        };
        match count.filter(|count| *count >= least) {
            Some(count) => Ok(Some(count)),
            None => Err(format!(
                "parameter `{name}`: expected a whole number from {least}, found {}",
                value.shown()
            )),
        }
    }
}

impl Parameter {
    /// As text, for whoever passes it on as a header, or names it in a message.
    pub fn shown(&self) -> String {
        match self {
            Parameter::Bool(flag) => flag.to_string(),
            Parameter::Int(number) => number.to_string(),
            Parameter::Float(number) => number.to_string(),
            Parameter::Text(text) => text.chars().take(80).collect(),
        }
    }
}
