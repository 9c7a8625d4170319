//! Sand and rock, and the shadow that rock throws on sand. Seagrass grows on sand, so that is painted under it.

use super::ROCK;
use super::canvas::{Canvas, shade};
use super::layout::Layout;
use super::rock::Rock;
use super::sand::Sand;
use crate::noise::direction;
use crate::rng::Rng;

pub(super) fn paint(canvas: &mut Canvas, layout: &Layout, rng: &mut Rng) {
    let sand = Sand::new(rng);
    let rock = Rock::new(rng);
    let light = direction(rng.unit());
    let relief = rock.relief(canvas, layout);
    let (width, height) = (canvas.width, canvas.height);
    // Towards the light, staying inside the picture.
    let towards_light = |index: usize, pixels: f32| {
        let column = (index % width) as f32 + light[0] * pixels;
        let row = (index / width) as f32 + light[1] * pixels;
        let column = column.clamp(0.0, (width - 1) as f32) as usize;
        row.clamp(0.0, (height - 1) as f32) as usize * width + column
    };
    let scale = canvas.scale;
    let mut grains = Rng::new(rng.next_u64(), 2);
    canvas.repaint(|x, y, index, _| {
        if layout.owner[index] == ROCK {
            let slope = relief[towards_light(index, 1.5)] - relief[towards_light(index, -1.5)];
            // A face that rises towards the light looks away from it.
            rock.colour(x, y, layout.rise[index], -slope / scale, &mut grains)
        } else {
            let shadow: f32 = [3.0, 6.0, 10.0]
                .map(|reach| layout.rise[towards_light(index, reach * scale)])
                .iter()
                .sum();
            let colour = sand.colour(x, y, &mut grains);
            shade(colour, 1.0 - 0.5 * (0.6 * shadow).min(1.0))
        }
    });
}
