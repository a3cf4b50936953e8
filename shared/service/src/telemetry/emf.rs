//! Metrics in log lines, in the CloudWatch embedded metric format.
//!
//! The member `_aws` of a line names the members that are metrics and the members that are their dimensions. CloudWatch
//! charges for each combination of dimension values, so every dimension has few values. Organisations and ids are members
//! of a line and never dimensions.

use serde_json::{Value, json};

use crate::pepper::UNREADABLE;

/// The name of the event of an answered request.
pub(crate) const REQUEST: &str = "request";
/// The name of the event of a janitor run.
pub(crate) const SWEEP: &str = "sweep";
/// The name of the event of a credential that ends soon.
pub(crate) const EXPIRING: &str = "expiring credential";

/// The name of the event of a run of the sequencer.
pub(crate) const SEQUENCED: &str = "sequenced";
/// The name of the event of an acknowledgement that ends a person's access.
pub(crate) const ACKNOWLEDGED: &str = "acknowledged";

/// The name of the event of a limit that could not be checked.
pub(crate) const UNLIMITED: &str = "unlimited";

/// The dimension that every metric has.
pub(super) const STACK: &str = "Stack";
/// The namespace of every metric.
const NAMESPACE: &str = "Scim";

/// Metrics of an event, under one set of dimensions.
struct Metrics {
    event: &'static str,
    dimensions: &'static [&'static str],
    /// The names of the members and their units.
    members: &'static [(&'static str, &'static str)],
}

const METRICS: [Metrics; 8] = [
    Metrics {
        event: REQUEST,
        dimensions: &[STACK],
        members: &[
            ("Requests", "Count"),
            ("Duration", "Milliseconds"),
            ("Slow", "Count"),
            ("DynamoDbCalls", "Count"),
            ("ReadUnits", "None"),
            ("WriteUnits", "None"),
            ("AuthenticationFailures", "Count"),
            ("Exhausted", "Count"),
            ("Limited", "Count"),
        ],
    },
    // Each metric here costs as much as a metric of the stack, once for each pair of route and client.
    Metrics {
        event: REQUEST,
        dimensions: &[STACK, "Route", "Client"],
        members: &[("Requests", "Count"), ("Duration", "Milliseconds")],
    },
    Metrics { event: EXPIRING, dimensions: &[STACK], members: &[("ExpiringCredentials", "Count")] },
    Metrics { event: UNREADABLE, dimensions: &[STACK], members: &[("PepperFailures", "Count")] },
    Metrics { event: UNLIMITED, dimensions: &[STACK], members: &[("LimitFailures", "Count")] },
    Metrics {
        event: SEQUENCED,
        dimensions: &[STACK],
        members: &[("Events", "Count"), ("SequencerFailures", "Count")],
    },
    Metrics {
        event: ACKNOWLEDGED,
        dimensions: &[STACK],
        members: &[("AcknowledgementTime", "Milliseconds")],
    },
    Metrics {
        event: SWEEP,
        dimensions: &[STACK],
        members: &[
            ("OldestUnfinished", "Milliseconds"),
            ("UnfinishedChanges", "Count"),
            ("SweepFailures", "Count"),
        ],
    },
];

/// Returns the member `_aws` of a line of that event, or `None` if the event has no metrics.
pub(super) fn declaration(event: &str, unix_millis: u64) -> Option<Value> {
    let of_event = METRICS.iter().filter(|metrics| metrics.event == event);
    let directives: Vec<Value> = of_event.map(directive).collect();
    (!directives.is_empty()).then(|| json!({ "Timestamp": unix_millis, "CloudWatchMetrics": directives }))
}

fn directive(Metrics { dimensions, members, .. }: &Metrics) -> Value {
    let metrics: Vec<_> = members.iter().map(|(name, unit)| json!({ "Name": name, "Unit": unit })).collect();
    json!({ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics })
}
