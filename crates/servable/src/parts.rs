//! Parts of an answer that go out before the rest of it is made.
//!
//! Whoever asks puts [`Parts`] into an [`Input`](crate::Input); whoever answers may put outputs there, in their order, before
//! it returns the last one as it always does. Nobody has to: an answer may come whole.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::{JobError, Output};

/// Where parts of one answer go.
pub trait PartSink: Send + Sync {
    /// Hands a part over. Waits while the client is behind, but not for ever: a client that takes nothing for too long is
    /// one that is gone.
    fn put(&self, part: Output) -> Result<(), Unwanted>;

    /// Whether nobody waits for the answer any more, so that it need not be computed.
    fn is_unwanted(&self) -> bool;

    /// Whether a part has been handed over, so that the answer cannot begin anew.
    fn has_begun(&self) -> bool;
}

/// Nobody waits for the answer any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("nobody waits for the rest of the answer")]
pub struct Unwanted;

impl From<Unwanted> for JobError {
    fn from(unwanted: Unwanted) -> Self {
        JobError::failed(unwanted.to_string())
    }
}

/// A handle to a [`PartSink`].
#[derive(Clone)]
pub struct Parts(Arc<dyn PartSink>);

impl Parts {
    pub fn new(sink: Arc<dyn PartSink>) -> Self {
        Parts(sink)
    }

    /// See [`PartSink::put`].
    ///
    /// # Errors
    ///
    /// Where nobody waits any more; whoever computes may stop.
    pub fn put(&self, part: Output) -> Result<(), Unwanted> {
        self.0.put(part)
    }

    /// See [`PartSink::is_unwanted`].
    pub fn is_unwanted(&self) -> bool {
        self.0.is_unwanted()
    }

    /// See [`PartSink::has_begun`].
    pub fn has_begun(&self) -> bool {
        self.0.has_begun()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts")
    }
}
