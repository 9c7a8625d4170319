//! What lies between the ground and the picture: dancing light, the water's colour, haze, the lens, the camera.

use super::canvas::{Canvas, hex, mix};
use crate::noise::{Noise, direction, smoothstep};
use crate::rng::Rng;

pub(super) fn cover(canvas: &mut Canvas, rng: &mut Rng) {
    let light = Noise::new(rng.next_u32());
    let caustics = rng.range(-0.08, 0.28).max(0.0);
    let [slope_x, slope_y] = direction(rng.unit()).map(|part| part * 0.22);
    let uneven = rng.unit();
    let exposure = rng.range(0.9, 1.2);
    // Water swallows red first, then the rest.
    let depth = rng.unit();
    let cast = [
        1.0 - 0.42 * depth,
        1.0 - 0.06 * depth,
        1.0 - 0.1 * depth * rng.unit(),
    ];
    let haze = mix(hex(0x2f7f8c), hex(0x4a8f7a), rng.unit());
    let hazy = 0.22 * depth * rng.unit();
    let vignette = rng.range(0.0, 0.35);
    let (width, height) = (canvas.width as f32, canvas.height as f32);
    let scale = canvas.scale;
    canvas.repaint(|x, y, _, colour| {
        let (u, v) = (
            2.0 * x * scale / width - 1.0,
            2.0 * y * scale / height - 1.0,
        );
        let gradient = 1.0 + uneven * (slope_x * u + slope_y * v);
        let corner = 1.0 - vignette * 0.5 * (u * u + v * v);
        let bent = light.layers(x / 60.0, y / 60.0, 2);
        let net = light
            .cell(x / 46.0 + 0.7 * bent, y / 46.0 - 0.7 * bent)
            .seam;
        let dance = caustics * (1.0 - smoothstep(0.0, 0.3, net) - 0.3);
        let bright = exposure * gradient * corner * (1.0 + dance);
        let wet = [0, 1, 2].map(|i| colour[i] * cast[i] * bright);
        mix(wet, haze, hazy)
    });
    // A third of the pictures are sharp; the rest are soft to various degrees, more pixels' worth when larger.
    let mut softness = rng.range(-0.6, 1.3) * scale.max(0.6);
    while softness > 0.0 {
        canvas.blur(softness.min(1.0));
        softness -= 1.0;
    }
    canvas.camera_noise = rng.range(0.002, 0.025);
}
