//! Letting requests in: a bound for the whole process, and the gate that closes when the server stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::error::Error;

/// The bound on requests that are inside at once.
#[derive(Debug, Clone)]
pub struct Admission {
    permits: Arc<Semaphore>,
    /// Set before the permits are gathered in, so that a late comer hears why it is refused.
    closing: Arc<AtomicBool>,
    limit: u32,
}

/// The right to be inside. Lives as long as the request.
#[derive(Debug)]
pub struct Permit {
    _permit: OwnedSemaphorePermit,
}

impl Admission {
    pub fn new(limit: u32) -> Self {
        let permits = Arc::new(Semaphore::new(limit as usize));
        Admission {
            permits,
            closing: Arc::default(),
            limit,
        }
    }

    /// Lets a request in, or refuses it now: nobody waits at the door.
    pub fn admit(&self) -> Result<Permit, Error> {
        if self.closing.load(Ordering::Relaxed) {
            return Err(Error::Stopping);
        }
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => Ok(Permit { _permit: permit }),
            Err(TryAcquireError::Closed) => Err(Error::Stopping),
            Err(TryAcquireError::NoPermits) => Err(Error::Crowded(self.limit)),
        }
    }

    /// How many requests are inside.
    pub fn inside(&self) -> usize {
        (self.limit as usize).saturating_sub(self.permits.available_permits())
    }

    /// Lets nobody in any more and waits until everybody is out, but not longer than `grace`. Returns how many stayed
    /// inside.
    pub async fn close(&self, grace: Duration) -> usize {
        self.closing.store(true, Ordering::Relaxed);
        let everybody = self.permits.acquire_many(self.limit);
        let all_out = tokio::time::timeout(grace, everybody).await;
        let stayed = if matches!(all_out, Ok(Ok(_))) {
            0
        } else {
            self.inside()
        };
        self.permits.close();
        stayed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_gate_closes_when_all_are_out_or_grace_is_over() {
        let admission = Admission::new(2);
        let permit = admission.admit().expect("room for two");
        let other = admission.admit().expect("room for two");
        assert_eq!(admission.admit().expect_err("full"), Error::Crowded(2));
        drop(other);
        assert_eq!(admission.close(Duration::from_secs(5)).await, 1);
        assert_eq!(admission.admit().expect_err("closed"), Error::Stopping);
        drop(permit);
    }
}
