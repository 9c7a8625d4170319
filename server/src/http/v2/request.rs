//! A request for an inference from JSON, with the bytes of its tensors behind it.

use bytes::Bytes;
use servable::Rope;

use super::data;
use crate::http::json::{Reader, short};
use crate::v2::{Content, Datatype, InferInput, InferRequest, Parameter, Parameters, WantedOutput};
use jiter::Peek;

/// A request, and which of its outputs the client wants as bytes.
#[derive(Debug)]
pub(in crate::http) struct Read {
    pub(in crate::http) request: InferRequest,
    pub(in crate::http) binary: BinaryOutputs,
}

/// Which outputs go behind the JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::http) struct BinaryOutputs {
    /// Of those that say nothing themselves.
    all: bool,
    /// Those that do.
    own: Vec<(String, bool)>,
}

impl BinaryOutputs {
    pub(super) fn wants(&self, name: &str) -> bool {
        let mut own = self.own.iter();
        own.find(|(own, _)| own == name)
            .map_or(self.all, |(_, binary)| *binary)
    }
}

/// Reads a body whose first `head` bytes are JSON; without a `head` all of it is.
///
/// # Errors
///
/// The member, what was expected and what was found.
pub(in crate::http) fn read(body: &Rope, head: Option<usize>) -> Result<Read, String> {
    let head = head.unwrap_or(body.len());
    if head > body.len() {
        let found = body.len();
        return Err(format!(
            "header Inference-Header-Content-Length: it says {head} bytes, and the body has {found}"
        ));
    }
    if head == 0 && !body.is_empty() {
        return Ok(bare(body));
    }
    let (json, tensors) = (body.slice(0..head), body.slice(head..body.len()));
    let json = json.into_bytes();
    let mut request = InferRequest::default();
    let mut written: Option<Vec<Written>> = None;
    let mut reader = Reader::new(&json);
    reader.object("the request", |reader, name| {
        match name {
            "id" => request.id = id(reader)?,
            "parameters" => request.parameters = parameters(reader, "parameters")?,
            "inputs" => {
                let inputs = written.insert(Vec::new());
                reader.array("inputs", |reader, index| {
                    bounded("inputs", index)?;
                    inputs.push(Written::read(reader, &json, index)?);
                    Ok(())
                })?;
            }
            "outputs" => reader.array("outputs", |reader, index| {
                bounded("outputs", index)?;
                request.outputs.push(output(reader, index)?);
                Ok(())
            })?,
            _ => reader.pass()?,
        }
        Ok(())
    })?;
    reader.finish()?;
    let written = written.ok_or("the request: the member `inputs` is missing")?;
    request.inputs = with_data(written, &tensors)?;
    let binary = binary_outputs(&request)?;
    Ok(Read { request, binary })
}

/// More than any model has; each costs memory before it is looked at.
const MOST: usize = 256;

fn bounded(what: &str, index: usize) -> Result<(), String> {
    if index < MOST {
        return Ok(());
    }
    Err(format!("{what}: expected at most {MOST}"))
}

/// A body without any JSON is one byte string: the only input, whatever that is called.
fn bare(body: &Rope) -> Read {
    let input = InferInput {
        name: String::new(),
        datatype: Datatype::Bytes,
        shape: vec![1],
        parameters: Parameters::default(),
        content: Content::Elements(vec![body.clone().into_bytes()]),
    };
    Read {
        request: InferRequest {
            inputs: vec![input],
            ..InferRequest::default()
        },
        binary: BinaryOutputs::default(),
    }
}

/// An input before its data are read: the members may come in any order.
struct Written {
    name: String,
    datatype: Datatype,
    shape: Vec<i64>,
    parameters: Parameters,
    /// The text of `data`.
    data: Option<Bytes>,
}

impl Written {
    fn read(reader: &mut Reader<'_>, json: &Bytes, index: usize) -> Result<Self, String> {
        let place = format!("inputs[{index}]");
        let (mut name, mut datatype, mut shape, mut data) = (None, None, None, None);
        let mut given = Parameters::default();
        reader.object(&place, |reader, member| {
            let place = format!("{place}.{member}");
            match member {
                "name" => name = Some(reader.text(&place)?),
                "datatype" => datatype = Some(reader.text(&place)?),
                "shape" => {
                    let sides = shape.insert(Vec::new());
                    reader.array(&place, |reader, index| {
                        bounded(&place, index)?;
                        sides.push(reader.integer(&format!("{place}[{index}]"))?);
                        Ok(())
                    })?;
                }
                "parameters" => given = parameters(reader, &place)?,
                "data" => data = Some(json.slice(reader.skip()?)),
                _ => reader.pass()?,
            }
            Ok(())
        })?;
        let missing = |member: &str| format!("{place}: the member `{member}` is missing");
        let name = name.ok_or_else(|| missing("name"))?;
        let datatype = datatype.ok_or_else(|| missing("datatype"))?;
        Ok(Written {
            datatype: Datatype::parse(&datatype).map_err(|why| named(&name, &why))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
            parameters: given,
            data,
            name,
        })
    }
}

fn named(name: &str, why: &str) -> String {
    format!("input `{}`: {why}", short(name))
}

/// The inputs with their data: those in the JSON, and those behind it in their order.
fn with_data(written: Vec<Written>, tensors: &Rope) -> Result<Vec<InferInput>, String> {
    let mut taken = 0usize;
    let mut inputs = Vec::with_capacity(written.len());
    for input in written {
        let why = |why: String| named(&input.name, &why);
        let size = input.parameters.count("binary_data_size", 0).map_err(why)?;
        let content = match (size, &input.data) {
            (Some(_), Some(_)) => {
                let twice = "it has `data` and `binary_data_size`, and can have one of them";
                return Err(named(&input.name, twice));
            }
            (None, None) => {
                return Err(named(
                    &input.name,
                    "it has neither `data` nor `binary_data_size`",
                ));
            }
            (Some(size), None) => {
                let end = taken.saturating_add(size);
                let tensor = tensors.get(taken..end).ok_or_else(|| {
                    let left = tensors.len() - taken;
                    why(format!(
                        "binary_data_size is {size}, and {left} bytes are left behind the JSON"
                    ))
                })?;
                taken = end;
                Content::Packed(tensor)
            }
            (None, Some(text)) => {
                let is_base64 = input.parameters.text("content_type") == Some("base64");
                let read = data::read(text, input.datatype, &input.shape, is_base64);
                read.map_err(why)?
            }
        };
        inputs.push(InferInput {
            name: input.name,
            datatype: input.datatype,
            shape: input.shape,
            parameters: input.parameters,
            content,
        });
    }
    if taken < tensors.len() {
        let left = tensors.len() - taken;
        return Err(format!("{left} bytes behind the JSON belong to no input"));
    }
    Ok(inputs)
}

/// Text, or a number for its digits.
fn id(reader: &mut Reader<'_>) -> Result<Option<String>, String> {
    match reader.peek()? {
        Peek::Null => reader.pass().map(|()| None),
        peek if peek.is_num() => reader.number("id", "text").map(Some),
        _ => reader.text("id").map(Some),
    }
}

pub(super) fn parameters(reader: &mut Reader<'_>, place: &str) -> Result<Parameters, String> {
    let mut found = Vec::new();
    if reader.peek()? == Peek::Null {
        reader.pass()?;
        return Ok(Parameters(found));
    }
    reader.object(place, |reader, name| {
        let place = format!("{place}.{}", short(name));
        let value = match reader.peek()? {
            Peek::True | Peek::False => Parameter::Bool(reader.flag(&place)?),
            Peek::String => Parameter::Text(reader.text(&place)?),
            // Clients write down what they have not, too.
            Peek::Null => return reader.pass(),
            _ => {
                let number = reader.number(&place, "a number, a text, true or false")?;
                match (number.parse(), number.parse()) {
                    (Ok(number), _) => Parameter::Int(number),
                    (Err(_), Ok(number)) => Parameter::Float(number),
                    (Err(_), Err(_)) => return Err(format!("{place}: {number} is too large")),
                }
            }
        };
        found.push((name.to_owned(), value));
        Ok(())
    })?;
    Ok(Parameters(found))
}

fn output(reader: &mut Reader<'_>, index: usize) -> Result<WantedOutput, String> {
    let place = format!("outputs[{index}]");
    let (mut name, mut given) = (None, Parameters::default());
    reader.object(&place, |reader, member| {
        let place = format!("{place}.{member}");
        match member {
            "name" => name = Some(reader.text(&place)?),
            "parameters" => given = parameters(reader, &place)?,
            _ => reader.pass()?,
        }
        Ok(())
    })?;
    Ok(WantedOutput {
        name: name.ok_or_else(|| format!("{place}: the member `name` is missing"))?,
        parameters: given,
    })
}

fn binary_outputs(request: &InferRequest) -> Result<BinaryOutputs, String> {
    let all = request.parameters.flag("binary_data_output")?;
    let mut own = Vec::new();
    for output in &request.outputs {
        let flag = output.parameters.flag("binary_data");
        let flag = flag.map_err(|why| format!("output `{}`: {why}", short(&output.name)))?;
        own.extend(flag.map(|flag| (output.name.clone(), flag)));
    }
    Ok(BinaryOutputs {
        all: all.unwrap_or(false),
        own,
    })
}

#[cfg(test)]
mod tests;
