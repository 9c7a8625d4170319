//! Conditions as data: text and types in, or text and values in; a verdict out.

use servable::{DType, Tensor};

use super::*;
use crate::graph::NodeId;

fn resolved(text: &str) -> Result<Expression, String> {
    let names = ["n", "t", "list", "object", "tensor", "gone"];
    let resolve = |text: &str| {
        let (name, path) = text.split_once('.').unwrap_or((text, ""));
        let node = names.iter().position(|known| *known == name).expect(text);
        Source::Node {
            node: NodeId(node),
            path: path
                .split('.')
                .filter(|step| !step.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    };
    Ok(Parsed::parse(text)?.resolve(Place::default(), resolve))
}

fn values() -> [Option<Value>; 6] {
    [
        Some(Value::Int(7)),
        Some(Value::from("plate")),
        Some(Value::list([Value::Int(1), Value::Null])),
        Some(Value::map([
            ("score", Value::Float(0.5)),
            ("label", Value::from("cat")),
        ])),
        Some(
            Tensor::new(vec![3, 2], vec![0f32; 6])
                .expect("six numbers")
                .into(),
        ),
        None,
    ]
}

fn check(text: &str, expected: &str) {
    let all = values();
    let found = resolved(text).and_then(|condition| {
        let values: Vec<_> = condition
            .sources()
            .iter()
            .map(|source| match source {
                Source::Node { node, .. } => all[node.0].clone(),
                Source::Request | Source::Part(_) | Source::Literal(_) => None,
            })
            .collect();
        condition.evaluate(&values)
    });
    let found = found.map_or_else(|error| error, |value| value.to_string());
    assert_eq!(found, expected, "{text}");
}

#[test]
fn conditions_hold_or_not() {
    check("n > 6", "true");
    check("n >= 7 and n <= 7 && not n != 7", "true");
    check("n == 8 || !(n < 8)", "false");
    check("1 + 2 * 3 == n", "true");
    check("(1 + 2) * 3 == 9.0", "true");
    check("n / 2 == 3.5", "true");
    check("-n % 4 == 1", "true");
    check("n - 1 - 1 == 5", "true");
    check("t == 'plate'", "true");
    check("t < \"q\"", "true");
    check("'it''s' == 'it''s'", "true");
    check(
        "size(list) == 2 and size(tensor) == 3 and size(t) == 5 and size(object) == 2",
        "true",
    );
    check("object.score >= 0.5", "true");
    check(
        "has(object.score) and not has(object.size) and not has(gone)",
        "true",
    );
    check("gone == null", "true");
    check("object.size == null", "true");
    check("n == 'n'", "false");
    check("has(gone) and gone > 3", "false");
    check("true or 1 / 0 == 1", "true");
}

#[test]
fn values_that_cannot_work_say_so() {
    check("gone > 3", "null cannot be compared with 3");
    check("gone + 3 > 3", "`gone` is not there; ask `has(gone)` first");
    check("n / 0 > 1", "division by zero");
    check("n % 0 > 1", "division by zero");
    check(
        "9223372036854775807 + n > 0",
        "the integers become too large",
    );
    check(
        "-9223372036854775807 * 3 < 0",
        "the integers become too large",
    );
    check("n", "true or false is wanted, found 7");
    check("t * 2 > 1", "a number is wanted, found the text \"plate\"");
    check("size(n) > 1", "`size` of 7 means nothing");
}

#[test]
fn what_is_no_condition_says_where() {
    check("", "expected a value, and there the condition ends");
    check("n >", "expected a value, and there the condition ends");
    check(
        "n > 1 n",
        "character 7: expected its end, `and` or `or`, found `n`",
    );
    check(
        "1 < n < 9",
        "character 7: expected `and` between two comparisons, found `<`",
    );
    check("n = 3", "character 3: `=` means nothing here");
    check("t == 'plate", "character 6: the text has no end");
    check("3x > 1", "character 1: `3x` is no number");
    check(
        "99999999999999999999 > 1",
        "character 1: 99999999999999999999 is too large",
    );
    check(
        "count(list) > 1",
        "there is no function `count` in conditions; there are `size` and `has`",
    );
    check("has(1)", "character 5: expected a reference, found 1");
    check(&"(".repeat(100), "the condition is nested deeper than 64");
    check(
        &"not ".repeat(100),
        "the condition is nested deeper than 64",
    );
    check(
        &format!("1{} > 0", " + 1".repeat(100)),
        "the condition is nested deeper than 64",
    );
    check(
        &"1".repeat(2000),
        "the condition has 2000 bytes, and may have 1024",
    );
}

#[test]
fn types_are_checked_before_there_are_values() {
    let types = [
        Type::Int,
        Type::Text,
        Type::list(Type::Any),
        "{score: float, label: text}".parse().expect("a type"),
        Type::tensor(DType::F32),
        Type::Any,
    ];
    let check = |text: &str, expected: &str| {
        let found = resolved(text).and_then(|condition| {
            let sources: Vec<Type> = condition
                .sources()
                .iter()
                .map(|source| match source {
                    Source::Node { node, .. } => types[node.0].clone(),
                    Source::Request | Source::Part(_) | Source::Literal(_) => Type::Any,
                })
                .collect();
            condition.check(&sources)
        });
        assert_eq!(found.err().unwrap_or_default(), expected, "{text}");
    };
    check("n > 1 and t == 'a' and size(list) > 0", "");
    check("object.score > 0.5 and gone.whatever == 3", "");
    check("n", "the condition wants true or false, found int");
    check("n > 'a'", "int cannot be compared with text");
    check("t == 1", "text cannot be compared with int");
    check("t == null", "");
    check("t < null", "null is neither less nor greater than anything");
    check("size(n) > 1", "`size` of int means nothing");
    check("t + 1 > 1", "arithmetic wants a number, found text");
    check("not n", "`not` wants true or false, found int");
    check(
        "n and true",
        "what stands beside `and` and `or` wants true or false, found int",
    );
    check(
        "object.scores > 1",
        "`{score: float, label: text}` has no member `scores`; nearest is `score`",
    );
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[a-z0-9 .()'<>=!&|+*/%-]{0,60}") {
        let _ = Parsed::parse(&text).map(|parsed| {
            let condition = parsed.resolve(Place::default(), |name| Source::Part(name.to_owned()));
            let values = vec![Some(Value::Int(i64::MIN)); condition.sources().len()];
            let _ = condition.evaluate(&values);
            let _ = condition.check(&vec![Type::Any; values.len()]);
        });
    }
}
