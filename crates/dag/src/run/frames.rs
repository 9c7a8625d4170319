//! Where the values of a run are: a frame for the request and one for each item of each `foreach`, with a slot for each
//! node. It knows who is where and who still uses what; what follows from that is the run's.

use std::sync::Arc;

use servable::Value;

use super::values::Missing;
use crate::graph::{Kind, NodeId, OnError, ScopeId, Source};
use crate::plan::Plan;

pub(super) const ROOT: usize = 0;

#[derive(Debug)]
pub(super) struct Frames {
    pub(super) plan: Arc<Plan>,
    pub(super) frames: Vec<Frame>,
    pub(super) groups: Vec<Group>,
}

/// The values of one item.
#[derive(Debug)]
pub(super) struct Frame {
    scope: ScopeId,
    /// The frame around it, and the group it is one of.
    pub(super) outer: Option<(usize, usize)>,
    /// Which item of the group.
    pub(super) index: usize,
    item: Slot,
    slots: Vec<Slot>,
    /// Nodes that have not settled yet.
    pub(super) unsettled: usize,
    /// The groups opened in it.
    groups: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) state: State,
    /// Nodes that it still waits for.
    pub(super) missing: usize,
    /// How many will still use its value.
    uses: usize,
}

#[derive(Debug)]
pub(super) enum State {
    Waiting,
    /// It can be called, as soon as the others of its group can where it takes them all.
    Ready,
    /// It has taken its inputs.
    Called,
    Value(Value),
    Skipped,
    /// It had a value, and nobody will use it any more.
    Spent,
}

/// The frames that one `foreach` has opened for one frame.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) opened_by: NodeId,
    pub(super) outer: usize,
    pub(super) first: usize,
    pub(super) len: usize,
    /// Frames that have not settled yet.
    pub(super) unsettled: usize,
    /// For each gather that closes the scope.
    pub(super) gathered: Vec<Gathered>,
    /// For each node that takes all items at once.
    pub(super) together: Vec<Together>,
}

/// What a gather has so far.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) values: Vec<Value>,
    pub(super) missing: usize,
    /// Why there is no list.
    pub(super) wrong: Option<Missing>,
}

/// The items of a group that go to a model as one batch.
#[derive(Debug)]
pub(super) struct Together {
    /// The frames that have come so far.
    pub(super) come: Vec<usize>,
    /// How many may still come.
    pub(super) others: usize,
}

impl Frames {
    pub(super) fn new(plan: Arc<Plan>) -> Self {
        let mut frames = Frames {
            plan,
            frames: Vec::new(),
            groups: Vec::new(),
        };
        frames.open_frame(ScopeId::REQUEST, None, 0, Slot::item(State::Skipped, 0));
        frames
    }

    /// Opens a frame for each item, side by side. Nothing has begun in them.
    pub(super) fn open_group(
        &mut self,
        outer: usize,
        id: NodeId,
        opens: ScopeId,
        items: Vec<Value>,
    ) -> usize {
        let plan = Arc::clone(&self.plan);
        let scope = &plan.scopes[opens.0];
        let (group, len) = (self.groups.len(), items.len());
        let gathered = scope.gathers.iter().map(|_| Gathered {
            values: vec![Value::Null; len],
            missing: len,
            wrong: None,
        });
        let together = scope.together.iter().map(|_| Together {
            come: Vec::new(),
            others: len,
        });
        self.groups.push(Group {
            opened_by: id,
            outer,
            first: self.frames.len(),
            len,
            unsettled: len,
            gathered: gathered.collect(),
            together: together.collect(),
        });
        self.frames[outer].groups.push(group);
        for (index, item) in items.into_iter().enumerate() {
            let item = Slot::item(State::Value(item), plan.nodes[id.0].uses);
            self.open_frame(opens, Some((outer, group)), index, item);
        }
        group
    }

    fn open_frame(
        &mut self,
        scope: ScopeId,
        outer: Option<(usize, usize)>,
        index: usize,
        item: Slot,
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
            // Whoever has settled outside was told to everybody who was there, and will not be again.
            let open = |from: &&NodeId| {
                let home = plan.graph.node(**from).scope;
                home == scope || {
                    let slot = self.slot(self.frame_of(frame, home), **from);
                    !slot.state.is_settled()
                }
            };
            let missing = node.waits_for.iter().filter(open).count();
            let (list, uses) = match plan.graph.node(id).kind {
                Kind::Gather(_) => (1, node.uses),
                // What is used of it are its items.
                Kind::Foreach { .. } => (0, 0),
                Kind::Model { .. } | Kind::Function { .. } => (0, node.uses),
            };
            self.frames[frame].slots.push(Slot {
                state: State::Waiting,
                missing: missing + list,
                uses,
            });
        }
    }

    /// Lets go of all that a frame holds: everything in it has settled.
    pub(super) fn clear(&mut self, frame: usize) {
        let frame = &mut self.frames[frame];
        frame.slots = Vec::new();
        frame.groups = Vec::new();
        frame.item.state = State::Spent;
    }

    /// Lets go of what a node uses, but for what stands in for its output if it fails, or for that alone.
    pub(super) fn let_go(&mut self, frame: usize, id: NodeId, stand_in: bool) {
        let plan = Arc::clone(&self.plan);
        let node = plan.graph.node(id);
        for &from in &plan.nodes[id.0].holds {
            let stands_in =
                matches!(&node.on_error, OnError::Use(Source::Node { node, .. }) if *node == from);
            if stands_in == stand_in {
                self.release(frame, from);
            }
        }
    }

    /// Lets go of what a whole scope opened in a frame uses of it.
    pub(super) fn let_go_borrowed(&mut self, frame: usize, scope: ScopeId) {
        let plan = Arc::clone(&self.plan);
        for &from in &plan.scopes[scope.0].borrows {
            self.release(frame, from);
        }
    }

    fn release(&mut self, frame: usize, id: NodeId) {
        let slot = if let Kind::Foreach { .. } = self.plan.graph.node(id).kind {
            &mut self.frames[frame].item
        } else {
            self.slot_mut(frame, id)
        };
        slot.uses -= 1;
        slot.spend();
    }

    /// The frames of a scope inside one frame, or that frame itself.
    pub(super) fn frames_in(&self, frame: usize, scope: ScopeId) -> Vec<usize> {
        let mut found = Vec::new();
        let mut around = vec![frame];
        while let Some(frame) = around.pop() {
            if self.frames[frame].scope == scope {
                found.push(frame);
                continue;
            }
            for group in self.frames[frame]
                .groups
                .iter()
                .map(|&group| &self.groups[group])
            {
                if let Kind::Foreach { opens, .. } = self.plan.graph.node(group.opened_by).kind
                    && self.plan.graph.around(scope).any(|around| around == opens)
                {
                    around.extend((group.first..group.first + group.len).rev());
                }
            }
        }
        found
    }

    /// The frame of a scope that is at or around a frame.
    pub(super) fn frame_of(&self, frame: usize, scope: ScopeId) -> usize {
        self.outwards(frame)
            .find(|&frame| self.frames[frame].scope == scope)
            .unwrap_or(ROOT)
    }

    /// Which item of which scope a frame is for, from the outermost scope inwards.
    pub(super) fn item_of(&self, frame: usize) -> Vec<usize> {
        let mut item: Vec<usize> = self
            .outwards(frame)
            .filter(|&frame| frame != ROOT)
            .map(|frame| self.frames[frame].index)
            .collect();
        item.reverse();
        item
    }

    /// What a `foreach` has opened in a frame, if it has.
    pub(super) fn group_of(&self, frame: usize, foreach: NodeId) -> Option<usize> {
        let groups = &self.frames[frame].groups;
        groups
            .iter()
            .copied()
            .find(|&group| self.groups[group].opened_by == foreach)
    }

    pub(super) fn scope_of(&self, frame: usize) -> ScopeId {
        self.frames[frame].scope
    }

    pub(super) fn slot(&self, frame: usize, id: NodeId) -> &Slot {
        &self.frames[frame].slots[self.plan.nodes[id.0].slot]
    }

    pub(super) fn slot_mut(&mut self, frame: usize, id: NodeId) -> &mut Slot {
        &mut self.frames[frame].slots[self.plan.nodes[id.0].slot]
    }

    /// Whether a node has taken its inputs and not yet given anything.
    pub(super) fn is_called(&self, frame: usize, id: NodeId) -> bool {
        let slot = self.frames[frame].slots.get(self.plan.nodes[id.0].slot);
        slot.is_some_and(|slot| matches!(slot.state, State::Called))
    }

    pub(super) fn item(&self, frame: usize) -> &Slot {
        &self.frames[frame].item
    }

    fn outwards(&self, frame: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(frame), |&frame| {
            self.frames[frame].outer.map(|(outer, _)| outer)
        })
    }
}

impl Slot {
    fn item(state: State, uses: usize) -> Slot {
        Slot {
            state,
            missing: 0,
            uses,
        }
    }

    /// Drops a value that nobody will use.
    pub(super) fn spend(&mut self) {
        if self.uses == 0 && matches!(self.state, State::Value(_)) {
            self.state = State::Spent;
        }
    }
}

impl State {
    pub(super) fn is_settled(&self) -> bool {
        match self {
            State::Value(_) | State::Skipped | State::Spent => true,
            State::Waiting | State::Ready | State::Called => false,
        }
    }
}
