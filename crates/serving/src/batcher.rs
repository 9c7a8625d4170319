//! When a batch is due, and what is in it. A pure policy: no clock (time is passed in), no channel, no job type.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
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

/// What the workers of a model are at when a batch may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Batches of this model that are being computed.
    pub in_flight: usize,
    /// How many batches could be computed beside each other from now on, at least one.
    pub takers: usize,
    /// How long company is worth waiting for while there is something to compute with; as long as the policy allows
    /// where there is not, or where a batch takes hardly longer than one of its jobs.
    pub patience: Option<Duration>,
}

/// While company is waited for with something to compute with, so long after the last arrival nobody else is expected:
/// requests that follow the answers of one batch come close behind each other.
const LULL: Duration = Duration::from_millis(1);

/// Waiting jobs in buckets, and the rule that cuts them into batches.
///
/// Jobs of different buckets never share a batch. Within a bucket the job whose deadline is nearest goes first, and jobs of
/// one deadline go in the order of their arrival; so do jobs of one time limit, since their deadlines follow their arrivals.
/// Among buckets that are due, the one with the nearest deadline goes first, so that none starves.
///
/// The rule conserves work where it counts: a job that arrives while nothing else of its model is running or waiting is
/// due at once, whatever the delay. Company is waited for only when there is reason to expect it, and what waits is divided
/// among those who could take it.
#[derive(Debug)]
pub struct Batcher<K, J> {
    policy: BatchPolicy,
    /// None of them empty.
    buckets: HashMap<K, BTreeMap<Rank, Waiting<J>>>,
    len: usize,
    /// How many jobs have arrived so far.
    arrived: u64,
}

/// A job's place in its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    deadline: Instant,
    number: u64,
}

#[derive(Debug)]
struct Waiting<J> {
    arrival: Instant,
    job: J,
}

impl<K: Hash + Eq + Clone, J> Batcher<K, J> {
    pub fn new(policy: BatchPolicy) -> Self {
        Batcher {
            policy,
            buckets: HashMap::new(),
            len: 0,
            arrived: 0,
        }
    }

    pub fn push(&mut self, bucket: K, deadline: Instant, job: J, now: Instant) {
        let rank = Rank {
            deadline,
            number: self.arrived,
        };
        let waiting = Waiting { arrival: now, job };
        self.buckets
            .entry(bucket)
            .or_default()
            .insert(rank, waiting);
        self.arrived += 1;
        self.len += 1;
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many buckets have jobs that wait.
    pub fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// Takes out the jobs for which `is_dead` holds.
    pub fn drop_dead(&mut self, mut is_dead: impl FnMut(&J) -> bool) {
        self.buckets.retain(|_, jobs| {
            jobs.retain(|_, waiting| !is_dead(&waiting.job));
            !jobs.is_empty()
        });
        self.len = self.buckets.values().map(BTreeMap::len).sum();
    }

    /// When the next batch is due if nothing more arrives; `None` while nothing waits.
    pub fn next_due(&self, load: Load) -> Option<Instant> {
        self.buckets
            .values()
            .filter_map(|jobs| self.due(jobs, load))
            .min()
    }

    /// The next batch, if one is due at `now`. Call it only when a worker is idle: a batch is cut as late as possible.
    pub fn take_due(&mut self, now: Instant, load: Load) -> Option<Vec<J>> {
        let due =
            |jobs: &BTreeMap<Rank, Waiting<J>>| self.due(jobs, load).is_some_and(|due| due <= now);
        let (bucket, _) = self
            .buckets
            .iter()
            .filter(|(_, jobs)| due(jobs))
            .filter_map(|(bucket, jobs)| Some((bucket, jobs.first_key_value()?.0)))
            .min_by_key(|(_, rank)| **rank)?;
        let bucket = bucket.clone();
        let jobs = self.buckets.get_mut(&bucket)?;
        let fair = jobs.len().div_ceil(load.takers.max(1));
        let size = self.policy.size.get().min(fair);
        let batch: Vec<J> = std::iter::from_fn(|| jobs.pop_first())
            .take(size)
            .map(|(_, waiting)| waiting.job)
            .collect();
        if jobs.is_empty() {
            self.buckets.remove(&bucket);
        }
        self.len -= batch.len();
        Some(batch)
    }

    /// Everything that still waits.
    pub fn drain(&mut self) -> Vec<J> {
        self.len = 0;
        let buckets = self.buckets.drain();
        buckets
            .flat_map(|(_, jobs)| jobs.into_values())
            .map(|waiting| waiting.job)
            .collect()
    }

    fn due(&self, jobs: &BTreeMap<Rank, Waiting<J>>, load: Load) -> Option<Instant> {
        let waits = load.in_flight > 0
            && jobs.len() < self.policy.size.get()
            && load.patience != Some(Duration::ZERO);
        if !waits {
            // At once: no instant is before the first arrival, and this one saves looking for it.
            return jobs.first_key_value().map(|(_, first)| first.arrival);
        }
        // Fewer than a batch, so that few are looked at.
        let arrivals = jobs.values().map(|waiting| waiting.arrival);
        let oldest = arrivals.clone().min()?;
        let Some(patience) = load.patience else {
            return Some(oldest + self.policy.max_delay);
        };
        let newest = arrivals.max()?;
        let limit = oldest + self.policy.max_delay.min(patience);
        Some(limit.min(newest + LULL))
    }
}

#[cfg(test)]
mod tests;
