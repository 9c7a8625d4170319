//! What a model takes and gives: what its handler says, or what its settings say in place of that.

use serde_yaml::Value as Yaml;
use servable::{Field, LoadError, Ports, Signature, Type};

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
        ports: Ports::default(),
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
        .and_then(|settings| settings.get("signature"))
        .filter(|declared| !declared.is_null())
        .map(|declared| {
            let keys = declared.as_mapping();
            keys.ok_or_else(|| wrong("", "expected the keys inputs and output"))
        })
        .transpose()?;
    for (key, value) in declared.into_iter().flatten() {
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
    // What is declared to be tensors is known as such, too.
    let Signature {
        inputs,
        output,
        ports,
    } = &mut signature;
    let (takes, gives) = (Ports::of_fields(inputs), Ports::of_type(output));
    if !takes.is_empty() {
        ports.takes = takes;
    }
    if !gives.is_empty() {
        ports.gives = gives;
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

    /// What goes in and comes out as tensors, which takes nothing from what else fits.
    fn check_ports(name: &str, settings: &str, takes: &str, gives: &str) {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = serde_yaml::from_str(settings).expect("YAML");
        let context = ModelContext {
            settings: Some(&settings),
            ..ModelContext::new(dir.path())
        };
        let handler = by_name(name, &context).expect("a handler");
        let signature = signature(handler.as_ref(), &context).expect("types");
        let shown = |ports: &[servable::Port]| {
            let ports = ports
                .iter()
                .map(|port| format!("{}: {}", port.name, port.of));
            ports.collect::<Vec<_>>().join(", ")
        };
        let Ports { takes: t, gives: g } = &signature.ports;
        assert_eq!(
            (shown(t), shown(g)),
            (takes.into(), gives.into()),
            "{name} {settings:?}"
        );
    }

    #[test]
    fn settings_tell_wires_which_tensor_the_payload_becomes() {
        check_ports("base_handler", "{}", "input: tensor", "");
        check_ports(
            "base_handler",
            "{dtype: float32, shape: [3, -1]}",
            "input: tensor<float32>[3, ?]",
            "",
        );
        check_ports(
            "base_handler",
            "{dtype: int64, shape: [-1, 2], batched: true}",
            "input: tensor<int64>[?, 2]",
            "",
        );
        check_ports(
            "base_handler",
            "{signature: {inputs: {x: 'tensor<f32>[n, 3]'}, output: 'tensor<f32>[n]'}}",
            "x: tensor<float32>[n, 3]",
            "output: tensor<float32>[n]",
        );
        check_ports(
            "image_segmenter",
            "{}",
            "",
            "output: tensor<float32>[?, ?, 2]",
        );
        check_ports("image_classifier", "{}", "", "");
        check(
            "base_handler",
            "{dtype: float32, shape: [3, -1]}",
            "{body: any} -> any",
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
