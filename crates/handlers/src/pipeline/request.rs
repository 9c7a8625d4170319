//! What a request gives to a pipeline's graph: its parts, read as the types that the graph declares.
//!
//! Pictures and tensors come in all the forms in which the other handlers take them.

use dag::{Entry, Graph, Request};
use image_ops::DecodeLimits;
use servable::{
    DType, Dim, Field, Input, JobError, Part, Symbols, Takes, Tensor, TensorType, Type, Value,
};

use crate::base_handler::{Expected, absent, from_value, part, tensor_in};
use crate::picture;

/// The values of the graph's inputs.
///
/// # Errors
///
/// Names the input, what was expected and what was found.
pub(super) fn request(
    graph: &Graph,
    input: &Input,
    limits: DecodeLimits,
) -> Result<Request, JobError> {
    if graph.inputs.is_empty() {
        return undeclared(input);
    }
    let only = only_required(graph);
    let mut parts = Vec::with_capacity(graph.inputs.len());
    for entry in &graph.inputs {
        let named = input
            .part(&entry.name)
            .filter(|part| !part.value.is_empty());
        let found = match (named, only) {
            (Some(part), _) => Some(part),
            // Whoever needs but one thing need not name it.
            (None, Some(only)) if only.name == entry.name => Some(payload(input, only)?),
            (None, _) => None,
        };
        let value = match (found, &entry.default) {
            (Some(part), _) => read(entry, input, part, limits)?,
            (None, Some(default)) => default.clone(),
            (None, None) => return Err(refuse(entry, "it is missing")),
        };
        parts.push((entry.name.clone(), value));
    }
    let payload = only.and_then(|only| parts.iter().find(|(name, _)| *name == only.name));
    Ok(Request {
        payload: payload.map(|(_, value)| value.clone()),
        parts,
    })
}

/// What stands for the only input that is needed: the payload, or what was sent in its place and is empty.
fn payload<'i>(input: &'i Input, only: &Entry) -> Result<&'i Part, JobError> {
    let names = [only.name.as_str(), "data", "body"];
    let found = input.payload();
    let found = found.or_else(|| names.iter().find_map(|name| input.part(name)));
    let part = match found {
        Some(part) => part,
        None if ["data", "body"].contains(&names[0]) => part(input)?,
        None => return Err(absent(&format!("`{}`, `data` or `body`", only.name), input)),
    };
    let is_empty = matches!(&part.value, Value::Bytes(bytes) if bytes.is_empty());
    let what = match &only.of {
        Type::Image => "the picture is empty",
        // Says itself which numbers are wanted.
        Type::Tensor(_) | Type::Boxes => return Ok(part),
        Type::Any
        | Type::Bool
        | Type::Int
        | Type::Float
        | Type::Text
        | Type::Bytes
        | Type::Json
        | Type::List(_)
        | Type::Record(_) => "it is empty",
    };
    match is_empty {
        true => Err(refuse(
            only,
            &format!("request part `{}`: {what}: no bytes were sent", part.name),
        )),
        false => Ok(part),
    }
}

/// The inputs of a graph that declares them.
pub(super) fn takes(graph: &Graph) -> Option<Takes> {
    let names = graph.inputs.iter().map(|entry| entry.name.clone());
    (!graph.inputs.is_empty()).then(|| Takes {
        names: names.collect(),
        payload: only_required(graph).map(|only| only.name.clone()),
    })
}

/// The example with each truth value that may be chosen chosen otherwise; `None` where there is none.
pub(super) fn example_by_choice(graph: &Graph) -> Option<Input> {
    let mut example = example(graph)?;
    let flags = graph
        .inputs
        .iter()
        .filter(|entry| entry.given.options.is_empty());
    let flipped = flags.filter_map(|entry| match entry.default {
        Some(Value::Bool(usual)) => Some(Part {
            name: entry.name.clone(),
            content_type: String::new(),
            value: Value::Bool(!usual),
        }),
        _ => None,
    });
    let before = example.parts.len();
    example.parts.extend(flipped);
    (example.parts.len() > before).then_some(example)
}

/// A request that the network can be tried out with, where the graph needs but one thing and says what that looks like.
pub(super) fn example(graph: &Graph) -> Option<Input> {
    let only = only_required(graph)?;
    match &only.of {
        Type::Image => Some(picture::example()),
        of @ (Type::Any
        | Type::Bool
        | Type::Int
        | Type::Float
        | Type::Text
        | Type::Bytes
        | Type::Json
        | Type::Boxes
        | Type::Tensor(_)
        | Type::List(_)
        | Type::Record(_)) => example_of(of).map(|value| Input::body("", value)),
    }
}

fn example_of(of: &Type) -> Option<Value> {
    match of {
        Type::Tensor(tensor) => expected(tensor).example(1).map(Value::Tensor),
        Type::Record(fields) => {
            let fields = fields
                .iter()
                .map(|field| Some((field.name.as_str(), example_of(&field.of)?)));
            fields.collect::<Option<Vec<_>>>().map(Value::map)
        }
        Type::Any
        | Type::Bool
        | Type::Int
        | Type::Float
        | Type::Text
        | Type::Bytes
        | Type::Json
        | Type::Image
        | Type::Boxes
        | Type::List(_) => None,
    }
}

fn only_required(graph: &Graph) -> Option<&Entry> {
    let mut required = graph.inputs.iter().filter(|entry| entry.default.is_none());
    match (required.next(), required.next()) {
        (Some(only), None) => Some(only),
        (_, _) => None,
    }
}

/// A graph that declares nothing takes whatever comes, as it comes.
fn undeclared(input: &Input) -> Result<Request, JobError> {
    Ok(Request {
        payload: Some(part(input)?.value.clone()),
        parts: input
            .parts
            .iter()
            .map(|part| (part.name.clone(), part.value.clone()))
            .collect(),
    })
}

/// A part as a value of the type that the entry declares.
fn read(
    entry: &Entry,
    input: &Input,
    part: &Part,
    limits: DecodeLimits,
) -> Result<Value, JobError> {
    let value = match (&entry.of, &part.value) {
        (Type::Tensor(of), _) => {
            let tensor = tensor_in(input, part, &element_type(of, limits))?;
            Value::Tensor(widened(tensor, of))
        }
        (Type::Boxes, _) => Value::Tensor(tensor_in(input, part, &element_type(&boxes(), limits))?),
        (Type::Image, _) => picture::undecoded(part)
            .map_err(|why| JobError::bad_input(format!("request part `{}` {why}", part.name)))?,
        (Type::Any | Type::Bytes, value) => value.clone(),
        (of, Value::Bytes(bytes)) => {
            let text = std::str::from_utf8(bytes)
                .map_err(|_| refuse(entry, &format!("expected {}, found bytes", of.in_words())))?;
            written(of, text, limits).map_err(|why| refuse(entry, &why))?
        }
        (of, Value::Text(text)) => written(of, text, limits).map_err(|why| refuse(entry, &why))?,
        (of, value) => typed(of, &entry.name, value, limits).map_err(|why| refuse(entry, &why))?,
    };
    let checked = entry.of.check(&value, &mut Symbols::default());
    checked.map_err(|mismatch| refuse(entry, &mismatch.in_words(&entry.of)))?;
    let bounded = entry.given.check(&value);
    bounded.map_err(|why| refuse(entry, &why))?;
    Ok(value)
}

/// What a text says where that type is wanted.
fn written(of: &Type, text: &str, limits: DecodeLimits) -> Result<Value, String> {
    let trimmed = text.trim();
    let wrong = || match trimmed {
        short if short.len() <= 40 => format!("expected {}, found `{short}`", of.in_words()),
        _ => format!(
            "expected {}, found a text of {} bytes",
            of.in_words(),
            text.len()
        ),
    };
    match of {
        Type::Text => Ok(text.into()),
        Type::Int => trimmed.parse().map(Value::Int).map_err(|_| wrong()),
        Type::Float => trimmed.parse().map(Value::Float).map_err(|_| wrong()),
        Type::Bool => match trimmed {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err(wrong()),
        },
        Type::Any
        | Type::Bytes
        | Type::Json
        | Type::Image
        | Type::Boxes
        | Type::Tensor(_)
        | Type::List(_)
        | Type::Record(_) => {
            let json: serde_json::Value = serde_json::from_str(trimmed)
                .map_err(|error| format!("expected {of}, and it is not JSON: {error}"))?;
            typed(of, "", &dag::value_of(&json), limits)
        }
    }
}

/// A value with its tensors made tensors, wherever in it they are.
fn typed(of: &Type, name: &str, value: &Value, limits: DecodeLimits) -> Result<Value, String> {
    match (of, value) {
        (Type::Tensor(of), _) => {
            let tensor = from_value(name, value, of.dtype, &limits)?;
            let tensor = element_type(of, limits).cast(name, tensor);
            let tensor = tensor.map_err(|error| error.message)?;
            Ok(Value::Tensor(widened(tensor, of)))
        }
        (Type::Boxes, _) => typed(&Type::Tensor(boxes()), name, value, limits),
        (Type::Record(fields), Value::Map(members)) => {
            let of = |name: &str| fields.iter().find(|field: &&Field| field.name == name);
            let members = members.iter().map(|(name, value)| {
                let value = match of(name) {
                    Some(field) => typed(&field.of, name, value, limits)?,
                    None => value.clone(),
                };
                Ok((name.clone(), value))
            });
            members.collect::<Result<Vec<_>, String>>().map(Value::map)
        }
        (Type::List(of), Value::List(items)) => {
            let items = items.iter().enumerate();
            let items =
                items.map(|(index, item)| typed(of, &format!("{name}[{index}]"), item, limits));
            items.collect::<Result<Vec<_>, String>>().map(Value::list)
        }
        (_, value) => Ok(value.clone()),
    }
}

/// An empty list says nothing of the sides inside it, which the type does.
fn widened(tensor: Tensor, of: &TensorType) -> Tensor {
    let Some(shape) = &of.shape else {
        return tensor;
    };
    let may_be_empty = !matches!(shape.first(), None | Some(Dim::Fixed(1..)));
    if tensor.shape() != [0] || !may_be_empty {
        return tensor;
    }
    let side = |side: &Dim| match side {
        Dim::Fixed(side) => *side,
        Dim::Symbol(_) | Dim::Any => 0,
    };
    let wide = tensor.reshape(shape.iter().map(side).collect());
    wide.unwrap_or(tensor)
}

fn element_type(of: &TensorType, limits: DecodeLimits) -> Expected {
    Expected {
        dtype: of.dtype,
        shape: None,
        limits,
    }
}

fn expected(of: &TensorType) -> Expected {
    let side = |side: &Dim| match side {
        Dim::Fixed(side) => Some(*side),
        Dim::Symbol(_) | Dim::Any => None,
    };
    let shape = of.shape.as_ref();
    Expected {
        dtype: of.dtype,
        shape: shape.map(|shape| shape.iter().map(side).collect()),
        limits: DecodeLimits::default(),
    }
}

fn boxes() -> TensorType {
    TensorType {
        dtype: Some(DType::F32),
        shape: None,
    }
}

fn refuse(entry: &Entry, why: &str) -> JobError {
    JobError::bad_input(format!("input `{}`: {why}", entry.name))
}
