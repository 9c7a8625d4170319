//! Which node runs for whose items.

use crate::graph::{Gather, Kind, Node, NodeId, Scope, ScopeId};
use crate::problem::{About, Report};

/// Gives each node its scope; nodes stand after what they need.
pub(super) fn assign(nodes: &mut [Node], report: &mut Report) -> Vec<Scope> {
    let mut scopes = vec![Scope {
        opened_by: None,
        parent: None,
    }];
    for index in 0..nodes.len() {
        let (before, rest) = nodes.split_at_mut(index);
        let node = &mut rest[0];
        let gathered = match node.kind {
            Kind::Gather(_) => {
                let scope = node.inputs.first().and_then(|bind| bind.from.node());
                let scope = scope.map_or(ScopeId::REQUEST, |id| before[id.0].value_scope());
                Some(scope)
            }
            Kind::Model { .. } | Kind::Function { .. } | Kind::Foreach { .. } => None,
        };
        match gathered {
            Some(scope) => gather(node, before, scope, &scopes, report),
            None => {
                node.scope = common(node, before, 0, ScopeId::REQUEST, &scopes, report);
                if let Kind::Foreach { opens, .. } = &mut node.kind {
                    *opens = ScopeId(scopes.len());
                    scopes.push(Scope {
                        opened_by: Some(NodeId(index)),
                        parent: Some(node.scope),
                    });
                }
            }
        }
    }
    scopes
}

fn gather(node: &mut Node, before: &[Node], inner: ScopeId, scopes: &[Scope], report: &mut Report) {
    let place = node.inputs.first().map_or(node.place, |bind| bind.place);
    let at = About::at(place).node(&node.name).field("gather");
    let broken = node
        .inputs
        .first()
        .is_none_or(|bind| bind.from.node().is_none());
    let Some(outer) = scopes[inner.0].parent else {
        if broken {
            report.error(
                at,
                "only what a node inside a `foreach` gives can be gathered",
            );
        } else {
            report.error(
                at,
                "what it gathers is inside no `foreach`, so there is one of it and no list",
            );
        }
        return;
    };
    node.kind = Kind::Gather(Gather { closes: inner });
    // Its condition and its stand-in are looked at once, outside.
    let scope = common(node, before, 1, outer, scopes, report);
    if scope != outer {
        let name = opener(scope, scopes, before);
        let at = About::at(node.place).node(&node.name);
        report.error(
            at,
            format!("its condition uses items of `{name}`, which the gather has left"),
        );
    }
    node.scope = outer;
}

/// The innermost of the scopes of what a node needs, which must all be around it.
fn common(
    node: &Node,
    before: &[Node],
    skip: usize,
    start: ScopeId,
    scopes: &[Scope],
    report: &mut Report,
) -> ScopeId {
    let mut found = start;
    for source in node.sources().skip(skip) {
        let Some(id) = source.node() else { continue };
        let scope = before[id.0].value_scope();
        if around(found, scope, scopes) {
            continue;
        }
        if around(scope, found, scopes) {
            found = scope;
            continue;
        }
        let place = node.inputs.iter().find(|bind| bind.from.node() == Some(id));
        let at = About::at(place.map_or(node.place, |bind| bind.place)).node(&node.name);
        let (one, other) = (opener(found, scopes, before), opener(scope, scopes, before));
        report.error(
            at,
            format!("it takes items of both `{one}` and `{other}`, and neither `foreach` is inside the other; gather one of them first"),
        );
    }
    found
}

/// Whether `outer` is around `inner`, or is it.
fn around(inner: ScopeId, outer: ScopeId, scopes: &[Scope]) -> bool {
    std::iter::successors(Some(inner), |scope| scopes[scope.0].parent).any(|scope| scope == outer)
}

/// The name of the `foreach` that opens a scope.
fn opener<'a>(scope: ScopeId, scopes: &[Scope], nodes: &'a [Node]) -> &'a str {
    scopes[scope.0]
        .opened_by
        .map_or("the request", |id| &nodes[id.0].name)
}
