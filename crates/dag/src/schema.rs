//! The language as JSON Schema (draft 2020-12), for editors that complete and check YAML while it is typed.
//!
//! Made of the tables that reading uses and of the functions there are, so it knows no key that a spec may not have. It says
//! less than `check` does: names and types are for that.

use serde_json::{Map, Value as Json, json};

use crate::function::{About, Catalogue, Parameter};
use crate::spec::keys::{FUNCTION, INPUT, KeyOf, MODEL, NODE, SETTINGS, SPEC, Shape};

/// The schema of a spec that may use these functions.
pub fn schema(catalogue: &dyn Catalogue) -> Json {
    let functions: Vec<&About> = catalogue
        .names()
        .into_iter()
        .filter_map(|name| Some(catalogue.find(name)?.about()))
        .collect();
    let mut whole = object(SPEC.iter());
    whole.insert(
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    whole.insert("title".into(), "Torchrelay workflow".into());
    whole.insert(
        "oneOf".into(),
        json!([{ "required": ["dag"] }, { "required": ["nodes"] }]),
    );
    whole.insert("$defs".into(), definitions(&functions));
    Json::Object(whole)
}

fn definitions(functions: &[&About]) -> Json {
    let mut node = object(NODE.iter());
    let calls: Vec<Json> = functions.iter().map(|about| call(about)).collect();
    node.insert("allOf".into(), calls.clone().into());
    let mut function = object(FUNCTION.iter());
    function.insert("allOf".into(), calls.into());
    let mut model = object(MODEL.iter().chain(SETTINGS));
    model.insert("required".into(), json!(["url"]));
    let mut models = described(SETTINGS.iter());
    models.extend([
        ("type".to_owned(), json!("object")),
        ("additionalProperties".to_owned(), reference("model")),
    ]);
    let names: Vec<Json> = functions
        .iter()
        .map(|about| json!({ "const": about.name, "description": about.summary }))
        .collect();
    json!({
        "reference": {
            "type": "string",
            "description": "A node, `node.member`, the name of an input, `request` or `request.part`"
        },
        "given": {
            "anyOf": [
                reference("reference"),
                { "type": ["number", "boolean"] },
                {
                    "type": "object",
                    "required": ["value"],
                    "properties": { "value": { "description": "A value that is no reference" } },
                    "additionalProperties": false
                }
            ]
        },
        "type": {
            "type": ["string", "object"],
            "description": "any, bool, int, float, text, bytes, json, image, boxes, tensor, tensor<float32>[n, 3, ?, 94], list<T>, {name: T}",
            "examples": ["image", "text", "boxes", "json", "tensor<float32>[n, 3, 224, 224]", "list<text>"]
        },
        "native": { "anyOf": [{ "type": "string" }, { "oneOf": names }] },
        "node": node,
        "function": function,
        "model": model,
        "models": models,
        "input": object(INPUT.iter()),
        "pick": {
            "anyOf": [
                reference("reference"),
                { "type": "object", "additionalProperties": reference("reference"), "minProperties": 1 }
            ]
        }
    })
}

/// The parameters and inputs of a function, where a node or an entry calls it by its own name.
fn call(about: &About) -> Json {
    let with = Json::Object(Map::from_iter([
        ("type".to_owned(), json!(["object", "null"])),
        (
            "properties".to_owned(),
            about
                .parameters
                .iter()
                .map(|parameter| (parameter.name.to_owned(), of_parameter(parameter)))
                .collect::<Map<_, _>>()
                .into(),
        ),
        ("additionalProperties".to_owned(), json!(false)),
    ]));
    json!({
        "if": { "properties": { "function": { "const": about.name } }, "required": ["function"] },
        "then": { "description": about.summary, "properties": { "with": with } }
    })
}

fn of_parameter(parameter: &Parameter) -> Json {
    let mut description = format!("{} ({})", parameter.about, parameter.values);
    if let Some(default) = parameter.default {
        description.push_str(&format!(", otherwise {default}"));
    }
    json!({ "description": description })
}

fn object<'k>(keys: impl Iterator<Item = &'k KeyOf>) -> Map<String, Json> {
    let mut object = described(keys);
    object.insert("type".into(), "object".into());
    object.insert("additionalProperties".into(), false.into());
    object
}

fn described<'k>(keys: impl Iterator<Item = &'k KeyOf>) -> Map<String, Json> {
    let properties: Map<String, Json> = keys
        .map(|key| {
            let mut of = shape(key.shape);
            if let Json::Object(of) = &mut of {
                of.insert("description".into(), key.about.into());
            }
            (key.name.to_owned(), of)
        })
        .collect();
    Map::from_iter([("properties".to_owned(), properties.into())])
}

fn shape(shape: Shape) -> Json {
    match shape {
        Shape::Text => json!({ "type": "string" }),
        Shape::Word => json!({ "type": ["string", "number"] }),
        Shape::Condition => json!({ "type": ["string", "boolean"] }),
        Shape::Integer { min } => json!({ "type": "integer", "minimum": min }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Anything => json!({}),
        Shape::Type => reference("type"),
        Shape::Reference => reference("reference"),
        Shape::Model => json!({ "type": "string" }),
        Shape::Function => reference("native"),
        Shape::With => json!({ "type": ["object", "null"] }),
        Shape::Inputs => json!({
            "anyOf": [reference("given"), { "type": "object", "additionalProperties": reference("given") }]
        }),
        Shape::Types => json!({ "type": "object", "additionalProperties": reference("type") }),
        Shape::Suffixes => {
            json!({ "type": "object", "additionalProperties": { "type": "string" } })
        }
        Shape::Options => json!({
            "type": "array",
            "items": { "type": ["string", "number", "boolean"] }
        }),
        Shape::OneOf(words) => json!({ "enum": words }),
        Shape::OnError => json!({
            "anyOf": [
                { "enum": ["fail", "skip"] },
                {
                    "type": "object",
                    "required": ["use"],
                    "properties": { "use": reference("given") },
                    "additionalProperties": false
                }
            ]
        }),
        Shape::Models => reference("models"),
        Shape::Functions => json!({
            "type": "object",
            "additionalProperties": { "anyOf": [reference("native"), reference("function")] }
        }),
        Shape::Dag => json!({
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "anyOf": [
                    { "type": ["string", "null"] },
                    { "type": "array", "items": { "type": ["string", "integer", "null"] } }
                ]
            }
        }),
        Shape::Nodes => json!({
            "type": "object",
            "minProperties": 1,
            "additionalProperties": { "anyOf": [reference("node"), { "type": "null" }] }
        }),
        Shape::Declared => json!({
            "type": "object",
            "additionalProperties": { "anyOf": [reference("type"), reference("input")] }
        }),
        Shape::Output => json!({
            "anyOf": [reference("pick"), {
                "type": "object",
                "patternProperties": { "/": reference("pick") },
                "additionalProperties": false
            }]
        }),
    }
}

fn reference(name: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{name}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Few;

    /// Every `$ref` leads somewhere.
    fn references(json: &Json, whole: &Json) {
        match json {
            Json::Object(members) => {
                if let Some(Json::String(to)) = members.get("$ref") {
                    let pointer = to.strip_prefix('#').expect("within the schema");
                    assert!(whole.pointer(pointer).is_some(), "{to}");
                }
                members
                    .values()
                    .for_each(|member| references(member, whole));
            }
            Json::Array(items) => items.iter().for_each(|item| references(item, whole)),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
        }
    }

    #[test]
    fn the_schema_is_of_one_piece() {
        let schema = schema(&Few);
        references(&schema, &schema);
    }

    #[test]
    fn it_knows_keys_and_parameters() {
        let schema = schema(&Few);
        let at = |pointer: &str| {
            schema
                .pointer(pointer)
                .unwrap_or_else(|| panic!("{pointer}"))
        };
        assert_eq!(
            at("/properties/nodes/additionalProperties/anyOf/0/$ref"),
            "#/$defs/node"
        );
        assert_eq!(at("/$defs/node/properties/timeout-ms/minimum"), 1);
        assert_eq!(at("/$defs/model/required/0"), "url");
        assert_eq!(at("/$defs/models/properties/batch-size/type"), "integer");
        let resize = "/$defs/node/allOf/1";
        assert_eq!(
            at(&format!("{resize}/if/properties/function/const")),
            "resize"
        );
        assert_eq!(
            at(&format!(
                "{resize}/then/properties/with/properties/kernel/description"
            )),
            "what it is (anything), otherwise cv_linear"
        );
    }

    #[test]
    fn the_whole_of_it() {
        let schema = serde_json::to_string_pretty(&schema(&Few)).expect("JSON");
        insta::assert_snapshot!(schema);
    }
}
