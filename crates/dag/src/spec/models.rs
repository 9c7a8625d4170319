//! `models:` in the order in which it is written, because a default holds for the entries below it alone.

use servable::{Field, Type};

use super::fields::{Object, expected, integer, members, text};
use super::keys::{KeyOf, MODEL, SETTINGS, Shape};
use super::{At, ModelSpec, Settings};
use crate::problem::{About, Report, list};
use crate::yaml::{Content, Key, Tree};

/// With `network`, that is the only model, and it has no `url`.
pub(super) fn read(
    tree: &Tree,
    network: Option<&str>,
    report: &mut Report,
) -> (Settings, Vec<ModelSpec>) {
    let mut defaults = Settings::default();
    let mut models: Vec<ModelSpec> = Vec::new();
    let at = About::at(tree.place).field("models");
    for (key, value) in members(tree, at, "it", report).unwrap_or_default() {
        let is_setting = SETTINGS.iter().any(|setting| setting.name == key.name);
        match &value.content {
            _ if is_setting => {
                let at = About::at(value.place).field(&key.name);
                setting(&mut defaults, &key.name, value, at, report);
                if !models.is_empty() {
                    late(key, &models, report);
                }
            }
            Content::Map(_) => models.extend(model(key, value, defaults, network, report)),
            Content::Null
            | Content::Bool(_)
            | Content::Int(_)
            | Content::Float(_)
            | Content::Text(_)
            | Content::List(_) => models.extend(no_model(key, value, defaults, report)),
        }
    }
    (defaults, models)
}

fn model(
    key: &Key,
    tree: &Tree,
    defaults: Settings,
    network: Option<&str>,
    report: &mut Report,
) -> Option<ModelSpec> {
    let object = Object::entry(key, tree, report)?;
    let keys: Vec<&KeyOf> = MODEL.iter().chain(SETTINGS).collect();
    for (key, _) in tree.members() {
        if !keys.iter().any(|known| known.name == key.name) {
            let near = report.nearest(&key.name, keys.iter().map(|known| known.name));
            let at = object.about().place(key.place).field(&key.name);
            report.error(at, format!("unknown key{near}"));
        }
    }
    let mut settings = defaults;
    for known in SETTINGS {
        if let Some(value) = object.get(known.name) {
            let at = object.at(value, known.name);
            setting(&mut settings, known.name, value, at, report);
        }
    }
    let at = object.about().place(key.place);
    match (network, object.get("url")) {
        (Some(network), _) if network != key.name => {
            report.error(at, format!("the only model here is `{network}`"));
        }
        (Some(_), Some(url)) => report.error(
            object.at(url, "url"),
            "it is the network of the archive that this stands in, and has no `url`",
        ),
        (None, None) => report.error(at.field("url"), "a model needs the `url` of its archive"),
        (Some(_), None) | (None, Some(_)) => {}
    }
    Some(ModelSpec {
        name: At {
            place: key.place,
            value: key.name.clone(),
        },
        settings,
        // Without one the spec has failed, but the rest of it can be checked.
        url: object
            .text("url", report)
            .map_or_else(String::new, |url| url.value),
        inputs: object.get("inputs").map_or_else(Vec::new, |tree| {
            types(tree, object.at(tree, "inputs"), report)
        }),
        output: object
            .get("output")
            .and_then(|tree| type_of(tree, object.at(tree, "output"), report))
            .unwrap_or_default(),
    })
}

fn setting(settings: &mut Settings, name: &str, tree: &Tree, at: About<'_>, report: &mut Report) {
    let least = SETTINGS
        .iter()
        .find(|key| key.name == name)
        .map(|key| key.shape);
    let Some(Shape::Integer { min }) = least else {
        return;
    };
    let Some(value) = integer(tree, min, at, report) else {
        return;
    };
    match name {
        "min-workers" => settings.min_workers = value,
        "max-workers" => settings.max_workers = value,
        "batch-size" => settings.batch_size = value,
        "max-batch-delay" => settings.max_batch_delay = value,
        "retry-attempts" => settings.retry_attempts = value,
        _ => settings.timeout_ms = value,
    }
}

/// A default below models: it surprises who thinks of it as global.
fn late(key: &Key, above: &[ModelSpec], report: &mut Report) {
    let names: Vec<&str> = above
        .iter()
        .map(|model| model.name.value.as_str())
        .collect();
    report.warning(
        About::at(key.place).field(&key.name),
        format!(
            "it holds only for models below it, so not for {}; move it to the top",
            list(&names)
        ),
    );
}

/// Neither a setting nor a model's entry. What was meant as a model stays one for the nodes that speak of it.
fn no_model(key: &Key, tree: &Tree, settings: Settings, report: &mut Report) -> Option<ModelSpec> {
    if matches!(tree.content, Content::Int(_)) {
        let at = About::at(key.place).field(&key.name);
        let near = report.nearest(&key.name, SETTINGS.iter().map(|setting| setting.name));
        report.error(at, format!("unknown setting{near}"));
        return None;
    }
    let at = About::at(tree.place).node(&key.name);
    let found = tree.kind();
    report.error(
        at,
        format!("a model is an object with a `url`, found {found}"),
    );
    Some(ModelSpec {
        name: At {
            place: key.place,
            value: key.name.clone(),
        },
        settings,
        url: String::new(),
        inputs: Vec::new(),
        output: Type::Any,
    })
}

/// Types by name.
pub(super) fn types(tree: &Tree, at: About<'_>, report: &mut Report) -> Vec<Field> {
    let mut fields = Vec::new();
    for (key, value) in members(tree, at, "it", report).unwrap_or_default() {
        let at = at.place(value.place).field(&key.name);
        fields.extend(type_of(value, at, report).map(|of| Field {
            name: key.name.clone(),
            of,
        }));
    }
    fields
}

/// A type as text, or an object of types, which YAML may have made of `{a: text}`.
pub(super) fn type_of(tree: &Tree, at: About<'_>, report: &mut Report) -> Option<Type> {
    match &tree.content {
        Content::Map(_) => Some(Type::Record(types(tree, at, report))),
        Content::Text(_) => match text(tree, at, report)?.value.parse() {
            Ok(of) => Some(of),
            Err(error) => {
                report.error(at, error_text(&error));
                None
            }
        },
        Content::Null
        | Content::Bool(_)
        | Content::Int(_)
        | Content::Float(_)
        | Content::List(_) => {
            expected("a type such as `tensor<float32>[n, 3]`", tree, at, report);
            None
        }
    }
}

fn error_text(error: &servable::TypeError) -> String {
    error.to_string()
}
