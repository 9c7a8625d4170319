//! What is there for nothing: warnings. Beside errors they would only say what these have led to.

use super::functions::Functions;
use crate::graph::{Entry, Giver, Graph, Kind, Node, Source};
use crate::problem::{About, Report};
use crate::spec::{At, Spec};

pub(super) fn tell(graph: &Graph, spec: &Spec, functions: &Functions<'_>, report: &mut Report) {
    if report.failed() {
        return;
    }
    let called = |index: usize| {
        graph
            .nodes
            .iter()
            .any(|node| matches!(node.kind, Kind::Model { model, .. } if model == index))
    };
    for (index, model) in graph.models.iter().enumerate() {
        if !called(index) {
            let at = About::at(model.place).node(&model.name);
            report.warning(at, "no node uses this model");
        }
    }
    for function in functions.unused() {
        let at = About::at(function.name.place).node(&function.name.value);
        report.warning(at, "no node uses this function");
    }
    if graph.answers.iter().all(|answer| !answer.needs.is_empty()) {
        for (index, node) in graph.nodes.iter().enumerate() {
            if !graph.answers.iter().any(|answer| answer.needs[index]) {
                let at = About::at(node.place).node(&node.name);
                report.warning(at, "no answer needs it, so it is never run");
            }
        }
    }
    let answered = graph
        .answers
        .iter()
        .flat_map(|answer| answer.pick.sources());
    let sources: Vec<&Source> = graph
        .nodes
        .iter()
        .flat_map(Node::sources)
        .chain(answered)
        .collect();
    // Whoever takes the payload takes an input under no name.
    if sources
        .iter()
        .any(|source| matches!(source, Source::Request))
    {
        return;
    }
    // What the server knows of a run names every input that came.
    let of_server = |entry: &At<Entry>| entry.value.from == Giver::Server;
    if spec.inputs.iter().any(of_server) {
        return;
    }
    for entry in &spec.inputs {
        let name = &entry.value.name;
        if entry.value.given.options.len() == 1 {
            // It is there to refuse whatever else.
            continue;
        }
        if !sources
            .iter()
            .any(|source| matches!(source, Source::Part(part) if part == name))
        {
            let at = About::at(entry.place).node(name);
            report.warning(at, "nothing takes this input");
        }
    }
}
