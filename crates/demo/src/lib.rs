//! Demo models of our own, from nothing but this source: pictures of the sea floor are generated from seeds, models are
//! trained on them, and both are traced to TorchScript as fixtures of the tests and as the first thing to serve.
//!
//! The way through: [`quadrat`] and [`substrate`] choose what a picture shows, `scene` paints it, [`tags`] lays numbered tags
//! on it, [`street`] draws what the guide to number plates shows, [`samples`] names and writes the pictures that are committed under `tests/fixtures`. With the feature `libtorch`, `torch` trains and
//! traces the models; the program `train` calls it.
//!
//! The generator is pure Rust and gives the same bytes on every machine: it has a random number generator of its own,
//! and its arithmetic is limited to what IEEE 754 defines exactly (no `sin`, `exp` or `powf`).

pub mod png;
pub mod quadrat;
pub mod samples;
pub mod street;
pub mod substrate;
pub mod tags;
#[cfg(feature = "libtorch")]
pub mod torch;

mod noise;
mod rng;
mod scene;

pub use quadrat::Quadrat;
pub use street::Street;
pub use substrate::Substrate;
pub use tags::Tagged;

/// What the sea floor is made of, in the order of mask values and of the models' scores.
pub const CLASSES: [&str; 3] = ["sand", "seagrass", "rock"];
