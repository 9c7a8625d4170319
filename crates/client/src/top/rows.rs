//! Two samples as numbers: what each version did in between, and how it stands.

use std::time::Duration;

use serde_json::{Value, json};

use super::counters::{Counters, Counts};
use super::sample::Sample;
use crate::models::Version;
use crate::prometheus::{Quantile, seconds};

/// One version of a model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) version: Version,
    /// `None` without metrics.
    pub(super) traffic: Option<Traffic>,
}

/// What metrics tell.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Traffic {
    /// Arrived and not answered yet, the queue included.
    pub(super) inside: u64,
    /// Answered by a worker, in a second.
    pub(super) rate: f64,
    pub(super) p50: Option<Quantile>,
    pub(super) p99: Option<Quantile>,
    /// Requests in a batch, on average.
    pub(super) batch: Option<f64>,
    /// Refused or failed, in a second.
    pub(super) refused: f64,
}

/// A row for each version in `now`, with what happened since `before`.
pub(super) fn rows(before: &Sample, now: &Sample) -> Vec<Row> {
    let span = now.at.saturating_duration_since(before.at);
    let counters = before
        .counters
        .as_ref()
        .ok()
        .zip(now.counters.as_ref().ok());
    let row = |version: &Version| Row {
        version: version.clone(),
        traffic: counters.map(|(before, now)| traffic(version, before, now, span)),
    };
    now.versions.iter().map(row).collect()
}

/// Refused or failed in a second, those included that named no model there is. 0 without metrics.
pub(super) fn refused_per_second(before: &Sample, now: &Sample) -> f64 {
    match (&before.counters, &now.counters) {
        (Ok(earlier), Ok(later)) => {
            let count = grown(earlier.refused(), later.refused());
            per_second(count, now.at.saturating_duration_since(before.at))
        }
        _ => 0.0,
    }
}

/// By how much a count has grown. One that fell has started over from zero.
fn grown(before: f64, now: f64) -> f64 {
    if now < before { now } else { now - before }
}

fn per_second(count: f64, span: Duration) -> f64 {
    match span.as_secs_f64() {
        0.0 => 0.0,
        span => count / span,
    }
}

fn traffic(version: &Version, before: &Counters, now: &Counters, span: Duration) -> Traffic {
    let of = |counters: &Counters| -> Counts {
        let model = &version.description;
        counters.of(&model.model_name, &model.model_version, version.is_default)
    };
    let (before, now) = (of(before), of(now));
    let requests = now.requests.since(&before.requests);
    let batches = now.batches.since(&before.batches);
    Traffic {
        inside: now.inside.max(0.0) as u64,
        rate: per_second(requests.count, span),
        p50: requests.quantile(0.5),
        p99: requests.quantile(0.99),
        batch: batches.mean(),
        refused: per_second(grown(before.refused, now.refused), span),
    }
}

impl Row {
    /// For scripts; times in seconds.
    pub(super) fn document(&self) -> Value {
        let model = &self.version.description;
        let traffic = self.traffic.as_ref();
        let time = |quantile: Option<Quantile>| {
            quantile.map(|quantile| match quantile {
                Quantile::At(time) | Quantile::Above(time) => time,
            })
        };
        json!({
            "modelName": model.model_name,
            "modelVersion": model.model_version,
            "default": self.version.is_default,
            "readyWorkers": model.ready(),
            "workers": model.min_workers,
            "pendingRequests": model.waiting(),
            "requestsInside": traffic.map(|traffic| traffic.inside),
            "requestsPerSecond": traffic.map(|traffic| traffic.rate),
            "p50Seconds": traffic.and_then(|traffic| time(traffic.p50)),
            "p99Seconds": traffic.and_then(|traffic| time(traffic.p99)),
            "meanBatchSize": traffic.and_then(|traffic| traffic.batch),
            "refusedPerSecond": traffic.map(|traffic| traffic.refused),
        })
    }
}

/// A quantile as a duration, and whether it lies beyond that.
pub(super) fn time(quantile: Quantile) -> (Duration, bool) {
    match quantile {
        Quantile::At(time) => (seconds(time), false),
        Quantile::Above(time) => (seconds(time), true),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn sample(at: Instant, text: Option<&str>) -> Sample {
        let version = |version: &str, is_default| Version {
            description: serde_json::from_value(
                json!({ "modelName": "m", "modelVersion": version }),
            )
            .unwrap(),
            is_default,
        };
        Sample {
            at,
            address: String::new(),
            versions: vec![version("1.0", true), version("2.0", false)],
            counters: text.map(Counters::read).ok_or_else(|| "none".to_owned()),
        }
    }

    /// `count` requests without a version, each of which took between 1 and 2 seconds, in `batches` batches.
    fn scrape(count: u32, batches: u32, refused: u32) -> String {
        let labels = "model_name=\"m\",model_version=\"default\"";
        let own = "model_name=\"m\",model_version=\"1.0\"";
        format!(
            "torchrelay_request_seconds_bucket{{{labels},le=\"1.0\"}} 0\n\
             torchrelay_request_seconds_bucket{{{labels},le=\"2.0\"}} {count}\n\
             torchrelay_request_seconds_bucket{{{labels},le=\"+Inf\"}} {count}\n\
             torchrelay_request_seconds_count{{{labels}}} {count}\n\
             torchrelay_batch_size_sum{{{own}}} {count}\n\
             torchrelay_batch_size_count{{{own}}} {batches}\n\
             torchrelay_requests_inside{{{labels}}} 3\n\
             torchrelay_refused_total{{{labels},reason=\"Overloaded\"}} {refused}\n\
             Requests2XX 1\n"
        )
    }

    #[test]
    fn what_happened_between_two_samples() {
        let start = Instant::now();
        let check = |before: String, now: String, expected: Traffic| {
            let (before, now) = (
                sample(start, Some(&before)),
                sample(start + Duration::from_secs(2), Some(&now)),
            );
            let rows = rows(&before, &now);
            assert_eq!(rows[0].traffic, Some(expected));
            let idle = rows[1].traffic.as_ref().unwrap();
            assert_eq!((idle.rate, idle.p50, idle.batch), (0.0, None, None));
        };
        let traffic = Traffic {
            inside: 3,
            rate: 5.0,
            p50: Some(Quantile::At(1.5)),
            p99: Some(Quantile::At(1.99)),
            batch: Some(2.5),
            refused: 1.0,
        };
        check(scrape(100, 50, 4), scrape(110, 54, 6), traffic.clone());
        // The server started over in between.
        let restarted = Traffic {
            refused: 3.0,
            ..traffic
        };
        check(scrape(100, 50, 9), scrape(10, 4, 6), restarted);
    }

    #[test]
    fn without_metrics_there_is_no_traffic() {
        let start = Instant::now();
        let rows = rows(&sample(start, None), &sample(start, Some("Requests2XX 1")));
        assert_eq!(rows[0].traffic, None);
        let document = rows[0].document();
        assert_eq!(
            (&document["modelName"], &document["p50Seconds"]),
            (&json!("m"), &json!(null))
        );
    }
}
