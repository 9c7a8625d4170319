//! Events of `tracing` to lines, each formatted once for all its readers.
//!
//! Fields of a span are formatted when it begins and stand behind every line inside it; so one id goes through all
//! lines of a request, whichever thread they come from.

use std::cell::Cell;
use std::fmt;
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::files::{LogFile, Outlets, logger};
use super::settings::LogFormat;
use super::{json, text};

/// The layer that writes the log.
pub(super) struct Lines {
    format: LogFormat,
    outlets: Outlets,
}

impl Lines {
    pub(super) fn new(format: LogFormat, outlets: Outlets) -> Self {
        Lines { format, outlets }
    }
}

/// A field of an event that names the thread in place of the one that speaks: for lines that a worker's process printed
/// (`info!(target: "model_log", thread = "W-9000-m_1.0-stdout", "…")`).
pub(super) const THREAD: &str = "thread";

/// What every line begins with.
pub(super) struct Head<'a> {
    pub(super) time: SystemTime,
    pub(super) level: Level,
    pub(super) thread: &'a str,
    pub(super) logger: &'a str,
}

/// The formatted fields of a span.
#[derive(Default)]
pub(super) struct SpanFields(pub(super) Vec<u8>);

thread_local! {
    /// Room for the line at hand, so that a line allocates nothing. Taken while in use: formatting may log in turn.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<S> Layer<S> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = SpanFields::default();
            attributes.record(&mut self.format.fields(&mut fields.0));
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<SpanFields>()
        {
            values.record(&mut self.format.fields(&mut fields.0));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata: &Metadata<'_> = event.metadata();
        let file = LogFile::of(metadata.target());
        let thread = std::thread::current();
        let named = named_thread(event);
        let head = Head {
            time: SystemTime::now(),
            level: *metadata.level(),
            thread: named.as_deref().or(thread.name()).unwrap_or("unnamed"),
            logger: logger(metadata.target()),
        };
        let mut line = LINE.try_with(Cell::take).unwrap_or_default();
        line.clear();
        let skipped = match self.format {
            LogFormat::Text => {
                let skipped = text::begin(&mut line, &head);
                event.record(&mut text::Fields::of_event(&mut line));
                if !file.is_bare() {
                    for span in context.event_scope(event).into_iter().flatten() {
                        if let Some(SpanFields(fields)) = span.extensions().get() {
                            text::append_fields(&mut line, fields);
                        }
                    }
                }
                skipped
            }
            LogFormat::Json => {
                let mut object = json::Object::begin(&mut line, &head);
                event.record(&mut object);
                object.spans();
                for span in context.event_scope(event).into_iter().flatten() {
                    if let Some(SpanFields(fields)) = span.extensions().get() {
                        object.span(span.name(), fields);
                    }
                }
                object.end();
                0..0
            }
        };
        line.push(b'\n');
        self.outlets.put(file, &line, skipped);
        let _ = LINE.try_with(|place| place.set(line));
    }
}

/// What the field [`THREAD`] says. Few events have one, and only those are looked through.
fn named_thread(event: &Event<'_>) -> Option<String> {
    struct Named(Option<String>);
    impl Visit for Named {
        fn record_str(&mut self, field: &Field, value: &str) {
            if field.name() == THREAD {
                self.0 = Some(value.to_owned());
            }
        }

        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == THREAD {
                self.0 = Some(format!("{value:?}"));
            }
        }
    }
    event.metadata().fields().field(THREAD)?;
    let mut named = Named(None);
    event.record(&mut named);
    named.0
}

impl LogFormat {
    /// Formats the fields of a span behind those that are there.
    fn fields<'a>(self, out: &'a mut Vec<u8>) -> SpanVisitor<'a> {
        match self {
            LogFormat::Text => SpanVisitor::Text(text::Fields::of_span(out)),
            LogFormat::Json => SpanVisitor::Json(json::Members::new(out)),
        }
    }
}

/// Takes each field once, in the form at hand; fields for traces alone are left out.
enum SpanVisitor<'a> {
    Text(text::Fields<'a>),
    Json(json::Members<'a>),
}

impl SpanVisitor<'_> {
    fn pass(&mut self, field: &Field, visit: impl FnOnce(&mut dyn Visit)) {
        if field.name().starts_with("otel.") {
            return;
        }
        match self {
            SpanVisitor::Text(fields) => visit(fields),
            SpanVisitor::Json(members) => visit(members),
        }
    }
}

impl Visit for SpanVisitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.pass(field, |visitor| visitor.record_f64(field, value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.pass(field, |visitor| visitor.record_i64(field, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.pass(field, |visitor| visitor.record_u64(field, value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.pass(field, |visitor| visitor.record_bool(field, value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.pass(field, |visitor| visitor.record_str(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.pass(field, |visitor| visitor.record_debug(field, value));
    }
}

#[cfg(test)]
mod tests;
