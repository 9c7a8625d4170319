//! The picture while it is painted: floating point colours, 0 dark and 1 bright, with coordinates in pixels and in units.

use super::Scene;
use crate::noise::lerp;
use crate::rng::Rng;

/// Red, green, blue.
pub(super) type Rgb = [f32; 3];

#[derive(Debug)]
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Pixels to one unit.
    pub(super) scale: f32,
    pub(super) pixels: Vec<Rgb>,
    /// Standard deviation of the camera's noise.
    pub(super) camera_noise: f32,
}

impl Canvas {
    pub(super) fn new(scene: &Scene) -> Self {
        Canvas {
            width: scene.width,
            height: scene.height,
            scale: scene.scale,
            pixels: vec![[0.0; 3]; scene.width * scene.height],
            camera_noise: 0.0,
        }
    }

    /// Gives every pixel a new colour, from where it is in units, its index, and its old colour.
    pub(super) fn repaint(&mut self, mut colour: impl FnMut(f32, f32, usize, Rgb) -> Rgb) {
        for row in 0..self.height {
            for column in 0..self.width {
                let index = row * self.width + column;
                let (x, y) = (column as f32 / self.scale, row as f32 / self.scale);
                self.pixels[index] = colour(x, y, index, self.pixels[index]);
            }
        }
    }

    /// Each pixel becomes, by `share`, the mean of its 3 by 3 neighbours weighted 1 2 1; at the rim the edge repeats.
    pub(super) fn blur(&mut self, share: f32) {
        let (width, height) = (self.width, self.height);
        let pass = |source: &[Rgb], step: (usize, usize)| -> Vec<Rgb> {
            let mut blurred = Vec::with_capacity(source.len());
            for row in 0..height {
                for column in 0..width {
                    let before = row.saturating_sub(step.1) * width + column.saturating_sub(step.0);
                    let after =
                        (row + step.1).min(height - 1) * width + (column + step.0).min(width - 1);
                    let (a, b, c) = (source[before], source[row * width + column], source[after]);
                    blurred.push([0, 1, 2].map(|i| 0.25 * (a[i] + c[i]) + 0.5 * b[i]));
                }
            }
            blurred
        };
        let blurred = pass(&pass(&self.pixels, (1, 0)), (0, 1));
        for (pixel, soft) in self.pixels.iter_mut().zip(blurred) {
            *pixel = mix(*pixel, soft, share);
        }
    }

    /// Three bytes a pixel, with the camera's noise.
    pub(super) fn to_bytes(&self, rng: &mut Rng) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(3 * self.pixels.len());
        for pixel in &self.pixels {
            // Most of a camera's noise is common to the three channels once its colours are interpolated.
            let common = rng.bell();
            for channel in pixel {
                let noise = self.camera_noise * (0.8 * common + 0.6 * rng.bell());
                bytes.push((255.0 * (channel + noise) + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
        bytes
    }
}

pub(super) fn mix(from: Rgb, to: Rgb, share: f32) -> Rgb {
    [0, 1, 2].map(|i| lerp(from[i], to[i], share))
}

pub(super) fn shade(colour: Rgb, brightness: f32) -> Rgb {
    colour.map(|channel| channel * brightness)
}

/// A colour as it is written on the web, `0xrrggbb`.
pub(super) fn hex(code: u32) -> Rgb {
    [16, 8, 0].map(|shift| ((code >> shift) & 0xff) as f32 / 255.0)
}
