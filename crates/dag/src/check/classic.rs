//! The classic form: each node says who comes after it, and what a node takes follows from that.

use std::collections::{HashMap, HashSet};

use super::functions::{Found, Functions};
use super::names::Names;
use super::nodes::{
    bind, milliseconds, node, only_input, only_port, to_declared, to_ports, unknown,
};
use super::{Python, few_enough, python};
use crate::graph::{Bind, Entry, Kind, Model, Node, NodeId, Place, Source};
use crate::problem::{About, Report, list};
use crate::spec::{At, ClassicNode, FunctionSpec, InputsSpec, Spec};

pub(super) struct Maker<'a, 'f> {
    pub(super) spec: &'a Spec,
    pub(super) inputs: &'f [Entry],
    pub(super) models: &'f mut Vec<Model>,
    pub(super) functions: &'f mut Functions<'a>,
    pub(super) python: Option<Python<'a>>,
}

/// A parent, and where it says so.
struct Edge {
    parent: usize,
    place: Place,
}

impl<'a> Maker<'a, '_> {
    pub(super) fn nodes(
        &mut self,
        dag: &'a [ClassicNode],
        report: &mut Report,
    ) -> Option<Vec<Node>> {
        let names = names(dag);
        few_enough(
            names.len(),
            About::at(dag.first()?.name.place).field("dag"),
            report,
        )?;
        let known = Names::new(names.iter().map(|name| name.value.as_str()), self.inputs);
        let parents = parents(dag, &names, &known, report);
        starts(&names, &parents, report);
        let mut nodes = Vec::new();
        for (name, parents) in names.iter().zip(&parents) {
            nodes.push(self.node(name, parents, &names, &known, report));
        }
        Some(nodes)
    }

    fn node(
        &mut self,
        name: &'a At<String>,
        parents: &[Edge],
        names: &[&'a At<String>],
        known: &Names<'_>,
        report: &mut Report,
    ) -> Node {
        if let Some(index) = self
            .spec
            .models
            .iter()
            .position(|model| model.name.value == name.value)
        {
            return self.call_model(name, index, parents, names, report);
        }
        if let Some(entry) = self.functions.entry(&name.value) {
            return match self.functions.follow(entry, report) {
                Some(found) => self.call_function(name, found, parents, names, known, report),
                None => joined(node(name, unknown()), parents, names, "body"),
            };
        }
        if let Some(kind) = python::call(self.python, &name.value, name.place, self.models) {
            let made = joined(node(name, kind), parents, names, "body");
            return python::within(made, self.spec);
        }
        if let Some(native) = self.functions.native(&name.value) {
            let found = Found { native, spec: None };
            return self.call_function(name, found, parents, names, known, report);
        }
        let models = self
            .spec
            .models
            .iter()
            .map(|model| model.name.value.as_str());
        let all: Vec<&str> = models.chain(self.functions.names()).collect();
        let near = report.nearest(&name.value, all);
        let at = About::at(name.place).node(&name.value);
        let python = python::told(self.python);
        report.error(
            at,
            format!("it is no model of `models`, no entry of `functions` and no native function{near}; {python}"),
        );
        joined(node(name, unknown()), parents, names, "body")
    }

    fn call_model(
        &mut self,
        name: &At<String>,
        index: usize,
        parents: &[Edge],
        names: &[&At<String>],
        report: &mut Report,
    ) -> Node {
        let model = &self.spec.models[index];
        let kind = Kind::Model {
            model: index,
            together: false,
            function: None,
        };
        let mut made = joined(node(name, kind), parents, names, only_input(&model.inputs));
        made.retry_attempts = model.settings.retry_attempts;
        made.timeout = Some(milliseconds(model.settings.timeout_ms));
        made.output = model.output.clone();
        to_declared(
            &model.inputs,
            &model.name.value,
            &mut made,
            name.place,
            report,
        );
        made
    }

    fn call_function(
        &mut self,
        name: &At<String>,
        found: Found<'a>,
        parents: &[Edge],
        names: &[&At<String>],
        known: &Names<'_>,
        report: &mut Report,
    ) -> Node {
        let about = found.native.about();
        let only = only_port(found.native.as_ref());
        let mut made = node(name, unknown());
        made.inputs = match (
            found
                .spec
                .and_then(|spec| Some((spec, spec.inputs.as_ref()?))),
            parents,
        ) {
            (Some((spec, inputs)), _) => {
                let only = only.unwrap_or("body");
                chosen(spec, inputs, only, name, parents, names, known, report)
            }
            (None, []) if about.inputs.is_empty() && !about.open => Vec::new(),
            (None, []) => vec![bind(only.unwrap_or("body"), name.place, Source::Request)],
            // Whoever takes anything gets parents by name, however many there are.
            (None, [edge]) => vec![from(edge, only.unwrap_or(&names[edge.parent].value))],
            (None, parents) => by_name(parents, names),
        };
        to_ports(&found, &mut made, name.place, report);
        let bound = found.bind(&name.value, name.place, None, &[], report);
        made.kind = Kind::Function {
            name: about.name.to_owned(),
            bound,
        };
        made
    }
}

/// Every node in the order in which the spec first names it.
fn names(dag: &[ClassicNode]) -> Vec<&At<String>> {
    let mut seen = HashSet::new();
    dag.iter()
        .flat_map(|node| std::iter::once(&node.name).chain(&node.next))
        .filter(|name| seen.insert(name.value.as_str()))
        .collect()
}

/// Of each node who comes before it. What comes twice is told.
fn parents(
    dag: &[ClassicNode],
    names: &[&At<String>],
    known: &Names<'_>,
    report: &mut Report,
) -> Vec<Vec<Edge>> {
    let mut parents: Vec<Vec<Edge>> = names.iter().map(|_| Vec::new()).collect();
    let mut lines: HashMap<(usize, usize), usize> = HashMap::new();
    for node in dag {
        for next in &node.next {
            let (Some(NodeId(parent)), Some(NodeId(child))) =
                (known.node(&node.name.value), known.node(&next.value))
            else {
                continue;
            };
            if let Some(line) = lines.insert((parent, child), next.place.line) {
                let at = About::at(next.place).node(&node.name.value);
                report.error(
                    at,
                    format!(
                        "`{}` comes after it twice, first in line {line}: loop exception",
                        next.value
                    ),
                );
                continue;
            }
            parents[child].push(Edge {
                parent,
                place: next.place,
            });
        }
    }
    parents
}

/// There must be exactly one start.
fn starts(names: &[&At<String>], parents: &[Vec<Edge>], report: &mut Report) {
    let starts: Vec<&At<String>> = names
        .iter()
        .zip(parents)
        .filter(|(_, parents)| parents.is_empty())
        .map(|(name, _)| *name)
        .collect();
    match starts.as_slice() {
        [_] => {}
        [] => {
            let place = names.first().map_or(Place::default(), |name| name.place);
            report.error(
                About::at(place).field("dag"),
                "DAG should have only one start node, and here every node comes after another",
            );
        }
        [_, second, ..] => {
            let names: Vec<&str> = starts.iter().map(|name| name.value.as_str()).collect();
            let at = About::at(second.place).field("dag");
            report.error(
                at,
                format!(
                    "DAG should have only one start node, and {} come after none",
                    list(&names)
                ),
            );
        }
    }
}

/// The inputs of a model: the request of the start, `only` of one parent, several by their names.
fn joined(mut node: Node, parents: &[Edge], names: &[&At<String>], only: &str) -> Node {
    node.inputs = match parents {
        [] => vec![bind("", node.place, Source::Request)],
        [edge] => vec![from(edge, only)],
        parents => by_name(parents, names),
    };
    node
}

fn by_name(parents: &[Edge], names: &[&At<String>]) -> Vec<Bind> {
    let bind = |edge| from(edge, &names[edge.parent].value);
    parents.iter().map(bind).collect()
}

fn from(edge: &Edge, name: &str) -> Bind {
    let source = Source::Node {
        node: NodeId(edge.parent),
        path: Vec::new(),
    };
    bind(name, edge.place, source)
}

/// What `in:` of the function's entry takes of the parents, and of nobody else.
#[expect(
    clippy::too_many_arguments,
    reason = "one caller, and each of them is a part of the node"
)]
fn chosen(
    spec: &FunctionSpec,
    inputs: &InputsSpec,
    only: &str,
    name: &At<String>,
    parents: &[Edge],
    names: &[&At<String>],
    known: &Names<'_>,
    report: &mut Report,
) -> Vec<Bind> {
    let given: Vec<_> = match inputs {
        InputsSpec::One(given) => vec![(only, given)],
        InputsSpec::Named(named) => named
            .iter()
            .map(|(key, given)| (key.name.as_str(), given))
            .collect(),
    };
    let mut binds: Vec<Bind> = Vec::new();
    for (input, given) in given {
        let at = About::at(given.place).node(&spec.name.value).field("in");
        let source = known.given(&given.value, at, report);
        if let Some(id) = source.node()
            && !parents.iter().any(|edge| edge.parent == id.0)
        {
            let (node, parent) = (&name.value, &names[id.0].value);
            report.error(
                at,
                format!("in `dag`, `{node}` does not come after `{parent}`"),
            );
            continue;
        }
        binds.push(bind(input, given.place, source));
    }
    for edge in parents {
        if !binds
            .iter()
            .any(|bind| bind.from.node() == Some(NodeId(edge.parent)))
        {
            let parent = &names[edge.parent].value;
            let at = About::at(edge.place).node(&name.value);
            report.warning(
                at,
                format!("it comes after `{parent}`, and its `in` takes nothing of it"),
            );
        }
    }
    binds
}
