//! How far a download is, for the log: now and then, and at the end.

use std::time::{Duration, Instant};

use tracing::info;

/// The log hears at least so often, ...
const LONGEST: Duration = Duration::from_secs(5);
/// ... at each tenth, ...
const STEPS: u64 = 10;
/// ... and never more often than this.
const SHORTEST: Duration = Duration::from_secs(1);

pub(crate) struct Progress<'a> {
    shown: &'a str,
    total: Option<u64>,
    from: u64,
    start: Instant,
    told: Instant,
    told_at: u64,
}

impl<'a> Progress<'a> {
    /// `from`: bytes that an earlier attempt brought.
    pub(crate) fn new(shown: &'a str, from: u64, total: Option<u64>) -> Self {
        match from {
            0 => info!("bringing {shown}: {}", of(total)),
            _ => info!(
                "bringing {shown}: going on after {} of {}",
                size(from),
                of(total)
            ),
        }
        let now = Instant::now();
        Progress {
            shown,
            total,
            from,
            start: now,
            told: now,
            told_at: from,
        }
    }

    pub(crate) fn at(&mut self, bytes: u64) {
        let now = Instant::now();
        let since = now.duration_since(self.told);
        let step = self
            .total
            .is_some_and(|total| tenth(bytes, total) > tenth(self.told_at, total));
        if since >= LONGEST || (step && since >= SHORTEST) {
            (self.told, self.told_at) = (now, bytes);
            info!("bringing {}: {}", self.shown, line(bytes, self.total));
        }
    }

    pub(crate) fn end(&self, bytes: u64) {
        info!(
            "brought {}: {} in {:.1} s",
            self.shown,
            size(bytes - self.from.min(bytes)),
            self.start.elapsed().as_secs_f64()
        );
    }
}

fn tenth(bytes: u64, total: u64) -> u64 {
    bytes.saturating_mul(STEPS) / total.max(1)
}

fn line(bytes: u64, total: Option<u64>) -> String {
    match total {
        Some(total) => format!(
            "{} of {} ({} %)",
            size(bytes),
            size(total),
            bytes.saturating_mul(100) / total.max(1)
        ),
        None => size(bytes),
    }
}

fn of(total: Option<u64>) -> String {
    total.map_or("a length that the server does not tell".to_owned(), size)
}

fn size(bytes: u64) -> String {
    #[expect(
        clippy::cast_precision_loss,
        reason = "one digit after the point is shown"
    )]
    let number = bytes as f64;
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", number / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", number / 1e6),
        _ => format!("{:.1} GB", number / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_reads_well() {
        let check = |bytes, total, expected: &str| assert_eq!(line(bytes, total), expected);
        check(0, Some(0), "0 bytes of 0 bytes (0 %)");
        check(999, None, "999 bytes");
        check(1_500, Some(3_000), "1.5 kB of 3.0 kB (50 %)");
        check(120_000_000, Some(1_250_000_000), "120.0 MB of 1.2 GB (9 %)");
    }
}
