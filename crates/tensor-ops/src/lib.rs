//! Mathematics on tensors that handlers and workflow functions share: what a network's numbers say, and how pictures
//! travel as tensors without being copied.
//!
//! It is no tensor library and knows no request: numbers in, numbers out. Pictures themselves are the affair of
//! `image-ops`.

mod ctc;
mod mask;
mod numbers;
mod picture;
mod scores;

pub use ctc::{Reading, ctc_greedy};
pub use mask::{Mask, MaskError, Scores};
pub use numbers::{converted, doubles, integers, numbers};
pub use picture::{PictureError, decoded, image_of, image_value, pixels_of, samples_of};
pub use scores::{best, falling, softmax};
