//! From a network's scores to probabilities and the best classes.

use std::cmp::Ordering;

/// Probabilities from scores: `exp(s - max) / sum(exp(s - max))`.
pub fn softmax(scores: &[f32]) -> Vec<f32> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut shares: Vec<f32> = scores.iter().map(|score| (score - most).exp()).collect();
    let sum: f32 = shares.iter().sum();
    for share in &mut shares {
        *share /= sum;
    }
    shares
}

/// The `count` best classes, best first; of equal ones the lower class first, and one that is not a number last.
pub fn best(probabilities: &[f32], count: usize) -> Vec<(usize, f32)> {
    let falling = |a: &(usize, f32), b: &(usize, f32)| falling(a.1, b.1).then(a.0.cmp(&b.0));
    let mut classes: Vec<_> = probabilities.iter().copied().enumerate().collect();
    let count = count.min(classes.len());
    if count > 0 && count < classes.len() {
        classes.select_nth_unstable_by(count - 1, falling);
        classes.truncate(count);
    }
    classes.sort_by(falling);
    classes
}

/// The order of falling numbers, in which what is not a number comes last.
pub fn falling(a: f32, b: f32) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => b.total_cmp(&a),
        (a, b) => a.cmp(&b),
    }
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
}
