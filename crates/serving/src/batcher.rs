//! When a batch is due, and what is in it. A pure policy: no clock (time is passed in), no channel, no job type.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

/// The two bounds of a batch, as users configure them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPolicy {
    /// The most jobs in one batch.
    pub size: NonZeroUsize,
    /// How long the first job of a batch may wait for company while a worker idles.
    pub max_delay: Duration,
}

/// Jobs in the order of their arrival, and the rule that cuts them into batches.
///
/// The rule conserves work where it counts: a job that arrives while nothing else of its model is running or waiting is
/// due at once, whatever the delay. Company is waited for only when there is reason to expect it.
#[derive(Debug)]
pub struct Batcher<J> {
    policy: BatchPolicy,
    queue: VecDeque<(Instant, J)>,
}

impl<J> Batcher<J> {
    pub fn new(policy: BatchPolicy) -> Self {
        Batcher {
            policy,
            queue: VecDeque::new(),
        }
    }

    pub fn push(&mut self, job: J, now: Instant) {
        self.queue.push_back((now, job));
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes out the jobs for which `is_dead` holds.
    pub fn drop_dead(&mut self, mut is_dead: impl FnMut(&J) -> bool) {
        self.queue.retain(|(_, job)| !is_dead(job));
    }

    /// When the next batch is due if nothing more arrives; `None` while the queue is empty. `in_flight` is how many
    /// batches of this model are being computed.
    pub fn next_due(&self, in_flight: usize) -> Option<Instant> {
        let (arrival, _) = self.queue.front()?;
        let waits = in_flight > 0 && self.queue.len() < self.policy.size.get();
        Some(if waits {
            *arrival + self.policy.max_delay
        } else {
            *arrival
        })
    }

    /// The next batch, if one is due at `now`. Call it only when a worker is idle: a batch is cut as late as possible.
    pub fn take_due(&mut self, now: Instant, in_flight: usize) -> Option<Vec<J>> {
        if self.next_due(in_flight)? > now {
            return None;
        }
        let size = self.policy.size.get().min(self.queue.len());
        Some(self.queue.drain(..size).map(|(_, job)| job).collect())
    }

    /// Everything that still waits, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = J> + '_ {
        self.queue.drain(..).map(|(_, job)| job)
    }
}

#[cfg(test)]
mod tests;
