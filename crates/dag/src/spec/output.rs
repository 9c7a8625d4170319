//! `output:` of a spec.

use super::fields::{expected, text};
use super::{At, OutputSpec};
use crate::problem::{About, Report};
use crate::yaml::{Content, Key, Tree};

/// The most references in all forms together.
const MOST: usize = 1000;

pub(super) fn read(tree: &Tree, report: &mut Report) -> Option<At<OutputSpec>> {
    let at = About::at(tree.place).field("output");
    let Content::Map(members) = &tree.content else {
        return pick(tree, at, report);
    };
    let named = members.iter().map(|(_, form)| form.members().len().max(1));
    let references: usize = named.sum();
    if references > MOST {
        report.error(
            at,
            format!("it has {references} references, and may have {MOST}"),
        );
        return None;
    }
    let (types, names): (Vec<_>, Vec<_>) =
        members.iter().partition(|(key, _)| key.name.contains('/'));
    if let (Some((_, _)), Some((key, _))) = (types.first(), names.first()) {
        report.error(
            at.place(key.place),
            format!("`{}` is no content type, and the others are; an output is by content type or by name", key.name),
        );
        return None;
    }
    if types.is_empty() {
        return pick(tree, at, report);
    }
    let mut forms = Vec::new();
    for (key, tree) in types {
        content_type(key, at, report);
        if let Some(form) = pick(tree, at.place(tree.place), report) {
            forms.push((key.clone(), form));
        }
    }
    Some(At {
        place: tree.place,
        value: OutputSpec::Types(forms),
    })
}

fn content_type(key: &Key, at: About<'_>, report: &mut Report) {
    let mut halves = key.name.split('/');
    let token = |half: Option<&str>| {
        half.is_some_and(|half| {
            let known = |next: char| next.is_ascii_alphanumeric() || "!#$&-^_.+".contains(next);
            !half.is_empty() && half.chars().all(known)
        })
    };
    if !(token(halves.next()) && token(halves.next()) && halves.next().is_none()) {
        let name = &key.name;
        report.error(
            at.place(key.place),
            format!("`{name}` is no content type such as `image/png`"),
        );
    }
}

/// A reference, or an object of references.
fn pick(tree: &Tree, at: About<'_>, report: &mut Report) -> Option<At<OutputSpec>> {
    let value = match &tree.content {
        Content::Text(_) => OutputSpec::One(text(tree, at, report)?),
        Content::Map(members) if !members.is_empty() => {
            let mut named = Vec::new();
            for (key, value) in members.iter() {
                if let Some(reference) = text(value, at.place(value.place), report) {
                    named.push((key.clone(), reference));
                }
            }
            OutputSpec::Named(named)
        }
        Content::Null
        | Content::Bool(_)
        | Content::Int(_)
        | Content::Float(_)
        | Content::List(_)
        | Content::Map(_) => {
            expected("a reference or an object of references", tree, at, report);
            return None;
        }
    };
    Some(At {
        place: tree.place,
        value,
    })
}
