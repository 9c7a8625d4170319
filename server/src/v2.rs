//! The Open Inference Protocol v2, as KServe and Triton speak it, without a wire: tensors by name into a model or a
//! workflow, and tensors by name out of it.
//!
//! `message.rs` has the words of the protocol. The way of a request is [`infer`]: `target.rs` finds the model or the workflow
//! of the name, `inputs.rs` makes the parts of an [`Input`](servable::Input) of what came, and `outputs.rs` makes tensors of
//! the answer. The rest of the protocol is `metadata.rs`, `statistics.rs` and `repository.rs`; who is ready says `operations/health.rs`.
//!
//! Nothing here knows JSON or HTTP: whoever has a wire reads its requests into these types and writes these answers. Over
//! REST that is `http/v2.rs`.

mod classification;
mod datatype;
mod infer;
mod inputs;
mod message;
mod metadata;
mod outputs;
mod packed;
mod repository;
mod statistics;
mod target;

pub use datatype::Datatype;
pub use infer::{Asked, infer};
pub use message::{
    Content, InferInput, InferOutput, InferRequest, InferResponse, Parameter, Parameters,
    WantedOutput,
};
pub use metadata::{EXTENSIONS, ModelMetadata, SERVER_NAME, TensorMetadata, metadata};
pub use packed::{elements, pack_elements};
pub use repository::{IndexEntry, index, load, unload};
pub use statistics::{BatchStatistics, ModelStatistics, Spent, statistics};
