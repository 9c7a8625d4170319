//! `classes` of `meta.json`: what the classes are called, and their colours.

use image_ops::palette;
use serde_json::{Value, json};

use super::deploy::kind;

/// A palette has no more colours.
const MOST: usize = 256;

/// The classes in their order.
#[derive(Debug, PartialEq)]
pub(super) struct Classes(pub(super) Vec<Class>);

#[derive(Debug, PartialEq)]
pub(super) struct Class {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) color: [u8; 3],
}

impl Class {
    /// As an answer tells it.
    pub(super) fn to_value(&self) -> Value {
        json!({ "id": self.id, "name": self.name, "color": self.color })
    }
}

impl Classes {
    /// Reads and checks them. Where there are none, as many as `model.num_classes` or `count` says go by their numbers, with
    /// the colours of PaddleSeg's own palette.
    ///
    /// # Errors
    ///
    /// The first mistake, with its key. A class without a colour is one: all colours after it would be those of their
    /// neighbours.
    pub(super) fn read(meta: &Value, count: Option<usize>) -> Result<Self, String> {
        if !meta.is_object() {
            return Err(format!("expected an object, found {}", kind(meta)));
        }
        let listed = match &meta["classes"] {
            Value::Null => &[],
            Value::Array(classes) => classes.as_slice(),
            other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                return Err(format!("classes: expected a list, found {}", kind(other)));
            }
        };
        if listed.len() > MOST {
            let found = listed.len();
            return Err(format!("classes: expected at most {MOST}, found {found}"));
        }
        if listed.is_empty() {
            return numbered(meta, count);
        }
        let classes = listed.iter().enumerate();
        let classes = classes.map(|(place, class)| {
            one(class).map_err(|(key, why)| format!("classes[{place}]{key}: {why}"))
        });
        classes.collect::<Result<_, _>>().map(Classes)
    }
}

/// A mistake inside a class: where, and what.
type Mistake = (&'static str, String);

fn one(class: &Value) -> Result<Class, Mistake> {
    if !class.is_object() {
        return Err(("", format!("expected an object, found {}", kind(class))));
    }
    let text = |key: &str| class[key].as_str().filter(|text| !text.is_empty());
    let id = text("id").ok_or_else(|| (".id", missing(&class["id"], "text")))?;
    let colour = &class["def_color"];
    let color = serde_json::from_value(colour.clone()).map_err(|_| {
        let expected = "[red, green, blue], each from 0 to 255";
        (".def_color", missing(colour, expected))
    })?;
    Ok(Class {
        id: id.to_owned(),
        name: text("name").unwrap_or(id).to_owned(),
        color,
    })
}

fn missing(found: &Value, expected: &str) -> String {
    if found.is_null() {
        return format!("must be given: {expected}");
    }
    format!("expected {expected}, found {found}")
}

fn numbered(meta: &Value, count: Option<usize>) -> Result<Classes, String> {
    let written = &meta["model"]["num_classes"];
    let count = match (count, written) {
        (Some(count), _) => count,
        (None, Value::Null) => {
            return Err("classes: there are none, and model.num_classes does not say how many; --classes does".into());
        }
        (None, written) => {
            let count = written
                .as_u64()
                .and_then(|count| usize::try_from(count).ok());
            let count = count.filter(|count| (1..=MOST).contains(count));
            count.ok_or_else(|| {
                format!("model.num_classes: expected 1 to {MOST}, found {written}")
            })?
        }
    };
    let palette = palette::paddleseg_default();
    let (colours, _) = palette.as_chunks();
    let classes = colours.iter().take(count).enumerate();
    let classes = classes.map(|(number, color)| Class {
        id: number.to_string(),
        name: number.to_string(),
        color: *color,
    });
    Ok(Classes(classes.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Id, name and colour.
    type Shown<'a> = (&'a str, &'a str, [u8; 3]);

    fn check(meta: Value, count: Option<usize>, expected: Result<&[Shown<'_>], &str>) {
        let found = Classes::read(&meta, count);
        let found = found.as_ref().map(|classes| {
            let classes = classes.0.iter();
            let classes =
                classes.map(|class| (class.id.as_str(), class.name.as_str(), class.color));
            classes.collect::<Vec<_>>()
        });
        let expected = expected.map(<[_]>::to_vec);
        assert_eq!(found.map_err(String::as_str), expected, "{meta}");
    }

    #[test]
    fn classes_have_names_and_colours() {
        let cow = json!({"id": "urn:cow", "name": "cow", "def_color": [192, 128, 0]});
        check(
            json!({"classes": [cow]}),
            None,
            Ok(&[("urn:cow", "cow", [192, 128, 0])]),
        );
        let unnamed = json!({"id": "urn:cow", "def_color": [0, 0, 0]});
        check(
            json!({"classes": [unnamed]}),
            None,
            Ok(&[("urn:cow", "urn:cow", [0, 0, 0])]),
        );
    }

    #[test]
    fn without_classes_numbers_stand_for_them() {
        let expected: &[_] = &[
            ("0", "0", [128, 0, 0]),
            ("1", "1", [0, 128, 0]),
            ("2", "2", [128, 128, 0]),
        ];
        check(json!({"model": {"num_classes": 3}}), None, Ok(expected));
        check(json!({"classes": []}), Some(3), Ok(expected));
        check(
            json!({"classes": null}),
            None,
            Err(
                "classes: there are none, and model.num_classes does not say how many; --classes does",
            ),
        );
        check(
            json!({"model": {"num_classes": 0}}),
            None,
            Err("model.num_classes: expected 1 to 256, found 0"),
        );
    }

    #[test]
    fn a_class_that_is_half_said_is_refused() {
        let sand = json!({"id": "sand", "def_color": [1, 2, 3]});
        check(
            json!({"classes": [sand, {"id": "rock"}]}),
            None,
            Err("classes[1].def_color: must be given: [red, green, blue], each from 0 to 255"),
        );
        check(
            json!({"classes": [{"id": "rock", "def_color": [1, 2, 300]}]}),
            None,
            Err(
                "classes[0].def_color: expected [red, green, blue], each from 0 to 255, found [1,2,300]",
            ),
        );
        check(
            json!({"classes": [{"name": "x"}]}),
            None,
            Err("classes[0].id: must be given: text"),
        );
        check(
            json!({"classes": ["x"]}),
            None,
            Err("classes[0]: expected an object, found text"),
        );
        check(
            json!({"classes": 3}),
            None,
            Err("classes: expected a list, found a number"),
        );
        check(json!([]), None, Err("expected an object, found a list"));
    }
}
