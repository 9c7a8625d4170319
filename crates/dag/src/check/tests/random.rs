//! No text at all makes checking panic, and mutations of right specs least of all.

use proptest::prelude::*;

use super::*;

const PIECES: &[&str] = &[
    "models:",
    "nodes:",
    "dag:",
    "a:",
    "b:",
    "\n  ",
    "\n    ",
    "\n",
    "{",
    "}",
    "[",
    "]",
    ", ",
    ": ",
    "in",
    "when",
    "foreach: a",
    "gather: b",
    "url: x",
    "function: resize",
    "function: merge",
    "with",
    "size",
    "'",
    "\"",
    "&x ",
    "*x",
    "- ",
    "a.b",
    "request",
    "output:",
    "inputs:",
    "on-error",
    "use",
    "value",
    "1",
    "-5",
    "1.5",
    "null",
    "\t",
    "# ",
    "|",
    ">",
    "!",
    "---",
    "functions:",
];

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = check(&text, &Few, Options::default());
    }

    #[test]
    fn no_yaml_panics(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        let _ = check(&pieces.concat(), &Few, Options::default());
    }

    /// Right specs with references, order and conditions at random.
    #[test]
    fn no_graph_panics(nodes in prop::collection::vec((0usize..6, 0usize..8, 0usize..8), 1..8)) {
        let mut text = "models: {m: {url: m.mar}}\nnodes:\n".to_owned();
        for (index, (kind, one, other)) in nodes.iter().enumerate() {
            let _ = match kind {
                0 => writeln!(text, "  n{index}: {{foreach: n{one}, when: size(n{other}) > 1}}"),
                1 => writeln!(text, "  n{index}: {{gather: n{one}, on-error: {{use: n{other}}}}}"),
                2 => writeln!(text, "  n{index}: {{function: merge, in: {{a: n{one}, b: n{other}}}}}"),
                3 => writeln!(text, "  n{index}: {{model: m, in: n{one}.x}}"),
                4 => writeln!(text, "  n{index}: {{model: m, in: request}}"),
                _ => writeln!(text, "  n{index}: {{function: count, in: n{one}, on-error: skip}}"),
            };
        }
        let checked = check(&text, &Few, Options::default());
        prop_assert_eq!(checked.graph.is_none(), checked.problems.iter().any(Problem::is_error));
        if let Some(mut graph) = checked.graph {
            for (index, node) in graph.nodes.iter().enumerate() {
                for id in node.sources().filter_map(Source::node) {
                    prop_assert!(id.0 < index, "{} before what it needs", node.name);
                    let inside = graph.node(id).value_scope();
                    let gathers = matches!(node.kind, Kind::Gather(gather) if gather.closes == inside);
                    prop_assert!(gathers || graph.around(node.scope).any(|scope| scope == inside), "{text}");
                }
            }
            graph.learn(|_| crate::infer::Facts::default());
        }
    }

    /// And with edges at random.
    #[test]
    fn no_dag_panics(edges in prop::collection::vec((0usize..6, 0usize..6), 1..10)) {
        let mut text = "models: {n0: {url: m.mar}}\nfunctions: {n1: merge, n2: merge, n3: merge, n4: merge, n5: merge}\ndag:\n".to_owned();
        for node in 0..6 {
            let next: Vec<String> = edges.iter().filter(|edge| edge.0 == node).map(|edge| format!("n{}", edge.1)).collect();
            let _ = writeln!(text, "  n{node}: [{}]", next.join(", "));
        }
        let _ = check(&text, &Few, Options::default());
    }
}

/// The spec is checked and drawn, and that does not take forever.
fn survives(spec: &str, expected: &str) {
    let mut checked = check(spec, &Few, Options::default());
    let first = checked
        .problems
        .first()
        .map_or(String::new(), ToString::to_string);
    assert_eq!(first, expected);
    if let Some(graph) = &mut checked.graph {
        graph.learn(|_| crate::infer::Facts::default());
        graph.to_svg(&crate::draw::Notes::new());
        graph.to_mermaid(&crate::draw::Notes::new());
    }
}

#[test]
fn large_and_wicked_specs_end() {
    let nodes = |count: usize, node: &dyn Fn(usize) -> String| {
        let mut spec =
            "models: {m: {url: m.mar}}\nnodes:\n  n0: {model: m, in: request}\n".to_owned();
        for index in 1..count {
            let _ = writeln!(spec, "  n{index}: {}", node(index));
        }
        spec
    };
    let before = |index: usize| index - 1;
    // Types that double with every node.
    survives(
        &nodes(60, &|index| {
            format!(
                "{{function: merge, in: {{a: n{0}, b: n{0}}}}}",
                before(index)
            )
        }),
        "",
    );
    // A scope in a scope in a scope.
    survives(
        &(nodes(200, &|index| format!("{{foreach: n{}}}", before(index))) + "output: n0"),
        "4:3: warning: `n1`: no answer needs it, so it is never run",
    );
    survives(
        &nodes(1000, &|index| {
            format!("{{model: m, in: n{}}}", before(index))
        }),
        "",
    );
    survives(&nodes(1000, &|_| "{model: m, in: n0}".to_owned()), "");
    survives(
        &nodes(1001, &|_| "{model: m, in: n0}".to_owned()),
        "3:3: error: field `nodes`: it has 1001 nodes, and a workflow may have 1000",
    );
    // Everybody needs everybody.
    let all = |index: usize| {
        (1..90)
            .filter(|other| *other != index)
            .map(|other| format!("x{other}: n{other}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    survives(
        &nodes(90, &|index| {
            format!("{{function: merge, in: {{{}}}}}", all(index))
        }),
        "4:34: error: `n1`: it needs itself: n1 → n2 → n1",
    );
    let many = (0..2000)
        .map(|index| format!("x{index}: n0"))
        .collect::<Vec<_>>()
        .join(", ");
    survives(
        &nodes(7, &|_| format!("{{function: merge, in: {{{many}}}}}")),
        "3:3: error: it has 12001 connections between nodes, and a workflow may have 10000",
    );
    let wrong = (0..20000)
        .map(|index| format!("x{index}: nothing{index}"))
        .collect::<Vec<_>>()
        .join(", ");
    survives(
        &nodes(3, &|_| format!("{{function: merge, in: {{{wrong}}}}}")),
        "4:34: error: `n1`, field `in.x0`: no node or input is called `nothing0`; known are `n0`, `n1` and `n2`",
    );
}
