//! How much memory the bodies of requests hold, whatever model they are for: a bound that many slow or large uploads
//! together cannot pass. Counted as bytes arrive, given back when the request is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Failure;

/// The bound, and what is held. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Memory {
    held: Arc<AtomicUsize>,
    most: usize,
}

/// One request's part of it. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Claim {
    memory: Memory,
    bytes: usize,
}

impl Memory {
    pub fn new(most: usize) -> Self {
        Memory {
            held: Arc::default(),
            most,
        }
    }

    pub(crate) fn claim(&self) -> Claim {
        Claim {
            memory: self.clone(),
            bytes: 0,
        }
    }
}

impl Claim {
    /// Counts so many more bytes, or refuses the request that brings them.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        let before = self.memory.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if before.saturating_add(bytes) > self.memory.most {
            let most = self.memory.most;
            return Err(Failure::unavailable(format!(
                "the requests inside hold more than {most} bytes, which is their bound"
            ))
            .retry_after(std::time::Duration::from_secs(1)));
        }
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_share_a_bound_and_give_back() {
        let memory = Memory::new(100);
        let mut first = memory.claim();
        assert_eq!(first.grow(60), Ok(()));
        let mut second = memory.claim();
        assert_eq!(second.grow(40), Ok(()));
        let refused = second.grow(1).expect_err("the bound is reached");
        assert_eq!(refused.status, 503);
        drop((first, second));
        assert_eq!(memory.claim().grow(100), Ok(()));
    }
}
