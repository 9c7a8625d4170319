//! Sand: ripples across the current, patches of coarser and finer ground, grains, bits of shell.

use super::canvas::{Rgb, hex, mix, shade};
use crate::noise::{Noise, direction, smoothstep, wave};
use crate::rng::Rng;

#[derive(Debug)]
pub(super) struct Sand {
    colour: Rgb,
    across: [f32; 2],
    wavelength: f32,
    height: f32,
    grain: f32,
    shells: f32,
    bend: Noise,
    mottle: Noise,
    fine: Noise,
}

impl Sand {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let pale = mix(hex(0xe2d2ab), hex(0xcfc4b0), rng.unit());
        Sand {
            colour: mix(pale, hex(0xb79a6b), 0.8 * rng.unit()),
            across: direction(rng.unit()),
            wavelength: rng.range(12.0, 34.0),
            // Some pictures show flat sand.
            height: rng.range(-0.03, 0.13).max(0.0),
            grain: rng.range(0.02, 0.06),
            shells: rng.range(0.0, 0.02),
            bend: Noise::new(rng.next_u32()),
            mottle: Noise::new(rng.next_u32()),
            fine: Noise::new(rng.next_u32()),
        }
    }

    pub(super) fn colour(&self, x: f32, y: f32, grains: &mut Rng) -> Rgb {
        let bend = self.bend.layers(x / 90.0, y / 90.0, 2);
        let phase = (x * self.across[0] + y * self.across[1]) / self.wavelength + 1.6 * bend;
        // A second harmonic makes one flank steeper, as in real ripples.
        let ripple = wave(phase) + 0.45 * wave(2.0 * phase + 0.18);
        let strength = self.height * smoothstep(-0.5, 0.4, self.bend.at(x / 60.0 + 7.0, y / 60.0));
        let mottle = 0.09 * self.mottle.layers(x / 50.0, y / 50.0, 3);
        let fine = 0.05 * self.fine.layers(x / 4.0, y / 4.0, 2);
        let grain = self.grain * grains.bell();
        let colour = shade(self.colour, 1.0 + strength * ripple + mottle + fine + grain);
        let shell = self.fine.cell(x / 7.0, y / 7.0);
        let [dx, dy] = shell.offset;
        if shell.tone < self.shells && dx * dx + dy * dy < 0.04 {
            let pale = shell.tone < 0.6 * self.shells;
            return mix(colour, hex(if pale { 0xf4eee2 } else { 0x5d5348 }), 0.75);
        }
        colour
    }
}
