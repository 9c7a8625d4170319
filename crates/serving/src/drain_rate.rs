//! How fast a queue empties, so that whoever is refused can be told when to come back. Pure: time is passed in.

use std::time::{Duration, Instant};

/// Over how long the rate is averaged: longer than a hiccup, shorter than anybody's memory of a quiet night.
const WINDOW: Duration = Duration::from_secs(10);

/// What is said while nothing has been measured, and the least and the most that is ever said.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// Answered jobs per second, where older answers count for less.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DrainRate {
    answered: f64,
    /// The seconds over which they were, faded as they are.
    seconds: f64,
    last: Option<Instant>,
}

impl DrainRate {
    /// So many jobs were answered just now.
    pub(crate) fn answered(&mut self, jobs: usize, now: Instant) {
        self.fade(now);
        self.answered += jobs as f64;
    }

    /// When there will likely be room again, with so many jobs waiting: in whole seconds, never none.
    pub(crate) fn time_for(&mut self, jobs: usize, now: Instant) -> Duration {
        self.fade(now);
        if self.answered <= 0.0 || self.seconds <= 0.0 {
            return SHORTEST;
        }
        let seconds = (jobs as f64 * self.seconds / self.answered).round();
        Duration::from_secs_f64(seconds.clamp(SHORTEST.as_secs_f64(), LONGEST.as_secs_f64()))
    }

    fn fade(&mut self, now: Instant) {
        let passed = now
            .duration_since(*self.last.get_or_insert(now))
            .as_secs_f64();
        let left = (-passed / WINDOW.as_secs_f64()).exp();
        self.answered *= left;
        self.seconds = self.seconds * left + WINDOW.as_secs_f64() * (1.0 - left);
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After answering `jobs` at once every `every` ms for `seconds`, what is said to one behind `waiting`.
    fn check(jobs: usize, every: u64, seconds: u64, waiting: usize, expected: u64) {
        let start = Instant::now();
        let mut rate = DrainRate::default();
        let mut now = start;
        while now.duration_since(start) < Duration::from_secs(seconds) {
            rate.answered(jobs, now);
            now += Duration::from_millis(every);
        }
        let found = rate.time_for(waiting, now).as_secs();
        assert_eq!(
            found, expected,
            "{jobs} every {every} ms, {waiting} waiting"
        );
    }

    #[test]
    fn the_wait_is_as_long_as_the_queue_takes_to_empty() {
        check(1, 100, 30, 100, 10);
        check(8, 100, 30, 100, 1);
        check(4, 1000, 30, 100, 26);
        check(8, 1, 30, 100, 1);
        check(1, 100, 2, 100, 10);
        check(1, 5000, 60, 100, 60);
        check(0, 100, 1, 100, 1);
    }
}
