//! Events: what each change writes, the sequencer, the feed, the snapshot and acknowledgements.
//!
//! The tests are one binary, because each binary links the AWS SDK and the embedded DynamoDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are whole events")]
#![allow(clippy::needless_raw_string_hashes, reason = "expect_test writes them")]

mod changes;
mod clocks;
mod feed;
mod sequencer;
mod snapshot;

use expect_test::Expect;
use serde_json::{Value, json};
use tests::{Request, Service, product::sequence};

/// Compares the events after a sequence number with a snapshot. Ids and versions have names.
async fn assert_events(service: &Service, after: u64, expected: &Expect) {
    sequence(service).await;
    let events = feed(service, after).await;
    expected.assert_eq(&service.named(&format!("{:#}\n", short(events))));
}

/// Returns the events after a sequence number.
async fn feed(service: &Service, after: u64) -> Vec<Value> {
    let path = format!("/events/v1?after={after}&limit=1000");
    let answer = Request::get(path).at_root().send(service).await;
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    answer.body["events"].as_array().expect("events").clone()
}

/// Returns the number of the last event.
async fn last(service: &Service) -> u64 {
    sequence(service).await;
    let answer = Request::get("/events/v1?limit=1").at_root().send(service).await;
    answer.body["last"].as_u64().expect("a number")
}

/// Leaves out what is the same in all events of a test.
fn short(events: Vec<Value>) -> Value {
    let short = events.into_iter().map(|mut event| {
        let members = event.as_object_mut().expect("an event");
        for name in ["id", "time", "org", "actor", "request"] {
            members.shift_remove(name);
        }
        event
    });
    Value::Array(short.collect())
}

/// Returns members for a request body.
fn members(ids: &[String]) -> Value {
    ids.iter().map(|id| json!({ "value": id })).collect()
}
