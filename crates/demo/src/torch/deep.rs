//! A deep and narrow network for benches: 128 linear layers of 128 by 128, random weights from the seed. Each layer is so
//! little work that calling it is a good part of it, so that a batch takes hardly longer than one row: what batching is for.
//! Input and output `[n, 128]`.

use std::path::Path;

use tch::{Device, Tensor, nn};

use super::{Error, SEED, trace};

/// Numbers of a row.
pub const WIDTH: usize = 128;
const LAYERS: usize = 128;

/// Writes the traced network; the same seed gives the same weights.
pub fn save(path: &Path) -> Result<(), Error> {
    tch::manual_seed(SEED as i64);
    let mut store = nn::VarStore::new(Device::Cpu);
    let root = store.root();
    let width = WIDTH as i64;
    let layers: Vec<nn::Linear> = (0..LAYERS)
        .map(|layer| nn::linear(&root / layer, width, width, nn::LinearConfig::default()))
        .collect();
    store.freeze();
    let module = trace::traced("Deep", &[&[1, width], &[24, width]], |x| {
        let through = |rows: Tensor, layer: &nn::Linear| rows.apply(layer).relu();
        layers.iter().fold(x.shallow_clone(), through)
    })?;
    Ok(module.save(path)?)
}
