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

use servable::{Mismatch, Value};
use thiserror::Error;

use crate::graph::{Kind, NodeId, OnError, Pick, Source};
use crate::plan::Plan;

mod frames;
mod items;
mod scopes;
#[cfg(test)]
mod tests;
mod values;

use frames::{Frames, ROOT, State};

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
    Input {
        field: String,
        mismatch: Box<Mismatch>,
    },
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
    /// The answer, or the first of all of them.
    pub value: Value,
    /// Those after it, of a plan for all answers.
    pub others: Vec<Value>,
    /// Nodes that failed or were cut short without failing the run, in the order in which that happened.
    pub degraded: Vec<NodeId>,
}

/// One run of a graph. `E` is the failure of a call.
#[derive(Debug)]
pub struct Run<E> {
    request: Request,
    frames: Frames,
    /// For each node what can be called now.
    ready: Vec<VecDeque<Ready>>,
    /// What has settled, and nobody has been told yet.
    settled: VecDeque<(usize, NodeId)>,
    /// What waits for nothing any more, and has not begun yet. Nothing begins before all that has settled is told, so that
    /// whoever looks finds everybody else told or still waiting.
    arrived: VecDeque<(usize, NodeId)>,
    degraded: Vec<NodeId>,
    failure: Option<Failure<E>>,
}

#[derive(Debug)]
enum Ready {
    One(usize),
    Together(Vec<usize>),
}

impl<E> Run<E> {
    pub fn new(plan: Arc<Plan>, request: Request) -> Self {
        let mut run = Run {
            ready: plan.graph.nodes.iter().map(|_| VecDeque::new()).collect(),
            frames: Frames::new(plan),
            request,
            settled: VecDeque::new(),
            arrived: VecDeque::new(),
            degraded: Vec::new(),
            failure: None,
        };
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
            let frames = match self.ready[node.0].pop_front()? {
                Ready::One(frame) => vec![frame],
                Ready::Together(frames) => frames,
            };
            let mut calls = Vec::with_capacity(frames.len());
            for frame in frames {
                match self.take(frame, node) {
                    Ok(inputs) => calls.push(Call {
                        id: CallId { frame, node },
                        inputs,
                        item: self.frames.item_of(frame),
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

    /// A call has ended. One that has ended before, or after a failure, is ignored.
    pub fn complete(&mut self, call: CallId, result: Result<Value, E>) {
        if self.failure.is_some() || !self.frames.is_called(call.frame, call.node) {
            return;
        }
        match result {
            Ok(value) => self.settle(call.frame, call.node, State::Value(value)),
            Err(error) => self.fault(call.frame, call.node, Fault::Call(error)),
        }
        self.proceed();
    }

    /// Whether everything has been called and has ended, or something has failed.
    pub fn is_over(&self) -> bool {
        self.failure.is_some() || self.frames.frames[ROOT].unsettled == 0
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
        let plan = &self.frames.plan;
        // What has no such member is answered as null: only its type could have told, and was `any`.
        let pick = |source: &Source| {
            let found = self.frames.resolve(&self.request, ROOT, source);
            found.ok().flatten().unwrap_or_default()
        };
        let answer = |answer: &usize| match &plan.graph.answers[*answer].pick {
            Pick::One(source) => pick(source),
            Pick::Named(members) => Value::map(
                members
                    .iter()
                    .map(|(name, source)| (name.as_str(), pick(source))),
            ),
        };
        let mut values = plan.answers.iter().map(answer);
        Ok(Outcome {
            value: values.next().unwrap_or_default(),
            others: values.collect(),
            degraded: self.degraded,
        })
    }

    /// Does all that can be done without calling anybody.
    fn proceed(&mut self) {
        while self.failure.is_none() {
            if let Some((frame, id)) = self.settled.pop_front() {
                self.tell(frame, id);
            } else if let Some((frame, id)) = self.arrived.pop_front() {
                self.arrive(frame, id);
            } else {
                return;
            }
        }
    }

    /// Tells everybody who waits for a node that it has settled.
    fn tell(&mut self, frame: usize, id: NodeId) {
        let plan = Arc::clone(&self.frames.plan);
        for &waiting in &plan.nodes[id.0].awaited_by {
            let scope = plan.graph.node(waiting).scope;
            if scope == self.frames.scope_of(frame) {
                self.one_less(frame, waiting);
                continue;
            }
            for inside in self.frames.frames_in(frame, scope) {
                self.one_less(inside, waiting);
            }
        }
        self.frames.frames[frame].unsettled -= 1;
        if self.frames.frames[frame].unsettled == 0 {
            self.frame_settled(frame);
        }
    }

    fn one_less(&mut self, frame: usize, id: NodeId) {
        let slot = self.frames.slot_mut(frame, id);
        slot.missing -= 1;
        if slot.missing == 0 {
            self.arrived.push_back((frame, id));
        }
    }

    /// Has the nodes of a new frame begin that wait for nothing.
    fn begin(&mut self, frame: usize) {
        let plan = Arc::clone(&self.frames.plan);
        for &id in &plan.scopes[self.frames.scope_of(frame).0].nodes {
            if self.frames.slot(frame, id).missing == 0 {
                self.arrived.push_back((frame, id));
            }
        }
    }

    /// Everything that a node waits for has settled.
    fn arrive(&mut self, frame: usize, id: NodeId) {
        let plan = Arc::clone(&self.frames.plan);
        let node = plan.graph.node(id);
        match self.frames.runs(&self.request, frame, node) {
            Ok(true) => {}
            Ok(false) => return self.settle(frame, id, State::Skipped),
            Err(fault) => return self.fault(frame, id, fault),
        }
        match &node.kind {
            Kind::Foreach { .. } => {
                let value = self.take(frame, id).map(|mut inputs| inputs.pop());
                let value = value.map(|input| input.map(|(_, value)| value).unwrap_or_default());
                if let Err(fault) = value.and_then(|value| self.open(frame, id, value)) {
                    self.fault(frame, id, fault);
                }
            }
            Kind::Gather(gather) => match self.gathered(frame, id, gather.closes) {
                Ok(list) => self.settle(frame, id, State::Value(list)),
                Err(fault) => self.fault(frame, id, fault),
            },
            Kind::Model { together, .. } => {
                self.frames.slot_mut(frame, id).state = State::Ready;
                if *together && frame != ROOT {
                    self.join(frame, id, true);
                } else {
                    self.ready[id.0].push_back(Ready::One(frame));
                }
            }
            Kind::Function { .. } => {
                self.frames.slot_mut(frame, id).state = State::Ready;
                self.ready[id.0].push_back(Ready::One(frame));
            }
        }
    }

    /// The inputs of a node that now begins. They are let go of here, so that what nobody else will use is its alone.
    fn take(&mut self, frame: usize, id: NodeId) -> Result<Vec<(String, Value)>, Fault<E>> {
        let plan = Arc::clone(&self.frames.plan);
        let inputs = self
            .frames
            .inputs(&self.request, frame, plan.graph.node(id));
        self.frames.slot_mut(frame, id).state = State::Called;
        self.frames.let_go(frame, id, false);
        inputs
    }

    /// What a node has come to, for one frame: a value, or that it is skipped.
    fn settle(&mut self, frame: usize, id: NodeId, state: State) {
        let plan = Arc::clone(&self.frames.plan);
        if let State::Waiting = self.frames.slot(frame, id).state {
            // It has taken nothing, and the other items need not wait for it.
            self.frames.let_go(frame, id, false);
            self.join(frame, id, false);
        }
        self.frames.let_go(frame, id, true);
        let skipped = matches!(state, State::Skipped);
        self.frames.slot_mut(frame, id).state = state;
        match plan.graph.node(id).kind {
            Kind::Foreach { opens, .. } => {
                self.frames.let_go_borrowed(frame, opens);
                if skipped {
                    self.tell_gathers(frame, opens);
                }
            }
            Kind::Gather(gather) => {
                // What it did not take, nobody will.
                let _ = self.gathered(frame, id, gather.closes);
                self.hand_to_gathers(frame, id);
            }
            Kind::Model { .. } | Kind::Function { .. } => self.hand_to_gathers(frame, id),
        }
        self.frames.slot_mut(frame, id).spend();
        self.settled.push_back((frame, id));
    }

    /// A node has failed for good.
    fn fault(&mut self, frame: usize, id: NodeId, fault: Fault<E>) {
        let plan = Arc::clone(&self.frames.plan);
        let node = plan.graph.node(id);
        let source = match &node.on_error {
            OnError::Fail => {
                let item = self.frames.item_of(frame);
                self.failure.get_or_insert(Failure {
                    node: id,
                    item,
                    fault,
                });
                return;
            }
            OnError::Skip => None,
            OnError::Use(source) => Some(source),
        };
        self.degrade(id);
        let found = source.map(|source| self.frames.resolve(&self.request, frame, source));
        match (found, &node.kind) {
            (Some(Ok(Some(value))), Kind::Foreach { .. }) => {
                if let State::Waiting = self.frames.slot(frame, id).state {
                    self.frames.slot_mut(frame, id).state = State::Called;
                    self.frames.let_go(frame, id, false);
                }
                // There is nothing to be used in place of what was to be used.
                if self.open(frame, id, value).is_err() {
                    self.settle(frame, id, State::Skipped);
                }
            }
            (Some(Ok(Some(value))), _) => self.settle(frame, id, State::Value(value)),
            (_, _) => self.settle(frame, id, State::Skipped),
        }
    }

    fn degrade(&mut self, id: NodeId) {
        if !self.degraded.contains(&id) {
            self.degraded.push(id);
        }
    }
}
