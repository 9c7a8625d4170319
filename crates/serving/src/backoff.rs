//! How long to rest before a worker that failed is started again, and when to give up. Pure: time is passed in.

use std::time::{Duration, Instant};

/// TorchServe's rests in seconds. The count of failures goes up before it is used, so the first rest is the second entry.
const RESTS: [u64; 18] = [
    0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597,
];

/// One worker's way back: since when it has been failing, and how often.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Recovery {
    since: Option<Instant>,
    failures: usize,
}

impl Recovery {
    /// Notes a failure and says how long to rest, or `None` when it has been failing for longer than `patience`.
    pub(crate) fn failed(&mut self, now: Instant, patience: Duration) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) > patience {
            return None;
        }
        self.failures += 1;
        Some(Duration::from_secs(
            RESTS[self.failures.min(RESTS.len() - 1)],
        ))
    }

    /// Whether it has failed and not worked since.
    pub(crate) fn is_under_way(&self) -> bool {
        self.since.is_some()
    }

    /// It works again: the next failure starts from the beginning. Returns whether there was one.
    pub(crate) fn succeeded(&mut self) -> bool {
        std::mem::take(self).since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_until_patience_ends() {
        let start = Instant::now();
        let patience = Duration::from_secs(300);
        let mut recovery = Recovery::default();
        let mut now = start;
        let mut rests = Vec::new();
        while let Some(rest) = recovery.failed(now, patience) {
            rests.push(rest.as_secs());
            now += rest;
        }
        assert_eq!(rests, [1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144]);
        assert!(recovery.succeeded() && !recovery.is_under_way());
        assert_eq!(recovery.failed(now, patience), Some(Duration::from_secs(1)));
    }
}
