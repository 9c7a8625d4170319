//! Whether memory grows: what was resident once everything was warm, beside what is at the end. Pure.

use std::ops::Range;

use crate::stats::median;

/// Resident memory may differ by noise: it grows if it is more than this by share,
const SHARE: f64 = 0.05;
/// and more than this in bytes.
const BYTES: f64 = 20e6;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Growth {
    /// Seconds in which it counted as warm, and the last ones.
    windows: (Range<f64>, Range<f64>),
    warm: f64,
    end: f64,
}

impl Growth {
    /// Of samples `(seconds, bytes)` of a run that took `seconds`.
    pub(super) fn of(samples: &[(f64, u64)], seconds: f64) -> Self {
        let windows = windows(seconds);
        let within = |window: &Range<f64>| {
            let bytes: Vec<f64> = samples
                .iter()
                .filter(|(second, _)| window.contains(second))
                .map(|&(_, bytes)| bytes as f64)
                .collect();
            median(&bytes)
        };
        Growth {
            warm: within(&windows.0),
            end: within(&windows.1),
            windows,
        }
    }

    /// Memory that was never seen counts as growing: nobody could tell.
    pub(super) fn grows(&self) -> bool {
        let more = self.end - self.warm;
        let stays = more <= BYTES || more <= SHARE * self.warm;
        !stays
    }

    pub(super) fn text(&self) -> String {
        let (warm, end) = &self.windows;
        format!(
            "resident: {:.0} MB from {:.0} to {:.0} s, {:.0} MB from {:.0} to {:.0} s ({:+.1} %): {}",
            self.warm / 1e6,
            warm.start,
            warm.end,
            self.end / 1e6,
            end.start,
            end.end,
            100.0 * (self.end / self.warm - 1.0),
            if self.grows() { "GROWS" } else { "flat" }
        )
    }
}

/// From four minutes on the second and third minute beside the last one; of shorter runs, shares of them.
fn windows(seconds: f64) -> (Range<f64>, Range<f64>) {
    if seconds >= 240.0 {
        return (60.0..180.0, seconds - 60.0..seconds + 1.0);
    }
    (0.25 * seconds..0.5 * seconds, 0.75 * seconds..seconds + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of ten minutes with so many MB in the second and third, and in the last.
    fn check(warm: u64, end: u64, grows: bool) {
        let samples: Vec<(f64, u64)> = (0..600)
            .map(|second| {
                let megabytes = if second < 60 {
                    50
                } else if second < 400 {
                    warm
                } else {
                    end
                };
                (f64::from(second), megabytes * 1_000_000)
            })
            .collect();
        let growth = Growth::of(&samples, 600.0);
        assert_eq!(growth.grows(), grows, "{}", growth.text());
    }

    #[test]
    fn memory_grows_if_it_is_more_by_share_and_by_size() {
        check(300, 300, false);
        check(300, 250, false);
        check(100, 119, false);
        check(1000, 1040, false);
        check(300, 321, true);
        check(1000, 1060, true);
    }

    #[test]
    fn what_was_not_seen_is_not_called_flat() {
        assert!(Growth::of(&[], 600.0).grows());
    }

    fn check_windows(seconds: f64, warm: Range<f64>, end: Range<f64>) {
        assert_eq!(windows(seconds), (warm, end), "{seconds} s");
    }

    #[test]
    fn short_runs_are_judged_by_their_parts() {
        check_windows(600.0, 60.0..180.0, 540.0..601.0);
        check_windows(240.0, 60.0..180.0, 180.0..241.0);
        check_windows(60.0, 15.0..30.0, 45.0..61.0);
    }
}
