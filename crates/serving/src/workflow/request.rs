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
    let only = only_required(graph);
    let of_client = |entry: &&Entry| entry.from == Giver::Request;
    for entry in graph.inputs.iter().filter(of_client) {
        let part = input.part(&entry.name).or(match only {
            // Whoever needs but one thing need not name it.
            Some(only) if only.name == entry.name => payload,
            Some(_) | None => None,
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

/// The request with a part for each member of its body, where that is an object of JSON that brings inputs by their names and is
/// not itself the only one that is needed.
pub(crate) fn spread(graph: &Graph, input: &Input) -> Option<Input> {
    let body = input.part("body")?;
    let Value::Bytes(bytes) = &body.value else {
        return None;
    };
    if body.content_type != "application/json" || graph.inputs.is_empty() {
        return None;
    }
    let Value::Map(members) = dag::from_json(bytes)? else {
        return None;
    };
    let is_input = |(name, _): &(String, Value)| graph.unknown_input(name).is_none();
    if members.is_empty() || !members.iter().all(is_input) {
        return None;
    }
    if let Some(only) = only_required(graph)
        && !members.iter().any(|(name, _)| *name == only.name)
    {
        // Of a workflow for objects, or for a picture that is missing.
        let whole = Value::Map(members.clone());
        let is_it = only.of.check(&whole, &mut Symbols::default()).is_ok();
        if is_it || input.part(&only.name).is_none() {
            return None;
        }
    }
    let others = input
        .parts
        .iter()
        .filter(|part| part.name != "body" && !members.iter().any(|(name, _)| *name == part.name));
    let brought = members.iter().map(|(name, value)| Part {
        name: name.clone(),
        content_type: String::new(),
        value: value.clone(),
    });
    Some(Input {
        parts: others.cloned().chain(brought).collect(),
        ..input.clone()
    })
}

/// The input that a request must bring, if that is but one.
fn only_required(graph: &Graph) -> Option<&Entry> {
    let mut required = graph.inputs.iter().filter(|entry| entry.is_required());
    match (required.next(), required.next()) {
        (Some(only), None) => Some(only),
        (_, _) => None,
    }
}

/// The parts that nothing of the graph takes, and what is wrong with each.
pub(crate) fn ignored(graph: &Graph, input: &Input) -> Vec<(String, String)> {
    // What stands in for the only thing that is needed need not have its name.
    let stands_in = only_required(graph).filter(|only| input.part(&only.name).is_none());
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
            format!("expected {}, found {found}", entry.of.in_words()),
        ));
    };
    let checked = entry.of.check(&value, &mut Symbols::default());
    checked.map_err(|mismatch| refuse(entry, mismatch.in_words(&entry.of)))?;
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
        None => match input.without_fields() {
            Some(found) => format!("it is missing: found {found}"),
            None => "it is missing".into(),
        },
    }
}

fn refuse(entry: &Entry, why: String) -> JobError {
    JobError::bad_input(format!("input `{}`: {why}", entry.name))
}

#[cfg(test)]
mod tests {
    use functions::Functions;

    use super::*;

    const SPEC: &str = "
inputs:
  a: {type: int, min: 1}
  mode: {type: text, default: fast, options: [fast, slow], because: nobody has another}
  level: {type: int, default: 3, options: [3, 5]}
  run: {type: json, from: server}
nodes: {answer: {function: merge, in: {a: a, mode: mode, level: level}}}
output: answer
";

    fn graph(spec: &str) -> Graph {
        let checked = dag::check(spec, &Functions::default(), dag::Options::default());
        assert_eq!(checked.problems, []);
        checked.graph.expect("a graph")
    }

    fn part(name: &str, content_type: &str, text: &str) -> Part {
        Part {
            name: name.into(),
            content_type: content_type.into(),
            value: Value::Bytes(text.to_owned().into()),
        }
    }

    /// The inputs that a graph gets, or why it gets none; and what is left out.
    fn check(parts: Vec<Part>, expected: Result<&str, &str>, left_out: &[&str]) {
        let graph = graph(SPEC);
        let input = Input {
            parts,
            ..Input::default()
        };
        let shown = format!("{:?}", input.parts);
        let input = spread(&graph, &input).unwrap_or(input);
        let ignored: Vec<String> = ignored(&graph, &input)
            .into_iter()
            .map(|(_, why)| why)
            .collect();
        assert_eq!(ignored, left_out, "{shown}");
        let found = request(&graph, &input, |_| Value::map::<String>([]));
        let found = found.map(|request| {
            let named = ["a", "mode", "level"].into_iter().map(|wanted| {
                let part = request.parts.iter().find(|(name, _)| name == wanted);
                part.map(|(_, value)| String::from_utf8_lossy(&value.to_json()).into_owned())
                    .unwrap_or_default()
            });
            named.collect::<Vec<_>>().join(" ")
        });
        let found = found.map_err(|error| error.message);
        assert_eq!(
            found.as_deref().map_err(String::as_str),
            expected,
            "{shown}"
        );
    }

    #[test]
    fn inputs_come_as_parts_and_as_members_of_one_object() {
        let json = |text: &str| part("body", "application/json", text);
        let all = Ok(r#"2 "slow" 5"#);
        let fields = || vec![part("mode", "", "slow"), part("level", "", "5")];
        check([vec![part("a", "", "2")], fields()].concat(), all, &[]);
        check(
            vec![json(r#"{"a": 2, "mode": "slow", "level": 5}"#)],
            all,
            &[],
        );
        // A query beside an object, which goes over it.
        let query = [fields(), vec![json(r#"{"a": 2}"#)]].concat();
        check(query, all, &[]);
        check(
            vec![
                part("mode", "", "fast"),
                json(r#"{"a": 2, "mode": "slow"}"#),
            ],
            Ok(r#"2 "slow" 3"#),
            &[],
        );
        // A lone body is what the only input that is needed wants.
        check(vec![part("body", "", "2")], Ok(r#"2 "fast" 3"#), &[]);
    }

    #[test]
    fn what_is_unknown_or_out_of_range_is_told() {
        let a = || part("a", "", "2");
        check(
            vec![
                a(),
                part("mod", "", "slow"),
                part("run", "", "1"),
                part("zzz", "", "1"),
                part("body", "", ""),
            ],
            Ok(r#"2 "fast" 3"#),
            &[
                "there is no input `mod`; nearest is `mode`",
                "the server itself gives the input `run`",
                "there is no input `zzz`; known are `a`, `mode` and `level`",
            ],
        );
        check(
            vec![a(), part("mode", "", "best")],
            Err("input `mode`: expected one of fast, slow, found `best`: nobody has another"),
            &[],
        );
        check(
            vec![a(), part("level", "", "4")],
            Err("input `level`: expected one of 3, 5, found `4`"),
            &[],
        );
        check(
            vec![part("b", "", "2"), part("mode", "", "slow")],
            Err("input `a`: it is missing (there is a part `b`)"),
            &["there is no input `b`; known are `a`, `mode` and `level`"],
        );
    }
}
