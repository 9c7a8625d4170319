//! Generated pictures as tensors.

use std::thread;

use tch::{Kind, Tensor};

use super::{MEAN, STD};
use crate::rng::Rng;
use crate::{Quadrat, Substrate};

/// `make` applied to each seed, in order, on all cores.
pub fn generate<T: Send>(seeds: &[u64], make: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = seeds.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = seeds
            .chunks(share)
            .map(|chunk| scope.spawn(|| chunk.iter().map(|&seed| make(seed)).collect::<Vec<T>>()))
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("painting does not panic"))
            .collect()
    })
}

/// A picture as the models take it: `[1, 3, height, width]`, from bytes, normalised with [`MEAN`] and [`STD`].
pub fn input(rgb: &[u8], width: usize, height: usize) -> Tensor {
    let bytes = Tensor::from_slice(rgb).view([1, height as i64, width as i64, 3]);
    normalised(&bytes.permute([0, 3, 1, 2]))
}

/// A substrate as the classifier takes it: `[1, 3, 64, 64]`, scaled as the server's `image_classifier` scales it, with
/// a triangle filter over all pixels that a new one covers.
pub fn substrate_input(picture: &Substrate) -> Tensor {
    input(&picture.rgb, picture.width, picture.height).internal_upsample_bilinear2d_aa(
        [64, 64],
        false,
        None,
        None,
    )
}

/// Substrates of the given seeds with their classes: `[n, 3, 64, 64]` and `[n]`.
pub fn substrates(seeds: &[u64]) -> (Tensor, Tensor) {
    let pictures = generate(seeds, Substrate::new);
    let inputs: Vec<Tensor> = pictures.iter().map(substrate_input).collect();
    let classes: Vec<i64> = pictures.iter().map(|p| p.class as i64).collect();
    (Tensor::cat(&inputs, 0), Tensor::from_slice(&classes))
}

/// `count` random square pieces of random quadrats, turned and mirrored at random: inputs `[count, 3, side, side]` and
/// masks `[count, side, side]`. Every quadrat must be at least `side` wide and high.
pub(super) fn pieces(
    quadrats: &[Quadrat],
    count: usize,
    side: usize,
    rng: &mut Rng,
) -> (Tensor, Tensor) {
    let mut rgb = Vec::with_capacity(3 * count * side * side);
    let mut mask = Vec::with_capacity(count * side * side);
    for _ in 0..count {
        let quadrat = &quadrats[rng.below(quadrats.len())];
        let left = rng.below(quadrat.width - side + 1);
        let top = rng.below(quadrat.height - side + 1);
        let turn = rng.below(8);
        for row in 0..side {
            for column in 0..side {
                let (x, y) = turned(column, row, side, turn);
                let index = (top + y) * quadrat.width + left + x;
                rgb.extend_from_slice(&quadrat.rgb[3 * index..3 * index + 3]);
                mask.push(i64::from(quadrat.mask[index]));
            }
        }
    }
    let (count, side) = (count as i64, side as i64);
    let bytes = Tensor::from_slice(&rgb).view([count, side, side, 3]);
    (
        normalised(&bytes.permute([0, 3, 1, 2])),
        Tensor::from_slice(&mask).view([count, side, side]),
    )
}

/// One of the eight ways to lay a square on itself.
fn turned(column: usize, row: usize, side: usize, turn: usize) -> (usize, usize) {
    let x = if turn & 1 == 0 {
        column
    } else {
        side - 1 - column
    };
    let y = if turn & 2 == 0 { row } else { side - 1 - row };
    if turn & 4 == 0 { (x, y) } else { (y, x) }
}

fn normalised(bytes: &Tensor) -> Tensor {
    let of_channels = |values: &[f32; 3]| Tensor::from_slice(values).view([1, 3, 1, 1]);
    let bright = bytes.to_kind(Kind::Float) / 255.0;
    ((bright - of_channels(&MEAN)) / of_channels(&STD)).contiguous()
}
