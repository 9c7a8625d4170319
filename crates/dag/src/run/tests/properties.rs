//! Graphs, failures and orders of completion made up at random: a run calls what the plain interpreter calls, with the
//! same inputs, once; comes to its end and to the same answer; and holds no value that nobody will use.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use servable::{Type, Value};

use super::build::{Name, add, answer, bind, blank, empty, function, text};
use super::naive::Naive;
use super::values::Living;
use super::*;
use crate::expression::Parsed;
use crate::graph::Place;
use crate::graph::{Gather, Graph, Node, Overflow, ScopeId};

/// Numbers that look like random ones and are always the same.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    /// Of an event that is named by some numbers.
    fn of(seed: u64, names: impl IntoIterator<Item = usize>) -> Dice {
        let mut dice = Dice(seed);
        for name in names {
            dice.0 = dice.0.wrapping_add(name as u64 + 1);
            dice.roll();
        }
        dice
    }

    /// As in Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = mixed;
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit as u64).expect("below a usize")
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// Everything that may be asked of one node is rolled from its own seed, so that a failing graph is made smaller node by
/// node.
fn graph(seeds: &[u64]) -> Graph {
    let mut graph = empty();
    for &seed in seeds {
        let node = node(&graph, &mut Dice(seed));
        add(&mut graph, node);
    }
    let mut dice = Dice::of(0, seeds.iter().map(|&seed| (seed % 1_000_003) as usize));
    // So that much of what is in scopes is needed: gathers for the last nodes in them, inner scopes first.
    for scope in (1..graph.scopes.len()).rev().map(ScopeId) {
        let nodes = (0..graph.nodes.len()).rev().map(NodeId);
        let inside = nodes.filter(|&id| graph.node(id).value_scope() == scope);
        for id in inside.take(1 + dice.below(2)).collect::<Vec<_>>() {
            let closes = ScopeId::REQUEST;
            let mut node = blank(
                &format!("g{}", graph.nodes.len()),
                Kind::Gather(Gather { closes }),
            );
            node.inputs.push(bind("in", of_node(&graph, id, &mut dice)));
            add(&mut graph, node);
        }
    }
    let outside: Vec<_> = (0..graph.nodes.len())
        .filter(|&index| graph.node(NodeId(index)).value_scope() == ScopeId::REQUEST)
        .collect();
    let mut picked = vec![("x".to_owned(), Source::Part("x".into()))];
    for &index in &outside {
        // The last ones need most.
        if index + 3 >= graph.nodes.len() || dice.one_in(2) {
            let source = of_node(&graph, NodeId(index), &mut dice);
            picked.push((graph.nodes[index].name.clone(), source));
        }
    }
    answer(&mut graph, Pick::Named(picked));
    graph
}

fn node(graph: &Graph, dice: &mut Dice) -> Node {
    let mut scope = ScopeId::REQUEST;
    let name = format!("n{}", graph.nodes.len());
    // Gathers are only possible inside a scope, and every scope wants one.
    let inside: Vec<_> = (0..graph.nodes.len())
        .map(NodeId)
        .filter(|&id| graph.node(id).value_scope() != ScopeId::REQUEST)
        .collect();
    let kind = match dice.below(if inside.is_empty() { 9 } else { 10 }) {
        0 | 1 => Kind::Foreach {
            opens: ScopeId::REQUEST,
            limit: match dice.below(8) {
                0 => Some((2, Overflow::Truncate)),
                1 => Some((2, Overflow::Error)),
                _ => None,
            },
        },
        2..=4 => function(),
        kind @ 5..=8 => Kind::Model {
            model: 0,
            together: kind > 6,
            function: None,
        },
        _ => Kind::Gather(Gather {
            closes: ScopeId::REQUEST,
        }),
    };
    let mut node = blank(&name, kind);
    match &node.kind {
        Kind::Foreach { .. } => {
            let from = match near(graph, &mut scope, dice) {
                Some(from) if !dice.one_in(3) => list(graph, from, dice),
                _ => {
                    scope = ScopeId::REQUEST;
                    Source::Part(
                        ["list", "none", "x"]
                            [usize::from(dice.one_in(6)) + usize::from(dice.one_in(24))]
                        .into(),
                    )
                }
            };
            node.inputs.push(bind("in", from));
        }
        Kind::Gather(_) => {
            let id = inside[dice.below(inside.len())];
            node.inputs.push(bind("in", of_node(graph, id, dice)));
            let closes = graph.node(id).value_scope();
            scope = graph.scopes[closes.0].parent.expect("an inner scope");
        }
        Kind::Model { .. } | Kind::Function { .. } => {
            for input in 0..1 + dice.below(3) {
                let from = match near(graph, &mut scope, dice) {
                    Some(id) => of_node(graph, id, dice),
                    None => Source::Part("x".into()),
                };
                let mut bind = bind(&format!("in{input}"), from);
                bind.required = !dice.one_in(3);
                if dice.one_in(40) {
                    bind.certain = false;
                    bind.wanted = Type::Int;
                }
                node.inputs.push(bind);
            }
        }
    }
    // From here on, the scope is fixed, since what a gather closes is.
    let seen = visible(graph, scope);
    let seen = |dice: &mut Dice| (!seen.is_empty()).then(|| seen[dice.below(seen.len())]);
    if dice.one_in(5) {
        let (text, source) = match (dice.below(4), seen(dice)) {
            (0, _) | (_, None) => ("no", Source::Literal(Value::Bool(!dice.one_in(3)))),
            (1, Some(node)) => ("n.flag", whole(node, Some("flag"))),
            (_, Some(node)) => ("has(n)", whole(node, None)),
        };
        let parsed = Parsed::parse(text).expect("a condition");
        node.when = Some(parsed.resolve(Place::default(), |_| source.clone()));
    }
    node.on_error = match (dice.below(6), seen(dice)) {
        (0, _) => OnError::Use(Source::Literal(Value::list([Value::Int(1), Value::Int(2)]))),
        (1, Some(id)) => OnError::Use(of_node(graph, id, dice)),
        (1 | 2, _) => OnError::Skip,
        (_, _) => OnError::Fail,
    };
    node
}

/// A node that can be used together with what is of `scope`, which becomes the inner one of the two.
fn near(graph: &Graph, scope: &mut ScopeId, dice: &mut Dice) -> Option<NodeId> {
    let fits: Vec<_> = (0..graph.nodes.len())
        .map(NodeId)
        .filter(|&id| {
            let home = graph.node(id).value_scope();
            graph.around(*scope).any(|around| around == home)
                || graph.around(home).any(|around| around == *scope)
        })
        .collect();
    // Rather what was made last, so that graphs become deep.
    let back = dice
        .below(fits.len().max(1))
        .min(dice.below(fits.len().max(1)));
    let id = *fits.get(fits.len().checked_sub(back + 1)?)?;
    let home = graph.node(id).value_scope();
    if graph.around(home).any(|around| around == *scope) {
        *scope = home;
    }
    Some(id)
}

/// The nodes that somebody in a scope may look at.
fn visible(graph: &Graph, scope: ScopeId) -> Vec<NodeId> {
    (0..graph.nodes.len())
        .map(NodeId)
        .filter(|&id| {
            graph
                .around(scope)
                .any(|around| around == graph.node(id).value_scope())
        })
        .collect()
}

fn whole(node: NodeId, member: Option<&str>) -> Source {
    Source::Node {
        node,
        path: member.into_iter().map(str::to_owned).collect(),
    }
}

/// All of a node, a member, or now and then one that is not there.
fn of_node(graph: &Graph, node: NodeId, dice: &mut Dice) -> Source {
    let member = if dice.one_in(60) {
        Some("nothing")
    } else if !matches!(graph.node(node).kind, Kind::Gather(_)) && dice.one_in(6) {
        Some(["data", "list", "flag"][dice.below(3)])
    } else {
        None
    };
    whole(node, member)
}

/// Mostly a list.
fn list(graph: &Graph, node: NodeId, dice: &mut Dice) -> Source {
    let is_list = matches!(graph.node(node).kind, Kind::Gather(_));
    whole(node, (is_list == dice.one_in(24)).then_some("list"))
}

/// What calls give and which of them fail, always the same for the same node and item.
struct World {
    seed: u64,
    living: Living,
    failures: bool,
}

impl World {
    fn call(&self, node: NodeId, item: &[usize]) -> Result<Value, String> {
        let names = [node.0].into_iter().chain(item.iter().copied());
        let mut dice = Dice::of(self.seed, names);
        if self.failures && dice.one_in(16) {
            return Err("broken".into());
        }
        Ok(self.value(&mut dice, 2))
    }

    fn value(&self, dice: &mut Dice, depth: usize) -> Value {
        let number = i64::from_ne_bytes(dice.roll().to_ne_bytes());
        let size = if depth > 0 { dice.below(4) } else { 0 };
        let items: Vec<_> = (0..size).map(|_| self.value(dice, depth - 1)).collect();
        Value::map([
            ("data", self.living.value(number)),
            ("flag", Value::Bool(number % 3 != 0)),
            ("list", Value::list(items)),
        ])
    }
}

/// Items like the ones that calls give, which nobody counts.
fn request() -> Request {
    let item = |items: Vec<Value>| {
        Value::map([
            ("data", Value::Int(1)),
            ("flag", Value::Bool(items.len() != 1)),
            ("list", Value::list(items)),
        ])
    };
    let inner = || item(vec![item(vec![]), item(vec![]), item(vec![])]);
    Request {
        payload: None,
        parts: vec![
            ("x".into(), Value::Int(7)),
            (
                "list".into(),
                Value::list([inner(), item(vec![inner()]), inner()]),
            ),
            ("none".into(), Value::list([])),
        ],
    }
}

/// The counted values that are in others; each tells its own number.
fn counted(value: &Value, found: &mut Vec<i64>) {
    match value {
        Value::Tensor(tensor) => found.extend(tensor.elements::<i64>().and_then(<[i64]>::first)),
        Value::List(items) => items.iter().for_each(|item| counted(item, found)),
        Value::Map(members) => members.iter().for_each(|(_, item)| counted(item, found)),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_) => {}
    }
}

fn counted_once(values: &[Value]) -> usize {
    let mut found = Vec::new();
    values.iter().for_each(|value| counted(value, &mut found));
    found.sort_unstable();
    found.dedup();
    found.len()
}

/// Runs a graph, calling and ending calls in any order, for at most so many steps.
fn drive(
    run: &mut Run<String>,
    world: &World,
    graph: &Graph,
    mut dice: Dice,
    steps: usize,
) -> BTreeMap<String, String> {
    let mut called = BTreeMap::new();
    let mut under_way = Vec::new();
    for _ in 0..steps {
        let wanted = dice.roll();
        let next = if dice.one_in(2) || under_way.is_empty() {
            // Some models are busy; but if nothing else is under way, all are free.
            let all = under_way.is_empty();
            run.next(|node| all || wanted & (1 << (node.0 % 64)) != 0)
        } else {
            None
        };
        if let Some(calls) = next {
            let node = calls[0].id.node;
            assert!(
                calls.iter().all(|call| call.id.node == node),
                "one node's calls"
            );
            for call in calls {
                let name = Name::of(graph, node, &call.item);
                let inputs = text(&Value::map(call.inputs));
                let before = called.insert(name.clone(), inputs);
                assert_eq!(before, None, "{name} is called twice");
                under_way.push((call.id, call.item));
            }
        } else if under_way.is_empty() {
            assert!(run.is_over(), "stuck after {called:?}");
            break;
        } else {
            let (id, item) = under_way.swap_remove(dice.below(under_way.len()));
            run.complete(id, world.call(id.node, &item));
        }
    }
    called
}

fn check(seeds: &[u64], seed: u64, failures: bool) {
    let graph = Arc::new(graph(seeds));
    let world = World {
        seed,
        living: Living::default(),
        failures,
    };
    let plain = World {
        living: Living::default(),
        ..world
    };
    let request = request();
    let mut naive = Naive::new(&graph, &request, |node, item| plain.call(node, item));
    let (value, whole) = naive.answer();
    let name = |(node, item): &(NodeId, Vec<usize>)| Name::of(&graph, *node, item);
    let expected: BTreeMap<_, _> = naive
        .called
        .iter()
        .map(|(at, inputs)| (name(at), inputs.clone()))
        .collect();

    let plan = Arc::new(Plan::new(Arc::clone(&graph), 0));
    let mut run = Run::new(plan, request.clone());
    let called = drive(&mut run, &world, &graph, Dice(!seed), usize::MAX);
    assert!(run.is_over());
    if naive.failed.is_empty() {
        assert_eq!(
            world.living.count(),
            counted_once(&whole),
            "values at the end"
        );
        assert_eq!(called, expected);
    } else {
        for (name, inputs) in &called {
            assert_eq!(expected.get(name), Some(inputs), "{name}");
        }
    }
    match run.into_outcome() {
        Ok(outcome) => {
            assert!(naive.failed.is_empty(), "it should have failed");
            assert_eq!(text(&outcome.value), text(&value));
            let mut degraded = outcome.degraded.clone();
            degraded.sort_unstable();
            assert!(degraded.iter().eq(&naive.degraded), "{degraded:?}");
            drop(outcome);
        }
        Err(failure) => {
            let at = (failure.node, failure.item);
            assert!(
                naive.failed.contains(&at),
                "{}: {}",
                name(&at),
                failure.fault
            );
        }
    }
    assert_eq!(world.living.count(), 0, "values after the end");
}

/// Drops a run midway.
fn check_cancelled(seeds: &[u64], seed: u64, steps: usize) {
    let graph = Arc::new(graph(seeds));
    let world = World {
        seed,
        living: Living::default(),
        failures: true,
    };
    let plan = Arc::new(Plan::new(Arc::clone(&graph), 0));
    let mut run = Run::new(plan, request());
    drive(&mut run, &world, &graph, Dice(!seed), steps);
    drop(run);
    assert_eq!(world.living.count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_comes_to_what_a_plain_interpreter_comes_to(
        seeds in proptest::collection::vec(any::<u64>(), 1..40),
        seed: u64,
        failures: bool,
    ) {
        check(&seeds, seed, failures);
    }

    #[test]
    fn a_run_that_is_dropped_leaves_nothing(
        seeds in proptest::collection::vec(any::<u64>(), 1..40),
        seed: u64,
        steps in 0..100usize,
    ) {
        check_cancelled(&seeds, seed, steps);
    }
}
