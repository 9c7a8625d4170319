//! References to what they mean.

use std::collections::HashMap;

use servable::Value;

use crate::graph::{Entry, NodeId, Source};
use crate::problem::{About, Report};
use crate::spec::Given;

/// What can be referred to.
pub(super) struct Names<'a> {
    nodes: HashMap<&'a str, NodeId>,
    /// In the order of the spec, for the nearest one to a mistake.
    known: Vec<&'a str>,
    inputs: &'a [Entry],
}

impl<'a> Names<'a> {
    pub(super) fn new(nodes: impl Iterator<Item = &'a str>, inputs: &'a [Entry]) -> Self {
        let mut known: Vec<&str> = nodes.collect();
        let nodes = known
            .iter()
            .enumerate()
            .map(|(index, name)| (*name, NodeId(index)))
            .collect();
        known.extend(inputs.iter().map(|entry| entry.name.as_str()));
        Names {
            nodes,
            known,
            inputs,
        }
    }

    pub(super) fn node(&self, name: &str) -> Option<NodeId> {
        self.nodes.get(name).copied()
    }

    pub(super) fn given(&self, given: &Given, at: About<'_>, report: &mut Report) -> Source {
        match given {
            Given::Reference(text) => self.reference(text, at, report),
            Given::Literal(tree) => Source::Literal(tree.to_value()),
        }
    }

    /// What a reference means. One that means nothing is told, and then taken for null.
    pub(super) fn reference(&self, text: &str, at: About<'_>, report: &mut Report) -> Source {
        self.meaning(text, report).unwrap_or_else(|message| {
            report.error(at, message);
            Source::Literal(Value::Null)
        })
    }

    fn meaning(&self, text: &str, report: &Report) -> Result<Source, String> {
        // Names of the classic form may have dots in them.
        if let Some(node) = self.node(text) {
            return Ok(Source::Node {
                node,
                path: Vec::new(),
            });
        }
        let mut steps = text.split('.').map(str::trim);
        let first = steps.next().unwrap_or_default();
        let path: Vec<String> = steps.map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(format!(
                "`{text}` is no reference such as `node` or `node.member`"
            ));
        }
        if let Some(node) = self.node(first) {
            return Ok(Source::Node { node, path });
        }
        let declared = self.inputs.iter().any(|entry| entry.name == first);
        let (part, members) = match path.as_slice() {
            members if declared => (first, members),
            [] if first == "request" => return Ok(Source::Request),
            [part, members @ ..] if first == "request" => (part.as_str(), members),
            _ => {
                let near = report.nearest(first, self.known.iter().copied());
                return Err(format!("no node or input is called `{first}`{near}"));
            }
        };
        if !members.is_empty() {
            return Err(format!(
                "`{text}`: members can be taken of a node's output, not of an input"
            ));
        }
        if !self.inputs.is_empty() && !self.inputs.iter().any(|entry| entry.name == part) {
            let near = report.nearest(part, self.inputs.iter().map(|entry| entry.name.as_str()));
            return Err(format!("`inputs` declares no `{part}`{near}"));
        }
        Ok(Source::Part(part.to_owned()))
    }
}
