//! Values to JSON and back: parameters that come with a request, and members of what came as text.

use serde_json::{Map, Number, Value as Json};
use servable::Value;

/// A value as JSON, for parameters, which are short: tensors and pictures are refused.
pub(crate) fn of(value: &Value) -> Result<Json, String> {
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Int(number) => Json::from(*number),
        Value::Float(number) => Number::from_f64(*number)
            .map(Json::Number)
            .ok_or("expected a finite number")?,
        Value::Text(text) => Json::from(text.as_ref()),
        Value::Bytes(bytes) => match serde_json::from_slice(bytes) {
            Ok(json) => json,
            Err(_) => Json::from(
                std::str::from_utf8(bytes).map_err(|_| "expected text, found other bytes")?,
            ),
        },
        Value::List(items) => Json::Array(items.iter().map(of).collect::<Result<_, _>>()?),
        Value::Map(members) => {
            let members = members
                .iter()
                .map(|(name, value)| Ok((name.clone(), of(value)?)));
            Json::Object(members.collect::<Result<Map<_, _>, String>>()?)
        }
        Value::Image(_) | Value::Tensor(_) => {
            return Err(format!(
                "expected a number, text or list, found a {}",
                value.kind()
            ));
        }
    })
}

/// JSON as a value.
pub(crate) fn value(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => text.into(),
        Json::Array(items) => Value::list(items.into_iter().map(value)),
        Json::Object(members) => {
            Value::map(members.into_iter().map(|(name, json)| (name, value(json))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_survives_as_a_value() {
        let text = r#"{"a":[1,2.5,null],"b":{"c":"d","e":true}}"#;
        let json: Json = serde_json::from_str(text).expect("JSON");
        assert_eq!(of(&value(json.clone())), Ok(json));
    }

    #[test]
    fn bytes_are_json_or_text() {
        let check = |bytes: &'static str, expected: Json| {
            let value = Value::Bytes(bytes.into());
            assert_eq!(of(&value), Ok(expected), "{bytes}");
        };
        check("12", Json::from(12));
        check("rgb", Json::from("rgb"));
        check("[1]", Json::from(vec![1]));
        assert!(of(&Value::Float(f64::NAN)).is_err());
    }
}
