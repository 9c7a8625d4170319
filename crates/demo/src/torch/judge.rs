//! How good a traced model is on pictures that it has not seen.

use tch::{CModule, Tensor};

use super::{Error, data};
use crate::{CLASSES, Quadrat};

/// Mean over the classes of intersection over union, counted over all pixels of the quadrats of these seeds.
pub fn mean_iou(segmenter: &CModule, seeds: &[u64]) -> Result<f64, Error> {
    let mut counts = Confusion::default();
    for quadrat in data::generate(seeds, Quadrat::new) {
        counts.add(&quadrat.mask, &segment(segmenter, &quadrat)?);
    }
    Ok(counts.mean_iou())
}

/// The class that the model gives to each pixel.
pub fn segment(segmenter: &CModule, quadrat: &Quadrat) -> Result<Vec<u8>, Error> {
    let input = data::input(&quadrat.rgb, quadrat.width, quadrat.height);
    let classes = scores(segmenter, &input)?.f_argmax(1, false)?;
    let classes = Vec::<i64>::try_from(classes.f_flatten(0, -1)?)?;
    Ok(classes.into_iter().map(|class| class as u8).collect())
}

/// The share of substrates of these seeds whose class has the highest score.
pub fn accuracy(classifier: &CModule, seeds: &[u64]) -> Result<f64, Error> {
    let (inputs, classes) = data::substrates(seeds);
    let right = scores(classifier, &inputs)?
        .f_argmax(1, false)?
        .f_eq_tensor(&classes)?
        .f_sum(tch::Kind::Int64)?
        .f_double_value(&[])?;
    Ok(right / seeds.len() as f64)
}

fn scores(model: &CModule, input: &Tensor) -> Result<Tensor, Error> {
    let _guard = tch::no_grad_guard();
    Ok(model.forward_ts(&[input])?)
}

/// How many pixels of each class were given each class.
#[derive(Debug, Default)]
struct Confusion([[u64; CLASSES.len()]; CLASSES.len()]);

impl Confusion {
    fn add(&mut self, truth: &[u8], seen: &[u8]) {
        for (&truth, &seen) in truth.iter().zip(seen) {
            self.0[usize::from(truth)][usize::from(seen)] += 1;
        }
    }

    /// A class that is neither there nor seen counts as perfect.
    fn mean_iou(&self) -> f64 {
        let ious = (0..CLASSES.len()).map(|class| {
            let both = self.0[class][class];
            let there: u64 = self.0[class].iter().sum();
            let seen: u64 = self.0.iter().map(|row| row[class]).sum();
            match there + seen - both {
                0 => 1.0,
                either => both as f64 / either as f64,
            }
        });
        ious.sum::<f64>() / CLASSES.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::Confusion;

    fn check_iou(truth: &[u8], seen: &[u8], expected: f64) {
        let mut counts = Confusion::default();
        counts.add(truth, seen);
        let iou = counts.mean_iou();
        assert!((iou - expected).abs() < 1e-12, "{truth:?} {seen:?}: {iou}");
    }

    #[test]
    fn iou_is_intersection_over_union_averaged_over_classes() {
        check_iou(&[0, 1, 2, 2], &[0, 1, 2, 2], 1.0);
        check_iou(&[0, 0, 1, 2], &[0, 1, 1, 2], (0.5 + 0.5 + 1.0) / 3.0);
        check_iou(&[0, 0], &[1, 1], 1.0 / 3.0);
    }
}
