//! Nothing lost: requests that run at the same time, and random sequences of them against a model.
//!
//! One binary, for each links the SDK and the engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "how many histories there were is said")]

mod concurrency;
mod crashes;
mod large;
mod model;

use serde_json::{Value, json};
use service::{auth::Caller, store::Directory};
use tests::{Request, Service};

/// Members as a body has them.
fn members(ids: impl IntoIterator<Item = impl AsRef<str>>) -> Value {
    ids.into_iter().map(|id| json!({ "value": id.as_ref() })).collect()
}

/// Creates these by one bulk request; gives their ids.
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

/// The organisation's part of the store, as an operator has it.
fn directory(service: &Service, org: &str) -> Directory {
    service.app.store.directory(&Caller::operator(org.parse().expect("an organisation's name")))
}

/// Finishes what is pending; fails unless the organisation is whole then and its totals are exact.
async fn assert_whole(service: &Service, org: &str, key: &str) {
    directory(service, org)
        .finish_pending(tokio::time::Duration::ZERO)
        .await
        .expect("nothing that cannot be finished");
    let report = service.examine(org).await;
    assert!(report.is_healthy(), "{:#?}", report.findings);
    for (path, there_are) in [("/Users", report.users), ("/Groups", report.groups)] {
        let list = Request::get(format!("{path}?count=0")).bearer(key).send(service).await;
        assert_eq!(list.body["totalResults"], there_are, "{path}: {:#}", list.body);
    }
}
