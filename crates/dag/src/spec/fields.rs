//! Objects of a spec, key by key: each getter says what it found instead of what it wanted.

use super::At;
use super::keys::KeyOf;
use crate::problem::{About, Report, list};
use crate::yaml::{Content, Key, Tree};

/// An object, and whose it is.
#[derive(Clone, Copy)]
pub(super) struct Object<'t> {
    tree: &'t Tree,
    node: Option<&'t str>,
}

impl<'t> Object<'t> {
    /// `what` names it where it is none.
    pub(super) fn of(tree: &'t Tree, what: &str, report: &mut Report) -> Option<Self> {
        members(tree, About::at(tree.place), what, report)?;
        Some(Object { tree, node: None })
    }

    /// The entry of a node, model or function.
    pub(super) fn entry(key: &'t Key, tree: &'t Tree, report: &mut Report) -> Option<Self> {
        let at = About::at(tree.place).node(&key.name);
        members(tree, at, "its entry", report)?;
        Some(Object::of_node(key, tree))
    }

    /// The same, for one that is known to be an object.
    pub(super) fn of_node(key: &'t Key, tree: &'t Tree) -> Self {
        let node = Some(key.name.as_str());
        Object { tree, node }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'t Tree> {
        self.tree.get(name)
    }

    pub(super) fn about(&self) -> About<'t> {
        let at = About::at(self.tree.place);
        self.node.map_or(at, |node| at.node(node))
    }

    /// What stands at a key, for a message about it.
    pub(super) fn at<'a>(&self, tree: &Tree, name: &'a str) -> About<'a>
    where
        't: 'a,
    {
        self.about().place(tree.place).field(name)
    }

    /// Tells every key that is not in the table.
    pub(super) fn known(&self, keys: &[KeyOf], report: &mut Report) {
        let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
        for (key, _) in self.tree.members() {
            if !names.contains(&key.name.as_str()) {
                let near = match report.nearest(&key.name, names.iter().copied()) {
                    none if none.is_empty() => format!("; known are {}", list(&names)),
                    near => near,
                };
                let at = self.about().place(key.place).field(&key.name);
                report.error(at, format!("unknown key{near}"));
            }
        }
    }

    pub(super) fn text(&self, name: &str, report: &mut Report) -> Option<At<String>> {
        let tree = self.get(name)?;
        text(tree, self.at(tree, name), report)
    }

    /// A text, or a number that was meant as one.
    pub(super) fn text_like(&self, name: &str, report: &mut Report) -> Option<String> {
        let tree = self.get(name)?;
        match &tree.content {
            Content::Int(value) => Some(value.to_string()),
            Content::Float(value) => Some(value.to_string()),
            Content::Null
            | Content::Bool(_)
            | Content::Text(_)
            | Content::List(_)
            | Content::Map(_) => Some(text(tree, self.at(tree, name), report)?.value),
        }
    }

    pub(super) fn integer(&self, name: &str, min: u32, report: &mut Report) -> Option<u32> {
        let tree = self.get(name)?;
        integer(tree, min, self.at(tree, name), report)
    }

    pub(super) fn number(&self, name: &str, report: &mut Report) -> Option<f64> {
        let tree = self.get(name)?;
        match &tree.content {
            Content::Int(value) => Some(*value as f64),
            Content::Float(value) => Some(*value),
            Content::Null
            | Content::Bool(_)
            | Content::Text(_)
            | Content::List(_)
            | Content::Map(_) => {
                expected("a number", tree, self.at(tree, name), report);
                None
            }
        }
    }
}

/// The members of an object.
pub(super) fn members<'t>(
    tree: &'t Tree,
    at: About<'_>,
    what: &str,
    report: &mut Report,
) -> Option<&'t [(Key, Tree)]> {
    if let Content::Map(members) = &tree.content {
        return Some(members);
    }
    report.error(
        at,
        format!("{what} must be an object, found {}", tree.kind()),
    );
    None
}

/// A text with something in it.
pub(super) fn text(tree: &Tree, at: About<'_>, report: &mut Report) -> Option<At<String>> {
    match &tree.content {
        Content::Text(text) if !text.trim().is_empty() => Some(At {
            place: tree.place,
            value: text.trim().to_owned(),
        }),
        Content::Text(_)
        | Content::Null
        | Content::Bool(_)
        | Content::Int(_)
        | Content::Float(_)
        | Content::List(_)
        | Content::Map(_) => {
            expected("a text", tree, at, report);
            None
        }
    }
}

pub(super) fn integer(tree: &Tree, min: u32, at: About<'_>, report: &mut Report) -> Option<u32> {
    if let Content::Int(value) = tree.content
        && let Ok(value) = u32::try_from(value)
        && value >= min
        && value <= MOST
    {
        return Some(value);
    }
    expected(
        &format!("an integer from {min} to {MOST}"),
        tree,
        at,
        report,
    );
    None
}

/// What TorchServe's integers hold.
const MOST: u32 = i32::MAX as u32;

pub(super) fn expected(what: &str, tree: &Tree, at: About<'_>, report: &mut Report) {
    report.error(at, format!("expected {what}, found {}", tree.kind()));
}
