//! What is called, in which order, with what, and what is answered, where there are no items.

use serde_json::Value as Json;
use servable::Value;

use super::build::{Name, Workflow, text};
use super::*;

/// Calls all that can be called and ends it in that order, until nothing is left. A call gives its name and inputs as text,
/// such as `t(10 a(7))`, unless `results` says something else for its node or for its node and item: JSON, or `!` where it
/// fails. `calls` is what was called, the items that go to a model together joined by `+`; `expected` the answer, and who
/// is degraded.
pub(super) fn check(graph: &str, results: &[(&str, &str)], calls: &str, expected: &str) {
    let workflow = Workflow::parse(graph);
    let mut run = Run::<String>::new(workflow.plan(), workflow.request());
    let mut log = Vec::new();
    loop {
        // All that is possible at once, as if there were any number of workers.
        let mut under_way = Vec::new();
        while let Some(calls) = run.next(|_| true) {
            let names = calls
                .iter()
                .map(|call| Name::of(&workflow.graph, call.id.node, &call.item));
            log.push(names.collect::<Vec<_>>().join("+"));
            under_way.extend(calls);
        }
        if under_way.is_empty() {
            break;
        }
        for call in under_way {
            let result = result(&workflow, results, &call);
            run.complete(call.id, result);
        }
    }
    assert!(run.is_over(), "stuck after {log:?}\n{graph}");
    let found = match run.into_outcome() {
        Ok(outcome) => {
            let degraded = outcome.degraded.iter();
            let degraded: Vec<_> = degraded.map(|&id| &*workflow.graph.node(id).name).collect();
            let mut found = text(&outcome.value);
            if !degraded.is_empty() {
                found = format!("{found} without {}", degraded.join(", "));
            }
            found
        }
        Err(failure) => {
            let name = Name::of(&workflow.graph, failure.node, &failure.item);
            format!("{name}: {}", failure.fault)
        }
    };
    assert_eq!((&*log.join(" "), &*found), (calls, expected), "{graph}");
}

fn result(workflow: &Workflow, results: &[(&str, &str)], call: &Call) -> Result<Value, String> {
    let of_item = Name::of(&workflow.graph, call.id.node, &call.item);
    let of_node = Name::of(&workflow.graph, call.id.node, &[]);
    let find = |name: &str| results.iter().find(|(of, _)| *of == name);
    match find(&of_item).or_else(|| find(&of_node)) {
        Some((_, "!")) => Err("broken".into()),
        Some((_, json)) => Ok(value(&serde_json::from_str(json).expect("JSON"))),
        None => {
            let inputs = call.inputs.iter().map(|(_, value)| text(value));
            let inputs = inputs.collect::<Vec<_>>().join(" ");
            Ok(Value::from(format!("{of_node}({inputs})")))
        }
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(value) => Value::Int(value.as_i64().expect("an integer")),
        Json::String(value) => Value::from(value.as_str()),
        Json::Array(items) => Value::list(items.iter().map(value)),
        Json::Object(members) => Value::map(members.iter().map(|(name, of)| (name, value(of)))),
    }
}

#[test]
fn one_after_the_other() {
    check(
        "a = call $x
         b = model a
         c = call b
         -> c",
        &[],
        "a b c",
        "c(b(a(7)))",
    );
    check("a = call\n-> a", &[], "a", "a()");
    // The start of the classic form gets the request elsewhere.
    check("a = call request\n-> a", &[], "a", "a(payload)");
    check(
        "a = call $x\n-> a.texts, $x, 5",
        &[("a", r#"{"texts": ["t"]}"#)],
        "a",
        "{a.texts: [t] $x: 7 5: 5}",
    );
}

#[test]
fn at_once_and_joined() {
    check(
        "a = call $x
         b = model a
         c = model a
         d = call b c a
         -> d",
        &[],
        "a c b d",
        "d(b(a(7)) c(a(7)) a(7))",
    );
    check(
        "a = call $x
         b = call a.one a.two.three a
         -> b",
        &[("a", r#"{"one": 1, "two": {"three": 3}}"#)],
        "a b",
        "b(1 3 {one: 1 two: {three: 3}})",
    );
    // Nobody needs it, so nobody calls it.
    check(
        "a = call $x
         b = call a
         -> a",
        &[],
        "a",
        "a(7)",
    );
}

#[test]
fn what_is_skipped_takes_along_whoever_needs_it() {
    check(
        "a = call $x when no
         b = call a
         c = call a? $x
         -> a, b, c",
        &[],
        "c",
        "{a: null b: null c: c(7)}",
    );
    check(
        "a = call $x when yes
         b = call a when has(a)
         c = call $x when has(a.nothing)
         -> b, c",
        &[],
        "a b",
        "{b: b(a(7)) c: null}",
    );
    check(
        "a = call $x
         b = call a when a.good
         -> b",
        &[("a", r#"{"good": false}"#)],
        "a",
        "null",
    );
    // Nothing to ask of a condition whose node cannot run anyway.
    check(
        "a = call $x when no
         b = call a when a
         -> b",
        &[],
        "",
        "null",
    );
}

#[test]
fn failures_fail_are_skipped_or_replaced() {
    check("a = call $x\n-> a", &[("a", "!")], "a", "a: broken");
    check(
        "a = call $x skip
         b = call a
         c = call a? $x
         -> b, c",
        &[("a", "!")],
        "a c",
        "{b: null c: c(7)} without a",
    );
    check(
        "a = call $x use 5
         b = call a
         -> b",
        &[("a", "!")],
        "a b",
        "b(5) without a",
    );
    check(
        "a = call $x
         b = call a use a
         c = call b
         -> c",
        &[("b", "!")],
        "a b c",
        "c(a(7)) without b",
    );
    // Replaced by what is not there.
    for (instead, calls) in [
        ("a", "c b d"),
        ("$nothing", "c b d"),
        ("b.nothing", "b c d"),
    ] {
        let graph = format!(
            "a = call $x when no
             b = call $x
             c = call $x use {instead}
             d = call c?
             -> d, b"
        );
        check(&graph, &[("c", "!")], calls, "{d: d() b: b(7)} without c");
    }
}

#[test]
fn what_does_not_fit_names_the_field() {
    check(
        "a = call $x
         b = call a:int
         -> b",
        &[],
        "a",
        "b: input `a`: expected int, found text",
    );
    check(
        "a = call $x:text skip
         b = call a?
         -> b",
        &[],
        "b",
        "b() without a",
    );
    check(
        "a = call $x
         b = call a.texts
         -> b",
        &[("a", r#"{"text": 1}"#)],
        "a",
        "b: input `a.texts`: there is no member `texts` in what `a` gave, which is object",
    );
    check(
        "a = call $y\n-> a",
        &[],
        "",
        "a: input `y`: the request has no part `y`",
    );
    check("a = call $y? $x\n-> a", &[], "a", "a(7)");
    check(
        "a = call $x
         b = call $x when a
         -> b",
        &[("a", "1")],
        "a",
        "b: `when`: true or false is wanted, found 1",
    );
    check(
        "i = foreach $list
         t = call i:text
         g = gather t
         -> g",
        &[],
        "",
        "t[0]: input `i`: expected text, found integer",
    );
    check(
        "i = foreach $x
         g = gather i
         -> g",
        &[],
        "",
        "i: `foreach`: expected a list or a tensor, found integer",
    );
    check(
        "i = foreach $list
         g = gather i.member
         -> g",
        &[],
        "",
        "g: input `i.member`: there is no member `member` in what `i` gave, which is integer",
    );
    // Nobody misses a member in a list that nobody makes.
    check(
        "i = foreach $list
         g = gather i.member when no
         -> g",
        &[],
        "",
        "null",
    );
}

#[test]
fn a_call_ends_once() {
    let workflow = Workflow::parse("a = call $x\nb = call a\n-> b");
    let mut run = Run::<String>::new(workflow.plan(), workflow.request());
    let next = |run: &mut Run<String>| run.next(|_| true).expect("a call").remove(0).id;
    let a = next(&mut run);
    run.complete(a, Ok(Value::Int(1)));
    run.complete(a, Err("late".into()));
    let b = next(&mut run);
    run.complete(b, Ok(Value::Int(2)));
    run.complete(a, Ok(Value::Int(3)));
    assert!(run.is_over());
    let outcome = run.into_outcome().expect("an answer");
    assert_eq!(text(&outcome.value), "2");
}

#[test]
fn all_answers_at_once_share_what_they_need() {
    let workflow = Workflow::parse("a = call $x\nb = call a\nc = call a\n-> b\n-> c");
    let plan = Arc::new(Plan::whole(Arc::clone(&workflow.graph)));
    let mut run = Run::<String>::new(plan, workflow.request());
    let mut called = Vec::new();
    while let Some(calls) = run.next(|_| true) {
        for call in calls {
            let name = workflow.graph.node(call.id.node).name.clone();
            run.complete(call.id, Ok(Value::from(name.as_str())));
            called.push(name);
        }
    }
    called.sort();
    assert_eq!(called, ["a", "b", "c"]);
    let outcome = run.into_outcome().expect("an answer");
    assert_eq!(text(&outcome.value), "b");
    let others: Vec<_> = outcome.others.iter().map(text).collect();
    assert_eq!(others, ["c"]);
}
