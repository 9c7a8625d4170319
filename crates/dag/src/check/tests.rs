//! Specs in, graphs as text out.

use std::fmt::Write as _;

use super::*;
use crate::graph::{Kind, OnError, Pick, Source};
use crate::testing::Few;

mod broken;
mod graphs;
mod learn;
mod random;

/// A graph as lines: each node with kind, scope, inputs and type, then the answers.
fn show(graph: &Graph) -> String {
    let mut text = String::new();
    for node in &graph.nodes {
        let kind = match &node.kind {
            Kind::Model {
                model,
                together,
                function,
            } => {
                let together = if *together { " together" } else { "" };
                let function = function.as_deref().map(|name| format!(":{name}"));
                let function = function.unwrap_or_default();
                format!("model {}{function}{together}", graph.models[*model].name)
            }
            Kind::Function { name, .. } => format!("function {name}"),
            Kind::Foreach { opens, limit } => {
                let limit = limit.map_or(String::new(), |limit| format!(" {limit:?}"));
                format!("foreach opens {}{limit}", opens.0)
            }
            Kind::Gather(gather) => format!("gather closes {}", gather.closes.0),
        };
        let _ = write!(text, "{}: {kind} in {} <-", node.name, node.scope.0);
        for bind in &node.inputs {
            let certain = if bind.certain { "" } else { "?" };
            let required = if bind.required { "" } else { " optional" };
            let _ = write!(
                text,
                " {}={}:{}{certain}{required}",
                bind.name,
                source(graph, &bind.from),
                bind.wanted
            );
        }
        let _ = write!(text, " -> {}", node.output);
        if let Some(when) = &node.when {
            let _ = write!(text, " when {}", when.text());
        }
        match &node.on_error {
            OnError::Fail => {}
            OnError::Skip => text.push_str(" or skip"),
            OnError::Use(from) => {
                let _ = write!(text, " or {}", source(graph, from));
            }
        }
        if let Some(timeout) = node.timeout {
            let _ = write!(text, " {}+1x{}ms", node.retry_attempts, timeout.as_millis());
        }
        text.push('\n');
    }
    for answer in &graph.answers {
        let pick = match &answer.pick {
            Pick::One(from) => source(graph, from),
            Pick::Named(named) => {
                let member =
                    |(name, from): &(String, Source)| format!("{name}: {}", source(graph, from));
                format!(
                    "{{{}}}",
                    named.iter().map(member).collect::<Vec<_>>().join(", ")
                )
            }
        };
        let kind = answer.content_type.as_deref().unwrap_or("answer");
        let needs = answer.needs.iter().filter(|needed| **needed).count();
        let _ = writeln!(text, "{kind}: {pick} of {needs}");
    }
    text
}

fn source(graph: &Graph, source: &Source) -> String {
    match source {
        Source::Request => "request".to_owned(),
        Source::Part(name) => format!("<{name}>"),
        Source::Node { node, path } => {
            let mut name = graph.node(*node).name.clone();
            for step in path {
                name = format!("{name}.{step}");
            }
            name
        }
        Source::Literal(value) => format!("{value:?}"),
    }
}

/// The graph and whatever is said about it.
fn checked(text: &str) -> String {
    let checked = check(text, &Few, Options::default());
    let graph = checked.graph.as_ref().map_or(String::new(), show);
    let problems: Vec<String> = checked.problems.iter().map(ToString::to_string).collect();
    format!("{graph}{}", problems.join("\n"))
}
