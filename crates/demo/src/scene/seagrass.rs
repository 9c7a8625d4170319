//! Seagrass: a dark undergrowth, and over it hundreds of blades that lean with the current, lower ones darker.

use super::SEAGRASS;
use super::canvas::{Canvas, Rgb, hex, mix, shade};
use super::layout::Layout;
use crate::noise::{Noise, direction, lerp, smoothstep};
use crate::rng::Rng;

/// How the blades of one picture look.
#[derive(Debug)]
struct Species {
    young: Rgb,
    old: Rgb,
    /// Share of blades that have turned brown.
    withered: f32,
    /// Units.
    length: f32,
    /// Half the width, in units.
    half_width: f32,
    /// Turns.
    heading: f32,
    /// Turns to either side of the heading.
    spread: f32,
}

/// One blade as a curve: from `root`, with a direction that turns steadily.
struct Blade {
    root: [f32; 2],
    heading: f32,
    bend: f32,
    length: f32,
    half_width: f32,
    colour: Rgb,
}

/// Paints the meadows and marks in `owner` what the blades hide.
pub(super) fn paint(canvas: &mut Canvas, layout: &Layout, owner: &mut [u8], rng: &mut Rng) {
    let roots: Vec<usize> = (0..owner.len())
        .filter(|&index| layout.owner[index] == SEAGRASS)
        .collect();
    let species = Species::new(rng);
    let undergrowth = Noise::new(rng.next_u32());
    let current = Noise::new(rng.next_u32());
    canvas.repaint(|x, y, index, below| {
        if layout.owner[index] != SEAGRASS {
            return below;
        }
        let tone = smoothstep(-0.6, 0.6, undergrowth.layers(x / 9.0, y / 9.0, 3));
        mix(below, shade(species.old, lerp(0.25, 0.6, tone)), 0.9)
    });
    let area = roots.len() as f32 / (canvas.scale * canvas.scale);
    let blade_area = species.length * 2.0 * species.half_width;
    let count = (2.6 * area / blade_area) as usize;
    for nth in 0..count {
        let root = roots[rng.below(roots.len())];
        let root = [(root % canvas.width) as f32, (root / canvas.width) as f32];
        let drift = current.at(
            root[0] / (110.0 * canvas.scale),
            root[1] / (110.0 * canvas.scale),
        );
        let depth = nth as f32 / count as f32;
        let mut blade = species.blade(root, drift, depth, canvas.scale, rng);
        blade.move_root(canvas, rng.unit());
        blade.trim(canvas, layout, rng.range(3.0, 12.0) * canvas.scale);
        blade.paint(canvas, owner);
    }
}

impl Species {
    fn new(rng: &mut Rng) -> Self {
        let greens = [0x7fa04a, 0x5f8f43, 0x8aa257, 0x6f9a5e];
        let browns = [0x4c5a2a, 0x5a5a30, 0x3f5a34];
        Species {
            young: hex(greens[rng.below(greens.len())]),
            old: hex(browns[rng.below(browns.len())]),
            withered: rng.range(0.0, 0.35),
            length: rng.range(30.0, 70.0),
            half_width: rng.range(1.2, 2.6),
            heading: rng.unit(),
            spread: rng.range(0.03, 0.14),
        }
    }

    /// A blade rooted at a pixel; `drift` (about ±1) turns it with the current there, `depth` is 0 for the lowest blade
    /// and 1 for the topmost.
    fn blade(&self, root: [f32; 2], drift: f32, depth: f32, scale: f32, rng: &mut Rng) -> Blade {
        let green = mix(self.old, self.young, rng.range(0.1, 1.0));
        let colour = if rng.chance(self.withered) {
            mix(green, hex(0x8a6a42), rng.range(0.4, 1.0))
        } else {
            green
        };
        Blade {
            root,
            heading: self.heading + 0.12 * drift + self.spread * rng.range(-1.0, 1.0),
            bend: rng.range(-0.12, 0.12),
            length: self.length * rng.range(0.6, 1.2) * scale,
            half_width: (self.half_width * rng.range(0.75, 1.2) * scale).max(0.5),
            colour: shade(colour, lerp(0.5, 1.1, depth) * rng.range(0.85, 1.1)),
        }
    }
}

impl Blade {
    /// Near the rim of the picture, blades also come in from outside: where going back by `share` of the length leaves
    /// the picture, the root is there.
    fn move_root(&mut self, canvas: &Canvas, share: f32) {
        let [dx, dy] = direction(self.heading).map(|part| part * share * self.length);
        let [x, y] = [self.root[0] - dx, self.root[1] - dy];
        if pixel(canvas, x, y).is_none() {
            self.root = [x, y];
        }
    }

    /// Shortens the blade so that it reaches at most `overhang` pixels beyond its meadow.
    fn trim(&mut self, canvas: &Canvas, layout: &Layout, overhang: f32) {
        let mut outside = 0.0;
        let mut reached = self.length;
        self.walk(|way, [x, y], _| {
            // Beyond the picture the meadow goes on.
            let inside = pixel(canvas, x, y).is_none_or(|i| layout.owner[i] == SEAGRASS);
            outside = if inside { 0.0 } else { outside + 1.0 };
            if outside >= overhang {
                reached = reached.min(way);
            }
        });
        self.length = reached;
    }

    fn paint(&self, canvas: &mut Canvas, owner: &mut [u8]) {
        let fall = 1.6 * canvas.scale;
        self.walk(|way, [x, y], _| {
            let width = self.half_width_at(way);
            stamp(canvas, [x + fall, y + fall], width, |_, cover, colour| {
                mix(colour, shade(colour, 0.6), 0.35 * cover)
            });
        });
        self.walk(|way, [x, y], along| {
            let width = self.half_width_at(way);
            let paler = lerp(0.8, 1.15, way / self.length);
            stamp(canvas, [x, y], width, |[dx, dy], cover, colour| {
                // Round in section: one side looks to the light; a pale midrib.
                let side = (along[0] * dy - along[1] * dx) / width;
                let rib = 0.12 * (1.0 - smoothstep(0.0, 0.45, side.abs()));
                mix(
                    colour,
                    shade(self.colour, paler * (1.0 + 0.22 * side + rib)),
                    cover,
                )
            });
            if let Some(index) = pixel(canvas, x, y) {
                owner[index] = SEAGRASS;
            }
        });
    }

    /// Full width at the root, closing in to a round tip.
    fn half_width_at(&self, way: f32) -> f32 {
        let t = (way / self.length).min(1.0);
        (self.half_width * (1.0 - t * t * t)).max(0.4)
    }

    /// Visits the blade pixel by pixel: the way from the root, the point, and the direction there.
    fn walk(&self, mut visit: impl FnMut(f32, [f32; 2], [f32; 2])) {
        let [mut x, mut y] = self.root;
        let mut way = 0.0;
        while way < self.length {
            let along = direction(self.heading + self.bend * way / self.length);
            visit(way, [x, y], along);
            (x, y) = (x + along[0], y + along[1]);
            way += 1.0;
        }
    }
}

/// Recolours a soft disc; `colour` is given the offset from the centre, the cover (0 to 1) and the colour so far.
fn stamp(
    canvas: &mut Canvas,
    [x, y]: [f32; 2],
    radius: f32,
    colour: impl Fn([f32; 2], f32, Rgb) -> Rgb,
) {
    let reach = radius + 0.5;
    let rows =
        (y - reach).max(0.0) as usize..((y + reach + 1.0).max(0.0) as usize).min(canvas.height);
    for row in rows {
        let columns =
            (x - reach).max(0.0) as usize..((x + reach + 1.0).max(0.0) as usize).min(canvas.width);
        for column in columns {
            let offset = [column as f32 - x, row as f32 - y];
            let distance = (offset[0] * offset[0] + offset[1] * offset[1]).sqrt();
            let cover = (reach - distance).clamp(0.0, 1.0);
            if cover > 0.0 {
                let index = row * canvas.width + column;
                canvas.pixels[index] = colour(offset, cover, canvas.pixels[index]);
            }
        }
    }
}

fn pixel(canvas: &Canvas, x: f32, y: f32) -> Option<usize> {
    let inside = x >= 0.0 && y >= 0.0 && x < canvas.width as f32 && y < canvas.height as f32;
    inside.then(|| y as usize * canvas.width + x as usize)
}
