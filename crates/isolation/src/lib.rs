//! Models of any engine in processes of their own: `isolation: process`.
//!
//! An engine whose workers are threads shares its fate with the daemon: a network that overflows the stack or writes where it
//! must not ends both. Here the same servable runs in a child process, which is the daemon's own program, and whatever
//! happens there costs the request that did it and no more.
//!
//! Two ends, in one crate because they must agree on every byte and never meet another build:
//!
//! - in the daemon, [`IsolatedLoader`] (`loader.rs`) stands around the engine's own loader, which checks and describes the model
//!   and loads nothing; its servables (`servable.rs`) are processes (`start.rs`), in the little of the daemon's environment
//!   that they get (`environment.rs`);
//! - in the child, [`serve`] (`child.rs`) has the engine load what it is told to, and answers batches until the daemon hangs up;
//!   parts of answers go out through `parts.rs`.
//!
//! `message.rs` and `batch.rs` are what they say to each other, in frames of `worker_process::wire`: large values lie in sealed
//! memory. It knows no engine: what a loader is made of is a text that whoever makes the loader writes and reads.
//!
//! It is no sandbox: the child has the daemon's user, files and network, but none of its memory and few of its variables.

mod batch;
mod child;
mod environment;
mod loader;
mod message;
mod parts;
mod servable;
mod start;

pub use child::{ChildError, serve};
pub use loader::{IsolatedLoader, Isolation};
pub use worker_process::Bounds;
