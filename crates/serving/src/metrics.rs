//! What is counted and measured while serving: TorchServe's metrics under its names, and histograms of our own.
//!
//! The wiring makes one [`Metrics`] from the list of metrics, the mode and a registry; nothing is global. The pool and
//! its workers record through [`ModelMetrics`], the wires through [`Metrics::response`], whoever measures the machine
//! through [`Metrics::system`], and an engine what its handlers emit through [`Metrics::of_handler`]. What is not in the list, or goes nowhere in this mode, costs nothing and is dropped.
//! [`Metrics::exposition`] is the text for whoever scrapes.

mod definition;
mod family;
mod handler;
mod model;
#[cfg(test)]
mod tests;
mod text;
mod workflow;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use prometheus::Registry;
use thiserror::Error;
use tracing::warn;

use crate::error::Code;
pub use definition::{Definition, Definitions, Kind, Mode};
use family::{Family, LogTarget, Series};
pub use handler::Sample;
use handler::{Handlers, Takes};
pub use model::{Inside, ModelMetrics};
pub use text::CONTENT_TYPE;
pub use workflow::WorkflowMetrics;

/// The three that the mode `legacy` shows to whoever scrapes.
const LEGACY: [&str; 3] = [
    "ts_inference_requests_total",
    "ts_inference_latency_microseconds",
    "ts_queue_latency_microseconds",
];

/// How many labels the server has values for, by metric. What `system` records is checked there.
const LABELS: &[(&str, usize)] = &[
    ("Requests2XX", 2),
    ("Requests4XX", 2),
    ("Requests5XX", 2),
    ("QueueTime", 2),
    ("WorkerThreadTime", 2),
    ("WorkerLoadTime", 3),
    ("ts_inference_requests_total", 3),
    ("ts_inference_latency_microseconds", 3),
    ("ts_queue_latency_microseconds", 3),
    ("HandlerTime", 3),
    ("PredictionTime", 3),
];

/// What a [`Metrics`] is made of.
#[derive(Debug, Clone, Default)]
pub struct MetricsConfig {
    pub mode: Mode,
    pub definitions: Definitions,
    /// Whether metrics of handlers are taken up that `definitions` does not have.
    pub auto_detect: bool,
    /// The value of the labels `Hostname` and `hostname`.
    pub host: String,
}

/// Why metrics could not be set up.
#[derive(Debug, Error)]
#[error("metric {name}: {cause}")]
pub struct MetricsError {
    pub name: String,
    cause: prometheus::Error,
}

/// All metrics of one server. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

impl Metrics {
    /// Joins everything that the mode shows to `registry`.
    ///
    /// # Errors
    /// A name or label that Prometheus does not take, or a name that `registry` has already.
    pub fn new(config: MetricsConfig, registry: Registry) -> Result<Self, MetricsError> {
        let inner = Inner::new(config, registry)?;
        Ok(Metrics {
            inner: Arc::new(inner),
        })
    }

    /// Metrics that keep nothing: for tests, and where the list of metrics cannot be read.
    pub fn off() -> Self {
        Metrics {
            inner: Arc::new(Inner::empty(Registry::new(), String::new())),
        }
    }

    /// The handle for a model under a version label; see [`ModelMetrics`]. Make it once and keep it.
    pub fn for_model(&self, model: &str, version_label: &str) -> ModelMetrics {
        ModelMetrics::new(&self.inner, model, version_label)
    }

    /// The handle for a workflow with nodes of these names.
    pub fn for_workflow<'n>(
        &self,
        workflow: &str,
        nodes: impl Iterator<Item = &'n str>,
    ) -> WorkflowMetrics {
        WorkflowMetrics::new(&self.inner, workflow, nodes)
    }

    /// A listener, whichever, sent a response with that status. What is neither 2xx nor 4xx counts as 5xx.
    pub fn response(&self, status: u16) {
        let [good, bad, failed] = &self.inner.responses;
        let series = match status {
            200..=299 => good,
            400..=499 => bad,
            _ => failed,
        };
        series.record(1.0);
    }

    /// A request was refused before a model was found for it. Its own words for the model are no label: anybody could
    /// make up as many as they like.
    pub fn refused(&self, code: Code) {
        let labels = ["", "", &reason(code)];
        self.inner.own_series(Own::Refused, &labels).record(1.0);
    }

    /// How many bytes of tensors have been copied so far on their way from the wires into batches.
    pub fn tensor_bytes_copied(&self, bytes: u64) {
        let series = self.inner.own_series(Own::TensorBytesCopied, &[]);
        series.record(bytes as f64);
    }

    /// Something measured on the machine. `labels` are the values of the metric's dimensions without the last, which is
    /// the host's name. Returns whether the list has such a metric with so many dimensions.
    pub fn system(&self, name: &str, labels: &[&str], value: f64) -> bool {
        let Some(family) = self.inner.ts.get(name) else {
            return false;
        };
        let labels = [labels, &[&self.inner.host]].concat();
        let series = family.series(&labels);
        if let Some(series) = &series {
            series.record(value);
        }
        series.is_some()
    }

    /// A handler of the model has emitted a value. It is taken up as `definitions` or, where they do not have it and
    /// `auto_detect` allows it, the value itself says; until the model's last [`ModelMetrics`] is dropped. Each model has a
    /// bounded number of series; what is left out for this or another reason is told once.
    pub fn of_handler(&self, model: &str, sample: Sample<'_>) {
        self.inner.handlers.take(&self.inner, model, sample);
    }

    /// Everything that the mode shows, in the text format of [`CONTENT_TYPE`]; empty in the mode `log`. If `names` has
    /// any, only metrics of these names, where a histogram is also meant by the names of its samples.
    pub fn exposition(&self, names: &[String]) -> String {
        let mut families = self.inner.registry.gather();
        if self.inner.mode == Mode::Prometheus {
            families.extend(self.inner.handlers.gather());
            families.sort_by(|a, b| a.name().cmp(b.name()));
        }
        if !names.is_empty() {
            families.retain(|family| {
                let suffixes = ["", "_bucket", "_count", "_sum"];
                let is_meant = |name: &String| {
                    let suffix = name.strip_prefix(family.name());
                    suffix.is_some_and(|suffix| suffixes.contains(&suffix))
                };
                names.iter().any(is_meant)
            });
        }
        text::encode(&families)
    }
}

/// The metrics of our own, which are only for whoever scrapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    Queue,
    BatchWait,
    Predict,
    BatchSize,
    Refused,
    Request,
    Inside,
    TensorBytesCopied,
    WorkflowRequests,
    WorkflowRequest,
    WorkflowNode,
}

struct Inner {
    registry: Registry,
    mode: Mode,
    host: String,
    ts: HashMap<String, Family>,
    model: HashMap<String, Family>,
    /// By [`Own`]; none unless the mode is `prometheus`.
    own: Vec<Family>,
    handlers: Handlers,
    /// 2xx, 4xx, 5xx.
    responses: [Series; 3],
    queue_time: Series,
    worker_time: Series,
}

impl Inner {
    fn empty(registry: Registry, host: String) -> Self {
        Inner {
            registry,
            mode: Mode::default(),
            host,
            ts: HashMap::new(),
            model: HashMap::new(),
            own: Vec::new(),
            handlers: Handlers::default(),
            responses: Default::default(),
            queue_time: Series::default(),
            worker_time: Series::default(),
        }
    }

    fn new(config: MetricsConfig, registry: Registry) -> Result<Self, MetricsError> {
        let MetricsConfig {
            mode,
            definitions,
            auto_detect,
            host,
        } = config;
        let mut inner = Inner::empty(registry, host);
        inner.mode = mode;
        inner.handlers.takes = if auto_detect {
            Takes::All
        } else {
            Takes::Listed
        };
        for definition in definitions.ts {
            let log = match mode {
                Mode::Log => Some(LogTarget::Server),
                Mode::Legacy if LEGACY.contains(&definition.name.as_str()) => None,
                Mode::Legacy => Some(LogTarget::Server),
                Mode::Prometheus => None,
            };
            if let Some(family) = inner.join(definition, log)? {
                inner.ts.insert(family.definition().name.clone(), family);
            }
        }
        for mut definition in definitions.model {
            definition.dimensions.push("Hostname".to_owned());
            let log = (mode != Mode::Prometheus).then_some(LogTarget::Model);
            if let Some(family) = inner.join(definition, log)? {
                inner.model.insert(family.definition().name.clone(), family);
            }
        }
        if mode == Mode::Prometheus {
            for (definition, buckets) in own_definitions() {
                let name = definition.name.clone();
                let family = Family::with_buckets(definition, None, buckets)
                    .and_then(|family| inner.register(family))
                    .map_err(|cause| MetricsError { name, cause })?;
                inner.own.push(family);
            }
        }
        let host = inner.host.clone();
        let of_host = |name| inner.series(name, &["Host", &host]);
        let responses = ["Requests2XX", "Requests4XX", "Requests5XX"].map(of_host);
        let (queue_time, worker_time) = (of_host("QueueTime"), of_host("WorkerThreadTime"));
        Ok(Inner {
            responses,
            queue_time,
            worker_time,
            ..inner
        })
    }

    /// `None` for a metric that the server could never fill, because the list gives it other labels than it has.
    fn join(
        &self,
        definition: Definition,
        log: Option<LogTarget>,
    ) -> Result<Option<Family>, MetricsError> {
        let name = definition.name.clone();
        let found = definition.dimensions.len();
        let expected = LABELS.iter().find(|(known, _)| *known == name);
        if let Some((_, expected)) = expected
            && *expected != found
        {
            warn!("metric {name}: expected {expected} dimensions, found {found}; it is left out");
            return Ok(None);
        }
        let family = Family::new(definition, log).and_then(|family| match log {
            None => self.register(family),
            Some(_) => Ok(family),
        });
        family
            .map(Some)
            .map_err(|cause| MetricsError { name, cause })
    }

    fn register(&self, family: Family) -> prometheus::Result<Family> {
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn series(&self, name: &str, labels: &[&str]) -> Series {
        let family = self.ts.get(name);
        family
            .and_then(|family| family.series(labels))
            .unwrap_or_default()
    }

    fn model_series(&self, name: &str, labels: &[&str]) -> Series {
        let family = self.model.get(name);
        family
            .and_then(|family| family.series(labels))
            .unwrap_or_default()
    }

    fn own_series(&self, which: Own, labels: &[&str]) -> Series {
        let family = self.own.get(which as usize);
        family
            .and_then(|family| family.series(labels))
            .unwrap_or_default()
    }

    fn worker_loaded(&self, worker: &str, took: Duration) {
        let labels = [worker, "Host", &self.host];
        self.series("WorkerLoadTime", &labels).record(millis(took));
    }

    fn worker_gone(&self, worker: &str) {
        if let Some(family) = self.ts.get("WorkerLoadTime") {
            family.remove(&[worker, "Host", &self.host]);
        }
    }
}

/// In the order of [`Own`].
fn own_definitions() -> [(Definition, &'static [f64]); 11] {
    const SECONDS: &[f64] = &[
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
        5.0, 10.0, 30.0, 60.0, 120.0,
    ];
    const REQUESTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
    let own = |name: &str, unit: &str, kind, more: Option<&str>| {
        let dimensions = ["model_name", "model_version"].into_iter().chain(more);
        Definition {
            name: format!("torchrelay_{name}"),
            unit: unit.to_owned(),
            kind,
            dimensions: dimensions.map(str::to_owned).collect(),
        }
    };
    let of_workflow = |name: &str, unit: &str, kind, more: Option<&str>| Definition {
        name: format!("torchrelay_workflow_{name}"),
        unit: unit.to_owned(),
        kind,
        dimensions: ["workflow_name"]
            .into_iter()
            .chain(more)
            .map(str::to_owned)
            .collect(),
    };
    let histogram = |name, unit| own(name, unit, Kind::Histogram, None);
    [
        (histogram("queue_seconds", "Seconds"), SECONDS),
        (histogram("batch_wait_seconds", "Seconds"), SECONDS),
        (histogram("predict_seconds", "Seconds"), SECONDS),
        (histogram("batch_size", "Requests"), REQUESTS),
        (
            own("refused_total", "Requests", Kind::Counter, Some("reason")),
            &[],
        ),
        (histogram("request_seconds", "Seconds"), SECONDS),
        (own("requests_inside", "Requests", Kind::Gauge, None), &[]),
        (
            Definition {
                name: "torchrelay_tensor_bytes_copied".to_owned(),
                unit: "Bytes".to_owned(),
                kind: Kind::Gauge,
                dimensions: Vec::new(),
            },
            &[],
        ),
        (
            of_workflow("requests_total", "Requests", Kind::Counter, Some("outcome")),
            &[],
        ),
        (
            of_workflow("request_seconds", "Seconds", Kind::Histogram, None),
            SECONDS,
        ),
        (
            of_workflow("node_seconds", "Seconds", Kind::Histogram, Some("node")),
            SECONDS,
        ),
    ]
}

/// The label of a failure: the name of its code.
fn reason(code: Code) -> String {
    format!("{code:?}")
}

fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1e3
}
