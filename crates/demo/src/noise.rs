//! Random fields over the plane, and a few curves: the raw material of every texture. Only arithmetic that IEEE 754
//! defines exactly is used, so that pictures are the same on every machine.

/// Smooth random fields; equal seeds are equal fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    seed: u32,
}

/// Where a point lies in a random mosaic (Worley, "A cellular texture basis function", SIGGRAPH 1996).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    /// How much farther the second nearest centre is than the nearest: 0 on the seam of two cells.
    pub(crate) seam: f32,
    /// A number of the cell's own, uniform in `[0, 1)`.
    pub(crate) tone: f32,
    /// From the cell's centre to the point.
    pub(crate) offset: [f32; 2],
}

impl Noise {
    pub(crate) fn new(seed: u32) -> Self {
        Noise { seed }
    }

    /// Gradient noise (Perlin, "Improving noise", SIGGRAPH 2002) with a feature size of 1: mean 0, within about ±1.
    pub(crate) fn at(self, x: f32, y: f32) -> f32 {
        let (left, top) = (x.floor(), y.floor());
        let (dx, dy) = (x - left, y - top);
        let (column, row) = (left as i32, top as i32);
        let corner = |i: i32, j: i32| {
            let [gx, gy] = GRADIENTS[(self.hash(column + i, row + j) >> 29) as usize];
            gx * (dx - i as f32) + gy * (dy - j as f32)
        };
        let (u, v) = (fade(dx), fade(dy));
        let upper = lerp(corner(0, 0), corner(1, 0), u);
        let lower = lerp(corner(0, 1), corner(1, 1), u);
        1.4 * lerp(upper, lower, v)
    }

    /// `octaves` layers of [`Noise::at`], each half as large and half as strong as the one before; within about ±1.
    pub(crate) fn layers(self, mut x: f32, mut y: f32, octaves: u32) -> f32 {
        let (mut sum, mut weight, mut total) = (0.0, 1.0, 0.0);
        for octave in 0..octaves {
            let layer = Noise::new(self.seed.wrapping_add(octave.wrapping_mul(0x9e37_79b9)));
            sum += weight * layer.at(x, y);
            total += weight;
            weight *= 0.5;
            (x, y) = (2.0 * x + 17.3, 2.0 * y - 9.1);
        }
        sum / total
    }

    /// The mosaic cell around a point; cells are about 1 across.
    pub(crate) fn cell(self, x: f32, y: f32) -> Cell {
        let (column, row) = (x.floor() as i32, y.floor() as i32);
        let (mut nearest, mut second) = (f32::MAX, f32::MAX);
        let mut cell = Cell {
            seam: 0.0,
            tone: 0.0,
            offset: [0.0; 2],
        };
        for j in -1..=1 {
            for i in -1..=1 {
                let hash = self.hash(column + i, row + j);
                let dx = x - (column + i) as f32 - fraction(hash);
                let dy = y - (row + j) as f32 - fraction(hash.wrapping_mul(0x2c1b_3c6d));
                let squared = dx * dx + dy * dy;
                if squared < nearest {
                    (second, nearest) = (nearest, squared);
                    cell.tone = fraction(hash.wrapping_mul(0x297a_2d39));
                    cell.offset = [dx, dy];
                } else if squared < second {
                    second = squared;
                }
            }
        }
        cell.seam = second.sqrt() - nearest.sqrt();
        cell
    }

    fn hash(self, x: i32, y: i32) -> u32 {
        let mut hash = self.seed ^ (x as u32).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ (hash >> 15)).wrapping_mul(0x2c1b_3c6d);
        hash ^= (y as u32).wrapping_mul(0xc2b2_ae35);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0x297a_2d39);
        hash ^ (hash >> 16)
    }
}

/// A sine of `turns` full turns, to about 0.1 per cent: a parabola, refined once.
pub(crate) fn wave(turns: f32) -> f32 {
    let turn = turns - turns.floor() - 0.5;
    let arch = -16.0 * turn * (0.5 - turn.abs());
    arch * (0.775 + 0.225 * arch.abs())
}

/// The unit vector (cosine, sine) of an angle in turns.
pub(crate) fn direction(turns: f32) -> [f32; 2] {
    let (x, y) = (wave(turns + 0.25), wave(turns));
    let length = (x * x + y * y).sqrt();
    [x / length, y / length]
}

/// From 0 below `low` to 1 above `high`, without a corner.
pub(crate) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

pub(crate) fn lerp(from: f32, to: f32, t: f32) -> f32 {
    from + (to - from) * t
}

fn fade(t: f32) -> f32 {
    t * t * t * (t * (t * 6.0 - 15.0) + 10.0)
}

fn fraction(hash: u32) -> f32 {
    (hash >> 8) as f32 / 16_777_216.0
}

const DIAGONAL: f32 = std::f32::consts::FRAC_1_SQRT_2;

const GRADIENTS: [[f32; 2]; 8] = [
    [1.0, 0.0],
    [DIAGONAL, DIAGONAL],
    [0.0, 1.0],
    [-DIAGONAL, DIAGONAL],
    [-1.0, 0.0],
    [-DIAGONAL, -DIAGONAL],
    [0.0, -1.0],
    [DIAGONAL, -DIAGONAL],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wave_is_nearly_a_sine() {
        for step in -40..=40 {
            let turns = step as f32 / 16.0;
            let sine = (turns * std::f32::consts::TAU).sin();
            assert!((wave(turns) - sine).abs() < 2e-3, "at {turns} turns");
        }
    }

    #[test]
    fn noise_is_continuous_and_centred() {
        let noise = Noise::new(3);
        let (mut sum, mut largest) = (0.0, 0.0_f32);
        for step in 0..4000 {
            let (x, y) = (step as f32 * 0.173, step as f32 * 0.091);
            let here = noise.layers(x, y, 3);
            let near = noise.layers(x + 1e-3, y, 3);
            assert!((here - near).abs() < 0.02, "a jump at {x}, {y}");
            sum += here;
            largest = largest.max(here.abs());
        }
        assert!((sum / 4000.0).abs() < 0.05, "mean {}", sum / 4000.0);
        assert!((0.3..1.2).contains(&largest), "largest {largest}");
    }
}
