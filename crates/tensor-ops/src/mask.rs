//! From scores per class and pixel to the best class of each pixel.

use std::borrow::Cow;

use servable::{Tensor, TensorError};
use thiserror::Error;

use crate::{integers, numbers};

/// Why numbers are no mask. The messages go on after "is": `the network's result is not class numbers: found -1`.
#[derive(Debug, Clone, Error)]
pub enum MaskError {
    #[error("not scores of shape [classes, height, width]: found {0:?}")]
    NotScores(Tensor),
    #[error("{scores:?}, which does not cover a picture of {width}x{height}")]
    TooSmall {
        scores: Tensor,
        width: usize,
        height: usize,
    },
    #[error("not class numbers: found {0}")]
    NotClasses(i64),
}

/// Scores `[classes, rows, columns]`, of which the upper left corner is the picture.
pub struct Scores<'t> {
    numbers: Cow<'t, [f32]>,
    classes: usize,
    rows: usize,
    columns: usize,
    /// Width and height of the picture within.
    size: (usize, usize),
}

impl<'t> Scores<'t> {
    pub fn of(tensor: &'t Tensor, size: (usize, usize)) -> Result<Self, MaskError> {
        let [classes, rows, columns] = *tensor.shape() else {
            return Err(MaskError::NotScores(tensor.clone()));
        };
        if tensor.is_empty() || size.0 > columns || size.1 > rows {
            return Err(MaskError::TooSmall {
                scores: tensor.clone(),
                width: size.0,
                height: size.1,
            });
        }
        Ok(Scores {
            numbers: numbers(tensor),
            classes,
            rows,
            columns,
            size,
        })
    }

    /// `[height, width, 2]`: the best class as a number, and its softmax over the classes.
    pub fn probabilities(&self) -> Result<Tensor, TensorError> {
        let (width, height) = self.size;
        let mut out = Vec::with_capacity(width * height * 2);
        let mut winners = Winners::new(width);
        let mut sums = vec![0f32; width];
        for y in 0..height {
            winners.of_row(self, y);
            sums.fill(0.0);
            for class in 0..self.classes {
                let row = self.row(class, y);
                for ((sum, score), best) in sums.iter_mut().zip(row).zip(&winners.scores) {
                    *sum += (score - best).exp();
                }
            }
            for (class, sum) in winners.classes.iter().zip(&sums) {
                // The best score's own term is exp(0), so its share is one over the sum.
                out.extend([*class as f32, 1.0 / sum]);
            }
        }
        Tensor::new(vec![height, width, 2], out)
    }

    fn row(&self, class: usize, y: usize) -> &[f32] {
        let start = (class * self.rows + y) * self.columns;
        &self.numbers[start..start + self.size.0]
    }
}

/// The best class and its score along one row of pixels; the lowest class wins a tie.
struct Winners {
    classes: Vec<u32>,
    scores: Vec<f32>,
}

impl Winners {
    fn new(width: usize) -> Self {
        Winners {
            classes: vec![0; width],
            scores: vec![0.0; width],
        }
    }

    fn of_row(&mut self, scores: &Scores<'_>, y: usize) {
        self.classes.fill(0);
        self.scores.copy_from_slice(scores.row(0, y));
        for class in 1..scores.classes {
            let cells = self.classes.iter_mut().zip(&mut self.scores);
            for ((winner, best), score) in cells.zip(scores.row(class, y)) {
                // Two selections instead of a branch: the compiler does eight pixels at once.
                let better = *score > *best || best.is_nan();
                *winner = if better { class as u32 } else { *winner };
                *best = if better { *score } else { *best };
            }
        }
    }
}

/// The class of each pixel of a picture.
pub struct Mask {
    /// Row after row.
    cells: Vec<u32>,
    size: (usize, usize),
    classes: usize,
}

/// Beyond this a class number is a mistake, and listing all classes below it a waste.
const MAX_CLASSES: i64 = 1 << 16;

impl Mask {
    /// The best class by the network's scores, or the class numbers that a network gives itself.
    pub fn of(tensor: &Tensor, size: (usize, usize)) -> Result<Self, MaskError> {
        if let &[_, columns] | &[1, _, columns] = tensor.shape()
            && let Some(numbers) = integers(tensor)
        {
            return Mask::of_numbers(&numbers, columns, size);
        }
        Mask::of_scores(tensor, size)
    }

    /// Width and height.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    /// How many classes the network tells apart, as far as its result says.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The best class by scores `[classes, rows, columns]`, of whatever type.
    pub fn of_scores(tensor: &Tensor, size: (usize, usize)) -> Result<Self, MaskError> {
        let scores = &Scores::of(tensor, size)?;
        let (width, height) = scores.size;
        let mut cells = Vec::with_capacity(width * height);
        let mut winners = Winners::new(width);
        for y in 0..height {
            winners.of_row(scores, y);
            cells.extend_from_slice(&winners.classes);
        }
        Ok(Mask {
            cells,
            size: scores.size,
            classes: scores.classes,
        })
    }

    fn of_numbers(
        numbers: &[i64],
        columns: usize,
        size: (usize, usize),
    ) -> Result<Self, MaskError> {
        let (width, height) = size;
        let mut cells = Vec::with_capacity(width * height);
        let mut classes = 0;
        for row in numbers.chunks_exact(columns.max(1)).take(height) {
            for number in &row[..width.min(row.len())] {
                if !(0..MAX_CLASSES).contains(number) {
                    return Err(MaskError::NotClasses(*number));
                }
                cells.push(*number as u32);
                classes = classes.max(*number as usize + 1);
            }
        }
        Ok(Mask {
            cells,
            size,
            classes,
        })
    }

    /// Class numbers `[height, width]`, one byte each where that holds them.
    pub fn tensor(&self) -> Result<Tensor, TensorError> {
        let (width, height) = self.size;
        let shape = vec![height, width];
        let cells = self.cells.iter();
        if self.classes <= 256 {
            Tensor::new(shape, cells.map(|class| *class as u8).collect())
        } else {
            Tensor::new(shape, cells.map(|class| i64::from(*class)).collect())
        }
    }

    /// The share of the picture that each class takes, of at least `classes` of them and of all that occur: how often the
    /// class occurs, over the number of pixels.
    pub fn cover(&self, classes: usize) -> Vec<f64> {
        let mut counts = vec![0u64; classes.max(self.classes)];
        for class in &self.cells {
            counts[*class as usize] += 1;
        }
        let all = self.cells.len() as f64;
        counts.into_iter().map(|count| count as f64 / all).collect()
    }
}
