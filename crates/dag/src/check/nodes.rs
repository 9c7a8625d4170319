//! What both forms make nodes of.

use std::sync::Arc;
use std::time::Duration;

use servable::{Field, Type};

use super::functions::{Found, Unknown};
use crate::function::Function;
use crate::graph::{Bind, Kind, Node, OnError, Place, ScopeId, Source};
use crate::problem::{About, Report, list};
use crate::spec::At;

/// A node of which only name and kind are known.
pub(super) fn node(name: &At<String>, kind: Kind) -> Node {
    Node {
        name: name.value.clone(),
        place: name.place,
        kind,
        scope: ScopeId::REQUEST,
        inputs: Vec::new(),
        when: None,
        on_error: OnError::Fail,
        retry_attempts: 0,
        timeout: None,
        output: Type::Any,
    }
}

/// In place of a node that could not be made.
pub(super) fn unknown() -> Kind {
    Kind::Function {
        name: String::new(),
        bound: Arc::new(Unknown),
    }
}

pub(super) fn milliseconds(value: u32) -> Duration {
    Duration::from_millis(value.into())
}

/// An input under a name of which nothing is wanted.
pub(super) fn bind(name: impl Into<String>, place: Place, from: Source) -> Bind {
    Bind {
        name: name.into(),
        place,
        from,
        wanted: Type::Any,
        certain: false,
        required: true,
    }
}

/// The name that an only input gets: of a function the first one required, else the first.
pub(super) fn only_port(function: &dyn Function) -> Option<&'static str> {
    let ports = function.about().inputs;
    let port = ports.iter().find(|port| port.required).or(ports.first());
    port.map(|port| port.name)
}

/// The same of a model.
pub(super) fn only_input(declared: &[Field]) -> &str {
    declared.first().map_or("body", |field| &field.name)
}

/// Gives the inputs of a function their types and order; tells those it does not have and those it lacks.
pub(super) fn to_ports(found: &Found<'_>, node: &mut Node, place: Place, report: &mut Report) {
    let about = found.native.about();
    let mut rest = std::mem::take(&mut node.inputs);
    for port in about.inputs {
        let given = rest.iter().position(|bind| bind.name == port.name);
        match given {
            Some(index) => node.inputs.push(Bind {
                wanted: port.of.parse().unwrap_or_default(),
                required: port.required,
                ..rest.remove(index)
            }),
            None if port.required => {
                let at = About::at(place).node(&node.name).field("in");
                let (name, of, function) = (port.name, port.of, about.name);
                report.error(at, format!("`{function}` needs an input `{name}` ({of})"));
            }
            None => {}
        }
    }
    for mut bind in rest {
        let parameter = about
            .parameters
            .iter()
            .any(|parameter| parameter.name == bind.name);
        if !about.open && !parameter {
            let ports = about.inputs.iter().map(|port| port.name);
            let near = report.nearest(
                &bind.name,
                ports.chain(about.parameters.iter().map(|parameter| parameter.name)),
            );
            let at = About::at(bind.place).node(&node.name).field("in");
            let (function, name) = (about.name, &bind.name);
            report.error(at, format!("`{function}` has no input `{name}`{near}"));
        }
        bind.required = parameter;
        node.inputs.push(bind);
    }
}

/// Gives the inputs of a model their declared types; tells those it does not have and those it lacks.
pub(super) fn to_declared(
    declared: &[Field],
    model: &str,
    node: &mut Node,
    place: Place,
    report: &mut Report,
) {
    if declared.is_empty() {
        return;
    }
    for bind in node.inputs.iter_mut().filter(|bind| !bind.name.is_empty()) {
        match declared.iter().find(|field| field.name == bind.name) {
            Some(field) => bind.wanted = field.of.clone(),
            None => {
                let near =
                    report.nearest(&bind.name, declared.iter().map(|field| field.name.as_str()));
                let at = About::at(bind.place).node(&node.name).field("in");
                let name = &bind.name;
                report.error(
                    at,
                    format!("`inputs` of model `{model}` has no `{name}`{near}"),
                );
            }
        }
    }
    let given = |name: &str| {
        node.inputs
            .iter()
            .any(|bind| bind.name == name || bind.name.is_empty())
    };
    let missing: Vec<&str> = declared
        .iter()
        .map(|field| field.name.as_str())
        .filter(|name| !given(name))
        .collect();
    if !missing.is_empty() {
        let at = About::at(place).node(&node.name).field("in");
        report.error(at, format!("model `{model}` also needs {}", list(&missing)));
    }
}
