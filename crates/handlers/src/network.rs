use std::num::NonZeroUsize;

use servable::{BatchError, Device, Value};

/// A loaded network: arguments to result. Implemented by engines and, in tests, by closures.
pub trait Network {
    /// Runs the network once.
    ///
    /// An argument is a tensor, or a list of tensors where the network takes such a list. The result is a tensor, a
    /// list (what a network returns as a tuple or list) or a map of tensors, nested as the network nests them.
    ///
    /// `threads` is how many cores this run may use.
    fn forward(&mut self, arguments: &[Value], threads: NonZeroUsize) -> Result<Value, BatchError>;

    /// Whether a run may change its arguments' memory. One that may is given buffers that nobody else looks at; for one that
    /// certainly does not, a lone request's tensor is its batch.
    fn writes_arguments(&self) -> bool {
        true
    }

    /// Where it computes.
    fn device(&self) -> Device {
        Device::Cpu
    }
}

impl<F> Network for F
where
    F: FnMut(&[Value], NonZeroUsize) -> Result<Value, BatchError>,
{
    fn forward(&mut self, arguments: &[Value], threads: NonZeroUsize) -> Result<Value, BatchError> {
        self(arguments, threads)
    }
}
