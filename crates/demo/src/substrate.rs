//! Substrates: small pictures of the sea floor, each with one class that fills most of it. For the classifier.

use crate::rng::Rng;
use crate::scene::{self, Scene};

/// A picture and its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Substrate {
    /// 64 to 96 pixels.
    pub width: usize,
    /// 64 to 96 pixels.
    pub height: usize,
    /// Red, green and blue bytes, `3 * width * height`, row by row from the top left.
    pub rgb: Vec<u8>,
    /// Index into [`crate::CLASSES`].
    pub class: usize,
}

impl Substrate {
    /// The picture that belongs to a seed. Its class is the seed modulo 3, and at least seven tenths of it show that.
    pub fn new(seed: u64) -> Self {
        Substrate::with_mask(seed).0
    }

    fn with_mask(seed: u64) -> (Self, Vec<u8>) {
        let mut rng = Rng::new(seed, 3);
        let class = (seed % 3) as usize;
        let side = |rng: &mut Rng| 64 + rng.below(33);
        let (width, height) = (side(&mut rng), side(&mut rng));
        let others = 1.0 - rng.range(0.82, 1.02).min(1.0);
        let split = rng.unit();
        let mut target = [0.0; 3];
        target[class] = 1.0 - others;
        target[(class + 1) % 3] = others * split;
        target[(class + 2) % 3] = others * (1.0 - split);
        let (rgb, mask) = scene::paint(&Scene {
            seed,
            width,
            height,
            scale: rng.range(0.8, 1.25),
            target,
        });
        let picture = Substrate {
            width,
            height,
            rgb,
            class,
        };
        (picture, mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substrates_are_small_reproducible_and_cycle_through_the_classes() {
        for seed in 0..30 {
            let picture = Substrate::new(seed);
            assert!((64..=96).contains(&picture.width) && (64..=96).contains(&picture.height));
            assert_eq!(picture.rgb.len(), 3 * picture.width * picture.height);
            assert_eq!(picture.class as u64, seed % 3);
            assert_eq!(picture, Substrate::new(seed));
        }
    }

    #[test]
    fn the_class_fills_most_of_the_picture() {
        for seed in 0..30 {
            let (picture, mask) = Substrate::with_mask(seed);
            let count = mask.iter().filter(|c| usize::from(**c) == picture.class);
            let share = count.count() as f32 / mask.len() as f32;
            assert!(share >= 0.7, "seed {seed}: {share}");
        }
    }
}
