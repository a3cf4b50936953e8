//! A log line: one JSON object. `timestamp` and `level` are where Lambda looks for them, so it passes the line on as it
//! is and filters by level.
//!
//! In a deployed stack, lines that count something are metrics too, in the embedded metric format of CloudWatch: `_aws` says
//! which members are the metrics and which their dimensions. A metric is paid for by each set of dimension values, so
//! every dimension has few: organisations and ids are members of the line and never dimensions.

use std::fmt;

use serde_json::{Map, Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use crate::clock::{Clock, timestamp, unix_millis};

/// The event of an answered request.
pub(crate) const REQUEST: &str = "request";
/// The event of a janitor's round.
pub(crate) const SWEEP: &str = "sweep";

/// The namespace of every metric.
const NAMESPACE: &str = "Scim";
/// The dimension that every metric has.
const STACK: &str = "Stack";

/// Which members of an event's line are metrics, with their units, and which are dimensions.
struct Metrics {
    event: &'static str,
    dimensions: &'static [&'static [&'static str]],
    counted: &'static [(&'static str, &'static str)],
}

const METRICS: [Metrics; 2] = [
    Metrics {
        event: REQUEST,
        dimensions: &[&[STACK], &[STACK, "Route", "Client"]],
        counted: &[
            ("Requests", "Count"),
            ("Duration", "Milliseconds"),
            ("DynamoDbCalls", "Count"),
            ("ReadUnits", "None"),
            ("WriteUnits", "None"),
            ("AuthenticationFailures", "Count"),
            ("Exhausted", "Count"),
        ],
    },
    Metrics {
        event: SWEEP,
        dimensions: &[&[STACK]],
        counted: &[
            ("OldestUnfinished", "Milliseconds"),
            ("UnfinishedChanges", "Count"),
            ("SweepFailures", "Count"),
        ],
    },
];

impl Metrics {
    /// Whether a member of the line is there for the metrics alone.
    fn has(&self, member: &str) -> bool {
        self.dimensions.iter().any(|set| set.contains(&member))
            || self.counted.iter().any(|(name, _)| *name == member)
    }

    fn declared(&self, unix_millis: u64) -> Value {
        let metrics: Vec<Value> =
            self.counted.iter().map(|(name, unit)| json!({ "Name": name, "Unit": unit })).collect();
        json!({
            "Timestamp": unix_millis,
            "CloudWatchMetrics":
                [{ "Namespace": NAMESPACE, "Dimensions": self.dimensions, "Metrics": metrics }],
        })
    }
}

/// Writes events as lines; with metrics if it knows the stack.
pub(super) struct Line {
    pub(super) stack: Option<String>,
    pub(super) clock: Clock,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let now = self.clock.now();
        let mut members = Map::new();
        members.insert("timestamp".to_owned(), timestamp(now).map_err(|_| fmt::Error)?.into());
        members.insert("level".to_owned(), event.metadata().level().as_str().into());
        event.record(&mut Members(&mut members));
        if let Some(metrics) = METRICS.iter().find(|metrics| metrics.event == event.metadata().name()) {
            if let Some(stack) = &self.stack {
                members.insert(STACK.to_owned(), stack.as_str().into());
                members.insert("_aws".to_owned(), metrics.declared(unix_millis(now)));
            } else {
                members.retain(|member, _| !metrics.has(member));
            }
        }
        writeln!(writer, "{}", Value::Object(members))
    }
}

/// The fields of an event as members of an object.
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
