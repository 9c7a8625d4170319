//! Quantiles, medians and ratios: all the statistics there are. Pure; called by whatever measures.

/// The value below which the share `q` (0 to 1) of the values lies, by the nearest rank; `None` of nothing.
pub fn quantile<T: Copy + PartialOrd>(values: &mut [T], q: f64) -> Option<T> {
    if values.is_empty() {
        return None;
    }
    let rank = (q * values.len() as f64).ceil() as usize;
    let index = rank.clamp(1, values.len()) - 1;
    let (_, value, _) = values.select_nth_unstable_by(index, |a, b| {
        a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal)
    });
    Some(*value)
}

/// The middle value; of an even number, the mean of the two in the middle. `NaN` of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        len if len.is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

/// What two things measured in turn say about each other: the ratio within each pair, summed up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Ratio {
    /// Of pairs `(ours, theirs)`. A machine that is slower for a while is slower for both of a pair.
    pub fn of_pairs(pairs: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let ratios: Vec<f64> = pairs
            .into_iter()
            .map(|(ours, theirs)| ours / theirs)
            .collect();
        Ratio {
            median: median(&ratios),
            least: ratios.iter().copied().fold(f64::NAN, f64::min),
            most: ratios.iter().copied().fold(f64::NAN, f64::max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_quantile(values: &[u32], q: f64, expected: Option<u32>) {
        assert_eq!(
            quantile(&mut values.to_vec(), q),
            expected,
            "{values:?} {q}"
        );
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        check_quantile(&[], 0.5, None);
        check_quantile(&[7], 0.99, Some(7));
        check_quantile(&[3, 1, 2], 0.5, Some(2));
        check_quantile(&[4, 3, 2, 1], 0.5, Some(2));
        check_quantile(&[4, 3, 2, 1], 0.0, Some(1));
        check_quantile(&[4, 3, 2, 1], 1.0, Some(4));
        let hundred: Vec<u32> = (1..=100).collect();
        check_quantile(&hundred, 0.99, Some(99));
        check_quantile(&hundred, 0.991, Some(100));
    }

    fn check_median(values: &[f64], expected: f64) {
        assert_eq!(median(values), expected, "{values:?}");
    }

    #[test]
    fn the_median_is_the_middle() {
        check_median(&[5.0], 5.0);
        check_median(&[9.0, 1.0, 2.0], 2.0);
        check_median(&[9.0, 1.0, 2.0, 4.0], 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn ratios_are_taken_within_pairs() {
        // Twice as slow from the second pair on, both of them.
        let ratio = Ratio::of_pairs([(80.0, 100.0), (45.0, 50.0), (35.0, 50.0)]);
        assert_eq!(
            ratio,
            Ratio {
                median: 0.8,
                least: 0.7,
                most: 0.9
            }
        );
    }
}
