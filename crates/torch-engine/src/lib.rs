//! The libtorch engine behind the servable waist: TorchScript files to servables.
//!
//! The way of a model: [`handlers::weights`] tells what its file is; [`TorchLoader`] (`loader.rs`) reads it once per device
//! through `module.rs`, which freezes and optimises it and checks the outcome; a worker's servable (`servable.rs`)
//! shares that module and wraps the handler around it. `values.rs` carries values to libtorch and back; `ffi.rs` is the
//! only file that speaks to the C++ shim, and `cuda.rs` the only one that loads CUDA libraries.
//!
//! `bare.rs` is a network with nothing around it, which benches compare a server with.
//!
//! It knows nothing of queues, versions or wires. The server's wiring makes its loaders.

mod message;

#[cfg(feature = "libtorch")]
mod bare;
#[cfg(feature = "libtorch")]
mod cuda;
#[cfg(feature = "libtorch")]
mod ffi;
#[cfg(feature = "libtorch")]
mod learned;
#[cfg(feature = "libtorch")]
mod loader;
#[cfg(feature = "libtorch")]
mod module;
#[cfg(feature = "libtorch")]
mod servable;
#[cfg(feature = "libtorch")]
mod values;

pub use message::first_useful_line;

#[cfg(feature = "libtorch")]
pub use {
    bare::BareNetwork,
    cuda::{CudaError, devices as cuda_devices},
    ffi::keep_activations,
    loader::{ModelFiles, TorchLoader},
};
