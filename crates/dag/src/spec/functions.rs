//! `functions:` of a spec.

use super::fields::{Object, members, text};
use super::keys::FUNCTION;
use super::nodes::inputs;
use super::{At, FunctionSpec};
use crate::problem::{About, Report};
use crate::yaml::{Content, Key, Tree};

pub(super) fn read(tree: &Tree, report: &mut Report) -> Vec<FunctionSpec> {
    let at = About::at(tree.place).field("functions");
    let members = members(tree, at, "it", report).unwrap_or_default();
    members
        .iter()
        .filter_map(|(key, value)| function(key, value, report))
        .collect()
}

fn function(key: &Key, tree: &Tree, report: &mut Report) -> Option<FunctionSpec> {
    let name = At {
        place: key.place,
        value: key.name.clone(),
    };
    // `small: resize` is an alias.
    if let Content::Text(_) = tree.content {
        let function = text(tree, About::at(tree.place).node(&key.name), report)?;
        return Some(FunctionSpec {
            name,
            function,
            with: None,
            inputs: None,
        });
    }
    let object = Object::entry(key, tree, report)?;
    object.known(FUNCTION, report);
    // Without a function of its own, parameters for the native function of that name.
    let function = match object.get("function") {
        Some(_) => object.text("function", report)?,
        None => name.clone(),
    };
    Some(FunctionSpec {
        name,
        function,
        with: object.get("with").cloned(),
        inputs: object
            .get("in")
            .and_then(|tree| inputs(tree, object.at(tree, "in"), report)),
    })
}
