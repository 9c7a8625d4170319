use dag::{About, FunctionError, Inputs};
use servable::{Type, Value};

use crate::given::{Given, MAX_ITEMS, wrong};
use crate::native::{Native, Ready, required};
use crate::parameters::Parameters;

pub(crate) static FUNCTION: Native = Native {
    about: About {
        name: "encode_json",
        summary: "Writes a value as JSON text",
        details: "Answers are written so anyway; this is for a text inside something else, or for a model that takes text. \
Objects and lists are indented by two spaces, the numbers of a tensor stand on one line, and bytes are taken as text.",
        inputs: &[required("value", "any", "anything")],
        open: false,
        parameters: &[],
        output: "text",
        example: "body: {function: encode_json, in: boxes}",
    },
    bind,
};

struct EncodeJson;

fn bind(_: &mut Parameters<'_>) -> Box<dyn Ready> {
    Box::new(EncodeJson)
}

impl Ready for EncodeJson {
    fn output(&self, _: &Inputs<Type>) -> Result<Type, String> {
        Ok(Type::Text)
    }

    fn call(&self, mut inputs: Given) -> Result<Value, FunctionError> {
        let value = inputs.value("value")?;
        if !is_bounded(&value) {
            let reason = format!("holds a tensor of more than {MAX_ITEMS} rows without elements");
            return Err(wrong("value", reason));
        }
        let text = value.to_json();
        Ok(String::from_utf8_lossy(&text).into_owned().into())
    }
}

/// Whether its text is about as long as its numbers are many, which rows without any are not.
fn is_bounded(value: &Value) -> bool {
    match value {
        Value::Tensor(tensor) if tensor.is_empty() => {
            tensor
                .shape()
                .iter()
                .map(|side| (*side).max(1))
                .product::<usize>()
                <= MAX_ITEMS
        }
        Value::List(items) => items.iter().all(is_bounded),
        Value::Map(members) => members.iter().all(|(_, member)| is_bounded(member)),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_)
        | Value::Tensor(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{call, tensor};

    #[test]
    fn values_become_text() {
        let found = call("encode_json", "{}", &[("value", tensor(&[2], &[1i64, 2]))]);
        assert!(matches!(found, Ok(Value::Text(text)) if text.as_ref() == "[1, 2]"));
        let long = Value::list([tensor::<u8>(&[1 << 40, 0], &[])]);
        assert_eq!(
            call("encode_json", "{}", &[("value", long)])
                .err()
                .as_deref(),
            Some("input `value` holds a tensor of more than 1048576 rows without elements")
        );
    }
}
