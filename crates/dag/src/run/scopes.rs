//! What scopes add to a run: the items of a `foreach`, gathers, and nodes that take all items of a group at once.

use std::sync::Arc;

use servable::Value;

use super::frames::State;
use super::items::items;
use super::{Fault, Ready, Run};
use crate::graph::{Kind, NodeId, Overflow, ScopeId};

impl<E> Run<E> {
    /// One more item of its group has come to a node that takes all of them at once, or will never come.
    pub(super) fn join(&mut self, frame: usize, id: NodeId, comes: bool) {
        let scope = &self.frames.plan.scopes[self.frames.scope_of(frame).0];
        let place = scope.together.iter().position(|&node| node == id);
        let (Some((_, group)), Some(place)) = (self.frames.frames[frame].outer, place) else {
            return;
        };
        let together = &mut self.frames.groups[group].together[place];
        together.others -= 1;
        if comes {
            together.come.push(frame);
        }
        if together.others == 0 && !together.come.is_empty() {
            let mut frames = std::mem::take(&mut together.come);
            frames.sort_unstable();
            self.ready[id.0].push_back(Ready::Together(frames));
        }
    }

    /// Opens a scope for the items of a `foreach`.
    pub(super) fn open(&mut self, frame: usize, id: NodeId, value: Value) -> Result<(), Fault<E>> {
        let plan = Arc::clone(&self.frames.plan);
        let Kind::Foreach { opens, limit } = plan.graph.node(id).kind else {
            return Ok(());
        };
        let mut items = items(value).map_err(Fault::NoItems)?;
        match limit {
            Some((limit, Overflow::Error)) if items.len() > limit => {
                let found = items.len();
                return Err(Fault::TooMany { found, limit });
            }
            Some((limit, Overflow::Truncate)) if items.len() > limit => {
                items.truncate(limit);
                self.degrade(id);
            }
            Some(_) | None => {}
        }
        let group = self.frames.open_group(frame, id, opens, items);
        let (first, len) = {
            let group = &self.frames.groups[group];
            (group.first, group.len)
        };
        if len == 0 {
            self.tell_gathers(frame, opens);
            self.close(group);
        }
        for inside in first..first + len {
            self.hand_to_gathers(inside, id);
            self.begin(inside);
            if self.frames.frames[inside].unsettled == 0 {
                self.frame_settled(inside);
            }
        }
        Ok(())
    }

    /// Gives what a node has come to, or the item that a `foreach` has opened a frame for, to the gathers that take it.
    pub(super) fn hand_to_gathers(&mut self, frame: usize, id: NodeId) {
        let plan = Arc::clone(&self.frames.plan);
        let Some((outer, group)) = self.frames.frames[frame].outer else {
            return;
        };
        for &gather in &plan.nodes[id.0].gathered_by {
            let bind = &plan.graph.node(gather).inputs[0];
            let value = self.frames.resolve(&self.request, frame, &bind.from);
            let scope = &plan.scopes[self.frames.scope_of(frame).0];
            let place = scope.gathers.iter().position(|&other| other == gather);
            let index = self.frames.frames[frame].index;
            let gathered =
                &mut self.frames.groups[group].gathered[place.expect("a scope knows its gathers")];
            match value {
                Ok(value) => gathered.values[index] = value.unwrap_or_default(),
                Err(_) if !bind.required => {}
                Err(missing) => gathered.wrong = Some(missing),
            }
            gathered.missing -= 1;
            if gathered.missing == 0 {
                self.one_less(outer, gather);
            }
        }
    }

    /// The list for a gather whose scope has come to its end.
    pub(super) fn gathered(
        &mut self,
        frame: usize,
        id: NodeId,
        closes: ScopeId,
    ) -> Result<Value, Fault<E>> {
        let plan = Arc::clone(&self.frames.plan);
        let gathers = &plan.scopes[closes.0].gathers;
        let place = gathers.iter().position(|&other| other == id);
        let opened_by = plan.graph.scopes[closes.0].opened_by;
        let group = opened_by.and_then(|foreach| self.frames.group_of(frame, foreach));
        let (Some(group), Some(place)) = (group, place) else {
            return Ok(Value::list([]));
        };
        let gathered = &mut self.frames.groups[group].gathered[place];
        let values = std::mem::take(&mut gathered.values);
        match gathered.wrong.take() {
            Some(missing) => Err(missing.of(&plan.graph.node(id).inputs[0].name)),
            None => Ok(Value::list(values)),
        }
    }

    /// There is no item that the gathers of a scope would have to wait for.
    pub(super) fn tell_gathers(&mut self, frame: usize, scope: ScopeId) {
        let plan = Arc::clone(&self.frames.plan);
        for &gather in &plan.scopes[scope.0].gathers {
            self.one_less(frame, gather);
        }
    }

    /// All nodes of a frame have settled.
    pub(super) fn frame_settled(&mut self, frame: usize) {
        let Some((_, group)) = self.frames.frames[frame].outer else {
            return;
        };
        self.frames.clear(frame);
        self.frames.groups[group].unsettled -= 1;
        if self.frames.groups[group].unsettled == 0 {
            self.close(group);
        }
    }

    /// All items of a group are done, and with them the `foreach`.
    fn close(&mut self, group: usize) {
        let group = &self.frames.groups[group];
        self.settle(group.outer, group.opened_by, State::Value(Value::Null));
    }
}
