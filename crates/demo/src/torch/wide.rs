//! A wide network for benches: three linear layers, 256 to 8192 to 2048 to 8, random weights from the seed. It has 75 MB of
//! weights and little to do with each, so that a batch takes hardly longer than one row: what batching is for.

use std::path::Path;

use tch::{Device, nn};

use super::{Error, SEED, trace};

/// Writes the traced network; the same seed gives the same weights.
pub fn save(path: &Path) -> Result<(), Error> {
    tch::manual_seed(SEED as i64);
    let mut store = nn::VarStore::new(Device::Cpu);
    let root = store.root();
    let linear =
        |name: &str, from, to| nn::linear(&root / name, from, to, nn::LinearConfig::default());
    let layers = [
        linear("first", 256, 8192),
        linear("second", 8192, 2048),
        linear("third", 2048, 8),
    ];
    store.freeze();
    let [first, second, third] = &layers;
    let module = trace::traced("Wide", &[&[1, 256], &[24, 256]], |x| {
        x.apply(first).relu().apply(second).relu().apply(third)
    })?;
    Ok(module.save(path)?)
}
