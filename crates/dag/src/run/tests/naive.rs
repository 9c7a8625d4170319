//! The same graph interpreted plainly: each node's value by asking for what it needs, one after the other, everything
//! remembered and nothing let go. What failed poisons whoever would wait for it, so that all failures that a run may meet
//! first are known.

use std::collections::{BTreeMap, BTreeSet};

use servable::{Symbols, Value};

use super::build::text;
use crate::graph::{Graph, Kind, Node, NodeId, OnError, Overflow, Pick, ScopeId, Source};
use crate::run::Request;

/// A node for one item.
pub(super) type At = (NodeId, Vec<usize>);

pub(super) struct Naive<'a, F> {
    graph: &'a Graph,
    request: &'a Request,
    call: F,
    came: BTreeMap<At, Came>,
    /// What was called, and with what.
    pub(super) called: BTreeMap<At, String>,
    /// Nodes that fail the run.
    pub(super) failed: BTreeSet<At>,
    pub(super) degraded: BTreeSet<NodeId>,
}

#[derive(Clone)]
enum Came {
    Value(Value),
    Items(Vec<Value>),
    Skipped,
    Failed,
}

/// A value is not what it should be.
struct Wrong;

impl<'a, F: FnMut(NodeId, &[usize]) -> Result<Value, String>> Naive<'a, F> {
    pub(super) fn new(graph: &'a Graph, request: &'a Request, call: F) -> Self {
        Naive {
            graph,
            request,
            call,
            came: BTreeMap::new(),
            called: BTreeMap::new(),
            failed: BTreeSet::new(),
            degraded: BTreeSet::new(),
        }
    }

    /// The answer, and the whole outputs that it is made of.
    pub(super) fn answer(&mut self) -> (Value, Vec<Value>) {
        let graph = self.graph;
        let answer = &graph.answers[0];
        for index in (0..graph.nodes.len()).filter(|&index| answer.needs[index]) {
            for item in self.items(graph.nodes[index].scope) {
                self.node(NodeId(index), &item);
            }
        }
        let mut whole = Vec::new();
        let mut pick = |source: &Source| {
            if let Source::Node { node, .. } = source
                && let Came::Value(value) = self.node(*node, &[])
            {
                whole.push(value);
            }
            self.source(source, &[]).ok().flatten().unwrap_or_default()
        };
        let value = match &answer.pick {
            Pick::One(source) => pick(source),
            Pick::Named(members) => Value::map(
                members
                    .iter()
                    .map(|(name, source)| (name.as_str(), pick(source)))
                    .collect::<Vec<_>>(),
            ),
        };
        (value, whole)
    }

    /// All items of a scope.
    fn items(&mut self, scope: ScopeId) -> Vec<Vec<usize>> {
        let Some(foreach) = self.graph.scopes[scope.0].opened_by else {
            return vec![Vec::new()];
        };
        let mut found = Vec::new();
        for outer in self.items(self.graph.node(foreach).scope) {
            if let Came::Items(items) = self.node(foreach, &outer) {
                found.extend((0..items.len()).map(|index| [&outer[..], &[index]].concat()));
            }
        }
        found
    }

    fn depth(&self, scope: ScopeId) -> usize {
        self.graph.around(scope).count() - 1
    }

    fn node(&mut self, id: NodeId, item: &[usize]) -> Came {
        let at = (id, item[..self.depth(self.graph.node(id).scope)].to_vec());
        if let Some(came) = self.came.get(&at) {
            return came.clone();
        }
        let came = self.run(&at);
        self.came.insert(at, came.clone());
        came
    }

    fn run(&mut self, at: &At) -> Came {
        let node = self.graph.node(at.0);
        if let Some(came) = self.waits(node, at) {
            return came;
        }
        match self.attempt(node, at) {
            Ok(came) => came,
            Err(Wrong) => match &node.on_error {
                OnError::Fail => {
                    self.failed.insert(at.clone());
                    Came::Failed
                }
                OnError::Skip => {
                    self.degraded.insert(at.0);
                    Came::Skipped
                }
                OnError::Use(source) => {
                    self.degraded.insert(at.0);
                    match (self.source(source, &at.1), &node.kind) {
                        (Ok(Some(value)), Kind::Foreach { .. }) => {
                            self.open(at.0, value).unwrap_or(Came::Skipped)
                        }
                        (Ok(Some(value)), _) => Came::Value(value),
                        (_, _) => Came::Skipped,
                    }
                }
            },
        }
    }

    /// What comes of a node that cannot run: because something that it looks at has failed, or what it needs is skipped.
    fn waits(&mut self, node: &Node, at: &At) -> Option<Came> {
        let mut gathered = None;
        if let Kind::Gather(gather) = node.kind {
            let foreach = self.graph.scopes[gather.closes.0].opened_by;
            gathered = Some(self.node(foreach.expect("an inner scope"), &at.1));
        }
        let mut failed = matches!(gathered, Some(Came::Failed));
        let inner = matches!(node.kind, Kind::Gather(_)).then(|| node.inputs[0].from.node());
        let looked_at: Vec<_> = node
            .sources()
            .filter_map(Source::node)
            .filter(|from| Some(Some(*from)) != inner)
            .collect();
        for from in looked_at {
            // What is wrong with an item's `foreach` is not the item's business.
            failed |= !self.is_item(from) && matches!(self.node(from, &at.1), Came::Failed);
        }
        if let Some(Came::Items(items)) = &gathered
            && let Some(Some(from)) = inner
            && !self.is_item(from)
        {
            for index in 0..items.len() {
                let came = self.node(from, &[&at.1[..], &[index]].concat());
                failed |= matches!(came, Came::Failed);
            }
        }
        if failed {
            return Some(Came::Failed);
        }
        let mut skipped = matches!(gathered, Some(Came::Skipped));
        if gathered.is_none() {
            for bind in node.inputs.iter().filter(|bind| bind.required) {
                let from = bind.from.node().filter(|&from| !self.is_item(from));
                skipped |= from.is_some_and(|from| matches!(self.node(from, &at.1), Came::Skipped));
            }
        }
        skipped.then_some(Came::Skipped)
    }

    fn attempt(&mut self, node: &Node, at: &At) -> Result<Came, Wrong> {
        if let Some(when) = &node.when {
            let sources = when.sources().iter();
            let values = sources.map(|source| self.source(source, &at.1).ok().flatten());
            let values: Vec<_> = values.collect();
            if !when.evaluate(&values).map_err(|_| Wrong)? {
                return Ok(Came::Skipped);
            }
        }
        if let Kind::Gather(gather) = node.kind {
            let foreach = self.graph.scopes[gather.closes.0].opened_by;
            let Came::Items(items) = self.node(foreach.expect("an inner scope"), &at.1) else {
                return Ok(Came::Skipped);
            };
            let list = (0..items.len()).map(|index| {
                let item = [&at.1[..], &[index]].concat();
                Ok(self
                    .source(&node.inputs[0].from, &item)?
                    .unwrap_or_default())
            });
            return Ok(Came::Value(Value::list(
                list.collect::<Result<Vec<_>, _>>()?,
            )));
        }
        let mut inputs = Vec::new();
        let mut symbols = Symbols::default();
        for bind in &node.inputs {
            match self.source(&bind.from, &at.1) {
                Ok(Some(value)) => {
                    if !bind.certain {
                        bind.wanted.check(&value, &mut symbols).map_err(|_| Wrong)?;
                    }
                    inputs.push((bind.name.clone(), value));
                }
                Ok(None) => {}
                Err(Wrong) if !bind.required => {}
                Err(Wrong) => return Err(Wrong),
            }
        }
        if let Kind::Foreach { .. } = node.kind {
            return self.open(at.0, inputs.remove(0).1);
        }
        self.called.insert(at.clone(), text(&Value::map(inputs)));
        (self.call)(at.0, &at.1).map(Came::Value).map_err(|_| Wrong)
    }

    fn open(&mut self, id: NodeId, value: Value) -> Result<Came, Wrong> {
        let Value::List(items) = value else {
            return Err(Wrong);
        };
        let mut items = items.to_vec();
        if let Kind::Foreach { limit, .. } = self.graph.node(id).kind
            && let Some((limit, overflow)) = limit
            && items.len() > limit
        {
            match overflow {
                Overflow::Error => return Err(Wrong),
                Overflow::Truncate => {
                    self.degraded.insert(id);
                    items.truncate(limit);
                }
            }
        }
        Ok(Came::Items(items))
    }

    fn source(&mut self, source: &Source, item: &[usize]) -> Result<Option<Value>, Wrong> {
        let (id, path) = match source {
            Source::Literal(value) => return Ok(Some(value.clone())),
            Source::Request => return self.request.payload.clone().map(Some).ok_or(Wrong),
            Source::Part(name) => {
                let part = self.request.parts.iter().find(|(part, _)| part == name);
                return part.map(|(_, value)| Some(value.clone())).ok_or(Wrong);
            }
            Source::Node { node, path } => (*node, path),
        };
        let value = match self.node(id, item) {
            Came::Value(value) => value,
            Came::Items(items) => items[item[self.depth(self.graph.node(id).scope)]].clone(),
            Came::Skipped | Came::Failed => return Ok(None),
        };
        let inside = path.iter().try_fold(&value, |value, name| value.get(name));
        inside.cloned().map(Some).ok_or(Wrong)
    }

    fn is_item(&self, id: NodeId) -> bool {
        matches!(self.graph.node(id).kind, Kind::Foreach { .. })
    }
}
