//! Log lines on standard output, in the form that TorchServe's users grep for:
//! `2026-11-21T21:56:03,417 [INFO ] W-0-m_1.0 serving::pool - message`.

use std::fmt;
use std::io::IsTerminal;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

/// Installs the subscriber of this process. `RUST_LOG` chooses what is logged; everything from `info` up by default.
pub fn init() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
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
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02},{:03}",
        since.subsec_millis()
    )
}

/// Days since 1970 to a date of the Gregorian calendar, counted in years that start in March so that the leap day is last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // Days since 0000-03-01.
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (400 * era + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn check(millis: u64, expected: &str) {
        assert_eq!(
            timestamp(UNIX_EPOCH + Duration::from_millis(millis)),
            expected
        );
    }

    #[test]
    fn times_are_written_as_torchserve_writes_them() {
        check(0, "1970-01-01T00:00:00,000");
        check(951_782_400_123, "2000-02-29T00:00:00,123");
        check(1_795_297_975_324, "2026-11-21T21:52:55,324");
        check(1_767_225_599_999, "2025-12-31T23:59:59,999");
    }
}
