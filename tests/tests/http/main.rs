//! The service over HTTP: authentication, validation, and the lifecycle of resources.
//!
//! All tests are in one binary, because each binary links the AWS SDK and the embedded DynamoDB.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are data: tables and whole responses")]

mod arbitrary;
mod attributes;
mod auth;
mod bad_input;
mod bulk;
mod discovery;
mod lifecycle;
mod limits;
mod lists;
mod logs;
mod memberships;
mod pepper;
mod stored;
mod versions;

use std::fmt::Write;

use axum::{Router, http::Method};
use expect_test::Expect;
use http_body_util::BodyExt;
use scim::schema::USER_URN;
use serde_json::{Value, json};
use service::{App, clock::Clock};
use tests::{Answer, Request, Service};
use time::{Duration, macros::datetime};
use tower::ServiceExt;

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// An id that no resource has.
const UNKNOWN_ID: &str = "01936f20-0000-7000-8000-000000000000";

/// Returns all users and groups that the organisation shows for this key. Fails unless the doctor finds the
/// organisation healthy.
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

/// Returns a request with this body for every route that reads a body. `user` and `group` are paths of resources.
fn requests_with_body(user: &str, group: &str, body: &[u8]) -> Vec<Request> {
    [
        (Method::POST, "/Users"),
        (Method::PUT, user),
        (Method::PATCH, user),
        (Method::POST, "/Groups"),
        (Method::PUT, group),
        (Method::PATCH, group),
        (Method::POST, "/Users/.search"),
        (Method::POST, "/.search"),
        (Method::POST, "/Bulk"),
    ]
    .map(|(method, path)| Request::bytes(method, path, body.to_vec()))
    .into()
}

/// Fails with all lines of a table that differ from the expected result.
fn assert_no_failures(failures: &[String]) {
    assert!(failures.is_empty(), "\n{}\n", failures.join("\n"));
}

/// Returns a user with a value for every attribute that a client can write.
fn full_user() -> Value {
    let values = |value: &str, types: [&str; 2]| {
        json!([
            { "value": format!("{value}-1"), "display": "First", "type": types[0], "primary": true },
            { "value": format!("{value}-2"), "type": types[1] },
        ])
    };
    json!({
        "schemas": [USER_URN, ENTERPRISE],
        "externalId": "00ujl29u0le5T6Aj10h7",
        "userName": "Ada@Example.com",
        "name": {
            "formatted": "Ms. Ada B. Lovelace III",
            "familyName": "Lovelace",
            "givenName": "Ada",
            "middleName": "B.",
            "honorificPrefix": "Ms.",
            "honorificSuffix": "III",
        },
        "displayName": "Ada Lovelace",
        "nickName": "Countess",
        "profileUrl": "https://login.example.com/ada",
        "title": "Analyst",
        "userType": "Employee",
        "preferredLanguage": "en-GB",
        "locale": "en-GB",
        "timezone": "Europe/London",
        "active": true,
        "password": "t1meMa$heen",
        "emails": values("ada@example.com", ["work", "home"]),
        "phoneNumbers": values("tel:+1-201-555-0123", ["work", "mobile"]),
        "ims": values("ada", ["xmpp", "skype"]),
        "photos": values("https://photos.example.com/ada", ["photo", "thumbnail"]),
        "addresses": [{
            "formatted": "12 St James's Square\nLondon",
            "streetAddress": "12 St James's Square",
            "locality": "London",
            "region": "Greater London",
            "postalCode": "SW1Y 4JH",
            "country": "GB",
            "type": "home",
            "primary": true,
        }],
        "entitlements": values("engine", ["a", "b"]),
        "roles": values("analyst", ["a", "b"]),
        "x509Certificates": [{ "value": "MIIDQzCCAqygAwIBAgICEAAwDQYJKoZIhvcNAQEFBQAwTjELMAkGA1UEBhMCVVMx" }],
        (ENTERPRISE): {
            "employeeNumber": "701984",
            "costCenter": "4130",
            "organization": "Analytical Engines",
            "division": "Mathematics",
            "department": "Notes",
            "manager": { "value": UNKNOWN_ID, "$ref": "../Users/26118915", "displayName": "Charles Babbage" },
        },
        "urn:ietf:params:scim:schemas:extension:Custom:2.0:User": { "tag": "x", "Nested": { "a": [1, 2.5, null] } },
    })
}

/// Returns the status, the headers of the resource and the body, for snapshots.
fn response_text(answer: &Answer) -> String {
    let mut text = String::new();
    for name in ["location", "content-location", "etag"] {
        if answer.headers.contains_key(name) {
            let _ = writeln!(text, "{name}: {}", answer.header(name));
        }
    }
    text + &answer.snapshot()
}

fn assert_response(service: &Service, answer: &Answer, expected: &Expect) {
    expected.assert_eq(&service.named(&response_text(answer)));
}

/// A service that receives requests at times that the test chooses.
struct TimedRequests(Service);

impl TimedRequests {
    async fn new() -> Self {
        Self(Service::new().await)
    }

    /// Sends the request at `minutes` past ten o'clock.
    async fn at(&self, minutes: i64, request: Request) -> Answer {
        let time = datetime!(2026-11-23 10:00 UTC) + Duration::minutes(minutes);
        let store = self.0.store_with_clock(Clock::fixed(time));
        let router = self.0.router(App { store, ..self.0.app.clone() });
        request.bearer(&self.0.key).send_to(router).await
    }
}

fn names(list: &Value, attribute: &str) -> Vec<String> {
    let resources = list["Resources"].as_array().expect("Resources");
    resources.iter().map(|resource| resource[attribute].as_str().unwrap_or_default().to_owned()).collect()
}

/// Returns `startIndex: itemsPerPage of totalResults` and the user names.
fn page_summary(answer: &Answer) -> String {
    let body = &answer.body;
    let names = names(body, "userName").join(" ");
    format!("{}: {} of {}: {names}", body["startIndex"], body["itemsPerPage"], body["totalResults"])
        .trim_end()
        .into()
}

async fn create_users(service: &Service, count: usize) -> Vec<String> {
    let mut ids = Vec::with_capacity(count);
    for number in 0..count {
        ids.push(service.user(&format!("user-{number:03}@example.com")).await);
    }
    ids.sort_unstable();
    ids
}

fn as_members(ids: &[String]) -> Value {
    ids.iter().map(|id| json!({ "value": id })).collect()
}

/// Fails unless the group has exactly these members, and exactly these users show the group.
async fn assert_members(service: &Service, group: &str, members: &[String], others: &[String]) {
    assert_eq!(service.members(group).await, members, "members");
    let mut in_group = Vec::new();
    let list = service.get("/Users?attributes=groups.value&count=1000").await.body;
    for user in list["Resources"].as_array().expect("users") {
        let groups = user["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
        if groups.iter().any(|known| known["value"] == group) {
            in_group.push(user["id"].as_str().unwrap_or_default().to_owned());
        }
    }
    in_group.sort_unstable();
    assert_eq!(in_group, members, "users that show the group");
    for user in members.iter().chain(others).step_by(50) {
        let knows = service.groups(user).await.contains(&group.to_owned());
        assert_eq!(knows, members.contains(user), "{user}");
    }
    let filter = format!("groups.value eq \"{group}\"");
    let found = Request::get("/Users").filter(&filter).send(service).await.body;
    assert_eq!(found["totalResults"], members.len(), "by filter");
    service.assert_healthy().await;
}
