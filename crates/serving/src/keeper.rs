//! Who writes down what is registered, so that it outlives a restart. This crate only says when.

use std::pin::Pin;

/// Told of every change of what is registered: versions, their scale, which of them is the default.
pub trait Keeper: Send + Sync {
    /// Something has just changed. It is written whether or not the returned future is waited for; the future ends when
    /// it is durable, or could not be written, which is the keeper's to tell.
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}
