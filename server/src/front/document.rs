//! From the text of a front's document to a checked [`Front`]. Every error names the place in the document.

use axum::http::Method;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use super::settings::{Settings, Unfit};
use super::{Does, Front, FrontError, Predict, Route, Target, TargetKind, swagger};
use crate::config::Env;
use crate::config::address::{Address, Role};

/// A file that a document names.
pub(super) type ReadFile<'a> = dyn Fn(&str) -> Result<Bytes, String> + 'a;

/// As written, with the settings filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    address: String,
    #[serde(default)]
    cors: bool,
    #[serde(default)]
    tokens: bool,
    errors: Option<Json>,
    swagger: Option<swagger::Api>,
    routes: Vec<Yaml>,
}

/// A route as written. Of `predict`, `labels`, `json`, `file` and `swagger` it has one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRoute {
    #[serde(default = "get")]
    pub(super) method: String,
    pub(super) path: String,
    /// A route with a summary is described in the API's document.
    pub(super) summary: Option<String>,
    /// The definition that its answer follows, in that document.
    pub(super) gives: Option<String>,
    pub(super) predict: Option<WrittenPredict>,
    labels: Option<WrittenTarget>,
    json: Option<Json>,
    file: Option<String>,
    swagger: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTarget {
    model: Option<String>,
    workflow: Option<String>,
    version: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenPredict {
    model: Option<String>,
    workflow: Option<String>,
    version: Option<String>,
    pub(super) field: String,
    /// What the file is, for the API's document.
    pub(super) about: Option<String>,
    #[serde(default = "data")]
    part: String,
    content_type: Option<String>,
    #[serde(default)]
    with: serde_json::Map<String, Json>,
    answer: Option<Json>,
    missing: Option<Json>,
    bad_input: Option<Json>,
}

fn get() -> String {
    "GET".to_owned()
}

fn data() -> String {
    "data".to_owned()
}

/// Reads the document `name`.
pub(super) fn read(
    name: &str,
    text: &str,
    file: &ReadFile<'_>,
    env: &Env<'_>,
) -> Result<(Front, Vec<Unfit>), FrontError> {
    let invalid = |place: &str, reason: String| FrontError::Invalid {
        document: name.to_owned(),
        place: place.trim_start_matches('.').to_owned(),
        reason,
    };
    let mut document: Yaml = serde_yaml::from_str(text).map_err(|error| FrontError::NotYaml {
        document: name.to_owned(),
        reason: error.to_string(),
    })?;
    let section = document
        .as_mapping_mut()
        .and_then(|document| document.remove("settings"));
    let mut unfit = Vec::new();
    Settings::read(section.unwrap_or(Yaml::Null), env, &mut unfit)
        .map_err(|(place, reason)| invalid(&format!("settings{place}"), reason))?
        .fill(&mut document)
        .map_err(|(place, reason)| invalid(&place, reason))?;
    let written: Written = serde_yaml::from_value(document)
        .map_err(|error| invalid("the document", error.to_string()))?;
    let address = Address::parse(&written.address, Role::Front)
        .map_err(|reason| invalid("address", reason))?;

    let mut routes = Vec::new();
    for (index, route) in written.routes.into_iter().enumerate() {
        let place = format!("routes[{index}]");
        let route: WrittenRoute =
            serde_yaml::from_value(route).map_err(|error| invalid(&place, error.to_string()))?;
        routes.push(route);
    }
    let api = written
        .swagger
        .map(|api| swagger::document(&api, &routes))
        .transpose()
        .map_err(|reason| invalid("swagger", reason))?;
    let mut checked: Vec<Route> = Vec::new();
    for route in routes {
        let place = format!("{} {}", route.method, route.path);
        let route = check(route, api.as_ref(), file).map_err(|reason| invalid(&place, reason))?;
        let same = |other: &Route| other.method == route.method && other.path == route.path;
        if checked.iter().any(same) {
            return Err(invalid(&place, "stands there twice".to_owned()));
        }
        checked.push(route);
    }
    let front = Front {
        name: written.name,
        address,
        cors: written.cors,
        tokens: written.tokens,
        errors: written
            .errors
            .unwrap_or_else(|| serde_json::json!({ "message": "$.message" })),
        routes: checked,
    };
    Ok((front, unfit))
}

fn check(route: WrittenRoute, api: Option<&Json>, file: &ReadFile<'_>) -> Result<Route, String> {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    let method = known
        .into_iter()
        .find(|method| method.as_str() == route.method)
        .ok_or("expected the method GET, POST, PUT, PATCH or DELETE")?;
    let path = route.path;
    let ends_well = path == "/" || !path.ends_with('/');
    if !path.starts_with('/') || !ends_well || path.contains(['{', '?', '#', ' ']) {
        return Err(
            "expected a path that begins with / and does not end with one, without parameters"
                .to_owned(),
        );
    }
    let does = match (
        route.predict,
        route.labels,
        route.json,
        route.file,
        route.swagger,
    ) {
        (Some(predict), None, None, None, None) => Does::Predict(Box::new(check_predict(predict)?)),
        (None, Some(asked), None, None, None) => {
            let target = target(asked.model, asked.workflow, asked.version)?;
            if target.kind == TargetKind::Workflow {
                return Err("labels: only a model has labels".to_owned());
            }
            Does::Labels(target)
        }
        (None, None, Some(json), None, None) => Does::Json(json),
        (None, None, None, Some(name), None) => Does::File {
            content_type: content_type(&name),
            content: file(&name).map_err(|reason| format!("file {name}: {reason}"))?,
        },
        (None, None, None, None, Some(true)) => {
            let api = api.ok_or("the document has no section `swagger`")?;
            Does::Json(api.clone())
        }
        _ => {
            return Err(
                "expected one of predict, labels, json, file and `swagger: true`".to_owned(),
            );
        }
    };
    Ok(Route { method, path, does })
}

fn check_predict(written: WrittenPredict) -> Result<Predict, String> {
    let target = target(written.model, written.workflow, written.version)?;
    let text = |(name, value): (String, Json)| match value {
        Json::String(text) => Ok((name, text)),
        Json::Bool(_) | Json::Number(_) => Ok((name, value.to_string())),
        Json::Null | Json::Array(_) | Json::Object(_) => {
            Err(format!("with.{name}: expected a text or a number"))
        }
    };
    let with: Result<Vec<_>, _> = written.with.into_iter().map(text).collect();
    let with = with?;
    if with.iter().any(|(name, _)| *name == written.part) {
        return Err(format!("with.{}: is the part of the file", written.part));
    }
    Ok(Predict {
        target,
        field: written.field,
        part: written.part,
        content_type: written.content_type,
        with,
        answer: written.answer,
        missing: written.missing,
        bad_input: written.bad_input,
    })
}

fn target(
    model: Option<String>,
    workflow: Option<String>,
    version: Option<String>,
) -> Result<Target, String> {
    let (kind, name) = match (model, workflow) {
        (Some(name), None) => (TargetKind::Model, name),
        (None, Some(name)) => (TargetKind::Workflow, name),
        _ => return Err("expected either `model` or `workflow`".to_owned()),
    };
    Ok(Target {
        kind,
        name,
        version,
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("ico") => "image/x-icon",
        _ => "application/octet-stream",
    }
}
