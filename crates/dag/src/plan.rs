//! What is the same in every run of a graph for one of its answers, worked out once: who waits for whom, and how often a
//! value is used.

use std::sync::Arc;

use crate::graph::{Graph, Kind, Node, NodeId, ScopeId, Source};

/// A graph made ready for running, for one of its answers or for all of them.
#[derive(Debug)]
pub struct Plan {
    pub(crate) graph: Arc<Graph>,
    pub(crate) answers: Vec<usize>,
    pub(crate) nodes: Vec<NodePlan>,
    pub(crate) scopes: Vec<ScopePlan>,
}

#[derive(Debug, Default)]
pub(crate) struct NodePlan {
    /// Its place in the frames of its scope.
    pub(crate) slot: usize,
    /// The nodes whose outcome it waits for, in its own scope or one around it. Each once; no `foreach`, whose item is
    /// there from the start.
    pub(crate) waits_for: Vec<NodeId>,
    /// The nodes that wait for its outcome, in its own scope or inside it.
    pub(crate) awaited_by: Vec<NodeId>,
    /// The gathers that take its value out of its scope.
    pub(crate) gathered_by: Vec<NodeId>,
    /// The nodes whose values it uses and that have them in its own frame. Each once.
    pub(crate) holds: Vec<NodeId>,
    /// How many use its value, or of a `foreach` each item, in the frame where that is: nodes, scopes opened there, and the
    /// answer.
    pub(crate) uses: usize,
}

#[derive(Debug, Default)]
pub(crate) struct ScopePlan {
    /// The nodes that run in it and that the answer needs.
    pub(crate) nodes: Vec<NodeId>,
    /// The gathers that close it.
    pub(crate) gathers: Vec<NodeId>,
    /// The nodes whose values, of the scope around it, are used somewhere inside; each once.
    pub(crate) borrows: Vec<NodeId>,
    /// Nodes that take all its items at once.
    pub(crate) together: Vec<NodeId>,
}

impl Plan {
    /// The plan for the graph's `answer`-th answer.
    ///
    /// # Panics
    ///
    /// If the graph has no such answer.
    pub fn new(graph: Arc<Graph>, answer: usize) -> Plan {
        Plan::of(graph, vec![answer])
    }

    /// The plan for all of the graph's answers at once: what several of them need is called once.
    pub fn whole(graph: Arc<Graph>) -> Plan {
        let answers = (0..graph.answers.len()).collect();
        Plan::of(graph, answers)
    }

    fn of(graph: Arc<Graph>, answers: Vec<usize>) -> Plan {
        let needs = |index: usize| {
            answers
                .iter()
                .any(|&answer| graph.answers[answer].needs[index])
        };
        let needed: Vec<usize> = (0..graph.nodes.len())
            .filter(|&index| needs(index))
            .collect();
        let mut plan = Plan {
            nodes: graph.nodes.iter().map(|_| NodePlan::default()).collect(),
            scopes: graph.scopes.iter().map(|_| ScopePlan::default()).collect(),
            answers,
            graph: Arc::clone(&graph),
        };
        for index in needed {
            plan.add(&graph, NodeId(index), &graph.nodes[index]);
        }
        for answer in &plan.answers {
            let sources = graph.answers[*answer].pick.sources();
            for from in sources.filter_map(Source::node) {
                plan.nodes[from.0].uses += 1;
            }
        }
        plan
    }

    /// The graph that it runs.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    fn add(&mut self, graph: &Graph, id: NodeId, node: &Node) {
        let scope = &mut self.scopes[node.scope.0];
        self.nodes[id.0].slot = scope.nodes.len();
        scope.nodes.push(id);
        if let Kind::Model { together: true, .. } = node.kind
            && node.scope != ScopeId::REQUEST
        {
            scope.together.push(id);
        }
        if let Kind::Gather(gather) = &node.kind {
            self.scopes[gather.closes.0].gathers.push(id);
            if let Some(from) = node.inputs.first().and_then(|bind| bind.from.node()) {
                self.nodes[from.0].gathered_by.push(id);
            }
        }
        // Everything that it looks at but what it gathers.
        let gathers = usize::from(matches!(node.kind, Kind::Gather(_)));
        let sources = node.sources().skip(gathers);
        let mut used: Vec<NodeId> = sources.filter_map(Source::node).collect();
        used.sort_unstable();
        used.dedup();
        for from in used {
            if !matches!(graph.node(from).kind, Kind::Foreach { .. }) {
                self.nodes[id.0].waits_for.push(from);
                self.nodes[from.0].awaited_by.push(id);
            }
            self.use_from(graph, from, id);
        }
    }

    /// Counts a use of `from` by `user`: by the node itself, or by the scope that holds it.
    fn use_from(&mut self, graph: &Graph, from: NodeId, user: NodeId) {
        let (home, scope) = (graph.node(from).value_scope(), graph.node(user).scope);
        if scope == home {
            self.nodes[user.0].holds.push(from);
            self.nodes[from.0].uses += 1;
            return;
        }
        // The outermost scope that is inside `home` and holds the user.
        let Some(inside) = graph
            .around(scope)
            .find(|scope| graph.scopes[scope.0].parent == Some(home))
        else {
            return;
        };
        let borrows = &mut self.scopes[inside.0].borrows;
        if !borrows.contains(&from) {
            borrows.push(from);
            self.nodes[from.0].uses += 1;
        }
    }
}
