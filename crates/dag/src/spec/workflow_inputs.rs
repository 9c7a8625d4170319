//! `inputs:` of a spec: what a request brings.

use servable::{Fit, Symbols, Type, Value};

use super::At;
use super::fields::{Object, expected, members};
use super::keys::INPUT;
use super::models::type_of;
use crate::graph::{Entry, Given, Giver, word};
use crate::problem::{About, Report};
use crate::yaml::{Content, Key, Tree};

pub(super) fn read(tree: &Tree, report: &mut Report) -> Vec<At<Entry>> {
    let at = About::at(tree.place).field("inputs");
    let members = members(tree, at, "it", report).unwrap_or_default();
    members
        .iter()
        .map(|(key, value)| At {
            place: key.place,
            value: entry(key, value, report),
        })
        .collect()
}

/// `name: type`, or an object with `type` and bounds. What cannot be read is left out of the entry.
fn entry(key: &Key, tree: &Tree, report: &mut Report) -> Entry {
    let mut entry = Entry {
        name: key.name.clone(),
        of: Type::Any,
        default: None,
        given: Given::default(),
        from: Giver::default(),
    };
    let at = About::at(tree.place).node(&key.name);
    if !matches!(tree.content, Content::Map(_)) {
        entry.of = type_of(tree, at, report).unwrap_or_default();
        return entry;
    }
    let Some(object) = Object::entry(key, tree, report) else {
        return entry;
    };
    object.known(INPUT, report);
    if let Some(tree) = object.get("type") {
        entry.of = type_of(tree, object.at(tree, "type"), report).unwrap_or_default();
    }
    entry.given = Given {
        min: object.number("min", report),
        max: object.number("max", report),
        options: object.get("options").map_or_else(Vec::new, |tree| {
            options(tree, object.at(tree, "options"), report)
        }),
        because: object
            .text("because", report)
            .map_or_else(String::new, |because| because.value),
        about: object
            .text("about", report)
            .map_or_else(String::new, |about| about.value),
    };
    bounds(object, &entry, report);
    entry.from = giver(object, report);
    if let Some(tree) = object.get("default") {
        let value = tree.to_value();
        if let Err(message) = fits(&value, &entry) {
            report.error(object.at(tree, "default"), message);
        }
        entry.default = Some(value);
    }
    entry
}

fn giver(object: Object<'_>, report: &mut Report) -> Giver {
    let Some(from) = object.text("from", report) else {
        return Giver::default();
    };
    match from.value.as_str() {
        "request" => Giver::Request,
        "server" => {
            for name in ["default", "min", "max", "options", "because"] {
                if let Some(tree) = object.get(name) {
                    let at = object.at(tree, name);
                    report.error(
                        at,
                        "the server gives this input, so nothing bounds it or stands in for it",
                    );
                }
            }
            Giver::Server
        }
        other => {
            let at = object.about().place(from.place).field("from");
            report.error(at, format!("`{other}` is neither `request` nor `server`"));
            Giver::default()
        }
    }
}

fn options(tree: &Tree, at: About<'_>, report: &mut Report) -> Vec<String> {
    let Content::List(items) = &tree.content else {
        expected("a list of values", tree, at, report);
        return Vec::new();
    };
    let option = |item: &Tree| {
        let word = word(&item.to_value());
        if word.is_none() {
            let what = "a text, a number, true or false";
            expected(what, item, at.place(item.place), report);
        }
        word
    };
    items.iter().filter_map(option).collect()
}

/// Bounds that no value can meet.
fn bounds(object: Object<'_>, entry: &Entry, report: &mut Report) {
    let given = &entry.given;
    for name in ["min", "max"] {
        if let Some(tree) = object.get(name)
            && entry.of.fits(&Type::Float) == Fit::No
        {
            let of = &entry.of;
            report.error(
                object.at(tree, name),
                format!("only numbers have bounds, and the type is {of}"),
            );
        }
    }
    if let (Some(min), Some(max), Some(tree)) = (given.min, given.max, object.get("max"))
        && min > max
    {
        report.error(
            object.at(tree, "max"),
            format!("{max} is less than `min`, {min}"),
        );
    }
    if let Some(tree) = object.get("options")
        && [Type::Text, Type::Int, Type::Float, Type::Bool]
            .iter()
            .all(|of| entry.of.fits(of) == Fit::No)
    {
        let of = &entry.of;
        report.error(
            object.at(tree, "options"),
            format!("only texts, numbers and bools have options, and the type is {of}"),
        );
    }
    if let Some(tree) = object.get("because")
        && given.options.is_empty()
        && given.min.is_none()
        && given.max.is_none()
    {
        report.error(
            object.at(tree, "because"),
            "nothing is refused that it could explain: there are neither `options` nor bounds",
        );
    }
}

/// Whether a default is what a request may bring.
fn fits(value: &Value, entry: &Entry) -> Result<(), String> {
    entry
        .of
        .check(value, &mut Symbols::default())
        .map_err(|error| error.to_string())?;
    let given = &entry.given;
    let number = match value {
        Value::Int(value) => Some(*value as f64),
        Value::Float(value) => Some(*value),
        Value::Null
        | Value::Bool(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_)
        | Value::Tensor(_)
        | Value::List(_)
        | Value::Map(_) => None,
    };
    if let (Some(number), Some(min)) = (number, given.min)
        && number < min
    {
        return Err(format!("{number} is less than `min`, {min}"));
    }
    if let (Some(number), Some(max)) = (number, given.max)
        && number > max
    {
        return Err(format!("{number} is more than `max`, {max}"));
    }
    if let Some(word) = word(value)
        && !given.is_option(&word)
    {
        let near = crate::problem::nearest(&word, given.options.iter().map(String::as_str));
        return Err(format!("`{word}` is none of the options{near}"));
    }
    Ok(())
}
