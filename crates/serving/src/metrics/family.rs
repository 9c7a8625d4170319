//! One metric with all its label values: a collector of the Prometheus registry, or a source of log lines, or both.
//!
//! Not `prometheus::CounterVec` and its kin, which sort labels by name, whereas TorchServe keeps the order of its list;
//! and which tell label values apart by a hash of their concatenation, so that version 1.0 of the model `m1` would be
//! counted as version 11.0 of the model `m`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use dashmap::DashMap;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Counter, Gauge, Histogram, HistogramOpts};
use tracing::info;

use super::definition::{Definition, Kind};
use super::text::number;

/// Seconds, of the histograms that do not choose their own: those of the Java client, whose `le` labels dashboards know.
const BUCKETS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The log that the lines of a metric go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogTarget {
    Server,
    Model,
}

/// A handle to a metric, cheap to clone.
#[derive(Clone)]
pub(super) struct Family {
    shared: Arc<Shared>,
}

struct Shared {
    definition: Definition,
    buckets: Vec<f64>,
    desc: Desc,
    /// Where lines go, if the metric is logged rather than collected.
    log: Option<LogTarget>,
    /// By label values.
    children: DashMap<Vec<String>, Arc<Child>>,
}

struct Child {
    cell: Cell,
    /// What has never been recorded is not shown.
    recorded: AtomicBool,
}

enum Cell {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Family {
    /// # Errors
    /// A name or label that Prometheus does not take.
    pub(super) fn new(definition: Definition, log: Option<LogTarget>) -> prometheus::Result<Self> {
        Family::with_buckets(definition, log, &BUCKETS)
    }

    pub(super) fn with_buckets(
        definition: Definition,
        log: Option<LogTarget>,
        buckets: &[f64],
    ) -> prometheus::Result<Self> {
        let desc = Desc::new(
            definition.name.clone(),
            help(&definition),
            definition.dimensions.clone(),
            std::collections::HashMap::new(),
        )?;
        let shared = Shared {
            definition,
            buckets: buckets.to_vec(),
            desc,
            log,
            children: DashMap::new(),
        };
        // A family that cannot make its cells is refused now, so that none is later.
        shared.cell()?;
        Ok(Family {
            shared: Arc::new(shared),
        })
    }

    pub(super) fn definition(&self) -> &Definition {
        &self.shared.definition
    }

    /// Whether its values become log lines, and are kept nowhere.
    pub(super) fn is_logged(&self) -> bool {
        self.shared.log.is_some()
    }

    /// The place for these label values, one per dimension; `None` if there are more or fewer.
    pub(super) fn series(&self, values: &[&str]) -> Option<Series> {
        let shared = &self.shared;
        if values.len() != shared.definition.dimensions.len() {
            return None;
        }
        if let Some(target) = shared.log {
            let line = LogLine::new(&shared.definition, values, target);
            return Some(Series(Some(Place::Line(Arc::new(line)))));
        }
        let key: Vec<String> = values.iter().map(ToString::to_string).collect();
        if let Some(child) = shared.children.get(&key) {
            return Some(Series(Some(Place::Child(Arc::clone(&child)))));
        }
        let child = Arc::new(Child {
            cell: shared.cell().ok()?,
            recorded: AtomicBool::new(false),
        });
        let child = Arc::clone(&shared.children.entry(key).or_insert(child));
        Some(Series(Some(Place::Child(child))))
    }

    /// Forgets these label values. What was handed out for them leads nowhere from now on.
    pub(super) fn remove(&self, values: &[&str]) {
        let key: Vec<String> = values.iter().map(ToString::to_string).collect();
        self.shared.children.remove(&key);
    }
}

impl Shared {
    fn cell(&self) -> prometheus::Result<Cell> {
        let (name, help) = (self.definition.name.clone(), help(&self.definition));
        Ok(match self.definition.kind {
            Kind::Counter => Cell::Counter(Counter::new(name, help)?),
            Kind::Gauge => Cell::Gauge(Gauge::new(name, help)?),
            Kind::Histogram => {
                let options = HistogramOpts::new(name, help).buckets(self.buckets.clone());
                Cell::Histogram(Histogram::with_opts(options)?)
            }
        })
    }
}

/// As TorchServe words it.
fn help(definition: &Definition) -> String {
    let kind = match definition.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let unit = &definition.unit;
    format!("Torchserve prometheus {kind} metric with unit: {unit}")
}

impl Collector for Family {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.shared.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let definition = &self.shared.definition;
        let mut family = MetricFamily::default();
        family.set_name(definition.name.clone());
        family.set_help(help(definition));
        family.set_field_type(match definition.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        let recorded = self.shared.children.iter();
        let recorded = recorded.filter(|child| child.recorded.load(Ordering::Relaxed));
        let metrics = recorded.map(|child| {
            let mut metric = child.cell.metric();
            let pairs = definition.dimensions.iter().zip(child.key());
            metric.set_label(pairs.map(|(name, value)| pair(name, value)).collect());
            metric
        });
        family.set_metric(metrics.collect());
        vec![family]
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

impl Child {
    fn is_recorded(&self) {
        if !self.recorded.load(Ordering::Relaxed) {
            self.recorded.store(true, Ordering::Relaxed);
        }
    }
}

impl Cell {
    fn record(&self, value: f64) {
        match self {
            // A counter must not fall; the crate would panic in debug builds.
            Cell::Counter(counter) if value >= 0.0 => counter.inc_by(value),
            Cell::Counter(_) => {}
            Cell::Gauge(gauge) => gauge.set(value),
            Cell::Histogram(histogram) => histogram.observe(value),
        }
    }

    fn metric(&self) -> Metric {
        use prometheus::core::Metric as _;
        match self {
            Cell::Counter(counter) => counter.metric(),
            Cell::Gauge(gauge) => gauge.metric(),
            Cell::Histogram(histogram) => histogram.metric(),
        }
    }
}

/// The place of one metric for one choice of label values. Recording takes a few atomic operations, or one log line.
/// The default one takes everything and keeps nothing: it stands for a metric that is not emitted.
#[derive(Clone, Default)]
pub(super) struct Series(Option<Place>);

#[derive(Clone)]
enum Place {
    Child(Arc<Child>),
    Line(Arc<LogLine>),
}

impl Series {
    /// Adds to a counter, sets a gauge, observes in a histogram, or writes the line.
    pub(super) fn record(&self, value: f64) {
        self.record_for(value, None);
    }

    /// As [`record`](Self::record); a line also names the requests that the value belongs to.
    pub(super) fn record_for(&self, value: f64, requests: Option<&str>) {
        match &self.0 {
            None => {}
            Some(Place::Child(child)) => {
                child.cell.record(value);
                child.is_recorded();
            }
            Some(Place::Line(line)) => line.write(value, requests),
        }
    }

    /// Moves a gauge that is collected; anything else stays as it is.
    pub(super) fn shift(&self, by: f64) {
        if let Some(Place::Child(child)) = &self.0
            && let Cell::Gauge(gauge) = &child.cell
        {
            gauge.add(by);
            child.is_recorded();
        }
    }
}

/// `Name.Unit:value|#Dim:val,…|#hostname:h,requestID:r,timestamp:s`, all but value, requests and time made beforehand.
struct LogLine {
    target: LogTarget,
    head: String,
    tail: String,
}

impl LogLine {
    /// The last value is the host's name, which has a field of its own.
    fn new(definition: &Definition, values: &[&str], target: LogTarget) -> Self {
        let Definition {
            name,
            unit,
            dimensions,
            ..
        } = definition;
        let (host, values) = values.split_last().unwrap_or((&"", &[]));
        let pairs = dimensions.iter().zip(values);
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{name}:{value}"))
            .collect();
        LogLine {
            target,
            head: format!("{name}.{unit}:"),
            tail: format!("|#{}|#hostname:{host}", pairs.join(",")),
        }
    }

    fn write(&self, value: f64, requests: Option<&str>) {
        let (head, tail, value) = (&self.head, &self.tail, number(value));
        let (mark, requests) = requests.map_or(("", ""), |ids| (",requestID:", ids));
        // The macro formats nothing when nobody listens to the target.
        match self.target {
            LogTarget::Server => {
                info!(target: "ts_metrics", "{head}{value}{tail}{mark}{requests},timestamp:{}", epoch_seconds());
            }
            LogTarget::Model => {
                info!(target: "model_metrics", "{head}{value}{tail}{mark}{requests},timestamp:{}", epoch_seconds());
            }
        }
    }
}

fn epoch_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
