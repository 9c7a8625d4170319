//! What is in a picture of a graph, before anybody says where.

use servable::Type;

use super::Notes;
use crate::graph::{Graph, Kind, Node, OnError, Overflow, Source};
use crate::infer::type_of;

pub(super) struct Picture {
    pub(super) boxes: Vec<Block>,
    pub(super) lines: Vec<Line>,
    /// Frames by scope; the first is the whole picture.
    pub(super) frames: Vec<Frame>,
}

/// A node, the request or an answer.
pub(super) struct Block {
    pub(super) title: String,
    pub(super) details: Vec<String>,
    pub(super) note: Option<String>,
    pub(super) look: Look,
    pub(super) frame: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Request,
    Model,
    Function,
    /// A `foreach` or a gather.
    Scope,
    Answer,
}

/// What flows from one box to another.
pub(super) struct Line {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: String,
    /// Looked at by a condition, or a stand-in after an error.
    pub(super) dashed: bool,
}

pub(super) struct Frame {
    pub(super) title: String,
    pub(super) parent: Option<usize>,
}

/// The request stands first, then the nodes in the graph's order, then the answers.
pub(super) fn of(graph: &Graph, notes: &Notes) -> Picture {
    let mut picture = Picture {
        boxes: vec![request(graph)],
        lines: Vec::new(),
        frames: frames(graph),
    };
    for node in &graph.nodes {
        let to = picture.boxes.len();
        picture.boxes.push(block(graph, node, notes));
        let several = node.inputs.len() > 1;
        for bind in &node.inputs {
            let name = if several { bind.name.as_str() } else { "" };
            picture.line(graph, &bind.from, to, name, false);
        }
        for source in node.when.iter().flat_map(|when| when.sources()) {
            picture.line(graph, source, to, "when", true);
        }
        if let OnError::Use(source) = &node.on_error {
            picture.line(graph, source, to, "on error", true);
        }
    }
    for answer in &graph.answers {
        let to = picture.boxes.len();
        picture.boxes.push(Block {
            title: answer
                .content_type
                .clone()
                .unwrap_or_else(|| "answer".to_owned()),
            details: Vec::new(),
            note: None,
            look: Look::Answer,
            frame: 0,
        });
        match &answer.pick {
            crate::graph::Pick::One(source) => picture.line(graph, source, to, "", false),
            crate::graph::Pick::Named(named) => {
                for (name, source) in named {
                    picture.line(graph, source, to, name, false);
                }
            }
        }
    }
    picture
}

impl Picture {
    /// Lines between the same boxes are one.
    fn line(&mut self, graph: &Graph, source: &Source, to: usize, name: &str, dashed: bool) {
        let (from, path) = match source {
            Source::Request => (0, String::new()),
            Source::Part(part) => (0, part.clone()),
            Source::Node { node, path } => (node.0 + 1, path.join(".")),
            Source::Literal(_) => return,
        };
        let of = type_of(graph, source).unwrap_or_default();
        let label = label(name, &path, if dashed { &Type::Any } else { &of });
        let same = self
            .lines
            .iter_mut()
            .find(|line| line.from == from && line.to == to);
        match same {
            Some(line) if dashed || line.label == label => {}
            Some(line) => {
                if !line.label.is_empty() {
                    line.label.push_str(", ");
                }
                line.label.push_str(&label);
                line.dashed = false;
            }
            None => self.lines.push(Line {
                from,
                to,
                label,
                dashed,
            }),
        }
    }
}

/// `boxes: tensor<float32>[n, 6]`; what is not known is left out.
fn label(name: &str, path: &str, of: &Type) -> String {
    let mut label = if name.is_empty() { path } else { name }.to_owned();
    if *of != Type::Any {
        if !label.is_empty() {
            label.push_str(": ");
        }
        label.push_str(&of.to_string());
    }
    shortened(&label, 28)
}

pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('…');
    short
}

fn request(graph: &Graph) -> Block {
    let entry =
        |entry: &crate::graph::Entry| shortened(&format!("{}: {}", entry.name, entry.of), 30);
    Block {
        title: "request".to_owned(),
        details: graph.inputs.iter().take(6).map(entry).collect(),
        note: None,
        look: Look::Request,
        frame: 0,
    }
}

fn block(graph: &Graph, node: &Node, notes: &Notes) -> Block {
    let mut details = Vec::new();
    let look = match &node.kind {
        Kind::Model {
            model,
            function: Some(function),
            ..
        } => {
            let file = &graph.models[*model].name;
            details.push(if **function == *node.name {
                format!("function of {file}")
            } else {
                format!("function {function} of {file}")
            });
            Look::Function
        }
        Kind::Model { model, .. } => {
            let model = &graph.models[*model].name;
            details.push(if *model == node.name {
                "model".to_owned()
            } else {
                format!("model {model}")
            });
            Look::Model
        }
        Kind::Function { name, .. } => {
            details.push(if *name == node.name {
                "function".to_owned()
            } else {
                format!("function {name}")
            });
            Look::Function
        }
        Kind::Foreach { limit, .. } => {
            details.push(match limit {
                None => "for each".to_owned(),
                Some((limit, Overflow::Truncate)) => format!("for each of the first {limit}"),
                Some((limit, Overflow::Error)) => format!("for each, at most {limit}"),
            });
            Look::Scope
        }
        Kind::Gather(_) => {
            details.push("gather".to_owned());
            Look::Scope
        }
    };
    if let Some(when) = &node.when {
        details.push(shortened(&format!("when {}", when.text()), 36));
    }
    if let OnError::Skip = node.on_error {
        details.push("skipped on error".to_owned());
    }
    Block {
        title: shortened(&node.name, 40),
        details,
        note: notes.get(&node.name).map(|note| shortened(note, 48)),
        look,
        frame: node.value_scope().0,
    }
}

fn frames(graph: &Graph) -> Vec<Frame> {
    graph
        .scopes
        .iter()
        .map(|scope| Frame {
            title: scope
                .opened_by
                .map_or_else(String::new, |id| format!("each {}", graph.node(id).name)),
            parent: scope.parent.map(|parent| parent.0),
        })
        .collect()
}
