//! How long everything is measured, and which configurations libtorch alone is tried in. Pure values.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Connections at once, in the order in which they are measured.
pub const CONCURRENCIES: [usize; 4] = [1, 2, 8, 32];

/// What a batch size may be.
const BATCHES: [usize; 4] = [1, 2, 4, 8];

/// How long and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Of one side of a pair.
    pub slice: Duration,
    /// Of daemon and bare loop in turn, for each concurrency.
    pub pairs: usize,
    /// For each configuration of the bare loop.
    pub search: Duration,
}

/// A slice holds as many answers as this, if it can: networks answer in batches, and half a batch is a large share of few.
const ANSWERS: f64 = 240.0;
/// But it takes at most this many times as long as planned.
const STRETCH: u32 = 4;

impl Plan {
    /// The length of a slice for a network that answers about so many requests a second.
    pub fn slice_for(&self, per_second: f64) -> Duration {
        let wanted = (ANSWERS / per_second).clamp(0.0, 1e6);
        Duration::from_secs_f64(wanted).clamp(self.slice, STRETCH * self.slice)
    }

    pub const FULL: Plan = Plan {
        slice: Duration::from_secs(2),
        pairs: 7,
        search: Duration::from_secs(1),
    };
    pub const QUICK: Plan = Plan {
        slice: Duration::from_millis(500),
        pairs: 3,
        search: Duration::from_millis(200),
    };
}

/// How libtorch alone is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// Threads that run the network, each for itself.
    pub workers: usize,
    /// Cores that one run may use.
    pub threads: usize,
    pub batch: usize,
}

impl Configuration {
    /// How many requests it would have to have in hand.
    fn in_hand(self) -> usize {
        self.workers * self.batch
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Configuration {
            workers,
            threads,
            batch,
        } = self;
        write!(f, "{workers} × {threads} × {batch}")
    }
}

/// Every split of the cores into workers and threads, in powers of two and all of them, with every batch size.
pub fn configurations(cores: usize) -> Vec<Configuration> {
    let mut counts: Vec<usize> = (0..usize::BITS)
        .map(|power| 1 << power)
        .take_while(|count| *count < cores)
        .collect();
    counts.push(cores.max(1));
    let mut all = Vec::new();
    for &workers in &counts {
        for &threads in counts
            .iter()
            .filter(|&&threads| workers * threads <= cores.max(1))
        {
            all.extend(BATCHES.map(|batch| Configuration {
                workers,
                threads,
                batch,
            }));
        }
    }
    all
}

/// Of configurations and their speeds, the fastest that need no more requests in hand than there are; best first.
pub fn fastest(
    found: &[(Configuration, f64)],
    concurrency: usize,
    most: usize,
) -> Vec<Configuration> {
    let mut fitting: Vec<_> = found
        .iter()
        .filter(|(configuration, _)| configuration.in_hand() <= concurrency)
        .collect();
    fitting.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    fitting
        .into_iter()
        .take(most)
        .map(|(configuration, _)| *configuration)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_longer_for_slow_networks() {
        let seconds = |per_second| Plan::FULL.slice_for(per_second).as_secs_f64();
        assert_eq!(seconds(10_000.0), 2.0);
        assert_eq!(seconds(60.0), 4.0);
        assert_eq!(seconds(1.0), 8.0);
        assert_eq!(seconds(0.0), 8.0);
    }

    fn check_configurations(cores: usize, expected: &[(usize, usize)]) {
        let found: Vec<_> = configurations(cores)
            .iter()
            .filter(|configuration| configuration.batch == 8)
            .map(|configuration| (configuration.workers, configuration.threads))
            .collect();
        assert_eq!(found, expected, "{cores} cores");
        assert_eq!(configurations(cores).len(), 4 * expected.len());
    }

    #[test]
    fn cores_are_split_and_never_oversubscribed() {
        check_configurations(1, &[(1, 1)]);
        check_configurations(2, &[(1, 1), (1, 2), (2, 1)]);
        check_configurations(
            6,
            &[
                (1, 1),
                (1, 2),
                (1, 4),
                (1, 6),
                (2, 1),
                (2, 2),
                (4, 1),
                (6, 1),
            ],
        );
    }

    fn check_fastest(concurrency: usize, most: usize, expected: &[&str]) {
        let found = [(1, 1, 1), (1, 2, 1), (2, 1, 1), (1, 2, 8), (2, 1, 8)]
            .into_iter()
            .zip([10.0, 15.0, 18.0, 40.0, 30.0])
            .map(|((workers, threads, batch), speed)| {
                let configuration = Configuration {
                    workers,
                    threads,
                    batch,
                };
                (configuration, speed)
            });
        let found: Vec<_> = found.collect();
        let names: Vec<_> = fastest(&found, concurrency, most)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, expected, "{concurrency} requests");
    }

    #[test]
    fn a_configuration_is_only_beside_a_load_that_could_feed_it() {
        check_fastest(1, 2, &["1 × 2 × 1", "1 × 1 × 1"]);
        check_fastest(2, 1, &["2 × 1 × 1"]);
        check_fastest(8, 1, &["1 × 2 × 8"]);
        check_fastest(32, 3, &["1 × 2 × 8", "2 × 1 × 8", "2 × 1 × 1"]);
    }
}
