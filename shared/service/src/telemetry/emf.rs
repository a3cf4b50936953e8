//! Metrics in log lines, in the CloudWatch embedded metric format.
//!
//! The member `_aws` of a line names the members that are metrics and the members that are their dimensions. CloudWatch
//! charges for each combination of dimension values, so every dimension has few values. Organisations and ids are members
//! of a line and never dimensions.

use serde_json::{Value, json};

/// The name of the event of an answered request.
pub(crate) const REQUEST: &str = "request";
/// The name of the event of a janitor run.
pub(crate) const SWEEP: &str = "sweep";

/// The dimension that every metric has.
pub(super) const STACK: &str = "Stack";
/// The namespace of every metric.
const NAMESPACE: &str = "Scim";

/// The metrics of one event.
struct Metrics {
    event: &'static str,
    dimensions: &'static [&'static [&'static str]],
    /// The names of the members and their units.
    members: &'static [(&'static str, &'static str)],
}

const METRICS: [Metrics; 2] = [
    Metrics {
        event: REQUEST,
        dimensions: &[&[STACK], &[STACK, "Route", "Client"]],
        members: &[
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
        members: &[
            ("OldestUnfinished", "Milliseconds"),
            ("UnfinishedChanges", "Count"),
            ("SweepFailures", "Count"),
        ],
    },
];

/// Returns the member `_aws` of a line of that event, or `None` if the event has no metrics.
pub(super) fn declaration(event: &str, unix_millis: u64) -> Option<Value> {
    let Metrics { dimensions, members, .. } = METRICS.iter().find(|metrics| metrics.event == event)?;
    let metrics: Vec<_> = members.iter().map(|(name, unit)| json!({ "Name": name, "Unit": unit })).collect();
    Some(json!({
        "Timestamp": unix_millis,
        "CloudWatchMetrics": [{ "Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics }],
    }))
}
