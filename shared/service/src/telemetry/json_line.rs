//! Log lines: one JSON object each. Lambda reads the members `timestamp` and `level`, passes the line on unchanged and
//! filters by level. An event inside a span has the span's fields too, such as the id of the request.

use std::{fmt, io::Write};

use serde_json::{Map, Value};
use tracing::{
    Event, Id, Subscriber,
    field::{Field, Visit},
    span::Attributes,
};
use tracing_subscriber::{
    Layer,
    fmt::MakeWriter,
    layer::Context,
    registry::{LookupSpan, Scope},
};

use super::emf::{STACK, declaration};
use crate::clock::{Clock, timestamp, unix_millis};

/// Writes each event as a line. In a deployed stack, lines with metrics declare them.
pub(super) struct JsonLines<W> {
    pub(super) stack: Option<String>,
    pub(super) clock: Clock,
    pub(super) writer: W,
}

/// The fields of a span, kept in the span.
struct SpanMembers(Map<String, Value>);

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut members = Map::new();
        attributes.record(&mut Members(&mut members));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanMembers(members));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let now = self.clock.now();
        let name = event.metadata().name();
        let mut line = Map::new();
        if let Ok(timestamp) = timestamp(now) {
            line.insert("timestamp".to_owned(), timestamp.into());
        }
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(SpanMembers(members)) = span.extensions().get() {
                line.extend(members.clone());
            }
        }
        event.record(&mut Members(&mut line));
        if let Some(stack) = &self.stack
            && let Some(declaration) = declaration(name, unix_millis(now))
        {
            line.insert(STACK.to_owned(), stack.as_str().into());
            line.insert("_aws".to_owned(), declaration);
        }
        let line = format!("{}\n", Value::Object(line));
        // An error of the log cannot be logged, and the request succeeds without it.
        let _ = self.writer.make_writer().write_all(line.as_bytes());
    }
}

/// Records fields as members of an object.
struct Members<'a>(&'a mut Map<String, Value>);

impl Visit for Members<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}
