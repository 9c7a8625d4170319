//! Cutting a network's result into rows, and finding the tensor in it that a handler wants.

use servable::{JobError, Tensor, Value};

/// Row `index` of every tensor in `value`, nested as it is; `None` where something is no tensor or has no such row.
pub(crate) fn rows(value: &Value, index: usize) -> Option<Value> {
    map_tensors(value, &|tensor| tensor.row(index))
}

/// Rows `start..start + count` of every tensor in `value`, which keep their first dimension.
pub(crate) fn slice(value: &Value, start: usize, count: usize) -> Option<Value> {
    let end = start.checked_add(count)?;
    map_tensors(value, &|tensor| tensor.rows(start..end))
}

fn map_tensors(value: &Value, cut: &dyn Fn(&Tensor) -> Option<Tensor>) -> Option<Value> {
    match value {
        Value::Tensor(tensor) => cut(tensor).map(Value::Tensor),
        Value::List(items) => items
            .iter()
            .map(|item| map_tensors(item, cut))
            .collect::<Option<Vec<_>>>()
            .map(Value::list),
        Value::Map(items) => items
            .iter()
            .map(|(name, item)| Some((name.clone(), map_tensors(item, cut)?)))
            .collect::<Option<Vec<_>>>()
            .map(Value::map),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_) => None,
    }
}

/// The tensor a handler works on: the result itself, the first of several, or in a map one of `names`.
pub(crate) fn main_tensor<'v>(value: &'v Value, names: &[&str]) -> Result<&'v Tensor, JobError> {
    let found = match value {
        Value::Tensor(tensor) => return Ok(tensor),
        Value::List(items) => items.first(),
        Value::Map(items) => {
            names
                .iter()
                .find_map(|name| value.get(name))
                .or(match items.as_ref() {
                    [(_, only)] => Some(only),
                    _ => None,
                })
        }
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Image(_) => None,
    };
    match found {
        Some(inner) => main_tensor(inner, names),
        None => Err(JobError::failed(format!(
            "the network's result holds no tensor called {}",
            names.join(" or ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(numbers: &[i64]) -> Value {
        Tensor::new(vec![numbers.len(), 1], numbers.to_vec())
            .expect("as many elements")
            .into()
    }

    fn text(value: Option<Value>) -> Option<String> {
        value.map(|value| String::from_utf8(value.to_json()).expect("JSON is UTF-8"))
    }

    #[test]
    fn results_are_cut_as_they_are_nested() {
        let check = |value: &Value, index, expected: Option<&str>| {
            assert_eq!(text(rows(value, index)).as_deref(), expected);
        };
        check(&column(&[1, 2]), 1, Some("[2]"));
        check(&column(&[1, 2]), 2, None);
        check(
            &Value::list([column(&[1, 2]), column(&[3, 4])]),
            0,
            Some("[\n  [1],\n  [3]\n]"),
        );
        check(
            &Value::map([("a", column(&[1, 2]))]),
            1,
            Some("{\n  \"a\": [2]\n}"),
        );
        check(&Value::Int(1), 0, None);
    }

    #[test]
    fn slices_keep_their_first_dimension() {
        let check = |start, count, expected: Option<&str>| {
            assert_eq!(
                text(slice(&column(&[1, 2, 3]), start, count)).as_deref(),
                expected
            );
        };
        check(0, 3, Some("[[1], [2], [3]]"));
        check(1, 2, Some("[[2], [3]]"));
        check(1, 0, Some("[]"));
        check(2, 2, None);
    }

    #[test]
    fn the_main_tensor_is_found_by_place_or_name() {
        let check = |value: Value, expected: Option<&str>| {
            let found = main_tensor(&value, &["out", "logits"]).ok();
            assert_eq!(text(found.cloned().map(Value::Tensor)).as_deref(), expected);
        };
        let (one, two) = (column(&[1]), column(&[2]));
        check(one.clone(), Some("[[1]]"));
        check(Value::list([one.clone(), two.clone()]), Some("[[1]]"));
        check(
            Value::map([("aux", two.clone()), ("out", one.clone())]),
            Some("[[1]]"),
        );
        check(Value::map([("only", one.clone())]), Some("[[1]]"));
        check(Value::map([("a", one), ("b", two)]), None);
        check(Value::list([]), None);
    }
}
