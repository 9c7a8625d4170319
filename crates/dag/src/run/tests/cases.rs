//! What is called, in which order, with what, and what is answered, for one feature after the other.

use serde_json::Value as Json;
use servable::Value;

use super::build::{Name, Workflow, text};
use super::*;

/// Calls all that can be called and ends it in that order, until nothing is left. A call gives its name and inputs as text,
/// such as `t(10 a(7))`, unless `results` says something else for its node or for its node and item: JSON, or `!` where it
/// fails. `calls` is what was called, the items that go to a model together joined by `+`; `expected` the answer, and who
/// is degraded.
fn check(graph: &str, results: &[(&str, &str)], calls: &str, expected: &str) {
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
fn each_item_goes_its_way() {
    check(
        "i = foreach $list
         t = call i
         u = call t
         g = gather u
         a = call g
         -> a",
        &[],
        "t[0] t[1] t[2] u[0] u[1] u[2] a",
        "a([u(t(10)) u(t(20)) u(t(30))])",
    );
    // As it is, and twice.
    check(
        "i = foreach $list
         g = gather i
         h = gather i
         -> g, h",
        &[],
        "",
        "{g: [10 20 30] h: [10 20 30]}",
    );
    check(
        "a = call $x
         i = foreach a
         t = call i.n
         g = gather t
         h = gather i.n
         -> g, h",
        &[("a", r#"[{"n": 1}, {"n": 2}]"#)],
        "a t[0] t[1]",
        "{g: [t(1) t(2)] h: [1 2]}",
    );
    // Nobody gathers: nothing waits, and nothing is called.
    check("i = foreach $list\na = call $x\n-> a", &[], "a", "a(7)");
}

#[test]
fn no_items_are_a_normal_case() {
    check(
        "b = call $x
         i = foreach $none
         j = foreach $list
         t = call i b
         u = together i t
         g = gather u
         a = call g
         -> a",
        &[],
        "a b",
        "a([])",
    );
    // No items of any item; items of some.
    check(
        "a = call $x
         i = foreach a
         j = foreach i
         t = together j
         g = gather t
         h = gather g
         -> h",
        &[("a", "[[], [1, 2], []]")],
        "a t[1,0]+t[1,1]",
        "[[] [t(1) t(2)] []]",
    );
}

#[test]
fn what_is_outside_is_there_for_every_item() {
    check(
        "a = call $x
         i = foreach $list
         t = call i a
         j = foreach $none
         u = call j a
         g = gather t
         h = gather u
         -> g, h",
        &[],
        "a t[0] t[1] t[2]",
        "{g: [t(10 a(7)) t(20 a(7)) t(30 a(7))] h: []}",
    );
    // Skipped outside, and needed inside or not.
    check(
        "a = call $x when no
         i = foreach $list
         t = call i a
         u = call i t? a?
         g = gather u
         -> g",
        &[],
        "u[0] u[1] u[2]",
        "[u(10) u(20) u(30)]",
    );
    // Both before and after the scope was opened, and what opens it itself.
    check(
        "a = call $x
         i = foreach a
         s = call i
         t = call i a s
         g = gather t
         -> g",
        &[("a", "[1]")],
        "a s[0] t[0]",
        "[t(1 [1] s(1))]",
    );
}

#[test]
fn what_settles_as_a_scope_opens_is_counted_once() {
    // `s` settles with the opening of the scope; `t` waits for `u` all the same.
    check(
        "s = call $x when no
         i = foreach $list
         u = call i
         t = call u s?
         g = gather t
         -> g",
        &[],
        "u[0] u[1] u[2] t[0] t[1] t[2]",
        "[t(u(10)) t(u(20)) t(u(30))]",
    );
    check(
        "a = call $x
         i = foreach a
         u = call i
         t = call u a
         g = gather t
         -> g",
        &[("a", "[1]")],
        "a u[0] t[0]",
        "[t(u(1) [1])]",
    );
}

#[test]
fn items_inside_items() {
    let results = [("a", "[[1, 2], [3]]")];
    check(
        "b = call $x
         a = call $x
         i = foreach a
         k = call i
         j = foreach i
         t = call j k b
         g = gather t
         u = call g k
         h = gather u
         -> h",
        &results,
        "a b k[0] k[1] t[0,0] t[0,1] t[1,0] u[0] u[1]",
        "[u([t(1 k([1 2]) b(7)) t(2 k([1 2]) b(7))] k([1 2])) u([t(3 k([3]) b(7))] k([3]))]",
    );
    // Two scopes of one list know nothing of one another.
    check(
        "a = call $x
         i = foreach a
         j = foreach a
         t = call i
         u = call j
         g = gather t
         h = gather u
         -> g, h",
        &results,
        "a u[0] u[1] t[0] t[1]",
        "{g: [t([1 2]) t([3])] h: [u([1 2]) u([3])]}",
    );
}

#[test]
fn an_item_may_use_what_was_made_of_all() {
    check(
        "i = foreach $list
         t = call i
         g = gather t
         m = call g
         u = call i m
         v = call u t
         h = gather v
         -> h",
        &[("m", "1"), ("t", "0")],
        "t[0] t[1] t[2] m u[0] u[1] u[2] v[0] v[1] v[2]",
        "[v(u(10 1) 0) v(u(20 1) 0) v(u(30 1) 0)]",
    );
    check(
        "i = foreach $none
         t = call i
         g = gather t
         m = call g
         u = call i m
         h = gather u
         -> h",
        &[],
        "m",
        "[]",
    );
}

#[test]
fn an_item_that_is_missing_is_null_in_the_list() {
    check(
        "a = call $x
         i = foreach a
         t = call i.n when i.good
         u = call t skip
         g = gather u
         -> g",
        &[
            (
                "a",
                r#"[{"n": 1, "good": true}, {"n": 2, "good": false}, {"n": 3, "good": true}]"#,
            ),
            ("u[2]", "!"),
        ],
        "a t[0] t[2] u[0] u[2]",
        "[u(t(1)) null null] without u",
    );
    check(
        "i = foreach $list
         t = call i
         g = gather t
         -> g",
        &[("t[1]", "!")],
        "t[0] t[1] t[2]",
        "t[1]: broken",
    );
}

#[test]
fn a_scope_that_does_not_open_skips_its_gathers() {
    check(
        "b = call $x
         i = foreach $list when no
         t = call i b
         g = gather t
         c = call g
         d = call g?
         -> c, d",
        &[],
        "d b",
        "{c: null d: d()}",
    );
    check(
        "a = call $x when no
         i = foreach a
         g = gather i
         h = gather i when has(a)
         -> g, h",
        &[],
        "",
        "{g: null h: null}",
    );
    // Inside another scope, and with something that the gather still waits for.
    check(
        "s = call $x
         i = foreach $list
         j = foreach i skip
         t = call j
         g = gather t when has(s)
         u = call i g?
         h = gather u
         -> h",
        &[],
        "s u[0] u[1] u[2]",
        "[u(10) u(20) u(30)] without j",
    );
    check(
        "i = foreach $x use $list
         g = gather i
         -> g",
        &[],
        "",
        "[10 20 30] without i",
    );
    check(
        "i = foreach $x use 5
         g = gather i
         -> g",
        &[],
        "",
        "null without i",
    );
}

#[test]
fn no_more_items_than_allowed() {
    let graph =
        |limit: &str| format!("i = foreach $list limit {limit}\nt = call i\ng = gather t\n-> g");
    check(
        &graph("2 truncate"),
        &[],
        "t[0] t[1]",
        "[t(10) t(20)] without i",
    );
    check(
        &graph("3 truncate"),
        &[],
        "t[0] t[1] t[2]",
        "[t(10) t(20) t(30)]",
    );
    check(&graph("0 truncate"), &[], "", "[] without i");
    check(
        &graph("2 error"),
        &[],
        "",
        "i: `foreach`: 3 items, and 2 are the most",
    );
    check(&graph("2 error skip"), &[], "", "null without i");
    check(&graph("2 error use $none"), &[], "", "[] without i");
}

#[test]
fn all_items_of_a_group_go_together() {
    check(
        "i = foreach $list
         t = together i
         g = gather t
         -> g",
        &[],
        "t[0]+t[1]+t[2]",
        "[t(10) t(20) t(30)]",
    );
    // Outside of any scope there is nothing to wait for.
    check("t = together $x\n-> t", &[], "t", "t(7)");
    // Those that come, however the others fared: skipped, failed before, or of the wrong type.
    check(
        "i = foreach $list
         s = call i skip
         t = together s
         g = gather t
         -> g",
        &[("s[1]", "!")],
        "s[0] s[1] s[2] t[0]+t[2]",
        "[t(s(10)) null t(s(30))] without s",
    );
    check(
        "i = foreach $list
         s = call i
         t = together s:text skip
         g = gather t
         -> g",
        &[("s[1]", "1")],
        "s[0] s[1] s[2] t[0]+t[2]",
        "[t(s(10)) null t(s(30))] without t",
    );
    check(
        "a = call $x
         i = foreach a
         t = together i.n when i.good
         u = together t
         g = gather u
         -> g",
        &[(
            "a",
            r#"[{"n": 1, "good": false}, {"n": 2, "good": true}, {"n": 3, "good": false}]"#,
        )],
        "a t[1] u[1]",
        "[null u(t(2)) null]",
    );
    check(
        "i = foreach $list
         s = call i when no
         t = together s
         g = gather t
         -> g",
        &[],
        "",
        "[null null null]",
    );
    // One batch per group.
    check(
        "a = call $x
         i = foreach a
         j = foreach i
         t = together j
         g = gather t
         h = gather g
         -> h",
        &[("a", "[[1, 2], [3]]")],
        "a t[0,0]+t[0,1] t[1,0]",
        "[[t(1) t(2)] [t(3)]]",
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
