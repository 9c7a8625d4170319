//! The log of this process: lines on standard output and in TorchServe's files, and traces for whoever collects them.
//!
//! `main` calls [`init`] once with [`LogSettings`], which the configuration makes. From then on an event of `tracing` is
//! formatted once (`lines.rs`) and handed to two writers (`outbox.rs`), one for standard output and one for the files
//! (`files.rs`, `rolling.rs`); no request ever waits for either. With an `otlp_endpoint`, the spans of requests go to a
//! collector as well (`otel.rs`). Metrics are counted elsewhere; here they are lines like others.

mod files;
mod json;
mod lines;
pub mod log4j;
mod otel;
mod outbox;
mod request;
mod rolling;
mod settings;
mod text;

use std::time::Duration;

use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata, Subscriber, error, warn};
use tracing_subscriber::filter::{FilterExt as _, ParseError, Targets, filter_fn};
use tracing_subscriber::fmt::writer::MakeWriterExt as _;
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

pub use files::LogFile;
use files::Outlets;
use lines::Lines;
pub(crate) use otel::endpoint;
use request::REQUEST;
pub use request::{request_span, response_sent};
pub use settings::{DEFAULT_LEVELS, LogFormat, LogSettings};

/// How long the end of the process waits for lines, and for traces.
const PATIENCE: Duration = Duration::from_secs(3);

/// Installs the subscriber of this process and starts its writers. What is wrong with the log is said in the log, and
/// prevents nothing.
pub fn init(settings: &LogSettings) -> Telemetry {
    let mut complaints = Vec::new();
    let filter = line_filter(settings, &mut complaints);
    let outlets = Outlets::open(settings, &mut complaints);
    let traces = settings.otlp_endpoint.as_deref().and_then(|endpoint| {
        otel::provider(endpoint)
            .inspect_err(|error| {
                complaints.push(format!("otlp_endpoint: no traces are sent: {error}"));
            })
            .ok()
    });
    let lines = Lines::new(settings.format, outlets.clone());
    // Levels are a matter of lines: a trace is whole, whatever is logged.
    let subscriber = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces.as_ref().map(otel::layer));
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        error!("somebody else keeps the log of this process");
    }
    for complaint in complaints {
        warn!("{complaint}");
    }
    Telemetry { outlets, traces }
}

/// What a worker process says goes to its daemon, line by line: warnings over standard error, the rest over standard output. When
/// it was said, and by whom, the daemon knows.
pub fn of_worker() {
    let warnings = std::io::stderr.with_max_level(Level::WARN);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::INFO)
        .with_writer(warnings.or_else(std::io::stdout))
        .with_ansi(false)
        .with_level(false)
        .with_target(false)
        .without_time();
    if tracing::subscriber::set_global_default(subscriber.finish()).is_err() {
        error!("somebody else keeps the log of this process");
    }
}

/// The running log. Dropping it writes what is left, within seconds.
#[must_use = "dropping it ends the log"]
pub struct Telemetry {
    outlets: Outlets,
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// What writes the lines so far, for an end of the process that drops nothing.
    pub fn flush(&self) -> impl FnOnce() + Send + 'static {
        let outlets = self.outlets.clone();
        move || outlets.flush(PATIENCE)
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = &self.traces
            && let Err(error) = traces.shutdown_with_timeout(PATIENCE)
        {
            warn!("the last traces may be lost: {error}");
        }
        self.outlets.close(PATIENCE);
    }
}

/// `RUST_LOG`, else the levels of the settings; and the spans of requests in any case, so that no choice of levels takes
/// the id away from the lines that remain.
fn line_filter<S: Subscriber + for<'a> LookupSpan<'a>>(
    settings: &LogSettings,
    complaints: &mut Vec<String>,
) -> impl Filter<S> + use<S> {
    let of_rust_log = settings.rust_log.as_ref().and_then(|text| {
        levels(text)
            .inspect_err(|error| {
                let levels = &settings.levels;
                complaints.push(format!("RUST_LOG: {error}; the levels are {levels}"));
            })
            .ok()
    });
    let of_settings =
        || levels(&settings.levels).unwrap_or_else(|_| Box::new(EnvFilter::default()));
    let request = |metadata: &Metadata<'_>| metadata.is_span() && metadata.name() == REQUEST;
    let requests = filter_fn(request).with_max_level_hint(Level::ERROR);
    of_rust_log.unwrap_or_else(of_settings).or(requests)
}

type Levels<S> = Box<dyn Filter<S> + Send + Sync>;

/// Levels by target are what nearly everybody writes, and cost little. Whoever asks for spans and fields gets them, and
/// pays each time that a request's span is entered.
fn levels<S: Subscriber + for<'a> LookupSpan<'a>>(text: &str) -> Result<Levels<S>, ParseError> {
    match text.parse::<Targets>() {
        Ok(targets) => Ok(Box::new(targets)),
        Err(_) => Ok(Box::new(EnvFilter::try_new(text)?)),
    }
}
