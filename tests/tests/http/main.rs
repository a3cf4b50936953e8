//! What clients see of the service over HTTP: who is let in, what is refused, and how resources live.
//!
//! One binary, for each links the SDK and the engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are data: tables and whole answers")]

mod arbitrary;
mod auth;
mod bad_input;
mod bulk;
mod lifecycle;
mod logs;
mod pepper;
mod stored;

use std::fmt::Write;

use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, Method, Request, header::AUTHORIZATION},
};
use http_body_util::BodyExt;
use serde_json::Value;
use service::http::BASE_PATH;
use tests::{Answer, Service, faults};
use tower::ServiceExt;

/// A request in the making: under the base path, without a key unless one is given.
#[derive(Clone, Debug)]
struct Sent {
    method: Method,
    target: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Sent {
    fn new(method: Method, path: &str) -> Self {
        Self { method, target: format!("{BASE_PATH}{path}"), headers: Vec::new(), body: Bytes::new() }
    }

    fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    /// `GET` of a collection by filter.
    fn filter(collection: &str, filter: &str) -> Self {
        Self::get(&format!("{collection}?filter={}", encode(filter)))
    }

    /// A body that is taken as it is, as SCIM JSON.
    fn bytes(method: Method, path: &str, body: impl Into<Bytes>) -> Self {
        let sent = Self::new(method, path).header("content-type", "application/scim+json");
        Self { body: body.into(), ..sent }
    }

    fn json(method: Method, path: &str, body: &Value) -> Self {
        Self::bytes(method, path, body.to_string())
    }

    fn post(path: &str, body: &Value) -> Self {
        Self::json(Method::POST, path, body)
    }

    fn put(path: &str, body: &Value) -> Self {
        Self::json(Method::PUT, path, body)
    }

    /// `PATCH` with these operations.
    fn patch(path: &str, operations: &Value) -> Self {
        Self::json(Method::PATCH, path, &serde_json::json!({ "Operations": operations }))
    }

    /// One header more.
    fn header(mut self, name: &str, value: &str) -> Self {
        let name = name.parse().expect("the name of a header");
        self.headers.push((name, HeaderValue::from_bytes(value.as_bytes()).expect("a header's value")));
        self
    }

    /// The header in the place of the one that is there.
    fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.header(name, value)
    }

    fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    fn bearer(self, key: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {key}"))
    }

    /// Sends it as it is.
    async fn to(self, service: &Service) -> Answer {
        let mut request = Request::builder().method(self.method).uri(self.target);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        service.send(request.body(Body::from(self.body)).expect("a request")).await
    }

    /// Sends it with the key of the organisation.
    async fn by(self, service: &Service) -> Answer {
        self.bearer(&service.key).to(service).await
    }
}

/// Percent-encodes all but letters and digits.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// Everything an organisation shows with this key. The doctor has to find it healthy.
async fn contents(service: &Service, org: &str, key: &str) -> String {
    let report = service.examine(org).await;
    assert!(report.is_healthy(), "{org}: {:#?}", report.findings);
    let mut text =
        format!("{} users, {} groups, {} memberships", report.users, report.groups, report.memberships);
    for path in ["/Users?count=1000", "/Groups?count=1000"] {
        let list = Sent::get(path).bearer(key).to(service).await;
        assert_eq!(list.status, 200, "{:#}", list.body);
        let _ = write!(text, "\n{:#}", list.body);
    }
    text
}

/// An answer as it goes over the wire, to look for what should not be in it.
async fn wire(router: Router, sent: Sent) -> String {
    let mut request = Request::builder().method(sent.method).uri(sent.target);
    for (name, value) in sent.headers {
        request = request.header(name, value);
    }
    let request = request.body(Body::from(sent.body)).expect("a request");
    let (parts, body) = router.oneshot(request).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    format!("{} {:?} {}", parts.status, parts.headers, String::from_utf8_lossy(&body))
}

/// Fails with every line of a table that was not as it should be.
fn report(failures: &[String]) {
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}
