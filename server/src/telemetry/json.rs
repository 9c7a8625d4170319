//! Lines as JSON, an object each:
//! `{"timestamp":…,"level":…,"thread":…,"target":…,"message":…,"fields":{…},"spans":{"request":{"id":…}}}`.
//!
//! `fields` and `spans` are left out where there are none. Numbers and truth values stay what they are.

use std::fmt;

use serde::Serialize;
use tracing::field::{Field, Visit};

use super::lines::{Head, THREAD};
use super::text::level;
use crate::utc;

/// One line while it is written. Members in braces are gathered apart, because the message may come after them.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    message: String,
    fields: Vec<u8>,
    in_spans: bool,
}

impl<'a> Object<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>, head: &Head<'_>) -> Self {
        let (seconds, nanos) = utc::to_the_second(head.time);
        let timestamp = format!("{seconds}.{:03}Z", nanos / 1_000_000);
        out.push(b'{');
        let members = [
            ("timestamp", timestamp.as_str()),
            ("level", level(head.level)),
            ("thread", head.thread),
            ("target", head.logger),
        ];
        for (name, value) in members {
            member(out, name, value);
        }
        Object {
            out,
            message: String::new(),
            fields: Vec::new(),
            in_spans: false,
        }
    }

    /// To be called when the event's fields are there, and before its spans.
    pub(super) fn spans(&mut self) {
        member(self.out, "message", self.message.as_str());
        if !self.fields.is_empty() {
            self.out.extend_from_slice(b",\"fields\":{");
            self.out.append(&mut self.fields);
            self.out.push(b'}');
        }
    }

    /// A span with its [`Members`].
    pub(super) fn span(&mut self, name: &str, members: &[u8]) {
        self.out
            .extend_from_slice(if self.in_spans { b"," } else { b",\"spans\":{" });
        self.in_spans = true;
        value(self.out, name);
        self.out.extend_from_slice(b":{");
        self.out.extend_from_slice(members);
        self.out.push(b'}');
    }

    pub(super) fn end(self) {
        self.out
            .extend_from_slice(if self.in_spans { b"}}" } else { b"}" });
    }
}

impl Visit for Object<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        Members::new(&mut self.fields).record_f64(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        Members::new(&mut self.fields).record_i64(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        Members::new(&mut self.fields).record_u64(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        Members::new(&mut self.fields).record_bool(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = value.to_owned();
        } else if field.name() != THREAD {
            Members::new(&mut self.fields).record_str(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = text_of(value);
        } else if field.name() != THREAD {
            Members::new(&mut self.fields).record_debug(field, value);
        }
    }
}

/// Fields as members of an object, without its braces.
pub(super) struct Members<'a>(&'a mut Vec<u8>);

impl<'a> Members<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Members(out)
    }
}

impl Visit for Members<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        member(self.0, field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        member(self.0, field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        member(self.0, field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        member(self.0, field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        member(self.0, field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        member(self.0, field.name(), text_of(value));
    }
}

/// Not even a strange `Debug` may cost the line.
fn text_of(value: &dyn fmt::Debug) -> String {
    use fmt::Write as _;
    let mut text = String::new();
    let _ = write!(text, "{value:?}");
    text
}

fn member(out: &mut Vec<u8>, name: &str, content: impl Serialize) {
    if !matches!(out.last(), None | Some(b'{')) {
        out.push(b',');
    }
    value(out, name);
    out.push(b':');
    value(out, content);
}

fn value(out: &mut Vec<u8>, content: impl Serialize) {
    serde_json::to_writer(out, &content).expect("texts and numbers are JSON, and a Vec takes it");
}
