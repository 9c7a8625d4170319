//! One run of a graph: says what can be called, is told what came of it, and in the end has the answer or the failure.
//!
//! A state machine without clock, threads or models: whoever drives it ([`Run::next`], [`Run::complete`]) decides how much
//! is called at once, retries, and gives up. Values are held for as long as somebody will use them, and handed over to
//! the last one who does.
//!
//! Scopes are frames: one for the request, and one for each item of each `foreach`. A node waits in its frame until
//! every node it needs has settled, there or in a frame around it.

use std::collections::VecDeque;
use std::sync::Arc;

use servable::{Mismatch, Symbols, Value};
use thiserror::Error;

use crate::graph::{Bind, Kind, Node, NodeId, OnError, Overflow, Pick, ScopeId, Source};
use crate::plan::Plan;

mod items;
#[cfg(test)]
mod tests;

use items::items;

/// What a request brings to a graph.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// What `request` stands for: `data`, else `body`, else the only part there is.
    pub payload: Option<Value>,
    /// Parts and declared inputs by name.
    pub parts: Vec<(String, Value)>,
}

/// Names one call of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId {
    frame: usize,
    pub node: NodeId,
}

/// A node to be called, for one item.
#[derive(Debug)]
pub struct Call {
    pub id: CallId,
    /// Named, in the order of the spec. The start node of the classic form gets none: it takes the request as it came.
    pub inputs: Vec<(String, Value)>,
    /// Which item of which scope, from the outermost scope inwards.
    pub item: Vec<usize>,
}

/// Calls of one node that belong together: one, or all items that go to a model as one batch.
pub type Calls = Vec<Call>;

/// Why a run gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure<E> {
    pub node: NodeId,
    pub item: Vec<usize>,
    pub fault: Fault<E>,
}

/// What went wrong at a node.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault<E> {
    /// The call itself failed.
    #[error("{0}")]
    Call(E),
    #[error("input `{field}`: {mismatch}")]
    Input { field: String, mismatch: Mismatch },
    #[error("input `{field}`: the request has no part `{part}`")]
    NoPart { field: String, part: String },
    #[error(
        "input `{field}`: there is no member `{member}` in what `{from}` gave, which is {found}"
    )]
    NoMember {
        field: String,
        from: String,
        member: String,
        found: &'static str,
    },
    #[error("`when`: {0}")]
    Condition(String),
    #[error("`foreach`: expected a list or a tensor, found {0}")]
    NoItems(&'static str),
    #[error("`foreach`: {found} items, and {limit} are the most")]
    TooMany { found: usize, limit: usize },
}

/// What a run that has ended gave.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub value: Value,
    /// Nodes that failed or were cut short without failing the run, in the order in which that happened.
    pub degraded: Vec<NodeId>,
}

/// One run of a graph. `E` is the failure of a call.
#[derive(Debug)]
pub struct Run<E> {
    plan: Arc<Plan>,
    request: Request,
    frames: Vec<Frame>,
    groups: Vec<Group>,
    /// For each node what can be called now.
    ready: Vec<VecDeque<Ready>>,
    /// What became possible, and is still to be looked at.
    settled: Vec<(usize, NodeId)>,
    degraded: Vec<NodeId>,
    failure: Option<Failure<E>>,
}

/// The values of one item.
#[derive(Debug)]
struct Frame {
    scope: ScopeId,
    /// The frame around it, and the group it is one of.
    outer: Option<(usize, usize)>,
    /// Which item of the group.
    index: usize,
    item: Option<Value>,
    slots: Vec<Slot>,
    /// Nodes that have not settled yet.
    unsettled: usize,
    /// The groups opened in it.
    groups: Vec<usize>,
}

#[derive(Debug)]
struct Slot {
    state: State,
    /// Nodes that it still waits for.
    missing: usize,
    /// How many will still use its value.
    uses: usize,
}

#[derive(Debug)]
enum State {
    Waiting,
    /// Called, or ready to be.
    Called,
    Value(Value),
    Skipped,
    /// It had a value, and nobody will use it any more.
    Spent,
}

/// The frames that one `foreach` has opened for one frame.
#[derive(Debug)]
struct Group {
    opened_by: NodeId,
    outer: usize,
    first: usize,
    len: usize,
    /// Frames that have not settled yet.
    unsettled: usize,
    /// For each gather that closes the scope: the values so far, and how many are missing.
    gathered: Vec<(Vec<Value>, usize)>,
    /// For each node that takes all items at once: those that wait for the others, and how many others there are.
    together: Vec<(Vec<usize>, usize)>,
}

#[derive(Debug)]
enum Ready {
    One(usize),
    Together(Vec<usize>),
}

/// What a node has come to.
enum Settled {
    Value(Value),
    Skipped,
}

const ROOT: usize = 0;

impl<E> Run<E> {
    pub fn new(plan: Arc<Plan>, request: Request) -> Self {
        let mut run = Run {
            ready: plan.graph.nodes.iter().map(|_| VecDeque::new()).collect(),
            plan,
            request,
            frames: Vec::new(),
            groups: Vec::new(),
            settled: Vec::new(),
            degraded: Vec::new(),
            failure: None,
        };
        run.open_frame(ScopeId::REQUEST, None, 0, None);
        run.begin(ROOT);
        run.proceed();
        run
    }

    /// What can be called now of nodes that `may` be: nodes late in the graph first, so that items that are on their way
    /// come to their end before others begin. After a failure there is nothing.
    pub fn next(&mut self, may: impl Fn(NodeId) -> bool) -> Option<Calls> {
        loop {
            if self.failure.is_some() {
                return None;
            }
            let nodes = 0..self.ready.len();
            let node = nodes
                .rev()
                .map(NodeId)
                .find(|&node| !self.ready[node.0].is_empty() && may(node))?;
            let ready = self.ready[node.0].pop_front()?;
            let frames = match ready {
                Ready::One(frame) => vec![frame],
                Ready::Together(frames) => frames,
            };
            let mut calls = Vec::with_capacity(frames.len());
            for frame in frames {
                match self.inputs(frame, node) {
                    Ok(inputs) => calls.push(Call {
                        id: CallId { frame, node },
                        inputs,
                        item: self.item_of(frame),
                    }),
                    Err(fault) => self.fault(frame, node, fault),
                }
            }
            self.proceed();
            if !calls.is_empty() && self.failure.is_none() {
                return Some(calls);
            }
        }
    }

    /// A call has ended.
    pub fn complete(&mut self, call: CallId, result: Result<Value, E>) {
        if self.failure.is_some() {
            return;
        }
        match result {
            Ok(value) => self.settle(call.frame, call.node, Settled::Value(value)),
            Err(error) => self.fault(call.frame, call.node, Fault::Call(error)),
        }
        self.proceed();
    }

    /// Whether everything has been called and has ended, or something has failed.
    pub fn is_over(&self) -> bool {
        self.failure.is_some() || self.frames[ROOT].unsettled == 0
    }

    /// The answer of a run that is over.
    ///
    /// # Errors
    ///
    /// The first failure. A run that is not over has a null answer.
    pub fn into_outcome(self) -> Result<Outcome, Failure<E>> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let plan = Arc::clone(&self.plan);
        // What has no such member is answered as null: only its type could have told, and was `any`.
        let pick = |source: &Source| {
            self.resolve(ROOT, source)
                .ok()
                .flatten()
                .unwrap_or_default()
        };
        let value = match &plan.graph.answers[plan.answer].pick {
            Pick::One(source) => pick(source),
            Pick::Named(members) => {
                let members = members
                    .iter()
                    .map(|(name, source)| (name.clone(), pick(source)));
                Value::map(members.collect::<Vec<_>>())
            }
        };
        Ok(Outcome {
            value,
            degraded: self.degraded,
        })
    }

    fn open_frame(
        &mut self,
        scope: ScopeId,
        outer: Option<(usize, usize)>,
        index: usize,
        item: Option<Value>,
    ) {
        let plan = Arc::clone(&self.plan);
        let nodes = &plan.scopes[scope.0].nodes;
        let frame = self.frames.len();
        self.frames.push(Frame {
            scope,
            outer,
            index,
            item,
            slots: Vec::with_capacity(nodes.len()),
            unsettled: nodes.len(),
            groups: Vec::new(),
        });
        for &id in nodes {
            let node = &plan.nodes[id.0];
            let open = |from: &&NodeId| {
                let home = plan.graph.node(**from).scope;
                home == scope
                    || !self
                        .slot(self.frame_of(frame, home), **from)
                        .state
                        .is_settled()
            };
            let gathers = matches!(plan.graph.node(id).kind, Kind::Gather(_));
            let missing = node.waits_for.iter().filter(open).count() + usize::from(gathers);
            self.frames[frame].slots.push(Slot {
                state: State::Waiting,
                missing,
                uses: node.uses,
            });
        }
    }

    /// Has the nodes of a new frame begin that wait for nothing.
    fn begin(&mut self, frame: usize) {
        let plan = Arc::clone(&self.plan);
        for &id in &plan.scopes[self.frames[frame].scope.0].nodes {
            if self.slot(frame, id).missing == 0 {
                self.arrive(frame, id);
            }
        }
    }

    /// Everything that a node waits for has settled.
    fn arrive(&mut self, frame: usize, id: NodeId) {
        let plan = Arc::clone(&self.plan);
        let node = plan.graph.node(id);
        match self.condition(frame, node) {
            Ok(true) if self.lacks(frame, node) => return self.settle(frame, id, Settled::Skipped),
            Ok(true) => {}
            Ok(false) => return self.settle(frame, id, Settled::Skipped),
            Err(fault) => return self.fault(frame, id, fault),
        }
        match &node.kind {
            Kind::Foreach { opens, limit } => match self.open(frame, id, *opens, *limit) {
                Ok(()) => {}
                Err(fault) => self.fault(frame, id, fault),
            },
            Kind::Gather(gather) => {
                let list = self.gathered(frame, id, gather.closes);
                self.settle(frame, id, Settled::Value(list));
            }
            Kind::Model { together: true, .. } if self.frames[frame].outer.is_some() => {
                self.slot_mut(frame, id).state = State::Called;
                self.join(frame, id, true);
            }
            Kind::Model { .. } | Kind::Function { .. } => {
                self.slot_mut(frame, id).state = State::Called;
                self.ready[id.0].push_back(Ready::One(frame));
            }
        }
    }

    /// One more item of its group has come to a node that takes all of them at once, or will never come.
    fn join(&mut self, frame: usize, id: NodeId, comes: bool) {
        let (Some((_, group)), Some(place)) =
            (self.frames[frame].outer, self.together_place(frame, id))
        else {
            return;
        };
        let (waiting, others) = &mut self.groups[group].together[place];
        *others -= 1;
        if comes {
            waiting.push(frame);
        }
        if *others == 0 && !waiting.is_empty() {
            let mut frames = std::mem::take(waiting);
            frames.sort_unstable();
            self.ready[id.0].push_back(Ready::Together(frames));
        }
    }

    fn together_place(&self, frame: usize, id: NodeId) -> Option<usize> {
        let scope = &self.plan.scopes[self.frames[frame].scope.0];
        scope.together.iter().position(|&node| node == id)
    }

    fn condition(&self, frame: usize, node: &Node) -> Result<bool, Fault<E>> {
        let Some(when) = &node.when else {
            return Ok(true);
        };
        // What is not there is as good as skipped: `has()` asks for it.
        let value = |source| self.resolve(frame, source).ok().flatten();
        let values: Vec<_> = when.sources().iter().map(value).collect();
        when.evaluate(&values).map_err(Fault::Condition)
    }

    /// Whether a required input was skipped.
    fn lacks(&self, frame: usize, node: &Node) -> bool {
        let skipped = |bind: &&Bind| match &bind.from {
            Source::Node { node, .. } => self.is_skipped(frame, *node),
            Source::Request | Source::Part(_) | Source::Literal(_) => false,
        };
        let gathers = matches!(node.kind, Kind::Gather(_));
        let inputs = node.inputs.iter().skip(usize::from(gathers));
        inputs
            .filter(|bind| bind.required)
            .any(|bind| skipped(&bind))
    }

    fn is_skipped(&self, frame: usize, id: NodeId) -> bool {
        if let Kind::Foreach { .. } = self.plan.graph.node(id).kind {
            return false;
        }
        let home = self.plan.graph.node(id).scope;
        matches!(
            self.slot(self.frame_of(frame, home), id).state,
            State::Skipped
        )
    }

    /// The values of a node's inputs, checked. What nobody else will use is let go of here, so that it is the node's alone.
    fn inputs(&mut self, frame: usize, id: NodeId) -> Result<Vec<(String, Value)>, Fault<E>> {
        let plan = Arc::clone(&self.plan);
        let node = plan.graph.node(id);
        let mut symbols = Symbols::default();
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for bind in node.inputs.iter().filter(|bind| !bind.name.is_empty()) {
            let value = match self.resolve(frame, &bind.from) {
                Ok(Some(value)) => value,
                Ok(None) => continue,
                Err(_) if !bind.required => continue,
                Err(missing) => return Err(missing.of(&bind.name)),
            };
            if !bind.certain {
                let checked = bind.wanted.check(&value, &mut symbols);
                checked.map_err(|mismatch| Fault::Input {
                    field: bind.name.clone(),
                    mismatch,
                })?;
            }
            inputs.push((bind.name.clone(), value));
        }
        for bind in &node.inputs {
            if let Source::Node { node: from, .. } = &bind.from
                && !stands_in(node, *from)
                && self.frames[frame].scope == plan.graph.node(*from).scope
                && !matches!(plan.graph.node(*from).kind, Kind::Foreach { .. })
                && self.slot(frame, *from).uses == 1
            {
                self.release(frame, *from);
            }
        }
        Ok(inputs)
    }

    /// The value of a source as seen from a frame; `None` where it was skipped.
    fn resolve(&self, frame: usize, source: &Source) -> Result<Option<Value>, Missing> {
        let (id, path) = match source {
            Source::Literal(value) => return Ok(Some(value.clone())),
            Source::Request => {
                let payload = self.request.payload.clone();
                return payload
                    .map(Some)
                    .ok_or_else(|| Missing::Part("body".into()));
            }
            Source::Part(name) => {
                let part = self.request.parts.iter().find(|(part, _)| part == name);
                return match part {
                    Some((_, value)) => Ok(Some(value.clone())),
                    None => Err(Missing::Part(name.clone())),
                };
            }
            Source::Node { node, path } => (*node, path),
        };
        let node = self.plan.graph.node(id);
        let found = if let Kind::Foreach { opens, .. } = node.kind {
            self.frames[self.frame_of(frame, opens)].item.as_ref()
        } else {
            match &self.slot(self.frame_of(frame, node.scope), id).state {
                State::Value(value) => Some(value),
                State::Waiting | State::Called | State::Skipped | State::Spent => None,
            }
        };
        let Some(mut found) = found else {
            return Ok(None);
        };
        for member in path {
            found = found.get(member).ok_or_else(|| Missing::Member {
                from: node.name.clone(),
                member: member.clone(),
                found: found.kind(),
            })?;
        }
        Ok(Some(found.clone()))
    }

    /// Opens a scope for the items of a `foreach`.
    fn open(
        &mut self,
        frame: usize,
        id: NodeId,
        opens: ScopeId,
        limit: Option<(usize, Overflow)>,
    ) -> Result<(), Fault<E>> {
        let mut inputs = self.inputs(frame, id)?;
        let value = inputs.pop().map(|(_, value)| value).unwrap_or_default();
        let mut items = items(value).map_err(Fault::NoItems)?;
        if let Some((limit, overflow)) = limit
            && items.len() > limit
        {
            match overflow {
                Overflow::Error => {
                    return Err(Fault::TooMany {
                        found: items.len(),
                        limit,
                    });
                }
                Overflow::Truncate => {
                    items.truncate(limit);
                    self.degrade(id);
                }
            }
        }
        let plan = Arc::clone(&self.plan);
        let scope = &plan.scopes[opens.0];
        let (group, len) = (self.groups.len(), items.len());
        self.slot_mut(frame, id).state = State::Called;
        self.groups.push(Group {
            opened_by: id,
            outer: frame,
            first: self.frames.len(),
            len,
            unsettled: len,
            gathered: scope
                .gathers
                .iter()
                .map(|_| (vec![Value::Null; len], len))
                .collect(),
            together: scope.together.iter().map(|_| (Vec::new(), len)).collect(),
        });
        self.frames[frame].groups.push(group);
        // All frames before anything begins in one, so that they lie side by side.
        for (index, item) in items.into_iter().enumerate() {
            self.open_frame(opens, Some((frame, group)), index, Some(item));
        }
        if len == 0 {
            for &gather in &scope.gathers {
                self.one_less(frame, gather);
            }
            self.close(group);
            return Ok(());
        }
        let first = self.groups[group].first;
        for inside in first..first + len {
            self.hand_to_gathers(inside, id);
            self.begin(inside);
            if self.frames[inside].slots.is_empty() {
                self.frame_settled(inside);
            }
        }
        Ok(())
    }

    /// Gives what a node has come to, or the item that a `foreach` has opened a frame for, to the gathers that take it.
    fn hand_to_gathers(&mut self, frame: usize, id: NodeId) {
        let plan = Arc::clone(&self.plan);
        let Some((outer, group)) = self.frames[frame].outer else {
            return;
        };
        for &gather in &plan.nodes[id.0].gathered_by {
            let node = plan.graph.node(gather);
            let value = match self.resolve(frame, &node.inputs[0].from) {
                Ok(value) => value.unwrap_or_default(),
                Err(missing) => {
                    self.fault(outer, gather, missing.of(&node.inputs[0].name));
                    continue;
                }
            };
            let scope = &plan.scopes[self.frames[frame].scope.0];
            let place = scope.gathers.iter().position(|&other| other == gather);
            let index = self.frames[frame].index;
            let (values, missing) =
                &mut self.groups[group].gathered[place.expect("a scope knows its gathers")];
            values[index] = value;
            *missing -= 1;
            if *missing == 0 {
                self.one_less(outer, gather);
            }
        }
    }

    /// The list for a gather whose scope has come to its end.
    fn gathered(&mut self, frame: usize, id: NodeId, closes: ScopeId) -> Value {
        let plan = Arc::clone(&self.plan);
        let scope = &plan.scopes[closes.0];
        let place = scope.gathers.iter().position(|&other| other == id);
        let group = self.frames[frame].groups.iter().copied().find(|&group| {
            let opened_by = self.groups[group].opened_by;
            plan.graph.scopes[closes.0].opened_by == Some(opened_by)
        });
        let (Some(group), Some(place)) = (group, place) else {
            return Value::list([]);
        };
        Value::list(std::mem::take(&mut self.groups[group].gathered[place].0))
    }

    /// What a node has come to, for one frame.
    fn settle(&mut self, frame: usize, id: NodeId, settled: Settled) {
        let plan = Arc::clone(&self.plan);
        if self.slot(frame, id).state.is_settled() {
            return;
        }
        if matches!(self.slot(frame, id).state, State::Waiting) {
            // The other items need not wait for it.
            self.join(frame, id, false);
        }
        let opens = match plan.graph.node(id).kind {
            Kind::Foreach { opens, .. } => Some(opens),
            Kind::Model { .. } | Kind::Function { .. } | Kind::Gather(_) => None,
        };
        let skipped = matches!(settled, Settled::Skipped);
        let slot = self.slot_mut(frame, id);
        slot.state = match settled {
            Settled::Skipped => State::Skipped,
            Settled::Value(value) => State::Value(value),
        };
        if opens.is_none() {
            self.hand_to_gathers(frame, id);
        }
        let slot = self.slot_mut(frame, id);
        if slot.uses == 0 && !skipped {
            slot.state = State::Spent;
        }
        for &from in &plan.nodes[id.0].waits_for {
            if plan.graph.node(from).scope == self.frames[frame].scope {
                self.release(frame, from);
            }
        }
        if let Some(opens) = opens.filter(|_| skipped) {
            // No items, and nothing to gather.
            self.release_borrows(frame, opens);
            for &gather in &plan.scopes[opens.0].gathers {
                self.settle(frame, gather, Settled::Skipped);
            }
        }
        self.settled.push((frame, id));
    }

    /// Looks at what has settled until nothing more follows from it.
    fn proceed(&mut self) {
        while let Some((frame, id)) = self.settled.pop() {
            if self.failure.is_some() {
                self.settled.clear();
                return;
            }
            let plan = Arc::clone(&self.plan);
            for &waiting in &plan.nodes[id.0].awaited_by {
                let scope = plan.graph.node(waiting).scope;
                for inside in self.frames_in(frame, scope) {
                    self.one_less(inside, waiting);
                }
            }
            self.frames[frame].unsettled -= 1;
            if self.frames[frame].unsettled == 0 {
                self.frame_settled(frame);
            }
        }
    }

    fn one_less(&mut self, frame: usize, id: NodeId) {
        let slot = self.slot_mut(frame, id);
        if !matches!(slot.state, State::Waiting) {
            return; // Skipped with its scope.
        }
        slot.missing -= 1;
        if slot.missing == 0 {
            self.arrive(frame, id);
        }
    }

    /// The frames of a scope inside one frame, or that frame itself.
    fn frames_in(&self, frame: usize, scope: ScopeId) -> Vec<usize> {
        if self.frames[frame].scope == scope {
            return vec![frame];
        }
        let mut found = Vec::new();
        let mut around = vec![frame];
        while let Some(outer) = around.pop() {
            for group in self.frames[outer]
                .groups
                .iter()
                .map(|&group| &self.groups[group])
            {
                let inside = group.first..group.first + group.len;
                if group.unsettled == 0 {
                    continue; // No items, or over.
                }
                let opened = self.frames[group.first].scope;
                if opened == scope {
                    found.extend(inside);
                } else if self.plan.graph.around(scope).any(|around| around == opened) {
                    around.extend(inside);
                }
            }
        }
        found
    }

    fn frame_settled(&mut self, frame: usize) {
        let Some((_, group)) = self.frames[frame].outer else {
            return;
        };
        self.groups[group].unsettled -= 1;
        if self.groups[group].unsettled == 0 {
            self.close(group);
        }
    }

    /// All items of a group are done: what they hold is let go, and what they borrowed is given back.
    fn close(&mut self, group: usize) {
        let Group {
            opened_by,
            outer,
            first,
            len,
            ..
        } = self.groups[group];
        for frame in &mut self.frames[first..first + len] {
            frame.slots = Vec::new();
            frame.item = None;
        }
        if let Kind::Foreach { opens, .. } = self.plan.graph.node(opened_by).kind {
            self.release_borrows(outer, opens);
        }
        self.settle(outer, opened_by, Settled::Value(Value::Null));
    }

    fn release_borrows(&mut self, frame: usize, scope: ScopeId) {
        let plan = Arc::clone(&self.plan);
        for &from in &plan.scopes[scope.0].borrows {
            self.release(frame, from);
        }
    }

    fn release(&mut self, frame: usize, id: NodeId) {
        let slot = self.slot_mut(frame, id);
        slot.uses = slot.uses.saturating_sub(1);
        if slot.uses == 0 && matches!(slot.state, State::Value(_)) {
            slot.state = State::Spent;
        }
    }

    fn degrade(&mut self, id: NodeId) {
        if !self.degraded.contains(&id) {
            self.degraded.push(id);
        }
    }

    /// A node has failed for good.
    fn fault(&mut self, frame: usize, id: NodeId, fault: Fault<E>) {
        let plan = Arc::clone(&self.plan);
        match &plan.graph.node(id).on_error {
            OnError::Fail => {
                let item = self.item_of(frame);
                self.failure.get_or_insert(Failure {
                    node: id,
                    item,
                    fault,
                });
            }
            OnError::Skip => {
                self.degrade(id);
                self.settle(frame, id, Settled::Skipped);
            }
            OnError::Use(source) => {
                self.degrade(id);
                let settled = match self.resolve(frame, source) {
                    Ok(Some(value)) => Settled::Value(value),
                    Ok(None) | Err(_) => Settled::Skipped,
                };
                self.settle(frame, id, settled);
            }
        }
    }

    fn item_of(&self, frame: usize) -> Vec<usize> {
        let frames = std::iter::successors(Some(frame), |&frame| {
            self.frames[frame].outer.map(|(outer, _)| outer)
        });
        let mut item: Vec<usize> = frames
            .filter(|&frame| self.frames[frame].outer.is_some())
            .map(|frame| self.frames[frame].index)
            .collect();
        item.reverse();
        item
    }

    /// The frame of a scope that is at or around a frame.
    fn frame_of(&self, frame: usize, scope: ScopeId) -> usize {
        let mut around = std::iter::successors(Some(frame), |&frame| {
            self.frames[frame].outer.map(|(outer, _)| outer)
        });
        around
            .find(|&frame| self.frames[frame].scope == scope)
            .unwrap_or(ROOT)
    }

    fn slot(&self, frame: usize, id: NodeId) -> &Slot {
        &self.frames[frame].slots[self.plan.nodes[id.0].slot]
    }

    fn slot_mut(&mut self, frame: usize, id: NodeId) -> &mut Slot {
        &mut self.frames[frame].slots[self.plan.nodes[id.0].slot]
    }
}

/// What a source does not have.
enum Missing {
    Part(String),
    Member {
        from: String,
        member: String,
        found: &'static str,
    },
}

impl Missing {
    /// As the fault of a node whose input it is.
    fn of<E>(self, field: &str) -> Fault<E> {
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

/// Whether the value of `from` stands in for what the node gives if it fails.
fn stands_in(node: &Node, from: NodeId) -> bool {
    matches!(&node.on_error, OnError::Use(Source::Node { node, .. }) if *node == from)
}

impl State {
    fn is_settled(&self) -> bool {
        match self {
            State::Value(_) | State::Skipped | State::Spent => true,
            State::Waiting | State::Called => false,
        }
    }
}
