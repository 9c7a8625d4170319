//! What a model takes and gives: what its handler says, or what its settings say in place of that.

use serde_yaml::Value as Yaml;
use servable::{Field, LoadError, Signature, Type};

use crate::{Handler, ModelContext};

/// The name under which a handler's only input goes.
const PAYLOAD: &str = "body";

/// A handler that takes its payload and nothing else.
pub(crate) fn of_payload(payload: Type, output: Type) -> Signature {
    Signature {
        inputs: vec![Field {
            name: PAYLOAD.into(),
            of: payload,
        }],
        output,
    }
}

/// What the handler says, with what stands under `signature` in its place: `inputs`, an object of names and types, and
/// `output`, a type.
///
/// # Errors
///
/// What is written there and is no type.
pub fn signature(
    handler: &dyn Handler,
    context: &ModelContext<'_>,
) -> Result<Signature, LoadError> {
    let mut signature = handler.signature();
    let declared = context
        .settings
        .and_then(|settings| settings.get("signature"));
    let Some(declared) = declared.filter(|declared| !declared.is_null()) else {
        return Ok(signature);
    };
    let declared = declared
        .as_mapping()
        .ok_or_else(|| wrong("", "expected the keys inputs and output"))?;
    for (key, value) in declared {
        match key.as_str() {
            Some("inputs") => signature.inputs = inputs(value)?,
            Some("output") => signature.output = type_of(".output", value)?,
            other => {
                let key = other.unwrap_or("?");
                return Err(wrong(
                    "",
                    &format!("unknown key `{key}`, expected inputs or output"),
                ));
            }
        }
    }
    Ok(signature)
}

fn inputs(value: &Yaml) -> Result<Vec<Field>, LoadError> {
    let members = value
        .as_mapping()
        .ok_or_else(|| wrong(".inputs", "expected names and types"))?;
    members
        .iter()
        .map(|(name, of)| {
            let name = name
                .as_str()
                .ok_or_else(|| wrong(".inputs", "expected names that are text"))?;
            Ok(Field {
                name: name.into(),
                of: type_of(&format!(".inputs.{name}"), of)?,
            })
        })
        .collect()
}

fn type_of(place: &str, value: &Yaml) -> Result<Type, LoadError> {
    let text = value.as_str().ok_or_else(|| {
        wrong(
            place,
            "expected a type such as `tensor<f32>[n, 3, 24, 94]`, in quotes",
        )
    })?;
    text.parse()
        .map_err(|error: servable::TypeError| wrong(place, &error.to_string()))
}

fn wrong(place: &str, reason: &str) -> LoadError {
    LoadError::Invalid(format!("handler.signature{place}: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::by_name;

    fn check(name: &str, settings: &str, expected: &str) {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = serde_yaml::from_str(settings).expect("YAML");
        let context = ModelContext {
            settings: Some(&settings),
            ..ModelContext::new(dir.path())
        };
        let handler = by_name(name, &context).expect("a handler");
        let found = match signature(handler.as_ref(), &context) {
            Ok(found) => {
                let inputs = Type::Record(found.inputs);
                format!("{inputs} -> {}", found.output)
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{name} {settings:?}");
    }

    #[test]
    fn handlers_say_what_they_take_and_give() {
        check("image_classifier", "{}", "{body: image} -> json");
        check("object_detector", "{}", "{body: image} -> list<json>");
        check(
            "image_segmenter",
            "{}",
            "{body: image} -> tensor<float32>[?, ?, 2]",
        );
        check(
            "image_segmenter",
            "{output: map}",
            "{body: image} -> {image_size: list<int>, seg_map: tensor[?, ?], cover: list<{id: int, name: text, cover: float}>}",
        );
        check("base_handler", "{}", "{body: any} -> any");
        check(
            "base_handler",
            "{answer_key: data}",
            "{body: any} -> {data: any}",
        );
    }

    #[test]
    fn settings_say_it_in_their_place() {
        check(
            "base_handler",
            "{signature: {inputs: {body: 'tensor<f32>[n, 3]'}, output: json}}",
            "{body: tensor<float32>[n, 3]} -> json",
        );
        check(
            "image_classifier",
            "{signature: {output: any}}",
            "{body: image} -> any",
        );
        check(
            "base_handler",
            "{signature: {inputs: {body: picture}}}",
            "handler.signature.inputs.body: `picture` is no type: unknown word `picture` (known are any, bool, int, float, \
             text, bytes, json, image, boxes, tensor, list)",
        );
        check(
            "base_handler",
            "{signature: {outputs: any}}",
            "handler.signature: unknown key `outputs`, expected inputs or output",
        );
        check(
            "base_handler",
            "{signature: 3}",
            "handler.signature: expected the keys inputs and output",
        );
    }
}
