//! `dag:` and `nodes:` of a spec.

use super::fields::{Object, expected, members, text};
use super::keys::{KINDS, NODE, of_kind};
use super::{At, ClassicNode, Given, InputsSpec, NodeSpec, OnErrorSpec, What};
use crate::graph::Overflow;
use crate::problem::{About, Report, list};
use crate::yaml::{Content, Key, Tree};

/// The classic form: who comes after whom. What is null or blank is left out, as TorchServe does.
pub(super) fn read_dag(tree: &Tree, report: &mut Report) -> Option<Vec<ClassicNode>> {
    let at = About::at(tree.place).field("dag");
    let members = members(tree, at, "it", report)?;
    if members.is_empty() {
        report.error(at, "it is empty: Not a valid DAG");
        return None;
    }
    let node = |(key, tree): &(Key, Tree)| ClassicNode {
        name: At {
            place: key.place,
            value: key.name.clone(),
        },
        next: successors(key, tree, report),
    };
    Some(members.iter().map(node).collect())
}

fn successors(key: &Key, tree: &Tree, report: &mut Report) -> Vec<At<String>> {
    let at = About::at(tree.place).node(&key.name);
    let name = |tree: &Tree, report: &mut Report| match &tree.content {
        Content::Null => None,
        Content::Text(text) if text.trim().is_empty() => None,
        Content::Int(value) => Some(At {
            place: tree.place,
            value: value.to_string(),
        }),
        Content::Bool(_)
        | Content::Float(_)
        | Content::Text(_)
        | Content::List(_)
        | Content::Map(_) => text(tree, at.place(tree.place), report),
    };
    match &tree.content {
        Content::List(items) => items.iter().filter_map(|item| name(item, report)).collect(),
        // One name without brackets.
        Content::Null | Content::Text(_) => name(tree, report).into_iter().collect(),
        Content::Bool(_) | Content::Int(_) | Content::Float(_) | Content::Map(_) => {
            expected("a list of the nodes after it", tree, at, report);
            Vec::new()
        }
    }
}

/// The typed form: who takes what.
pub(super) fn read_nodes(tree: &Tree, report: &mut Report) -> Option<Vec<NodeSpec>> {
    let at = About::at(tree.place).field("nodes");
    let members = members(tree, at, "it", report)?;
    if members.is_empty() {
        report.error(at, "it is empty, so there is nothing to run");
        return None;
    }
    Some(
        members
            .iter()
            .map(|(key, tree)| node(key, tree, report))
            .collect(),
    )
}

fn node(key: &Key, tree: &Tree, report: &mut Report) -> NodeSpec {
    let name = At {
        place: key.place,
        value: key.name.clone(),
    };
    let at = About::at(key.place).node(&key.name);
    let plain = key
        .name
        .chars()
        .all(|next| next.is_alphanumeric() || next == '_' || next == '-')
        && key
            .name
            .starts_with(|first: char| first.is_alphabetic() || first == '_');
    if !plain {
        report.error(
            at,
            "a node's name is of letters, digits, `_` and `-`, and begins with a letter",
        );
    } else if ["request", "true", "false", "null", "and", "or", "not"].contains(&key.name.as_str())
    {
        report.error(
            at,
            "the name means something else in references and conditions; choose another",
        );
    }
    let nothing = Tree {
        place: key.place,
        content: Content::Map([].into()),
    };
    // `detector:` alone is the model of that name on the payload.
    let tree = match tree.content {
        Content::Null => &nothing,
        Content::Bool(_)
        | Content::Int(_)
        | Content::Float(_)
        | Content::Text(_)
        | Content::List(_)
        | Content::Map(_) => tree,
    };
    // Other nodes may speak of this one, whatever it is.
    let (tree, broken) = match Object::entry(key, tree, report) {
        Some(_) => (tree, false),
        None => (&nothing, true),
    };
    let object = Object::of_node(key, tree);
    object.known(NODE, report);
    let what = if broken {
        What::Broken
    } else {
        what(object, report)
    };
    NodeSpec {
        name,
        what,
        inputs: object
            .get("in")
            .and_then(|tree| inputs(tree, object.at(tree, "in"), report)),
        with: object.get("with").cloned(),
        when: condition(object, report),
        on_error: on_error(object, report),
        retry_attempts: object.integer("retry-attempts", 0, report),
        timeout_ms: object.integer("timeout-ms", 1, report),
        limit: limit(object, report),
    }
}

fn what(object: Object<'_>, report: &mut Report) -> What {
    let kinds: Vec<&str> = KINDS
        .iter()
        .copied()
        .filter(|kind| object.get(kind).is_some())
        .collect();
    let kind = kinds.first().copied().unwrap_or_default();
    if kinds.len() > 1 {
        let kinds = list(&kinds);
        report.error(
            object.about(),
            format!("it has {kinds}; a node is one of them"),
        );
    } else {
        for key in NODE.iter().map(|key| key.name) {
            let everywhere = KINDS.contains(&key) || ["when", "on-error"].contains(&key);
            if let Some(tree) = object.get(key)
                && !everywhere
                && !of_kind(kind).contains(&key)
            {
                let what = if kind.is_empty() {
                    "model or function"
                } else {
                    kind
                };
                report.error(object.at(tree, key), format!("a {what} has no such key"));
            }
        }
    }
    if kind.is_empty() {
        return What::Own;
    }
    let Some(name) = object.text(kind, report) else {
        return What::Broken;
    };
    match kind {
        "model" => What::Model(name),
        "function" => What::Function(name),
        "foreach" => What::Foreach(name),
        _ => What::Gather(name),
    }
}

/// A reference, or an object from names to references and literals.
pub(super) fn inputs(tree: &Tree, at: About<'_>, report: &mut Report) -> Option<InputsSpec> {
    if let Content::Map(members) = &tree.content {
        let mut named = Vec::new();
        for (key, value) in members.iter() {
            if let Some(given) = given(value, at.place(value.place), report) {
                named.push((key.clone(), given));
            }
        }
        return Some(InputsSpec::Named(named));
    }
    given(tree, at, report).map(InputsSpec::One)
}

/// A reference, `{value: LITERAL}`, or a literal that can be no reference: a number, true or false.
fn given(tree: &Tree, at: About<'_>, report: &mut Report) -> Option<At<Given>> {
    let value = match &tree.content {
        Content::Text(_) => Given::Reference(text(tree, at, report)?.value),
        Content::Bool(_) | Content::Int(_) | Content::Float(_) => Given::Literal(tree.clone()),
        Content::Map(members) if members.len() == 1 && tree.get("value").is_some() => {
            Given::Literal(tree.get("value")?.clone())
        }
        Content::Null | Content::List(_) | Content::Map(_) => {
            expected(
                "a reference, or `{value: ...}` for what is none",
                tree,
                at,
                report,
            );
            return None;
        }
    };
    Some(At {
        place: tree.place,
        value,
    })
}

fn condition(object: Object<'_>, report: &mut Report) -> Option<At<String>> {
    let tree = object.get("when")?;
    if let Content::Bool(value) = tree.content {
        return Some(At {
            place: tree.place,
            value: value.to_string(),
        });
    }
    object.text("when", report)
}

fn on_error(object: Object<'_>, report: &mut Report) -> OnErrorSpec {
    let Some(tree) = object.get("on-error") else {
        return OnErrorSpec::Fail;
    };
    let at = object.at(tree, "on-error");
    match &tree.content {
        Content::Text(text) if text == "fail" => OnErrorSpec::Fail,
        Content::Text(text) if text == "skip" => OnErrorSpec::Skip,
        Content::Map(members) if members.len() == 1 && tree.get("use").is_some() => {
            let given = tree.get("use").and_then(|tree| given(tree, at, report));
            given.map_or(OnErrorSpec::Fail, OnErrorSpec::Use)
        }
        Content::Text(_)
        | Content::Null
        | Content::Bool(_)
        | Content::Int(_)
        | Content::Float(_)
        | Content::List(_)
        | Content::Map(_) => {
            expected(
                "`fail`, `skip`, `{use: reference}` or `{use: {value: ...}}`",
                tree,
                at,
                report,
            );
            OnErrorSpec::Fail
        }
    }
}

fn limit(object: Object<'_>, report: &mut Report) -> Option<(usize, Overflow)> {
    let overflow = match object.text("overflow", report) {
        Some(word) if word.value == "truncate" => Overflow::Truncate,
        Some(word) if word.value != "error" => {
            let at = object.about().place(word.place).field("overflow");
            let word = word.value;
            report.error(
                at,
                format!("expected `error` or `truncate`, found `{word}`"),
            );
            Overflow::Error
        }
        Some(_) | None => Overflow::Error,
    };
    if object.get("limit").is_none() {
        if let Some(tree) = object.get("overflow") {
            report.error(
                object.at(tree, "overflow"),
                "without `limit` nothing overflows",
            );
        }
        return None;
    }
    let limit = object.integer("limit", 1, report)?;
    Some((limit as usize, overflow))
}
