//! Quadrats: pictures of a marked square of sea floor, seen from above, with the class of every pixel. Made up from a
//! seed; the models of this crate learn from them and are judged by them.

use crate::CLASSES;
use crate::rng::Rng;
use crate::scene::{self, Scene};

/// A picture and its truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quadrat {
    pub width: usize,
    pub height: usize,
    /// Red, green and blue bytes, `3 * width * height`, row by row from the top left.
    pub rgb: Vec<u8>,
    /// Index into [`CLASSES`], `width * height`.
    pub mask: Vec<u8>,
}

impl Quadrat {
    /// The picture that belongs to a seed, 256 by 256 pixels.
    pub fn new(seed: u64) -> Self {
        Quadrat::sized(seed, 256, 256)
    }

    /// The picture that belongs to a seed, in another size. Its shorter side shows about as much ground as that of any
    /// other size, so a larger picture shows larger plants. An empty size gives an empty picture.
    pub fn sized(seed: u64, width: usize, height: usize) -> Self {
        let mut rng = Rng::new(seed, 0);
        let zoom = rng.range(0.8, 1.25);
        let (rgb, mask) = scene::paint(&Scene {
            seed,
            width,
            height,
            scale: zoom * width.min(height) as f32 / 256.0,
            target: random_cover(&mut rng),
        });
        Quadrat {
            width,
            height,
            rgb,
            mask,
        }
    }

    /// A square as if cut from a quadrat, from one of half the usual size to one of nearly half as much again. Painting
    /// it costs no more than its own pixels, so a model can learn from many.
    #[cfg(feature = "libtorch")]
    pub(crate) fn detail(seed: u64, side: usize) -> Self {
        let mut rng = Rng::new(seed, 1);
        let (rgb, mask) = scene::paint(&Scene {
            seed,
            width: side,
            height: side,
            scale: rng.range(0.5, 1.4),
            target: random_cover(&mut rng),
        });
        Quadrat {
            width: side,
            height: side,
            rgb,
            mask,
        }
    }

    /// The share of each class, in the order of [`CLASSES`]; they sum to 1 (all are 0 for an empty picture).
    pub fn cover(&self) -> [f64; CLASSES.len()] {
        let mut counts = [0_u32; CLASSES.len()];
        for &class in &self.mask {
            counts[usize::from(class)] += 1;
        }
        counts.map(|count| f64::from(count) / (self.mask.len().max(1)) as f64)
    }
}

/// One picture in five is nearly all of one class, one in five lacks a class, the rest are any mix.
fn random_cover(rng: &mut Rng) -> [f32; 3] {
    let mut shares = [0; 3].map(|_| {
        let unit = rng.unit();
        0.03 + unit * unit
    });
    let kind = rng.unit();
    let chosen = rng.below(3);
    if kind < 0.2 {
        let others = 1.0 - rng.range(0.92, 1.0);
        shares = [0.5 * others; 3];
        shares[chosen] = 1.0 - others;
    } else if kind < 0.4 {
        shares[chosen] = 0.0;
    }
    let total: f32 = shares.iter().sum();
    shares.map(|share| share / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a, 64 bits: short enough to have here, good enough to notice any change.
    fn fnv(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    fn check_hashes(seed: u64, (width, height): (usize, usize), rgb: u64, mask: u64) {
        let quadrat = Quadrat::sized(seed, width, height);
        assert_eq!(quadrat.rgb.len(), 3 * width * height);
        assert_eq!(quadrat.mask.len(), width * height);
        let (seen_rgb, seen_mask) = (fnv(&quadrat.rgb), fnv(&quadrat.mask));
        assert!(
            (seen_rgb, seen_mask) == (rgb, mask),
            "seed {seed}, {width}x{height}: picture {seen_rgb:#018x}, mask {seen_mask:#018x}"
        );
    }

    /// The same on every machine; a change of the generator changes them, and wants the fixtures made anew.
    #[test]
    fn a_seed_is_a_picture() {
        check_hashes(1, (256, 256), 0xcf42_9110_199e_0429, 0x9aa0_c826_a36b_b667);
        check_hashes(2, (72, 40), 0xe4f0_1050_cf5e_6cb7, 0x30c8_6656_1bf4_c6ce);
    }

    #[test]
    fn seeds_differ() {
        assert_ne!(Quadrat::sized(1, 64, 64), Quadrat::sized(2, 64, 64));
    }

    #[test]
    fn odd_sizes_are_painted() {
        for (width, height) in [(0, 0), (1, 1), (1, 9), (13, 2)] {
            let quadrat = Quadrat::sized(5, width, height);
            assert_eq!(quadrat.rgb.len(), 3 * width * height);
        }
    }

    #[test]
    fn cover_is_the_mask_counted_and_sums_to_one() {
        let quadrat = Quadrat {
            width: 2,
            height: 2,
            rgb: vec![0; 12],
            mask: vec![0, 2, 2, 1],
        };
        assert_eq!(quadrat.cover(), [0.25, 0.25, 0.5]);
        for seed in 0..20 {
            let sum: f64 = Quadrat::sized(seed, 48, 40).cover().iter().sum();
            assert!((sum - 1.0).abs() < 1e-12, "seed {seed}: {sum}");
        }
    }

    #[test]
    fn many_seeds_show_every_class_alone_and_in_mixtures() {
        let covers: Vec<[f64; 3]> = (0..150)
            .map(|seed| Quadrat::sized(seed, 48, 48).cover())
            .collect();
        for (class, name) in CLASSES.iter().enumerate() {
            let mean = covers.iter().map(|cover| cover[class]).sum::<f64>() / 150.0;
            assert!(
                (0.2..0.5).contains(&mean),
                "{name} covers {mean} on average"
            );
            let alone = covers.iter().filter(|cover| cover[class] > 0.9).count();
            assert!(alone >= 3, "{name} is nearly alone in {alone} pictures");
        }
        let mixed = covers.iter().filter(|c| c.iter().all(|share| *share > 0.1));
        assert!(mixed.count() >= 20, "too few pictures show all classes");
    }
}
