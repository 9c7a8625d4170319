//! What a client sent, as the values of a graph's inputs.

use dag::{Entry, Giver, Graph, Request};
use servable::{Image, Input, JobError, Part, Symbols, Type, Value};

/// How much of a part's name a message shows: a client may call it anything.
const LONGEST_NAME: usize = 40;

/// The request as the graph sees it: its payload, and its parts and declared inputs by name. `known` is what the server gives
/// to inputs that are its own.
///
/// # Errors
///
/// Names the input, what was expected and what was found.
pub(crate) fn request(
    graph: &Graph,
    input: &Input,
    known: impl Fn(&[(String, Value)]) -> Value,
) -> Result<Request, JobError> {
    let payload = payload(input);
    let mut parts: Vec<(String, Value)> = Vec::with_capacity(input.parts.len());
    let required: Vec<&Entry> = graph
        .inputs
        .iter()
        .filter(|entry| entry.is_required())
        .collect();
    let of_client = |entry: &&Entry| entry.from == Giver::Request;
    for entry in graph.inputs.iter().filter(of_client) {
        let part = input.part(&entry.name).or(match &required[..] {
            // Whoever needs but one thing need not name it.
            [only] if only.name == entry.name => payload,
            _ => None,
        });
        let value = match (part, &entry.default) {
            (Some(part), _) => read(entry, part)?,
            (None, Some(default)) => default.clone(),
            (None, None) => return Err(refuse(entry, missing(graph, input))),
        };
        parts.push((entry.name.clone(), value));
    }
    for entry in graph.inputs.iter().filter(|entry| !of_client(entry)) {
        let value = known(&parts);
        let checked = entry.of.check(&value, &mut Symbols::default());
        checked
            .map_err(|mismatch| JobError::failed(format!("input `{}`: {mismatch}", entry.name)))?;
        parts.push((entry.name.clone(), value));
    }
    for part in &input.parts {
        if !parts.iter().any(|(name, _)| *name == part.name) {
            parts.push((part.name.clone(), part.value.clone()));
        }
    }
    Ok(Request {
        payload: payload.map(|part| part.value.clone()),
        parts,
    })
}

/// The parts that nothing of the graph takes, and what is wrong with each.
pub(crate) fn ignored(graph: &Graph, input: &Input) -> Vec<(String, String)> {
    let mut required = graph.inputs.iter().filter(|entry| entry.is_required());
    let only = match (required.next(), required.next()) {
        (Some(only), None) => Some(only),
        (_, _) => None,
    };
    // What stands in for the only thing that is needed need not have its name.
    let stands_in = only.filter(|only| input.part(&only.name).is_none());
    let payload = stands_in.and_then(|_| payload(input));
    let counts = |part: &&Part| {
        let is_payload = payload.is_some_and(|payload| std::ptr::eq(payload, *part));
        !is_payload && !part.value.is_empty()
    };
    let parts = input.parts.iter().filter(counts);
    parts
        .filter_map(|part| Some((part.name.clone(), graph.unknown_input(&part.name)?)))
        .collect()
}

fn payload(input: &Input) -> Option<&Part> {
    input.payload().or(match &input.parts[..] {
        [only] => Some(only),
        _ => None,
    })
}

/// A part as a value of the type that the entry declares.
fn read(entry: &Entry, part: &Part) -> Result<Value, JobError> {
    let text = || match &part.value {
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok().map(str::trim),
        Value::Text(text) => Some(text.trim()),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Image(_)
        | Value::Tensor(_)
        | Value::List(_)
        | Value::Map(_) => None,
    };
    let value = match (&entry.of, &part.value) {
        (Type::Image, Value::Bytes(bytes)) => Some(Value::Image(Image::from_file(bytes.clone()))),
        (Type::Int, _) if let Some(text) = text() => text.parse().ok().map(Value::Int),
        (Type::Float, _) if let Some(text) = text() => text.parse().ok().map(Value::Float),
        (Type::Bool, _) if let Some(text) = text() => match text {
            "true" | "1" => Some(Value::Bool(true)),
            "false" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        (Type::Text, Value::Bytes(_)) => text().map(Value::from),
        (
            Type::Json | Type::List(_) | Type::Record(_) | Type::Tensor(_) | Type::Boxes,
            Value::Bytes(_) | Value::Text(_),
        ) => text().and_then(|text| dag::from_json(text.as_bytes())),
        (_, value) => Some(value.clone()),
    };
    let Some(value) = value else {
        let found = match text() {
            Some(text) if text.len() <= 40 => format!("`{text}`"),
            Some(_) | None => part.value.kind().into(),
        };
        return Err(refuse(
            entry,
            format!("expected {}, found {found}", entry.of),
        ));
    };
    let checked = entry.of.check(&value, &mut Symbols::default());
    checked.map_err(|mismatch| refuse(entry, mismatch.to_string()))?;
    let bounded = entry.given.check(&value);
    bounded.map_err(|why| refuse(entry, why))?;
    Ok(value)
}

/// That an input did not come, and what came in its place, if anything did.
fn missing(graph: &Graph, input: &Input) -> String {
    let unknown =
        |part: &&Part| graph.unknown_input(&part.name).is_some() && !part.value.is_empty();
    match input.parts.iter().find(unknown) {
        Some(part) => {
            let name: String = part.name.chars().take(LONGEST_NAME).collect();
            format!(
                "it is missing (there is a part `{}`)",
                name.escape_default()
            )
        }
        None => "it is missing".into(),
    }
}

fn refuse(entry: &Entry, why: String) -> JobError {
    JobError::bad_input(format!("input `{}`: {why}", entry.name))
}
