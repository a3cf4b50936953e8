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

use axum::Router;
use http_body_util::BodyExt;
use tests::{Request, Service};
use tower::ServiceExt;

/// Everything an organisation shows with this key. The doctor has to find it healthy.
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

/// An answer as it goes over the wire, to look for what should not be in it.
async fn wire(router: Router, request: &Request) -> String {
    let (parts, body) = router.oneshot(request.build()).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    format!("{} {:?} {}", parts.status, parts.headers, String::from_utf8_lossy(&body))
}

/// Fails with every line of a table that was not as it should be.
fn report(failures: &[String]) {
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}
