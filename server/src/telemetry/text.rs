//! Lines as TorchServe's users read and grep them:
//! `2026-11-21T21:56:03,417 [INFO ] W-0-m_1.0 serving::pool - message name=value`.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::ops::Range;
use std::time::SystemTime;

use tracing::Level;
use tracing::field::{Field, Visit};

use super::lines::{Head, THREAD};
use crate::utc;

/// Everything in front of the message. Returns the part that bare files leave out, which have ` - ` behind the time.
pub(super) fn begin(out: &mut Vec<u8>, head: &Head<'_>) -> Range<usize> {
    let Head {
        time,
        level: at,
        thread,
        logger,
    } = head;
    push(out, format_args!("{}", timestamp(*time)));
    let start = out.len();
    push(out, format_args!(" [{:<5}] {thread} {logger}", level(*at)));
    let skipped = start..out.len();
    out.extend_from_slice(b" - ");
    skipped
}

/// Fields of a span behind what is there.
pub(super) fn append_fields(out: &mut Vec<u8>, fields: &[u8]) {
    if !fields.is_empty() {
        out.push(b' ');
        out.extend_from_slice(fields);
    }
}

/// Fields as `name=value`, with blanks between; texts in quotation marks. The message has no name.
pub(super) struct Fields<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Fields<'a> {
    pub(super) fn of_event(out: &'a mut Vec<u8>) -> Self {
        Fields { out, first: true }
    }

    pub(super) fn of_span(out: &'a mut Vec<u8>) -> Self {
        let first = out.is_empty();
        Fields { out, first }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == THREAD {
            return;
        }
        if !std::mem::take(&mut self.first) {
            self.out.push(b' ');
        }
        if field.name() != "message" {
            push(self.out, format_args!("{}=", field.name()));
        }
        // Not even a strange `Debug` may cost the line.
        let _ = write!(Printable(self.out), "{value:?}");
    }
}

pub(super) fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// UTC, to the millisecond, with the comma that TorchServe's logs have.
pub(super) fn timestamp(time: SystemTime) -> String {
    let (text, nanos) = utc::to_the_second(time);
    format!("{text},{:03}", nanos / 1_000_000)
}

fn push(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes any text");
}

/// Escapes what could command a terminal: a client's words may stand in a line. Line ends stay.
struct Printable<'a>(&'a mut Vec<u8>);

impl fmt::Write for Printable<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let harmless = |letter: char| !letter.is_control() || matches!(letter, '\n' | '\t');
        if text.chars().all(harmless) {
            self.0.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        for letter in text.chars() {
            if harmless(letter) {
                push(self.0, format_args!("{letter}"));
            } else {
                push(self.0, format_args!("{}", letter.escape_default()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn check(millis: u64, expected: &str) {
        let time = UNIX_EPOCH + Duration::from_millis(millis);
        assert_eq!(timestamp(time), expected);
    }

    #[test]
    fn times_are_written_as_torchserve_writes_them() {
        check(0, "1970-01-01T00:00:00,000");
        check(1_795_297_975_324, "2026-11-21T21:52:55,324");
    }
}
