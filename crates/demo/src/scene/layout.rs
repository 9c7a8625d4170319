//! Who lies where: smooth random fields, cut at the heights that give each class its share.

use super::{ROCK, SAND, SEAGRASS, Scene};
use crate::noise::{Noise, smoothstep};
use crate::rng::Rng;

#[derive(Debug)]
pub(super) struct Layout {
    /// The class of each pixel, before plants lean over their neighbours.
    pub(super) owner: Vec<u8>,
    /// How far each pixel is up the rock: 0 off it and on its rim, 1 on its top.
    pub(super) rise: Vec<f32>,
}

impl Layout {
    pub(super) fn new(scene: &Scene, rng: &mut Rng) -> Self {
        let rock = rock_field(scene, rng);
        let grass = grass_field(scene, rng);
        let [_, grass_share, rock_share] = scene.target;
        let shore = cut(rock.iter().copied(), rock_share);
        let off_rock = || rock.iter().zip(&grass).filter(|(rock, _)| **rock <= shore);
        let edge = cut(
            off_rock().map(|(_, grass)| *grass),
            grass_share / (1.0 - rock_share).max(1e-3),
        );
        let owner = rock
            .iter()
            .zip(&grass)
            .map(|(&rock, &grass)| match () {
                () if rock > shore => ROCK,
                () if grass > edge => SEAGRASS,
                () => SAND,
            })
            .collect();
        let rise = rock
            .iter()
            .map(|&rock| smoothstep(-0.3, 0.3, (rock - shore).min(0.3)) * 2.0 - 1.0)
            .map(|rise| rise.max(0.0))
            .collect();
        Layout { owner, rise }
    }
}

/// Boulders: a mosaic whose cells are higher or lower, on top of rolling ground.
fn rock_field(scene: &Scene, rng: &mut Rng) -> Vec<f32> {
    let [rolling, bend, mosaic] = [rng.next_u32(), rng.next_u32(), rng.next_u32()].map(Noise::new);
    let (size, blocky) = (rng.range(60.0, 130.0), rng.range(0.1, 0.5));
    field(scene, |x, y| {
        let bent_x = x + 16.0 * bend.layers(x / 40.0, y / 40.0, 3);
        let bent_y = y + 16.0 * bend.layers(y / 40.0 + 31.0, x / 40.0, 3);
        let cell = mosaic.cell(bent_x / (0.6 * size), bent_y / (0.6 * size));
        let boulder = (cell.tone - 0.5) * smoothstep(0.0, 0.25, cell.seam);
        rolling.layers(bent_x / size, bent_y / size, 3) + blocky * boulder
    })
}

/// Meadows: rounded patches with a frayed rim, longer along the current.
fn grass_field(scene: &Scene, rng: &mut Rng) -> Vec<f32> {
    let [patches, fray] = [rng.next_u32(), rng.next_u32()].map(Noise::new);
    let (size, stretch) = (rng.range(50.0, 120.0), rng.range(0.7, 1.4));
    field(scene, |x, y| {
        patches.layers(x / (size * stretch), y * stretch / size, 2)
            + 0.12 * fray.layers(x / 16.0, y / 16.0, 2)
    })
}

fn field(scene: &Scene, value: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    (0..scene.width * scene.height)
        .map(|index| {
            let (column, row) = (index % scene.width, index / scene.width);
            value(column as f32 / scene.scale, row as f32 / scene.scale)
        })
        .collect()
}

/// The value that `share` of all values exceed.
fn cut(values: impl Iterator<Item = f32>, share: f32) -> f32 {
    let mut values: Vec<f32> = values.collect();
    let rank = ((1.0 - share) * values.len() as f32) as usize;
    if share <= 0.0 || rank >= values.len() {
        return f32::MAX;
    }
    if share >= 1.0 {
        return f32::MIN;
    }
    *values.select_nth_unstable_by(rank, f32::total_cmp).1
}

/// The mask as someone would outline it by hand: each pixel gets the class that most pixels around it have, so that a
/// lone blade over sand is sand and a gap between two blades is seagrass.
pub(super) fn outlined(owner: &[u8], scene: &Scene) -> Vec<u8> {
    let radius = (3.0 * scene.scale + 0.5).max(1.0) as usize;
    let (width, height) = (scene.width, scene.height);
    let mut votes = vec![[0_u32; 3]; owner.len()];
    for class in [SAND, SEAGRASS, ROCK] {
        let ones: Vec<u32> = owner.iter().map(|&o| u32::from(o == class)).collect();
        let rows = running_sums(&ones, width, height, radius, (1, width));
        let sums = running_sums(&rows, height, width, radius, (width, 1));
        for (vote, sum) in votes.iter_mut().zip(sums) {
            vote[usize::from(class)] = sum;
        }
    }
    votes
        .iter()
        .map(|[sand, grass, rock]| match () {
            () if grass >= sand && grass >= rock => SEAGRASS,
            () if rock >= sand => ROCK,
            () => SAND,
        })
        .collect()
}

/// Sums over `radius` neighbours to either side, along `lines` lines of `length` values; `(along, across)` are the
/// distances from one value to the next on the line, and from one line to the next.
fn running_sums(
    values: &[u32],
    length: usize,
    lines: usize,
    radius: usize,
    (along, across): (usize, usize),
) -> Vec<u32> {
    let mut sums = vec![0; values.len()];
    for line in 0..lines {
        let at = |index: usize| line * across + index * along;
        let mut sum: u32 = (0..radius.min(length)).map(|index| values[at(index)]).sum();
        for index in 0..length {
            if index + radius < length {
                sum += values[at(index + radius)];
            }
            if index > radius {
                sum -= values[at(index - radius - 1)];
            }
            sums[at(index)] = sum;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_leaves_the_share_above() {
        let values: Vec<f32> = (0..1000).map(|i| ((i * 7919) % 1000) as f32).collect();
        for (share, expected) in [(0.0, 0), (0.25, 250), (0.9, 900), (1.0, 1000)] {
            let threshold = cut(values.iter().copied(), share);
            let above = values.iter().filter(|v| **v > threshold).count();
            assert!(above.abs_diff(expected) <= 1, "{share}: {above}");
        }
    }

    #[test]
    fn running_sums_are_windowed_sums() {
        let values: Vec<u32> = (0..35).map(|i| i * i % 11).collect();
        let sums = running_sums(&values, 7, 5, 2, (1, 7));
        for row in 0..5 {
            for column in 0..7_usize {
                let window = column.saturating_sub(2)..(column + 3).min(7);
                let expected: u32 = window.map(|c| values[row * 7 + c]).sum();
                assert_eq!(sums[row * 7 + column], expected, "at {column}, {row}");
            }
        }
    }
}
