//! One event of a streamed answer, as server-sent events or as a line of JSON.

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use servable::{Output, Value};

use crate::error::Failure;

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `text/event-stream`: the fields `id`, `event` and `data`, and an empty line.
    Events,
    /// `application/x-ndjson`: an object `{"id": …, "event": …, "data": …}` on each line.
    Lines,
}

/// What happened, and what is said about it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    name: &'static str,
    data: Value,
}

impl Form {
    /// The form that an `Accept` header asks for; none where it names neither.
    pub(crate) fn wished(accept: Option<&str>) -> Option<Form> {
        accept?.split(',').find_map(|range| {
            let wanted = range.split(';').next()?.trim();
            let forms = [Form::Events, Form::Lines];
            forms
                .into_iter()
                .find(|form| wanted.eq_ignore_ascii_case(form.content_type()))
        })
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Form::Events => "text/event-stream",
            Form::Lines => "application/x-ndjson",
        }
    }
}

impl Event {
    pub(crate) fn new(name: &'static str, data: Value) -> Self {
        Event { name, data }
    }

    pub(crate) fn of_output(name: &'static str, output: Output, form: Form) -> Self {
        Event::new(name, super::value_of(output, form))
    }

    /// The failure that ends an answer.
    pub(crate) fn error(failure: &Failure) -> Self {
        Event::new("error", dag::value_of(&failure.document()))
    }

    /// Whether nothing comes after it.
    pub(crate) fn ends(&self) -> bool {
        matches!(self.name, "final" | "error")
    }

    pub(crate) fn written(&self, id: u64, form: Form) -> Bytes {
        match form {
            Form::Events => {
                let data = if let Value::Text(text) = &self.data {
                    text.to_string()
                } else {
                    String::from_utf8_lossy(&self.data.to_json_line()).into_owned()
                };
                let mut out = format!("id: {id}\nevent: {}\n", self.name);
                // Whatever breaks a line breaks it in the field, too; readers put `\n` between the pieces.
                for line in data.replace("\r\n", "\n").split(['\n', '\r']) {
                    out.push_str("data: ");
                    out.push_str(line);
                    out.push('\n');
                }
                out.push('\n');
                out.into()
            }
            Form::Lines => {
                let id = Value::Int(i64::try_from(id).unwrap_or(i64::MAX));
                let line = [
                    ("id", id),
                    ("event", self.name.into()),
                    ("data", self.data.clone()),
                ];
                let mut out = Value::map(line).to_json_line();
                out.push(b'\n');
                out.into()
            }
        }
    }
}

/// A value as an event says it: bytes that are text as text, other bytes and pictures as a `data:` URL. In a line of JSON,
/// what is JSON stands as such.
pub(crate) fn shown(value: Value, content_type: Option<&str>, form: Form) -> Value {
    let bytes = match value {
        Value::Bytes(bytes) => bytes,
        Value::Text(text) if form == Form::Lines => Bytes::copy_from_slice(text.as_bytes()),
        Value::Image(image) => match image.file() {
            Some(file) => file,
            None => return Value::Image(image),
        },
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Tensor(_)
        | Value::List(_)
        | Value::Map(_)) => return other,
    };
    let is_json = content_type.is_some_and(|of| of.starts_with("application/json"));
    if form == Form::Lines
        && is_json
        && let Some(value) = dag::from_json(&bytes)
    {
        return value;
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => text.into(),
        Err(_) => {
            let of = content_type.unwrap_or("application/octet-stream");
            format!("data:{of};base64,{}", STANDARD.encode(&bytes)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Value, content_type: Option<&str>, form: Form, expected: &str) {
        let event = Event::new("part", shown(value, content_type, form));
        let written = event.written(7, form);
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }

    #[test]
    fn events_are_written_as_browsers_read_them() {
        let events = |value: Value, expected: &str| check(value, None, Form::Events, expected);
        events("one".into(), "id: 7\nevent: part\ndata: one\n\n");
        events("".into(), "id: 7\nevent: part\ndata: \n\n");
        events(
            "a\r\nb\rc\n".into(),
            "id: 7\nevent: part\ndata: a\ndata: b\ndata: c\ndata: \n\n",
        );
        events(
            Value::map([("a", Value::list([Value::Int(1)]))]),
            "id: 7\nevent: part\ndata: {\"a\": [1]}\n\n",
        );
        events(
            Value::Bytes("b\"1\"".into()),
            "id: 7\nevent: part\ndata: b\"1\"\n\n",
        );
        events(
            Value::Bytes(Bytes::from_static(b"\xff\0")),
            "id: 7\nevent: part\ndata: data:application/octet-stream;base64,/wA=\n\n",
        );
    }

    #[test]
    fn lines_are_json_and_hold_json_as_such() {
        let json = Some("application/json");
        check(
            Value::Bytes("{\"a\":\n 1}".into()),
            json,
            Form::Lines,
            "{\"id\": 7, \"event\": \"part\", \"data\": {\"a\": 1}}\n",
        );
        check(
            "{\"a\": 1}".into(),
            None,
            Form::Lines,
            "{\"id\": 7, \"event\": \"part\", \"data\": \"{\\\"a\\\": 1}\"}\n",
        );
        check(
            Value::Bytes(Bytes::from_static(b"\xff\0")),
            Some("image/x"),
            Form::Lines,
            "{\"id\": 7, \"event\": \"part\", \"data\": \"data:image/x;base64,/wA=\"}\n",
        );
    }

    #[test]
    fn accept_names_the_form() {
        let check = |accept: &str, expected| {
            assert_eq!(Form::wished(Some(accept)), expected, "{accept}");
        };
        check("text/event-stream", Some(Form::Events));
        check(
            "application/json, Application/X-NDJSON;q=0.5",
            Some(Form::Lines),
        );
        check("*/*", None);
        check("text/event-streams", None);
        assert_eq!(Form::wished(None), None);
    }
}
