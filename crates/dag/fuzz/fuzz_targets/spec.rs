//! Any text at all, checked as a spec: no panic, no stack or memory used up; what passes can be learnt about and drawn.

#![no_main]

use dag::{Facts, Notes, Options, Problem, check};
use functions::Functions;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let checked = check(text, &Functions::default(), Options::default());
    let failed = checked.problems.iter().any(Problem::is_error);
    assert_eq!(checked.graph.is_none(), failed, "a graph or an error");
    let Some(mut graph) = checked.graph else {
        return;
    };
    for (index, node) in graph.nodes.iter().enumerate() {
        let first = node
            .sources()
            .filter_map(|source| source.node())
            .all(|id| id.0 < index);
        assert!(first, "`{}` stands before what it needs", node.name);
    }
    graph.learn(|_| Facts::default());
    assert!(graph.to_svg(&Notes::new()).ends_with("</svg>\n"));
    assert!(graph.to_mermaid(&Notes::new()).starts_with("flowchart"));
});
