//! Concurrent requests, interrupted requests, and random sequences of requests against a model.
//!
//! The tests are one binary, because each binary links the SDK and the engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::needless_raw_string_hashes, reason = "expect_test writes them")]
#![allow(clippy::print_stdout, reason = "a test reports the number of its histories")]

mod attempts;
mod concurrency;
mod contention;
mod crashes;
mod deaths;
mod large;
mod late;
mod model;
mod readers;
mod realistic;
mod restores;
mod world;

use serde_json::{Value, json};
use service::{auth::Caller, store::Directory};
use tests::{Request, Service, product};

/// Returns members for a request body.
fn members(ids: impl IntoIterator<Item = impl AsRef<str>>) -> Value {
    ids.into_iter().map(|id| json!({ "value": id.as_ref() })).collect()
}

/// Creates resources with one bulk request and returns their ids.
async fn create_all(
    service: &Service,
    key: &str,
    path: &str,
    bodies: impl IntoIterator<Item = Value>,
) -> Vec<String> {
    let operation = |(index, data): (usize, Value)| json!({ "method": "POST", "path": path, "bulkId": index.to_string(), "data": data });
    let operations: Vec<Value> = bodies.into_iter().enumerate().map(operation).collect();
    let answer = Request::post("/Bulk", json!({ "Operations": operations })).bearer(key).send(service).await;
    let id = |operation: &Value| {
        assert_eq!(operation["status"], "201", "{operation:#}");
        let location = operation["location"].as_str().expect("a location");
        location.rsplit('/').next().unwrap_or_default().to_owned()
    };
    answer.body["Operations"].as_array().expect("operations").iter().map(id).collect()
}

/// Returns the organisation's directory with the rights of an operator.
fn directory(service: &Service, org: &str) -> Directory {
    service.app.store.directory(&Caller::operator(org.parse().expect("an organisation's name")))
}

/// Completes pending changes. Fails if the doctor finds an error then or a total is wrong.
async fn assert_consistent(service: &Service, org: &str, key: &str) {
    directory(service, org).finish_pending().await.expect("every pending change is completed");
    let report = service.examine(org).await;
    assert!(report.is_healthy(), "{:#?}", report.findings);
    for (path, expected) in [("/Users", report.users), ("/Groups", report.groups)] {
        let list = Request::get(format!("{path}?count=0")).bearer(key).send(service).await;
        assert_eq!(list.body["totalResults"], expected, "{path}: {:#}", list.body);
    }
    if org == service.org && key == service.key {
        product::check(service).await;
    }
}
