//! What is answered, and which nodes that needs.

use servable::Value;

use super::member;
use super::names::Names;
use crate::graph::{Answer, Graph, Kind, Node, NodeId, Pick, Place, ScopeId, Source};
use crate::problem::{About, Report, list};
use crate::spec::{At, OutputSpec};

pub(super) fn choose(graph: &mut Graph, output: Option<&At<OutputSpec>>, report: &mut Report) {
    let answers = match output {
        None => vec![answer(None, leaves(graph, report), graph)],
        Some(output) => {
            let inputs = &graph.inputs;
            let names = Names::new(graph.nodes.iter().map(|node| node.name.as_str()), inputs);
            let mut chooser = Chooser {
                graph,
                names,
                report,
            };
            match &output.value {
                OutputSpec::Types(forms) => forms
                    .iter()
                    .map(|(key, form)| {
                        answer(Some(key.name.clone()), chooser.pick(&form.value), graph)
                    })
                    .collect(),
                OutputSpec::One(_) | OutputSpec::Named(_) => {
                    vec![answer(None, chooser.pick(&output.value), graph)]
                }
            }
        }
    };
    graph.answers = answers;
}

/// Members that there are not, once types are known.
pub(super) fn check(graph: &Graph, output: Option<&At<OutputSpec>>, report: &mut Report) {
    for (place, source) in places(output).into_iter().zip(
        graph
            .answers
            .iter()
            .flat_map(|answer| answer.pick.sources()),
    ) {
        if let Source::Node { node, path } = source
            && let Err(message) = member(&graph.node(*node).output, path)
        {
            report.error(About::at(place).field("output"), message);
        }
    }
}

/// Where the sources of all answers stand, in their order.
fn places(output: Option<&At<OutputSpec>>) -> Vec<Place> {
    let Some(output) = output else {
        return Vec::new();
    };
    match &output.value {
        OutputSpec::One(at) => vec![at.place],
        OutputSpec::Named(named) => named.iter().map(|(_, at)| at.place).collect(),
        OutputSpec::Types(forms) => forms
            .iter()
            .flat_map(|(_, form)| places(Some(form)))
            .collect(),
    }
}

/// What nobody takes.
fn leaves(graph: &Graph, report: &mut Report) -> Pick {
    let mut taken = vec![false; graph.nodes.len()];
    for id in graph
        .nodes
        .iter()
        .flat_map(Node::sources)
        .filter_map(Source::node)
    {
        taken[id.0] = true;
    }
    let mut leaves = Vec::new();
    for (index, node) in graph
        .nodes
        .iter()
        .enumerate()
        .filter(|(index, _)| !taken[*index])
    {
        let at = About::at(node.place).node(&node.name);
        match node.kind {
            Kind::Foreach { .. } => {
                report.error(at, "nothing uses its items");
                continue;
            }
            Kind::Model { .. } | Kind::Function { .. } | Kind::Gather(_)
                if node.scope != ScopeId::REQUEST =>
            {
                report.error(
                    at,
                    format!(
                        "it is inside {}, and nothing gathers it",
                        inside(graph, node.scope)
                    ),
                );
                continue;
            }
            Kind::Model { .. } | Kind::Function { .. } | Kind::Gather(_) => {}
        }
        let source = Source::Node {
            node: NodeId(index),
            path: Vec::new(),
        };
        leaves.push((node.name.clone(), source));
    }
    match leaves.as_mut_slice() {
        [(_, only)] => Pick::One(only.clone()),
        _ => Pick::Named(leaves),
    }
}

struct Chooser<'a> {
    graph: &'a Graph,
    names: Names<'a>,
    report: &'a mut Report,
}

impl Chooser<'_> {
    fn pick(&mut self, output: &OutputSpec) -> Pick {
        match output {
            OutputSpec::One(at) => Pick::One(self.source(at)),
            OutputSpec::Named(named) => Pick::Named(
                named
                    .iter()
                    .map(|(key, at)| (key.name.clone(), self.source(at)))
                    .collect(),
            ),
            // Reading refuses these inside one another.
            OutputSpec::Types(_) => Pick::Named(Vec::new()),
        }
    }

    fn source(&mut self, at: &At<String>) -> Source {
        let about = About::at(at.place).field("output");
        let source = self.names.reference(&at.value, about, self.report);
        if let Some(id) = source.node() {
            let node = self.graph.node(id);
            let scope = node.value_scope();
            if scope != ScopeId::REQUEST {
                let (name, inside) = (&node.name, inside(self.graph, scope));
                self.report.error(
                    about,
                    format!("`{name}` is inside {inside}; gather it first"),
                );
                return Source::Literal(Value::Null);
            }
        }
        source
    }
}

fn inside(graph: &Graph, scope: ScopeId) -> String {
    let names: Vec<&str> = graph
        .around(scope)
        .filter_map(|scope| Some(graph.node(graph.scopes[scope.0].opened_by?).name.as_str()))
        .collect();
    format!("foreach {}", list(&names))
}

/// Nodes stand after what they need, so one walk backwards finds everything.
fn answer(content_type: Option<String>, pick: Pick, graph: &Graph) -> Answer {
    let mut needs = vec![false; graph.nodes.len()];
    for id in pick.sources().filter_map(Source::node) {
        needs[id.0] = true;
    }
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        if needs[index] {
            for id in node.sources().filter_map(Source::node) {
                needs[id.0] = true;
            }
        }
    }
    Answer {
        content_type,
        pick,
        needs,
    }
}
