//! From a network's scores to probabilities and the best classes.

use std::borrow::Cow;
use std::cmp::Ordering;

use servable::{DType, Element, JobError, Tensor};

/// A tensor's numbers in single precision, borrowed where they already are.
pub(crate) fn numbers(tensor: &Tensor) -> Cow<'_, [f32]> {
    if let Some(numbers) = tensor.elements::<f32>() {
        return Cow::Borrowed(numbers);
    }
    Cow::Owned(match tensor.dtype() {
        DType::Bool | DType::U8 => converted::<u8, _>(tensor, f32::from),
        DType::I8 => converted::<i8, _>(tensor, f32::from),
        DType::I16 => converted::<i16, _>(tensor, f32::from),
        DType::I32 => converted::<i32, _>(tensor, |number| number as f32),
        DType::I64 => converted::<i64, _>(tensor, |number| number as f32),
        DType::F16 => converted::<half::f16, _>(tensor, half::f16::to_f32),
        DType::BF16 => converted::<half::bf16, _>(tensor, half::bf16::to_f32),
        DType::F32 => converted::<f32, _>(tensor, |number| number),
        DType::F64 => converted::<f64, _>(tensor, |number| number as f32),
    })
}

/// Reads one by one, because a row's memory need not be aligned for its elements.
pub(crate) fn converted<T: Element, U>(tensor: &Tensor, convert: impl Fn(T) -> U) -> Vec<U> {
    tensor
        .bytes()
        .chunks_exact(size_of::<T>())
        .map(|bytes| convert(bytemuck::pod_read_unaligned(bytes)))
        .collect()
}

/// One row of class scores: a tensor with one side, or with one side that is not 1 (`[1, classes]`, `[classes, 1, 1]`).
pub(crate) fn class_scores(tensor: &Tensor) -> Result<Cow<'_, [f32]>, JobError> {
    if tensor.is_empty() || tensor.shape().iter().filter(|side| **side > 1).count() > 1 {
        return Err(JobError::failed(format!(
            "the network's result is not one score per class: a row has shape {:?}",
            tensor.shape()
        )));
    }
    Ok(numbers(tensor))
}

/// Probabilities from scores: `exp(s - max) / sum(exp(s - max))`.
pub(crate) fn softmax(scores: &[f32]) -> Vec<f32> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut shares: Vec<f32> = scores.iter().map(|score| (score - most).exp()).collect();
    let sum: f32 = shares.iter().sum();
    for share in &mut shares {
        *share /= sum;
    }
    shares
}

/// The `count` best classes, best first; of equal ones the lower class first, and one that is not a number last.
pub(crate) fn best(probabilities: &[f32], count: usize) -> Vec<(usize, f32)> {
    let falling = |a: &(usize, f32), b: &(usize, f32)| {
        let by_number = match (a.1.is_nan(), b.1.is_nan()) {
            (false, false) => b.1.total_cmp(&a.1),
            (a, b) => a.cmp(&b),
        };
        by_number.then(a.0.cmp(&b.0))
    };
    let mut classes: Vec<_> = probabilities.iter().copied().enumerate().collect();
    let count = count.min(classes.len());
    if count > 0 && count < classes.len() {
        classes.select_nth_unstable_by(count - 1, falling);
        classes.truncate(count);
    }
    classes.sort_by(|a, b| -> Ordering { falling(a, b) });
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_softmax(scores: &[f32], expected: &[f32]) {
        let found = softmax(scores);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
    }

    #[test]
    fn softmax_is_a_distribution_at_any_height() {
        check_softmax(&[0., 0.], &[0.5, 0.5]);
        check_softmax(&[0., 3f32.ln()], &[0.25, 0.75]);
        check_softmax(&[1000., 1000.], &[0.5, 0.5]);
        check_softmax(&[f32::NEG_INFINITY, 2.], &[0., 1.]);
        check_softmax(&[7.], &[1.]);
    }

    fn check_best(probabilities: &[f32], count: usize, expected: &[usize]) {
        let found: Vec<_> = best(probabilities, count)
            .iter()
            .map(|(class, _)| *class)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn best_come_first_and_ties_in_class_order() {
        check_best(&[0.1, 0.5, 0.4], 2, &[1, 2]);
        check_best(&[0.2, 0.2, 0.6, 0.2], 3, &[2, 0, 1]);
        check_best(&[0.3, 0.7], 5, &[1, 0]);
        check_best(&[f32::NAN, 0.1, 0.2], 2, &[2, 1]);
        check_best(&[], 5, &[]);
    }

    #[test]
    fn numbers_of_any_type_and_alignment() {
        let halves: Vec<_> = [1.5f32, -2.].map(half::f16::from_f32).into();
        let tensor = Tensor::new(vec![2], halves).expect("two elements");
        assert_eq!(numbers(&tensor).as_ref(), [1.5, -2.]);
        let tensor = Tensor::new(vec![2], vec![3i64, -4]).expect("two elements");
        assert_eq!(numbers(&tensor).as_ref(), [3., -4.]);
    }

    #[test]
    fn class_scores_have_one_side() {
        let check = |shape: Vec<usize>, expected: bool| {
            let tensor = Tensor::new(shape.clone(), vec![0f32; shape.iter().product()]);
            let tensor = tensor.expect("as many elements");
            assert_eq!(class_scores(&tensor).is_ok(), expected, "{shape:?}");
        };
        check(vec![10], true);
        check(vec![1, 10], true);
        check(vec![10, 1, 1], true);
        check(vec![], true);
        check(vec![2, 10], false);
        check(vec![0], false);
    }
}
