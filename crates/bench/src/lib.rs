//! Load on the running daemon. `cargo xtask bench` and `cargo xtask soak` build the daemon and this, and run it.
//!
//! What is compared: `subject.rs` names the models and what is asked of them; `versus.rs` serves each with a daemon
//! (`daemon.rs`) under a closed loop of requests (`load.rs`), in turn with libtorch alone over the same network
//! (`bare.rs`, in a child process of its own); `report.rs` and `plot.rs` write it down. `memory.rs` weighs workers,
//! `profile.rs` tells which threads the time goes to, `against.rs` sets two builds of the daemon side by side,
//! `workflows.rs` says what a graph costs around its models, and what batches across requests bring it, `wires.rs` sets
//! gRPC (`calls.rs`) beside REST, and `python.rs` sets handlers in Python beside TorchServe's. The soak is `soak.rs` and what is below it.
//!
//! It speaks to the daemon over sockets and `/proc` only, so it measures what a user gets. Nothing here ships.

pub mod args;
pub mod load;
pub mod machine;
pub mod plan;
pub mod plot;
pub mod process;
pub mod report;
pub mod soak;
pub mod stats;

mod client;
mod daemon;
mod http;
mod store;

#[cfg(feature = "libtorch")]
mod calls;
#[cfg(feature = "libtorch")]
mod scrape;

#[cfg(feature = "libtorch")]
pub mod against;
#[cfg(feature = "libtorch")]
pub mod bare;
#[cfg(feature = "libtorch")]
pub mod memory;
#[cfg(feature = "libtorch")]
pub mod profile;
#[cfg(feature = "libtorch")]
pub mod python;
#[cfg(feature = "libtorch")]
pub mod subject;
#[cfg(feature = "libtorch")]
pub mod versus;
#[cfg(feature = "libtorch")]
pub mod wires;
#[cfg(feature = "libtorch")]
pub mod workflows;
