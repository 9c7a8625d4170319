//! What a node gets: values looked up from where it stands, and checked against what it wants.

use servable::{Symbols, Value};

use super::frames::{Frames, State};
use super::{Fault, Request};
use crate::graph::{Bind, Kind, Node, NodeId, Source};

/// What a source does not have.
#[derive(Debug)]
pub(super) enum Missing {
    Part(String),
    Member {
        from: String,
        member: String,
        found: &'static str,
    },
}

impl Missing {
    /// As the fault of a node whose input it is.
    pub(super) fn of<E>(self, field: &str) -> Fault<E> {
        let field = field.to_owned();
        match self {
            Missing::Part(part) => Fault::NoPart { field, part },
            Missing::Member {
                from,
                member,
                found,
            } => Fault::NoMember {
                field,
                from,
                member,
                found,
            },
        }
    }
}

impl Frames {
    /// Whether a node that everything has settled for is to run.
    pub(super) fn runs<E>(
        &self,
        request: &Request,
        frame: usize,
        node: &Node,
    ) -> Result<bool, Fault<E>> {
        if self.lacks(frame, node) {
            return Ok(false);
        }
        let Some(when) = &node.when else {
            return Ok(true);
        };
        // What is not there is as good as skipped: `has()` asks for it.
        let value = |source| self.resolve(request, frame, source).ok().flatten();
        let values: Vec<_> = when.sources().iter().map(value).collect();
        when.evaluate(&values).map_err(Fault::Condition)
    }

    /// Whether a required input was skipped, or what a gather would gather was never opened.
    fn lacks(&self, frame: usize, node: &Node) -> bool {
        if let Kind::Gather(gather) = node.kind {
            let opened_by = self.plan.graph.scopes[gather.closes.0].opened_by;
            return opened_by.is_some_and(|foreach| self.is_skipped(frame, foreach));
        }
        let skipped = |bind: &Bind| match &bind.from {
            Source::Node { node: from, .. } => {
                let from_node = self.plan.graph.node(*from);
                // An item is there, or nobody would ask.
                !matches!(from_node.kind, Kind::Foreach { .. })
                    && self.is_skipped(self.frame_of(frame, from_node.scope), *from)
            }
            Source::Request | Source::Part(_) | Source::Literal(_) => false,
        };
        node.inputs
            .iter()
            .any(|bind| bind.required && skipped(bind))
    }

    fn is_skipped(&self, frame: usize, id: NodeId) -> bool {
        matches!(self.slot(frame, id).state, State::Skipped)
    }

    /// The values of a node's inputs, checked.
    pub(super) fn inputs<E>(
        &self,
        request: &Request,
        frame: usize,
        node: &Node,
    ) -> Result<Vec<(String, Value)>, Fault<E>> {
        let mut symbols = Symbols::default();
        let mut inputs = Vec::with_capacity(node.inputs.len());
        let foreach = matches!(node.kind, Kind::Foreach { .. });
        for bind in &node.inputs {
            if !foreach && is_request(bind) {
                continue;
            }
            let value = match self.resolve(request, frame, &bind.from) {
                Ok(Some(value)) => value,
                Ok(None) => continue,
                Err(_) if !bind.required => continue,
                Err(missing) => return Err(missing.of(&bind.name)),
            };
            if !bind.certain {
                let checked = bind.wanted.check(&value, &mut symbols);
                checked.map_err(|mismatch| Fault::Input {
                    field: bind.name.clone(),
                    mismatch: Box::new(mismatch),
                })?;
            }
            inputs.push((bind.name.clone(), value));
        }
        Ok(inputs)
    }

    /// The value of a source as seen from a frame; `None` where it was skipped.
    pub(super) fn resolve(
        &self,
        request: &Request,
        frame: usize,
        source: &Source,
    ) -> Result<Option<Value>, Missing> {
        let (id, path) = match source {
            Source::Literal(value) => return Ok(Some(value.clone())),
            Source::Request => {
                let payload = request.payload.clone();
                return payload
                    .map(Some)
                    .ok_or_else(|| Missing::Part("body".into()));
            }
            Source::Part(name) => {
                let part = request.parts.iter().find(|(part, _)| part == name);
                return match part {
                    Some((_, value)) => Ok(Some(value.clone())),
                    None => Err(Missing::Part(name.clone())),
                };
            }
            Source::Node { node, path } => (*node, path),
        };
        let node = self.plan.graph.node(id);
        let slot = match node.kind {
            Kind::Foreach { opens, .. } => self.item(self.frame_of(frame, opens)),
            Kind::Model { .. } | Kind::Function { .. } | Kind::Gather(_) => {
                self.slot(self.frame_of(frame, node.scope), id)
            }
        };
        let State::Value(value) = &slot.state else {
            return Ok(None);
        };
        let mut found = value;
        for member in path {
            found = found.get(member).ok_or_else(|| Missing::Member {
                from: node.name.clone(),
                member: member.clone(),
                found: found.kind(),
            })?;
        }
        Ok(Some(found.clone()))
    }
}

/// Whether it stands for the request as it came, which whoever calls the node has.
fn is_request(bind: &Bind) -> bool {
    bind.name.is_empty() && matches!(bind.from, Source::Request)
}
