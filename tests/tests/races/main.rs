//! Nothing lost: requests that run at the same time, and random sequences of them against a model.
//!
//! One binary, for each links the SDK and the engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "how many histories there were is said")]

mod concurrency;
mod crashes;
mod large;
mod model;

use axum::{
    body::Body,
    http::{
        Method, Request,
        header::{AUTHORIZATION, IF_MATCH},
    },
};
use serde_json::{Value, json};
use service::{auth::Caller, http::BASE_PATH, store::Directory};
use tests::{Answer, Service};

/// A request.
#[derive(Clone, Debug, PartialEq)]
struct Sent {
    method: Method,
    path: String,
    body: Value,
    if_match: Option<String>,
}

impl Sent {
    fn new(method: Method, path: impl Into<String>, body: Value) -> Self {
        Self { method, path: path.into(), body, if_match: None }
    }

    fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, Value::Null)
    }

    fn post(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::POST, path, body)
    }

    fn put(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::PUT, path, body)
    }

    fn patch(path: impl Into<String>, operations: &Value) -> Self {
        let schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"];
        Self::new(Method::PATCH, path, json!({ "schemas": schemas, "Operations": operations }))
    }

    fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, Value::Null)
    }

    fn if_match(self, version: Option<&str>) -> Self {
        Self { if_match: version.map(str::to_owned), ..self }
    }

    async fn by(&self, service: &Service, key: &str) -> Answer {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(format!("{BASE_PATH}{}", self.path))
            .header(AUTHORIZATION, format!("Bearer {key}"));
        if let Some(version) = &self.if_match {
            request = request.header(IF_MATCH, version);
        }
        if self.body.is_null() {
            return service.send(request.body(Body::empty()).expect("a request")).await;
        }
        request = request.header("content-type", "application/scim+json");
        service.send(request.body(Body::from(self.body.to_string())).expect("a request")).await
    }
}

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
    let answer = Sent::post("/Bulk", json!({ "Operations": operations })).by(service, key).await;
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
        let list = Sent::get(format!("{path}?count=0")).by(service, key).await;
        assert_eq!(list.body["totalResults"], there_are, "{path}: {:#}", list.body);
    }
}
