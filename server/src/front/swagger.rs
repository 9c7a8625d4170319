//! The document that describes a front's API to machines, in Swagger 2.0: made from its routes, so that it tells of what is there.

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::document::WrittenRoute;

/// The section `swagger`: what routes cannot say of themselves.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Api {
    /// `title` and `version` at least, as Swagger wants it.
    info: Json,
    #[serde(default)]
    definitions: serde_json::Map<String, Json>,
}

/// The document. An error names a definition that is missing.
pub(super) fn document(api: &Api, routes: &[WrittenRoute]) -> Result<Json, String> {
    for member in ["title", "version"] {
        if !api.info[member].is_string() {
            return Err(format!("info.{member}: expected a text"));
        }
    }
    let mut paths = json!({});
    for route in routes {
        if let Some(summary) = &route.summary {
            let method = route.method.to_ascii_lowercase();
            paths[&route.path][method] = operation(api, route, summary)?;
        }
    }
    Ok(json!({
        "swagger": "2.0",
        "basePath": "/",
        "info": api.info,
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": paths,
        "definitions": api.definitions,
    }))
}

fn operation(api: &Api, route: &WrittenRoute, summary: &str) -> Result<Json, String> {
    let mut success = json!({ "description": "Success" });
    if let Some(name) = &route.gives {
        if !api.definitions.contains_key(name) {
            return Err(format!("{}: there is no definition `{name}`", route.path));
        }
        success["schema"] = json!({ "$ref": format!("#/definitions/{name}") });
    }
    let words = route.path.split('/').filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    let id = format!("{}_{}", route.method.to_ascii_lowercase(), words.join("_"));
    let mut operation = json!({
        "summary": summary,
        "operationId": id,
        "responses": { "200": success },
        "tags": words.first().into_iter().collect::<Vec<_>>(),
    });
    if let Some(predict) = &route.predict {
        operation["consumes"] = json!(["multipart/form-data"]);
        operation["parameters"] = json!([{
            "name": predict.field,
            "in": "formData",
            "type": "file",
            "required": true,
            "description": predict.about.as_deref().unwrap_or_default(),
        }]);
        operation["responses"]["400"] =
            json!({ "description": "The file is missing or cannot be used" });
    }
    Ok(operation)
}
