//! Paints a piece of sea floor: who lies where, the ground, the plants, the water above. [`crate::quadrat`] and
//! [`crate::substrate`] say how much of each class there is to be; the rest is chance, from the seed.

mod canvas;
mod ground;
mod layout;
mod rock;
mod sand;
mod seagrass;
mod water;

use crate::rng::Rng;
use canvas::Canvas;
use layout::Layout;

/// What is to be painted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Pixels to one unit; a quadrat is about 256 units across, a blade of seagrass about 40 units long.
    pub(crate) scale: f32,
    /// Share of each class to aim at; the mask says what came of it.
    pub(crate) target: [f32; 3],
}

/// The classes by their mask values, in the order of [`crate::CLASSES`].
pub(crate) const SAND: u8 = 0;
pub(crate) const SEAGRASS: u8 = 1;
pub(crate) const ROCK: u8 = 2;

/// The picture, three bytes a pixel, and its mask, one byte a pixel; both row by row from the top left.
pub(crate) fn paint(scene: &Scene) -> (Vec<u8>, Vec<u8>) {
    // Each stage has numbers of its own, so that a scene in two sizes differs in detail only.
    let stage = |stream| Rng::new(scene.seed, stream);
    let layout = Layout::new(scene, &mut stage(11));
    let mut canvas = Canvas::new(scene);
    ground::paint(&mut canvas, &layout, &mut stage(12));
    let mut owner = layout.owner.clone();
    seagrass::paint(&mut canvas, &layout, &mut owner, &mut stage(13));
    let mask = layout::outlined(&owner, scene);
    water::cover(&mut canvas, &mut stage(14));
    (canvas.to_bytes(&mut stage(15)), mask)
}
