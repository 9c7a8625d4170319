//! The metrics of one model under one version label, resolved once: recording looks nothing up.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;

use super::{Inner, Own, Series, millis, reason};
use crate::error::Code;

/// A handle for the events of one model, cheap to clone. Hold one per version label: a request counts under the version
/// that it named, `default` if none; batches and workers count under the version that they belong to.
#[derive(Clone)]
pub struct ModelMetrics {
    series: Arc<ModelSeries>,
    /// Whether the model's handlers say themselves how long they took.
    is_told_times: bool,
}

struct ModelSeries {
    metrics: Arc<Inner>,
    model: String,
    version: String,
    requests: Series,
    inference_latency: Series,
    queue_latency: Series,
    prediction_time: Series,
    handler_time: Series,
    queue: Series,
    batch_wait: Series,
    batch_size: Series,
    predict: Series,
    request: Series,
    inside: Series,
    /// Resolved when the first request of a code is refused.
    refused: DashMap<Code, Series>,
}

impl ModelMetrics {
    pub(super) fn new(metrics: &Arc<Inner>, model: &str, version: &str) -> Self {
        let host = metrics.host.as_str();
        let request = |name| metrics.series(name, &[model, version, host]);
        let of_model = |name| metrics.model_series(name, &[model, "Model", host]);
        let own = |which| metrics.own_series(which, &[model, version]);
        metrics.handlers.enter(model);
        let series = ModelSeries {
            metrics: Arc::clone(metrics),
            model: model.to_owned(),
            version: version.to_owned(),
            requests: request("ts_inference_requests_total"),
            inference_latency: request("ts_inference_latency_microseconds"),
            queue_latency: request("ts_queue_latency_microseconds"),
            prediction_time: of_model("PredictionTime"),
            handler_time: of_model("HandlerTime"),
            queue: own(Own::Queue),
            batch_wait: own(Own::BatchWait),
            batch_size: own(Own::BatchSize),
            predict: own(Own::Predict),
            request: own(Own::Request),
            inside: own(Own::Inside),
            refused: DashMap::new(),
        };
        ModelMetrics {
            series: Arc::new(series),
            is_told_times: false,
        }
    }

    /// The same for a model whose handlers emit `HandlerTime` and `PredictionTime` themselves.
    #[must_use]
    pub fn told_times(mut self, are_told: bool) -> Self {
        self.is_told_times = are_told;
        self
    }

    /// A request came in for the model, whatever becomes of it.
    pub fn request_arrived(&self) {
        self.series.requests.record(1.0);
    }

    /// A request counts as inside until what this returns is dropped.
    #[must_use = "the request counts as inside until it is dropped"]
    pub fn inside(&self) -> Inside {
        self.series.inside.shift(1.0);
        Inside(self.series.inside.clone())
    }

    /// A worker answered a request, well or badly: `queue` is how long it waited for the worker, `total` how long it
    /// took from its arrival to this answer. Not for requests that were refused, timed out or went away.
    pub fn answered(&self, queue: Duration, total: Duration) {
        let series = &self.series;
        series.inference_latency.record(micros(total));
        series.queue_latency.record(micros(queue));
        series.metrics.queue_time.record(millis(queue));
        series.queue.record(queue.as_secs_f64());
        series.request.record(total.as_secs_f64());
    }

    /// A batch of `size` requests was cut; the oldest of them had waited that long for company while a worker was idle.
    pub fn batch(&self, size: usize, waited: Duration) {
        self.series.batch_size.record(size as f64);
        self.series.batch_wait.record(waited.as_secs_f64());
    }

    /// The servable's whole call for one batch took that long.
    pub fn predicted(&self, took: Duration) {
        let series = &self.series;
        series.predict.record(took.as_secs_f64());
        if self.is_told_times {
            return;
        }
        series.handler_time.record(millis(took));
        series.prediction_time.record(millis(took));
    }

    /// What a worker spent on one batch beside the servable's call.
    pub fn worker_time(&self, took: Duration) {
        self.series.metrics.worker_time.record(millis(took));
    }

    /// The worker of that name (`W-<id>-<model>_<version>`) took that long from its start until it could serve.
    pub fn worker_loaded(&self, worker: &str, took: Duration) {
        self.series.metrics.worker_loaded(worker, took);
    }

    /// The worker of that name has ended for good: what was said of it is forgotten, so that workers that come and go
    /// do not pile up.
    pub fn worker_gone(&self, worker: &str) {
        self.series.metrics.worker_gone(worker);
    }

    /// A request was refused, or failed, for that reason.
    pub fn refused(&self, code: Code) {
        let series = &self.series;
        let of_code = series.refused.entry(code).or_insert_with(|| {
            let (model, version) = (&series.model, &series.version);
            series
                .metrics
                .own_series(Own::Refused, &[model, version, &reason(code)])
        });
        of_code.record(1.0);
    }
}

impl Drop for ModelSeries {
    fn drop(&mut self) {
        self.metrics.handlers.leave(&self.metrics, &self.model);
    }
}

/// A request that has arrived. Dropping it, however the request ends, says that it has left.
pub struct Inside(Series);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.shift(-1.0);
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_micros() as f64
}
