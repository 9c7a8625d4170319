//! Training, tracing and judging the demo models with libtorch. The program `train` calls [`segmenter::train`] and its
//! like, saves what they give, and the tests judge the saved files with [`judge`]. [`save_bench_models`] is for benches.
//!
//! The models are small on purpose: their files are committed. They have no normalisation layers, so there is nothing
//! that behaves differently in training and nothing to fold away.

pub mod classifier;
pub mod colours;
pub mod data;
pub mod deep;
pub mod judge;
pub mod resnet;
pub mod segmenter;
pub mod tag_finder;
pub mod tag_reader;
pub mod trace;

mod schedule;

use std::path::Path;

use thiserror::Error;

/// The seed of every random choice in training. Results still differ a little between machines, because the order in
/// which libtorch adds up floats depends on the number of threads.
pub const SEED: u64 = 20_240_607;

/// Mean of red, green and blue that the models' inputs are normalised with: ImageNet's, as customary.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Standard deviation that belongs to [`MEAN`].
pub const STD: [f32; 3] = [0.229, 0.224, 0.225];

/// Why a model could not be made or judged.
#[derive(Debug, Error)]
pub enum Error {
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// The traced module computes something else than the model it was traced from.
    #[error("{model}: traced and original differ by {difference} for an input of shape {shape:?}")]
    Differs {
        model: &'static str,
        shape: Vec<i64>,
        difference: f64,
    },
}

/// Is told how training goes, a line at a time.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

/// Writes the networks that only benches want, into a folder that exists: `echo.pt`, `first.pt`, `resnet18.pt` and
/// `deep.pt`.
pub fn save_bench_models(folder: &Path) -> Result<(), Error> {
    trace::save_echo(&folder.join("echo.pt"))?;
    trace::save_first(&folder.join("first.pt"))?;
    resnet::save(&folder.join("resnet18.pt"))?;
    deep::save(&folder.join("deep.pt"))
}
