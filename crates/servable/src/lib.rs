//! The words of inference: what a model server and an engine say to each other.
//!
//! This crate is the narrow waist of Torchrelay. Above it, `serving` knows models, versions, queues and workers but no
//! engine; below it, an engine (libtorch, a scripted fake, a Python process) knows tensors and weights but no
//! queue and no wire. Both sides depend on this page and on nothing of each other.
//!
//! It is not a tensor library: a [`Tensor`] here is a shape, a type and shared bytes, enough to pass one along.

mod abort;
mod device;
mod error;
mod image;
mod input;
mod json;
mod output;
mod parts;
mod rope;
mod storage;
mod takes;
mod tensor;
mod types;
mod value;

use std::num::NonZeroUsize;
use std::time::Duration;

pub use abort::Abort;
pub use device::Device;
pub use error::{BatchError, JobError, LoadError, Reason};
pub use image::Image;
pub use input::{Input, Part, Task};
pub use output::Output;
pub use parts::{PartSink, Parts, Unwanted};
pub use rope::{Copied, Rope};
pub use storage::Storage;
pub use takes::Takes;
pub use tensor::{DType, Element, Tensor, TensorError};
pub use types::{
    Dim, Field, Fit, Mismatch, Port, Ports, Signature, Symbols, TensorType, Type, TypeError,
};
pub use value::Value;

/// Builds servables from one unpacked archive. Cheap to hold; [`load`](Loader::load) does the costly work.
///
/// One loader stands for one version of a model. Its servables may share what is costly (an engine keeps one copy of
/// the weights per device), and whatever they share is released when the loader and the last servable are dropped.
pub trait Loader: Send + Sync {
    /// Loads one servable onto `device`. Called on the worker thread that will own it; may block for seconds.
    fn load(&self, device: Device) -> Result<Box<dyn Servable>, LoadError>;

    /// As [`load`](Loader::load), for an engine that can end what it is at from outside: it arms `abort`, for the time of
    /// loading as well as for the servable's life. Whoever holds the other end fires it when he waits no longer.
    fn load_abortable(
        &self,
        device: Device,
        _abort: &Abort,
    ) -> Result<Box<dyn Servable>, LoadError> {
        self.load(device)
    }

    /// Which inputs may share a batch: those for which this says the same. An engine that runs only equal shapes together
    /// tells shapes apart here, so that batches are not cut in pieces later. Called for every request before it is
    /// queued, so it looks at no more than a few bytes.
    fn bucket(&self, _input: &Input) -> u64 {
        0
    }

    /// What the model takes and gives, as far as it is known without loading it.
    fn signature(&self) -> Signature {
        Signature::default()
    }

    /// The inputs of the model, where its archive says all of them; `None` where a request may bring anything. Asked once.
    fn takes(&self) -> Option<Takes> {
        None
    }

    /// The names of the classes that the model tells apart, by their numbers; empty where it has none.
    fn labels(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether its answers may come in parts although no client has asked for that: then every input says where parts go.
    /// Asked once, before anything is loaded.
    fn answers_in_parts(&self) -> bool {
        false
    }

    /// Whether its handlers emit how long they took, as metrics of their own. Asked once, before anything is loaded.
    fn tells_times(&self) -> bool {
        false
    }

    /// Whether a worker can be asked to describe the model, by an input with the header `describe`. Asked once, before anything
    /// is loaded.
    fn describes_itself(&self) -> bool {
        false
    }

    /// Whether its handlers rely on what TorchServe hands from node to node of a classic workflow: bytes, whatever the value
    /// was. Asked once.
    fn takes_bytes_between_nodes(&self) -> bool {
        false
    }

    /// Whether inputs of different requests may share a batch at all. Where they may not, what an archive says to the
    /// contrary changes nothing; where they may, an archive may still forbid it. Asked once, before anything is loaded.
    fn merges(&self) -> bool {
        true
    }
}

/// A loaded model. Born, used and dropped on one worker thread, so it need not be `Send`.
pub trait Servable {
    /// One result per input, in input order. A bad input fails alone; `Err` fails the batch.
    ///
    /// `threads` is how many cores the engine may use for this batch; the caller divides the machine, so an engine
    /// that takes more slows its neighbours down.
    ///
    /// A panic is survived by the caller, which drops this servable and loads another.
    fn predict(
        &mut self,
        inputs: &[Input],
        threads: NonZeroUsize,
    ) -> Result<Vec<Result<Output, JobError>>, BatchError>;

    /// Whether it can be asked anything. One that is dead is dropped, and another loaded.
    fn is_alive(&mut self) -> bool {
        true
    }

    /// How often to ask that while it has nothing to do, if it can die then.
    fn looked_at_every(&self) -> Option<Duration> {
        None
    }

    /// The process that it runs in, if not this one.
    fn process(&self) -> Option<u32> {
        None
    }

    /// What of the last call went before and after the network, where that can be told.
    fn around(&self) -> Option<Around> {
        None
    }
}

/// What of a call is not the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Around {
    /// Until the network was first run.
    pub before: Duration,
    /// Since it was last run.
    pub after: Duration,
}
