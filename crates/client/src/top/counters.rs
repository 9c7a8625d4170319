//! What the daemon's own metrics count, by model and version label.
//!
//! Requests are counted under the version that they name, `default` where they name none; batches under the version that
//! they belong to.

use std::collections::BTreeMap;

use crate::prometheus::{Histogram, samples};

/// One label pair's counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counts {
    /// Seconds from a request's arrival to its answer.
    pub(super) requests: Histogram,
    /// Requests in a batch.
    pub(super) batches: Histogram,
    /// Refused or failed.
    pub(super) refused: f64,
    /// Arrived and not answered yet.
    pub(super) inside: f64,
}

/// A scrape of `/metrics`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counters {
    by_label: BTreeMap<(String, String), Counts>,
    /// Whether anything but what the mode `legacy` shows was there.
    is_full: bool,
}

impl Counters {
    pub(super) fn read(text: &str) -> Self {
        let mut counters = Counters::default();
        for sample in samples(text) {
            // The mode `legacy` shows three of these, and nothing else.
            counters.is_full |= !sample.name.starts_with("ts_");
            let Some(name) = sample.name.strip_prefix("torchrelay_") else {
                continue;
            };
            let label = |name| sample.label(name).to_owned();
            let key = (label("model_name"), label("model_version"));
            let counts = counters.by_label.entry(key).or_default();
            if let Some(suffix) = name.strip_prefix("request_seconds") {
                counts.requests.take(suffix, &sample);
            } else if let Some(suffix) = name.strip_prefix("batch_size") {
                counts.batches.take(suffix, &sample);
            } else if name == "refused_total" {
                counts.refused += sample.value;
            } else if name == "requests_inside" {
                counts.inside += sample.value;
            }
        }
        counters
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Refused or failed in all, those included that named no model there is.
    pub(super) fn refused(&self) -> f64 {
        self.by_label.values().map(|counts| counts.refused).sum()
    }

    /// What is counted for a version: under its own label, and as the default one under that label too.
    pub(super) fn of(&self, model: &str, version: &str, is_default: bool) -> Counts {
        let get = |label: &str| self.by_label.get(&(model.to_owned(), label.to_owned()));
        let mut counts = get(version).cloned().unwrap_or_default();
        if is_default
            && version != "default"
            && let Some(more) = get("default")
        {
            counts.requests.join(&more.requests);
            counts.refused += more.refused;
            counts.inside += more.inside;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_without_a_version_are_the_defaults() {
        let text = "\
            Requests2XX{Level=\"Host\",Hostname=\"vm\",} 4.0\n\
            torchrelay_request_seconds_bucket{model_name=\"m\",model_version=\"default\",le=\"+Inf\",} 3.0\n\
            torchrelay_request_seconds_count{model_name=\"m\",model_version=\"default\",} 3.0\n\
            torchrelay_request_seconds_count{model_name=\"m\",model_version=\"2.0\",} 1.0\n\
            torchrelay_request_seconds_count{model_name=\"m\",model_version=\"1.0\",} 5.0\n\
            torchrelay_batch_size_sum{model_name=\"m\",model_version=\"2.0\",} 4.0\n\
            torchrelay_batch_size_count{model_name=\"m\",model_version=\"2.0\",} 2.0\n\
            torchrelay_refused_total{model_name=\"m\",model_version=\"default\",reason=\"Overloaded\",} 1.0\n\
            torchrelay_refused_total{model_name=\"m\",model_version=\"default\",reason=\"Timeout\",} 1.0\n\
            torchrelay_refused_total{model_name=\"\",model_version=\"\",reason=\"ModelNotFound\",} 9.0\n\
            torchrelay_requests_inside{model_name=\"m\",model_version=\"default\",} 2.0\n";
        let counters = Counters::read(text);
        assert!(counters.is_full());
        let check = |version: &str, is_default: bool, expected: [f64; 4]| {
            let counts = counters.of("m", version, is_default);
            let found = [
                counts.requests.count,
                counts.batches.mean().unwrap_or(0.0),
                counts.refused,
                counts.inside,
            ];
            assert_eq!(found, expected, "{version}");
        };
        check("2.0", true, [4.0, 2.0, 2.0, 2.0]);
        check("1.0", false, [5.0, 0.0, 0.0, 0.0]);
        check("9.9", false, [0.0; 4]);
        assert!(!Counters::read("").is_full());
        assert!(!Counters::read("ts_inference_requests_total{model_name=\"m\",} 1.0").is_full());
    }
}
