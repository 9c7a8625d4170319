//! Native handlers: what surrounds a network, from request to answer.
//!
//! A handler turns requests into a network's arguments (preprocess), has the network run (inference), and turns its
//! result into answers (postprocess). The ones here carry the names and the default behaviour of TorchServe's own
//! default handlers, and take parameters where those took a subclass.
//!
//! A request's way through the files: [`by_name`] made the handler when the model was loaded; its file
//! (`image_classifier.rs`, say) says how one request becomes one row; `batch.rs` stacks the rows, runs the
//! [`Network`] and splits its result; the handler's file says how one row becomes one answer. `picture.rs`,
//! `labels.rs`, `scores.rs` and `parameters.rs` hold what several handlers share. [`weights`] tells, before any of
//! that, whether a model's file is one that can be served, and [`runner`] whether the daemon serves it or Python does.
//!
//! It is not an engine: whoever implements [`Network`] knows what runs it, and nothing here does, so everything here is
//! tested with scripted networks. Called by the engines' servables.

mod base_handler;
mod batch;
mod bucketing;
mod handler;
mod image_classifier;
mod image_segmenter;
mod labels;
mod model_context;
mod network;
mod object_detector;
mod parameters;
mod picture;
mod pipeline;
mod preparation;
mod runner;
mod scores;
mod signature;
mod tensors;
mod text_classifier;
pub mod weights;

#[cfg(test)]
mod testing;

pub use bucketing::Bucketing;
pub use handler::{Handler, NAMES, by_name};
pub use model_context::ModelContext;
pub use network::Network;
pub use runner::{Candidate, Cause, Runner, python_file, runner};
pub use signature::signature;
