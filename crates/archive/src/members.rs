//! Members of a manifest's objects: read one by one with the place of a mistake, written where there is something to write.

use serde_json::{Map, Value};

pub(crate) fn put(object: &mut Map<String, Value>, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        object.insert(name.to_owned(), Value::from(text));
    }
}

/// An object's members, taken out one by one; what stays behind is unknown.
pub(crate) struct Members {
    pub(crate) rest: Map<String, Value>,
    /// Path of the object in the document, with a dot at its end.
    path: &'static str,
}

impl Members {
    pub(crate) fn new(value: Value, path: &'static str) -> Result<Self, String> {
        if let Value::Object(rest) = value {
            return Ok(Members { rest, path });
        }
        Err(wrong_type(path.trim_end_matches('.'), "an object", &value))
    }

    /// A member that is there and not null.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.rest
            .shift_remove(name)
            .filter(|value| !value.is_null())
    }

    /// A text member; an empty text counts as absent. A number counts as its text, as it does for TorchServe: a
    /// hand-written `"modelVersion": 1.0` is common.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(other) => {
                let path = format!("{}{name}", self.path);
                Err(wrong_type(&path, "text", &other))
            }
        }
    }
}

fn wrong_type(path: &str, expected: &str, found: &Value) -> String {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    if path.is_empty() {
        return format!("expected {expected}, found {found}");
    }
    format!("member {path:?}: expected {expected}, found {found}")
}
