//! The management API: answers, bad input, access, idempotency, the audit log and lists.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are data: requests and snapshots")]

mod access;
mod answers;
mod audit;
mod bad_input;
mod document;
mod idempotency;
mod lists;
mod log;
mod sessions;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{Method, Request, header::CONTENT_TYPE},
};
use dynoxide::Database;
use http_body_util::BodyExt;
use local::embedded;
use serde_json::{Value, json};
use service::{
    admin::{self, Operator},
    clock::Clock,
    config::Tables,
    portal::Portal,
    store::Actor,
};
use tests::{Answer, NOW, ORG, Service};
use tower::ServiceExt;

/// The management API of a service with one organisation, `acme`, and its key.
struct Management {
    service: Service,
    router: Router,
    database: Database,
}

impl Management {
    async fn new() -> Self {
        Self::with_clock(Clock::fixed(NOW)).await
    }

    async fn with_clock(clock: Clock) -> Self {
        let database = Database::memory().expect("a database in memory");
        let mut service = Service::on_with_clock(embedded::client(database.clone()), clock).await;
        service.app.portal = Arc::new(Portal {
            url: Some("https://scim.example.com/scim/console".to_owned()),
            return_urls: vec!["https://app.example.com/settings".to_owned()],
            ..Portal::default()
        });
        let router = admin::router(service.app.clone());
        Self { service, router, database }
    }

    /// Sends a request as the operator `ada`.
    async fn send(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(Operator(Actor::new("ada")));
        send_to(&self.router, request).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, &Value::Null)).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(request(Method::POST, path, &body)).await
    }

    async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(request(Method::PATCH, path, &body)).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(request(Method::DELETE, path, &Value::Null)).await
    }

    /// Creates a client with a secret. Returns the id of the client and of its secret.
    async fn client(&self, org: &str) -> (String, String) {
        let answer = self.post(&format!("/orgs/{org}/clients"), json!({ "scopes": ["scim"] })).await;
        assert_eq!(answer.status, 201, "{:#}", answer.body);
        (text(&answer, "id"), answer.body["secrets"][0]["id"].as_str().expect("an id").to_owned())
    }

    /// Replaces the ids of nothing in a path by those of what exists.
    async fn existing(&self, path: &str) -> String {
        let (key, _) = self.key(ORG).await;
        let (client, secret) = self.client(ORG).await;
        let path = path.replace("acme.0000000000000000", &client);
        let link = self.post(&format!("/orgs/{ORG}/links"), json!({ "role": "viewer" })).await;
        let path = path.replace("/sessions/0000000000000000", &format!("/sessions/{}", text(&link, "id")));
        let path = path.replace("/secrets/0000000000000000", &format!("/secrets/{secret}"));
        path.replace("0000000000000000", &key)
    }

    /// Creates a key with the scope `scim`. Returns its id and its text.
    async fn key(&self, org: &str) -> (String, String) {
        let answer = self.post(&format!("/orgs/{org}/keys"), json!({ "scopes": ["scim"] })).await;
        assert_eq!(answer.status, 201, "{:#}", answer.body);
        (text(&answer, "id"), text(&answer, "key"))
    }

    /// Creates an organisation.
    async fn org(&self, org: &str) {
        let answer = self.post("/orgs", json!({ "org": org })).await;
        assert_eq!(answer.status, 201, "{:#}", answer.body);
    }

    /// Returns every item of both tables as text, sorted.
    async fn items(&self) -> Vec<String> {
        let client = embedded::client(self.database.clone());
        let Tables { resources, keys, .. } = Tables::default();
        let mut items = Vec::new();
        for table in [resources, keys] {
            let mut pages = client.scan().table_name(&table).into_paginator().items().send();
            while let Some(item) = pages.next().await {
                let mut attributes: Vec<_> = item.expect("an item").into_iter().collect();
                attributes.sort_by(|a, b| a.0.cmp(&b.0));
                items.push(format!("{table} {attributes:?}"));
            }
        }
        items.sort();
        items
    }
}

/// Returns a request below `/admin/v1`, with a body unless it is null.
fn request(method: Method, path: &str, body: &Value) -> Request<Body> {
    let builder = Request::builder().method(method).uri(format!("/admin/v1{path}"));
    if body.is_null() {
        builder.body(Body::empty()).expect("a request")
    } else {
        builder
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request")
    }
}

async fn send_to(router: &Router, request: Request<Body>) -> Answer {
    let (parts, body) = router.clone().oneshot(request).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let answer = Answer::new(parts.status.as_u16(), parts.headers, &body);
    assert_form(&answer);
    answer
}

/// Returns the text of a member.
fn text(answer: &Answer, member: &str) -> String {
    answer.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {:#}", answer.body)).to_owned()
}

/// Fails unless the answer forbids storing and sniffing, and an error is a problem document.
fn assert_form(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
    if answer.status < 400 {
        assert_eq!(
            answer.header("content-type"),
            if answer.body.is_null() { "" } else { "application/json" }
        );
        return;
    }
    assert_eq!(answer.header("content-type"), "application/problem+json", "{:#}", answer.body);
    let body = &answer.body;
    assert_eq!(body["status"], answer.status);
    assert!(
        body["type"].as_str().is_some_and(|uri| uri.starts_with("urn:problem-type:scim-admin:")),
        "{body:#}"
    );
    assert!(is_sentence(&body["title"]) && is_sentence(&body["detail"]), "{body:#}");
    for fault in body["errors"].as_array().into_iter().flatten() {
        let names = ["pointer", "parameter", "header"].iter().filter(|name| fault[**name].is_string());
        assert_eq!(names.count(), 1, "{fault:#}");
        assert!(is_sentence(&fault["detail"]), "{fault:#}");
    }
    match answer.status {
        401 => assert!(answer.header("www-authenticate").starts_with("Bearer")),
        405 => assert!(!answer.header("allow").is_empty()),
        429 | 503 => assert!(answer.header("retry-after").parse::<u32>().is_ok()),
        _ => assert!(answer.status < 500, "{body:#}"),
    }
}

fn is_sentence(text: &Value) -> bool {
    text.as_str()
        .is_some_and(|text| text.starts_with(|c: char| c.is_ascii_uppercase()) && text.ends_with('.'))
}
