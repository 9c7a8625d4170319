//! JSON as values.

use serde_json::Value as Json;
use servable::Value;

/// JSON text as a value, or nothing where it is none.
pub fn from_json(text: &[u8]) -> Option<Value> {
    let json: Json = serde_json::from_slice(text).ok()?;
    Some(value_of(&json))
}

/// A JSON value as a value: integers stay integers where 64 bits hold them.
pub fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::Int(number),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::list(items.iter().map(value_of)),
        Json::Object(members) => {
            let members = members
                .iter()
                .map(|(name, value)| (name.as_str(), value_of(value)));
            Value::map(members)
        }
    }
}
