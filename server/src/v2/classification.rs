//! The best classes in place of scores: Triton's classification extension.
//!
//! A class is told as `score:index`, and `score:index:label` where it has a label. The last dimension of a tensor is that of
//! the classes; those before it stay. An object of scores, as classifiers answer, is classes by name.

use std::cmp::Ordering;

use bytes::Bytes;
use servable::{DType, Tensor, Value};

use super::outputs::number;

/// The `most` best classes, or all if they are fewer: the shape of their names, and the names.
///
/// # Errors
///
/// Where there are no scores.
pub(super) fn best(
    value: &Value,
    most: usize,
    labels: &[String],
) -> Result<(Vec<usize>, Vec<Bytes>), String> {
    if let Value::Tensor(tensor) = value {
        return of_tensor(tensor, most, labels);
    }
    let Value::Map(members) = value else {
        return Err(no_scores(value));
    };
    let scores = members
        .iter()
        .map(|(name, score)| Some((name, number(score)?)));
    let scores: Option<Vec<_>> = scores.collect();
    let mut scores = scores.ok_or_else(|| no_scores(value))?;
    scores.sort_by(|(_, a), (_, b)| descending(*a, *b));
    let names = scores.iter().enumerate().take(most);
    let names = names.map(|(place, (name, score))| {
        let index = labels.iter().position(|label| label == *name);
        Bytes::from(format!("{score}:{}:{name}", index.unwrap_or(place)))
    });
    let names: Vec<_> = names.collect();
    Ok((vec![names.len()], names))
}

fn no_scores(found: &Value) -> String {
    format!(
        "parameter `classification`: expected scores of classes, found {}",
        found.kind()
    )
}

fn of_tensor(
    tensor: &Tensor,
    most: usize,
    labels: &[String],
) -> Result<(Vec<usize>, Vec<Bytes>), String> {
    let Some((&classes, before)) = tensor.shape().split_last() else {
        return Err(
            "parameter `classification`: expected scores of classes, found one number".into(),
        );
    };
    let kept = most.min(classes);
    let scores = scores(tensor);
    let mut names = Vec::new();
    for row in scores.chunks_exact(classes.max(1)) {
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&a, &b| descending(row[a].0, row[b].0));
        names.extend(order.into_iter().take(kept).map(|index| {
            let score = &row[index].1;
            Bytes::from(match labels.get(index) {
                Some(label) => format!("{score}:{index}:{label}"),
                None => format!("{score}:{index}"),
            })
        }));
    }
    let shape = before.iter().copied().chain([kept]).collect();
    Ok((shape, names))
}

/// Best first; what is no number comes last.
fn descending(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => b.total_cmp(&a),
    }
}

/// Each score to compare by, and in the shortest text that is that very number.
fn scores(tensor: &Tensor) -> Vec<(f64, String)> {
    use bytemuck::pod_read_unaligned as read;
    let dtype = tensor.dtype();
    let score = |bytes: &[u8]| match dtype {
        DType::Bool | DType::U8 => (f64::from(bytes[0]), bytes[0].to_string()),
        DType::I8 => whole(read::<i8>(bytes).into()),
        DType::I16 => whole(read::<i16>(bytes).into()),
        DType::I32 => whole(read::<i32>(bytes).into()),
        DType::I64 => whole(read::<i64>(bytes)),
        DType::F16 => single(read::<half::f16>(bytes).into()),
        DType::BF16 => single(read::<half::bf16>(bytes).into()),
        DType::F32 => single(read::<f32>(bytes)),
        DType::F64 => {
            let score = read::<f64>(bytes);
            (score, score.to_string())
        }
    };
    tensor
        .bytes()
        .chunks_exact(dtype.size())
        .map(score)
        .collect()
}

fn whole(score: i64) -> (f64, String) {
    (score as f64, score.to_string())
}

fn single(score: f32) -> (f64, String) {
    (score.into(), score.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: impl Into<Value>, most: usize, shape: &[usize], expected: &[&str]) {
        let labels = ["sand", "seagrass", "rock"].map(str::to_owned);
        let (found_shape, names) = best(&value.into(), most, &labels).expect("scores");
        assert_eq!(
            (found_shape.as_slice(), names),
            (
                shape,
                expected
                    .iter()
                    .map(|name| Bytes::from((*name).to_owned()))
                    .collect()
            )
        );
    }

    #[test]
    fn the_best_come_first_with_their_labels() {
        let row = Tensor::new(vec![4], vec![0.1f32, 0.25, f32::NAN, 0.2]).expect("four");
        check(row.clone(), 2, &[2], &["0.25:1:seagrass", "0.2:3"]);
        check(
            row,
            9,
            &[4],
            &["0.25:1:seagrass", "0.2:3", "0.1:0:sand", "NaN:2:rock"],
        );
        let rows = Tensor::new(vec![2, 2], vec![1i64, 5, 10, 4]).expect("four");
        check(rows, 1, &[2, 1], &["5:1:seagrass", "10:0:sand"]);
        let none = Tensor::new::<f32>(vec![2, 0], vec![]).expect("none");
        check(none, 1, &[2, 0], &[]);
        let named = Value::map([("rock", Value::Float(0.2)), ("sand", Value::Float(0.8))]);
        check(named, 1, &[1], &["0.8:0:sand"]);
    }

    #[test]
    fn what_has_no_scores_is_named() {
        let refused = best(&"text".into(), 1, &[]).expect_err("no scores");
        assert_eq!(
            refused,
            "parameter `classification`: expected scores of classes, found text"
        );
        let scalar = Tensor::new(vec![], vec![1f32]).expect("one");
        assert!(best(&scalar.into(), 1, &[]).is_err());
    }
}
