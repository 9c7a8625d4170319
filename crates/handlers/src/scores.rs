//! What a classifier's row of scores must look like.

use std::borrow::Cow;

use servable::{JobError, Tensor};
use tensor_ops::numbers;

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

#[cfg(test)]
mod tests {
    use super::*;

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
