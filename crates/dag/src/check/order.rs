//! Nodes to an order in which everything stands after what it needs; otherwise that of the spec.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use servable::Value;

use crate::graph::{Form, Node, NodeId, Place, Source};
use crate::problem::{About, Report};

/// Cycles are told and cut.
pub(super) fn sort(mut nodes: Vec<Node>, form: Form, report: &mut Report) -> Vec<Node> {
    let mut order: Vec<usize> = Vec::new();
    let mut placed = vec![false; nodes.len()];
    for round in 0.. {
        advance(&nodes, &mut placed, &mut order);
        if order.len() == nodes.len() {
            break;
        }
        if round == MOST_CYCLES {
            let left = |index: usize| !placed[index];
            for index in (0..nodes.len()).filter(|&index| left(index)) {
                let parents: Vec<usize> = parents(&nodes[index])
                    .filter(|&parent| left(parent))
                    .collect();
                parents
                    .into_iter()
                    .for_each(|parent| cut(&mut nodes[index], parent));
            }
            continue;
        }
        let cycle = cycle(&nodes, &placed);
        tell(&nodes, &cycle, form, report);
        if let [first, .., last] | [first @ last] = *cycle {
            cut(&mut nodes[first], last);
        }
    }
    arrange(nodes, &order)
}

/// As many as a person reads; with more the rest is cut without a word.
const MOST_CYCLES: usize = 20;

/// Places what has everything it needs, the first of the spec first.
fn advance(nodes: &[Node], placed: &mut [bool], order: &mut Vec<usize>) {
    let mut missing = vec![0usize; nodes.len()];
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut ready = BinaryHeap::new();
    for (index, node) in nodes
        .iter()
        .enumerate()
        .filter(|(index, _)| !placed[*index])
    {
        for parent in parents(node).filter(|parent| !placed[*parent]) {
            missing[index] += 1;
            children[parent].push(index);
        }
        if missing[index] == 0 {
            ready.push(Reverse(index));
        }
    }
    while let Some(Reverse(index)) = ready.pop() {
        placed[index] = true;
        order.push(index);
        for &child in &children[index] {
            missing[child] -= 1;
            if missing[child] == 0 {
                ready.push(Reverse(child));
            }
        }
    }
}

fn parents(node: &Node) -> impl Iterator<Item = usize> {
    node.sources().filter_map(|source| Some(source.node()?.0))
}

/// Nodes in a ring, each needed by the next; that which stands first in the spec begins.
fn cycle(nodes: &[Node], placed: &[bool]) -> Vec<usize> {
    let mut trail: Vec<usize> = Vec::new();
    let mut at = placed.iter().position(|placed| !placed).unwrap_or_default();
    loop {
        if let Some(start) = trail.iter().position(|seen| *seen == at) {
            let mut cycle = trail.split_off(start);
            // The trail went from what needs to what is needed.
            cycle.reverse();
            let first = cycle.iter().enumerate().min_by_key(|(_, node)| **node);
            let first = first.map_or(0, |(index, _)| index);
            cycle.rotate_left(first);
            return cycle;
        }
        trail.push(at);
        // What is not placed lacks a parent that is not placed either.
        match parents(&nodes[at]).find(|parent| !placed[*parent]) {
            Some(parent) => at = parent,
            None => return trail,
        }
    }
}

fn tell(nodes: &[Node], cycle: &[usize], form: Form, report: &mut Report) {
    let [first, ..] = *cycle else { return };
    let last = cycle[cycle.len() - 1];
    let node = &nodes[first];
    let at = About::at(place(node, last)).node(&node.name);
    if cycle.len() == 1 {
        report.error(
            at,
            match form {
                Form::Classic => "it comes after itself: Self loop exception",
                Form::Typed => "it needs itself",
            },
        );
        return;
    }
    let mut names: Vec<&str> = cycle
        .iter()
        .take(8)
        .map(|index| nodes[*index].name.as_str())
        .collect();
    if cycle.len() > 8 {
        names.push("…");
    }
    names.push(&node.name);
    let round = names.join(" → ");
    report.error(
        at,
        match form {
            Form::Classic => format!("Not a valid DAG: {round} is a cycle"),
            Form::Typed => format!("it needs itself: {round}"),
        },
    );
}

/// Where a node says that it needs the other.
fn place(node: &Node, parent: usize) -> Place {
    let of = |source: &Source| source.node() == Some(NodeId(parent));
    let bind = node.inputs.iter().find(|bind| of(&bind.from));
    let when = node.when.iter().find(|when| when.sources().iter().any(of));
    bind.map(|bind| bind.place)
        .or(when.map(|when| when.place))
        .unwrap_or(node.place)
}

fn cut(node: &mut Node, parent: usize) {
    for source in node.sources_mut() {
        if source.node() == Some(NodeId(parent)) {
            *source = Source::Literal(Value::Null);
        }
    }
}

fn arrange(nodes: Vec<Node>, order: &[usize]) -> Vec<Node> {
    let mut new = vec![0; nodes.len()];
    for (position, &index) in order.iter().enumerate() {
        new[index] = position;
    }
    let mut nodes: Vec<(usize, Node)> = nodes.into_iter().enumerate().collect();
    nodes.sort_by_key(|(index, _)| new[*index]);
    nodes
        .into_iter()
        .map(|(_, mut node)| {
            for source in node.sources_mut() {
                if let Source::Node { node, .. } = source {
                    node.0 = new[node.0];
                }
            }
            node
        })
        .collect()
}
