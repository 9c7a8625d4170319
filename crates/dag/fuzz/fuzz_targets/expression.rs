//! Any text at all as a condition over values of many kinds: no panic, and an answer or a reason.

#![no_main]

use dag::{Options, check};
use functions::Functions;
use libfuzzer_sys::fuzz_target;
use servable::Value;

fuzz_target!(|text: &str| {
    let quoted = text.replace('\'', "''").replace(['\n', '\r'], " ");
    let spec = format!(
        "models: {{m: {{url: m.mar}}}}\nnodes:\n  a: {{model: m, in: request}}\n  b: {{model: m, in: a, when: '{quoted}'}}\n"
    );
    let Some(graph) = check(&spec, &Functions::default(), Options::default()).graph else {
        return;
    };
    let Some(when) = graph.nodes.iter().find_map(|node| node.when.as_ref()) else {
        return;
    };
    let values = [
        None,
        Some(Value::Null),
        Some(Value::Int(i64::MIN)),
        Some(Value::Float(f64::NAN)),
        Some(Value::from("text")),
        Some(Value::list([Value::Bool(true)])),
        Some(Value::map([("a", Value::Int(1))])),
    ];
    for value in values {
        let _ = when.evaluate(&vec![value; when.sources().len()]);
    }
});
