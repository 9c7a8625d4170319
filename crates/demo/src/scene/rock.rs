//! Rock: boulders with a lit and a dark side, cracks, grey and brown blotches, crusts of algae.

use super::ROCK;
use super::canvas::{Canvas, Rgb, hex, mix, shade};
use super::layout::Layout;
use crate::noise::{Noise, lerp, smoothstep};
use crate::rng::Rng;

#[derive(Debug)]
pub(super) struct Rock {
    light_tone: Rgb,
    dark_tone: Rgb,
    crust: Rgb,
    /// Share of rock under crust, roughly.
    crusted: f32,
    /// Units across one block between cracks.
    block: f32,
    bend: Noise,
    blocks: Noise,
    blotches: Noise,
    pits: Noise,
}

impl Rock {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let crusts = [0x8f5d6b, 0x6b4a3a, 0xa98a5c, 0x59604a];
        Rock {
            light_tone: mix(hex(0x9a958c), hex(0xa48f78), rng.unit()),
            dark_tone: mix(hex(0x4b4a48), hex(0x4f4238), rng.unit()),
            crust: hex(crusts[rng.below(crusts.len())]),
            crusted: rng.range(0.0, 0.45),
            block: rng.range(24.0, 60.0),
            bend: Noise::new(rng.next_u32()),
            blocks: Noise::new(rng.next_u32()),
            blotches: Noise::new(rng.next_u32()),
            pits: Noise::new(rng.next_u32()),
        }
    }

    /// The height of each pixel above the sand, in units; 0 where there is no rock.
    pub(super) fn relief(&self, canvas: &Canvas, layout: &Layout) -> Vec<f32> {
        let mut relief = vec![0.0; layout.owner.len()];
        for (index, height) in relief.iter_mut().enumerate() {
            if layout.owner[index] == ROCK {
                let x = (index % canvas.width) as f32 / canvas.scale;
                let y = (index / canvas.width) as f32 / canvas.scale;
                let (block, _) = self.block_at(x, y);
                let bumps = self.pits.layers(x / 18.0, y / 18.0, 4);
                *height = 9.0 * layout.rise[index] + 6.0 * block + 4.5 * bumps;
            }
        }
        relief
    }

    /// `slope` is how steeply the surface falls towards the light, in units of height per three pixels at scale 1.
    pub(super) fn colour(&self, x: f32, y: f32, rise: f32, slope: f32, grains: &mut Rng) -> Rgb {
        let (_, crack) = self.block_at(x, y);
        let blotch = self.blotches.layers(x / 36.0, y / 36.0, 4);
        let tone = smoothstep(
            -0.5,
            0.55,
            blotch + 0.35 * self.pits.layers(x / 5.0, y / 5.0, 2),
        );
        let mut colour = mix(self.dark_tone, self.light_tone, tone);
        let crust = self.blotches.layers(x / 22.0 + 50.0, y / 22.0, 4);
        let edge = 0.45 - self.crusted;
        colour = mix(
            colour,
            self.crust,
            0.8 * smoothstep(edge, edge + 0.12, crust),
        );
        let lit = (1.0 + 0.16 * slope).clamp(0.45, 1.5);
        let rim = lerp(0.62, 1.0, smoothstep(0.0, 0.35, rise));
        let grain = 1.0 + 0.05 * grains.bell();
        shade(colour, lit * rim * grain * lerp(1.0, 0.35, crack))
    }

    /// How high the block stands that a point lies on (-0.5 to 0.5), and how deep in a crack the point is (0 to 1).
    fn block_at(&self, x: f32, y: f32) -> (f32, f32) {
        let bent_x = x + 9.0 * self.bend.layers(x / 26.0, y / 26.0, 3);
        let bent_y = y + 9.0 * self.bend.layers(y / 26.0 - 40.0, x / 26.0, 3);
        let cell = self.blocks.cell(bent_x / self.block, bent_y / self.block);
        // Seams fade in and out along their way.
        let width = 0.09 * smoothstep(-0.35, 0.5, self.bend.at(x / 45.0, y / 45.0 + 80.0));
        let crack = 1.0 - smoothstep(0.25 * width, width.max(1e-3), cell.seam);
        let tilt = 0.5 * (cell.offset[0] - cell.offset[1]) * (cell.tone - 0.5);
        (cell.tone - 0.5 + tilt, crack)
    }
}
