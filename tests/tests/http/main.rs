//! The service over HTTP: authentication, validation, and the lifecycle of resources.
//!
//! All tests are in one binary, because each binary links the AWS SDK and the embedded DynamoDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are data: tables and whole responses")]

mod arbitrary;
mod auth;
mod bad_input;
mod bulk;
mod lifecycle;
mod logs;
mod pepper;
mod stored;

use std::fmt::Write;

use axum::Router;
use http_body_util::BodyExt;
use tests::{Request, Service};
use tower::ServiceExt;

/// An id that no resource has.
const UNKNOWN_ID: &str = "01936f20-0000-7000-8000-000000000000";

/// Returns all users and groups that the organisation shows for this key. Fails unless the doctor finds the organisation
/// healthy.
async fn contents(service: &Service, org: &str, key: &str) -> String {
    let report = service.examine(org).await;
    assert!(report.is_healthy(), "{org}: {:#?}", report.findings);
    let mut text =
        format!("{} users, {} groups, {} memberships", report.users, report.groups, report.memberships);
    for path in ["/Users?count=1000", "/Groups?count=1000"] {
        let list = Request::get(path).bearer(key).send(service).await;
        assert_eq!(list.status, 200, "{:#}", list.body);
        let _ = write!(text, "\n{:#}", list.body);
    }
    text
}

/// Returns status, headers and body of a response as text, for tests of texts that a response must not contain.
async fn raw_response(router: Router, request: &Request) -> String {
    let (parts, body) = router.oneshot(request.build()).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    format!("{} {:?} {}", parts.status, parts.headers, String::from_utf8_lossy(&body))
}

/// Fails with all lines of a table that differ from the expected result.
fn assert_no_failures(failures: &[String]) {
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}
