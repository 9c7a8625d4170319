mod found;

use std::sync::Arc;

use crate::{Parts, Value};

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Task {
    #[default]
    Predict,
    Explain,
}

/// One request: what TorchServe calls a row of a handler's data, with its headers.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// The request's id, as in the log and in the answer's `x-request-id`.
    pub id: String,
    pub task: Task,
    /// Body and form fields, no name twice.
    pub parts: Vec<Part>,
    /// Request headers in the client's own spelling, no name twice.
    pub headers: Vec<(String, String)>,
    /// Where parts of the answer go, if somebody takes them.
    pub parts_to: Option<Parts>,
    /// Which of a model's functions is asked, of a model that is several.
    pub function: Option<Arc<str>>,
    /// Whether whoever asks takes a value of any type, where an engine could also make a body for a client of it.
    pub typed: bool,
}

/// One named piece of a request: the whole body (`body`), or a form field.
#[derive(Debug, Clone)]
pub struct Part {
    pub name: String,
    /// MIME type without parameters; empty when the client gave none.
    pub content_type: String,
    pub value: Value,
}

impl Input {
    /// An input that is one raw body.
    pub fn body(content_type: impl Into<String>, value: impl Into<Value>) -> Self {
        Input {
            parts: vec![Part {
                name: "body".into(),
                content_type: content_type.into(),
                value: value.into(),
            }],
            ..Input::default()
        }
    }

    pub fn part(&self, name: &str) -> Option<&Part> {
        self.parts.iter().find(|part| part.name == name)
    }

    /// The part a handler works on: `data`, else `body`, as TorchServe's own handlers choose (an empty `data` counts
    /// as absent there, so it does here).
    pub fn payload(&self) -> Option<&Part> {
        self.part("data")
            .filter(|part| !part.value.is_empty())
            .or_else(|| self.part("body"))
    }

    /// About how many bytes it holds.
    pub fn bytes(&self) -> usize {
        let parts = self.parts.iter().map(|part| part.value.bytes());
        let headers = self.headers.iter();
        parts.sum::<usize>()
            + headers
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>()
    }

    /// A header by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn check_payload(parts: &[(&str, &'static str)], expected: Option<&str>) {
        let parts = parts
            .iter()
            .map(|(name, data)| Part {
                name: (*name).into(),
                content_type: String::new(),
                value: Value::Bytes(Bytes::from_static(data.as_bytes())),
            })
            .collect();
        let input = Input {
            parts,
            ..Input::default()
        };
        assert_eq!(input.payload().map(|part| part.name.as_str()), expected);
    }

    #[test]
    fn payload_is_data_then_body() {
        check_payload(&[("body", "b"), ("data", "d")], Some("data"));
        check_payload(&[("body", "b"), ("data", "")], Some("body"));
        check_payload(&[("body", "")], Some("body"));
        check_payload(&[("image", "i")], None);
    }

    #[test]
    fn headers_are_found_in_any_case() {
        let input = Input {
            headers: vec![("X-Foo".into(), "1".into())],
            ..Input::default()
        };
        assert_eq!(input.header("x-foo"), Some("1"));
        assert_eq!(input.header("x-bar"), None);
    }
}
