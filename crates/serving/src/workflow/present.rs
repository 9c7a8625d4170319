//! The answer of a run as a client gets it.

use std::sync::Arc;

use dag::{Catalogue, Form, Graph, Pick};
use servable::{Output, Value};

use crate::error::Error;
use crate::workflow::Workflow;

impl Workflow {
    /// Which answer suits the client: the first one that it takes, or the usual one.
    pub(crate) fn choose(&self, accept: &[String]) -> usize {
        let suits = |wanted: &String| {
            let answers = self.graph.answers.iter();
            let mut offered = answers.map(|answer| answer.content_type.as_deref());
            offered.position(|offered| offered.is_some_and(|offered| matches(wanted, offered)))
        };
        accept.iter().find_map(suits).unwrap_or(0)
    }
}

/// Whether a content type is what an `Accept` header names, where `*` stands for anything.
fn matches(wanted: &str, offered: &str) -> bool {
    match (wanted.split_once('/'), offered.split_once('/')) {
        (Some((kind, part)), Some((of_kind, of_part))) => {
            (kind == "*" || kind.eq_ignore_ascii_case(of_kind))
                && (part == "*" || part.eq_ignore_ascii_case(of_part))
        }
        (Some(_) | None, Some(_) | None) => wanted == offered,
    }
}

/// A value as an answer, under the content type that it has or was asked for.
pub(crate) fn output(
    graph: &Graph,
    answer: usize,
    value: Value,
    catalogue: &Arc<dyn Catalogue>,
) -> Result<Output, Error> {
    let value = encoded(value, catalogue)?;
    if graph.form == Form::Classic {
        let value = match &graph.answers[answer].pick {
            Pick::Named(_) => documents(value)?,
            Pick::One(_) => value,
        };
        // Whatever it is.
        return Ok(Output::new(value).with_content_type("application/json"));
    }
    let content_type = match &graph.answers[answer].content_type {
        Some(content_type) => content_type.as_str(),
        None => content_type(&value),
    };
    Ok(Output::new(value).with_content_type(content_type))
}

/// Leaves by their names, of which those that are bytes hold JSON.
fn documents(leaves: Value) -> Result<Value, Error> {
    let Value::Map(leaves) = &leaves else {
        return Ok(leaves);
    };
    let document = |(name, value): &(String, Value)| {
        let Value::Bytes(bytes) = value else {
            return Ok((name.clone(), value.clone()));
        };
        let document = dag::from_json(bytes).ok_or_else(|| {
            let why = format!("the answer of `{name}` is no JSON, and there are several");
            Error::Misfit(why)
        })?;
        Ok((name.clone(), document))
    };
    let documents = leaves.iter().map(document);
    Ok(Value::map(documents.collect::<Result<Vec<_>, Error>>()?))
}

/// A picture that has no file yet gets one.
fn encoded(value: Value, catalogue: &Arc<dyn Catalogue>) -> Result<Value, Error> {
    let Value::Image(image) = &value else {
        return Ok(value);
    };
    if image.file().is_some() {
        return Ok(value);
    }
    let failed = |why: String| Error::Job(servable::JobError::failed(why));
    let function = catalogue.find("encode_png");
    let function = function
        .ok_or_else(|| failed("a picture cannot be answered: there is no `encode_png`".into()))?;
    let bound = function.bind(&dag::Arguments::new());
    let bound = bound.map_err(|_| failed("`encode_png` has parameters".into()))?;
    let port = function
        .about()
        .inputs
        .first()
        .map_or("image", |port| port.name);
    bound
        .call(vec![(port.to_owned(), value.clone())])
        .map_err(|error| failed(error.to_string()))
}

/// What a value is, for a client: pictures by their first bytes, everything that is no file as JSON.
fn content_type(value: &Value) -> &'static str {
    let file = match value {
        Value::Bytes(bytes) => bytes.clone(),
        Value::Image(image) => image.file().unwrap_or_default(),
        Value::Text(_) => return "text/plain; charset=utf-8",
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Tensor(_)
        | Value::List(_)
        | Value::Map(_) => return "application/json",
    };
    const KNOWN: [(&[u8], &str); 5] = [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"BM", "image/bmp"),
        (b"\x93NUMPY", "application/x-npy"),
    ];
    let known = KNOWN.iter().find(|(start, _)| file.starts_with(start));
    known.map_or("application/octet-stream", |(_, content_type)| content_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_names_a_content_type_or_a_part_of_it() {
        for (wanted, offered, expected) in [
            ("image/png", "image/png", true),
            ("image/*", "image/png", true),
            ("*/*", "application/json", true),
            ("IMAGE/PNG", "image/png", true),
            ("text/html", "image/png", false),
        ] {
            assert_eq!(matches(wanted, offered), expected, "{wanted} for {offered}");
        }
    }
}
