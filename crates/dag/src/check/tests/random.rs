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
