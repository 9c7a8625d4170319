//! YAML with places: text to a tree in which every key, value and list knows its line and column.
//!
//! The grammar is saphyr's; this reads its events under caps, and gives plain scalars their kinds. What YAML can do and a spec
//! never needs (several documents, tags of one's own) is refused; aliases are expanded, but not into bombs.

mod read;
mod scalar;

use std::rc::Rc;

use serde_json::{Map, Value as Json};
use servable::Value;

use crate::graph::Place;

pub(crate) use read::read;

/// The longest text that is read.
pub(crate) const LONGEST: usize = 1 << 20;
/// The deepest nesting.
pub(crate) const DEEPEST: usize = 32;
/// The most values in a document, aliases expanded.
pub(crate) const MOST_VALUES: usize = 100_000;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) place: Place,
    pub(crate) content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Rc<[Tree]>),
    /// No key twice, in the order of the text.
    Map(Rc<[(Key, Tree)]>),
}

/// The key of a member. Whatever it looks like, it is a text.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) name: String,
}

impl Tree {
    pub(crate) fn members(&self) -> &[(Key, Tree)] {
        match &self.content {
            Content::Map(members) => members,
            Content::Null
            | Content::Bool(_)
            | Content::Int(_)
            | Content::Float(_)
            | Content::Text(_)
            | Content::List(_) => &[],
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Tree> {
        let member = self.members().iter().find(|(key, _)| key.name == name);
        member.map(|(_, value)| value)
    }

    /// The value at a path such as `size[1]` or `rules.name`, or as much of it as there is.
    pub(crate) fn along(&self, path: &str) -> &Tree {
        let mut found = self;
        for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            let next = match &found.content {
                Content::List(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
                Content::Map(_) => found.get(step),
                Content::Null
                | Content::Bool(_)
                | Content::Int(_)
                | Content::Float(_)
                | Content::Text(_) => None,
            };
            match next {
                Some(next) => found = next,
                None => break,
            }
        }
        found
    }

    /// What it is, in the words of an error.
    pub(crate) fn kind(&self) -> String {
        match &self.content {
            Content::Null => "nothing".to_owned(),
            Content::Bool(value) => value.to_string(),
            Content::Int(value) => format!("the integer {value}"),
            Content::Float(value) => format!("the number {value:?}"),
            Content::Text(text) if text.chars().count() > 40 => "a long text".to_owned(),
            Content::Text(text) => format!("the text {text:?}"),
            Content::List(items) => format!("a list of {}", items.len()),
            Content::Map(_) => "an object".to_owned(),
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        match &self.content {
            Content::Null => Json::Null,
            Content::Bool(value) => Json::Bool(*value),
            Content::Int(value) => Json::from(*value),
            // What JSON cannot write (infinity) is no parameter either.
            Content::Float(value) => Json::from(*value),
            Content::Text(text) => Json::from(text.as_str()),
            Content::List(items) => items.iter().map(Tree::to_json).collect(),
            Content::Map(members) => Json::Object(
                members
                    .iter()
                    .map(|(key, value)| (key.name.clone(), value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => Value::Bool(*value),
            Content::Int(value) => Value::Int(*value),
            Content::Float(value) => Value::Float(*value),
            Content::Text(text) => Value::from(text.as_str()),
            Content::List(items) => Value::list(items.iter().map(Tree::to_value)),
            Content::Map(members) => Value::map(
                members
                    .iter()
                    .map(|(key, value)| (key.name.clone(), value.to_value())),
            ),
        }
    }
}
