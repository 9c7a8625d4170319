//! Log lines on standard output, in the form that TorchServe's users grep for:
//! `2026-11-21T21:56:03,417 [INFO ] W-0-m_1.0 serving::pool - message`.

use std::fmt;
use std::io::IsTerminal;
use std::time::SystemTime;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use crate::utc;

/// Metrics have lines of their own, several for each request, which are not for a terminal: `RUST_LOG=info` shows them.
const DEFAULT: &str = "info,ts_metrics=off";

/// Installs the subscriber of this process. `RUST_LOG` chooses what is logged; everything from `info` up by default.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stdout().is_terminal())
        .event_format(Lines)
        // A log that nobody reads any more, such as a closed pipe, must not take the server down.
        .log_internal_errors(false);
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    // Fails only if somebody installed one before, which then stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let thread = std::thread::current();
        write!(
            out,
            "{} [{:<5}] {} {} - ",
            timestamp(SystemTime::now()),
            level(*metadata.level()),
            thread.name().unwrap_or("unnamed"),
            metadata.target(),
        )?;
        context.field_format().format_fields(out.by_ref(), event)?;
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<tracing_subscriber::fmt::FormattedFields<N>>() {
                write!(out, " {fields}")?;
            }
        }
        writeln!(out)
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// UTC, to the millisecond, with the comma that TorchServe's logs have.
fn timestamp(time: SystemTime) -> String {
    let (text, nanos) = utc::to_the_second(time);
    format!("{text},{:03}", nanos / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn check(millis: u64, expected: &str) {
        assert_eq!(
            timestamp(UNIX_EPOCH + Duration::from_millis(millis)),
            expected
        );
    }

    #[test]
    fn times_are_written_as_torchserve_writes_them() {
        check(0, "1970-01-01T00:00:00,000");
        check(1_795_297_975_324, "2026-11-21T21:52:55,324");
    }
}
