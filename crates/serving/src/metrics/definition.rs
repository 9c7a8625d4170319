//! What a metric is called and made of, as the server's list of metrics (TorchServe's `metrics.yaml`) has it.

/// Where metrics go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// To the log, all of them.
    #[default]
    Log,
    /// To whoever scrapes, all of them.
    Prometheus,
    /// Three counters of inference to whoever scrapes, all others to the log.
    Legacy,
}

/// How the values of a metric add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    /// The last value counts.
    Gauge,
    Histogram,
}

/// One metric of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    pub name: String,
    /// A word for the reader, such as `Milliseconds`: values are not converted to it.
    pub unit: String,
    pub kind: Kind,
    /// The names of the labels, in their order. Values are given to them by position.
    pub dimensions: Vec<String>,
}

/// The whole list. A metric that is not in it is not emitted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Definitions {
    /// Of the server.
    pub ts: Vec<Definition>,
    /// Of models. Their last label is always `Hostname`, which the list does not name.
    pub model: Vec<Definition>,
}
