//! Texts from a recogniser's scores per step, as networks trained with connectionist temporal classification give them
//! (A. Graves et al., 2006).

/// What was read of one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Without repeats and blanks.
    pub classes: Vec<usize>,
    /// Minus the sum of the highest score of each step: the lower, the surer. Scores are taken as they are.
    pub score: f64,
}

/// The best path of scores `[classes, steps]`: the class with the highest score in each step (the lowest of equals),
/// without repeats of the step before and without blanks. A step without any number is a blank.
///
/// `scores` must hold `classes * steps` numbers; steps beyond what it holds are not read.
pub fn ctc_greedy(scores: &[f32], classes: usize, steps: usize, blank: usize) -> Reading {
    let mut reading = Reading {
        classes: Vec::new(),
        score: 0.0,
    };
    let mut before = blank;
    for step in 0..steps {
        let of_step = scores
            .iter()
            .skip(step)
            .step_by(steps)
            .take(classes)
            .copied()
            .enumerate();
        let best = of_step.fold(None, |best: Option<(usize, f32)>, next| match best {
            _ if next.1.is_nan() => best,
            Some(known) if next.1 <= known.1 => best,
            Some(_) | None => Some(next),
        });
        let (class, score) = best.unwrap_or((blank, 0.0));
        reading.score -= f64::from(score);
        if class != before && class != blank {
            reading.classes.push(class);
        }
        before = class;
    }
    reading
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reading of a best path, each step of which scores 2, over three classes of which 2 is the blank.
    fn check(path: &[usize], expected: &[usize]) {
        let steps = path.len();
        let scores: Vec<f32> = (0..3 * steps)
            .map(|at| {
                if path[at % steps] == at / steps {
                    2.0
                } else {
                    -1.0
                }
            })
            .collect();
        let found = ctc_greedy(&scores, 3, steps, 2);
        assert_eq!(found.classes, expected, "{path:?}");
        assert_eq!(found.score, -2.0 * steps as f64);
    }

    #[test]
    fn repeats_and_blanks_are_dropped() {
        check(&[0, 0, 1, 2, 2, 1], &[0, 1, 1]);
        check(&[2, 2], &[]);
        check(&[0], &[0]);
        check(&[], &[]);
    }

    #[test]
    fn what_is_no_number_is_never_the_best() {
        let found = ctc_greedy(&[f32::NAN, f32::NAN, 1.0, f32::NAN], 2, 2, 1);
        assert_eq!((found.classes, found.score), (vec![], -1.0));
    }
}
