use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn check_error(text: &str, expected: &str) {
    let error = json_tensor("body", text.as_bytes(), None).expect_err("no tensor");
    assert_eq!(error, expected, "{text}");
}

#[test]
fn errors_say_where() {
    check_error(
        r#"{"data": [[[1,2,3,4],[1,2,3,4]],[[1,2,3,4],[1,2,3]]]}"#,
        "data[1][1]: expected a list of 4 numbers, found 3",
    );
    check_error(
        "[[1], [2], [[3]]]",
        "body[2][0]: expected a number, found a list",
    );
    check_error("[[1], 2]", "body[1]: expected a list, found a number");
    check_error("[1, [2]]", "body[1]: expected a number, found a list");
    check_error(
        "[[[1], [2]], [[3]]]",
        "body[1]: expected a list of 2 lists, found 1",
    );
    check_error(
        "[[], [1]]",
        "body[1]: expected a list of 0 numbers, found 1",
    );
    check_error(
        "[1, true]",
        "body[1]: expected a number, found true or false",
    );
    check_error(
        "[true, 1]",
        "body[1]: expected true or false, found a number",
    );
    check_error(
        "[1, \"2\"]",
        "body[1]: expected a number or a list, found text",
    );
    check_error(
        "[{\"a\": 1}]",
        "body[0]: expected a number or a list, found an object",
    );
    check_error(
        "[1] 2",
        "request part `body` is not JSON: trailing characters at line 1 column 5",
    );
    check_error(
        &format!("{}1{}", "[".repeat(17), "]".repeat(17)),
        &format!(
            "body{}: lists are nested more than 16 deep",
            "[0]".repeat(16)
        ),
    );
}

#[test]
fn big_integers_become_floats() {
    let tensor = json_tensor("body", b"[18446744073709551615, 1]", None).expect("a tensor");
    assert_eq!(
        tensor.elements::<f32>(),
        Some(&[18446744073709551615f32, 1.][..])
    );
}

/// What the parser should say, worked out on serde_json's own tree: shape and numbers, or nothing.
fn reference(json: &Json) -> Option<(Vec<usize>, Vec<f64>)> {
    match json {
        Json::Number(number) => Some((vec![], vec![number.as_f64()?])),
        Json::Array(items) => {
            let rows = items.iter().map(reference).collect::<Option<Vec<_>>>()?;
            let Some((first, _)) = rows.first() else {
                return Some((vec![0], vec![]));
            };
            let mut shape = vec![rows.len()];
            shape.extend(first);
            if rows.iter().any(|(row, _)| row != first) {
                return None;
            }
            Some((
                shape,
                rows.into_iter().flat_map(|(_, numbers)| numbers).collect(),
            ))
        }
        Json::Null | Json::Bool(_) | Json::String(_) | Json::Object(_) => None,
    }
}

fn regular() -> impl Strategy<Value = Json> {
    proptest::collection::vec(0usize..4, 0..4).prop_flat_map(|shape| {
        let count: usize = shape.iter().product();
        proptest::collection::vec(-100i64..100, count).prop_map(move |numbers| {
            fn nest(shape: &[usize], numbers: &[i64]) -> Json {
                match shape.split_first() {
                    None => json!(numbers[0]),
                    Some((0, _)) => json!([]),
                    Some((rows, inner)) => {
                        let row = numbers.len() / rows;
                        (0..*rows)
                            .map(|r| nest(inner, &numbers[r * row..(r + 1) * row]))
                            .collect()
                    }
                }
            }
            nest(&shape, &numbers)
        })
    })
}

fn any_lists() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        8 => (-100i64..100).prop_map(|number| json!(number)),
        4 => (-1e6f64..1e6).prop_map(|number| json!(number)),
        1 => Just(Json::Null),
    ];
    leaf.prop_recursive(3, 24, 3, |inner| {
        proptest::collection::vec(inner, 0..3).prop_map(Json::Array)
    })
}

proptest! {
    #[test]
    fn parsing_agrees_with_serde_json(json in prop_oneof![regular(), any_lists()]) {
        let text = json.to_string();
        // Reading can be off by one in the last place; the reference must have read the same text.
        let json = serde_json::from_str(&text).expect("its own text");
        let parsed = json_tensor("body", text.as_bytes(), Some(DType::F64)).ok();
        let found = parsed.map(|tensor| {
            let numbers = tensor.elements::<f64>().expect("float64").to_vec();
            (tensor.shape().to_vec(), numbers)
        });
        prop_assert_eq!(found, reference(&json));
    }

    #[test]
    fn any_bytes_are_read_or_refused_in_one_line(text in "[\\[\\]{}0-9.,:\"a-e -]{0,24}") {
        if let Err(error) = json_tensor("body", text.as_bytes(), None) {
            prop_assert_eq!(error.lines().count(), 1);
        }
    }
}
