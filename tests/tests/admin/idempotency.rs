//! Repeats of a request with the same `Idempotency-Key`.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use axum::http::{HeaderValue, Method};
use futures_util::future::join_all;
use serde_json::{Value, json};
use service::clock::Clock;
use tests::{Answer, NOW, ORG};
use time::Duration;

use super::{Management, request, text};

impl Management {
    /// Sends a `POST` with an idempotency key.
    async fn once(&self, path: &str, key: &str, body: &Value) -> Answer {
        let mut request = request(Method::POST, path, body);
        request.headers_mut().insert("idempotency-key", HeaderValue::from_str(key).expect("a key"));
        self.send(request).await
    }
}

/// The creations, each with a valid body and another one.
fn creations(key: &str, client: &str) -> Vec<(String, Value, Value)> {
    vec![
        ("/orgs".to_owned(), json!({ "org": "new" }), json!({ "org": "other" })),
        (
            format!("/orgs/{ORG}/keys"),
            json!({ "scopes": ["read"], "label": "one" }),
            json!({ "scopes": ["read"], "label": "two" }),
        ),
        (format!("/orgs/{ORG}/keys/{key}/rotate"), json!({}), json!({ "overlapHours": 1 })),
        (format!("/orgs/{ORG}/clients"), json!({ "scopes": ["scim"] }), json!({ "scopes": ["read"] })),
        (
            format!("/orgs/{ORG}/clients/{client}/secrets"),
            json!({}),
            json!({ "ends": "2027-01-01T00:00:00Z" }),
        ),
    ]
}

#[tokio::test]
async fn repeat_has_the_same_answer_and_writes_nothing() {
    let management = Management::new().await;
    let (key, _) = management.key(ORG).await;
    let (client, _) = management.client(ORG).await;
    for (path, body, _) in creations(&key, &client) {
        let first = management.once(&path, "k-1", &body).await;
        assert_eq!(first.status, 201, "{path}: {:#}", first.body);
        let items = management.items().await;
        // A structured field has quotation marks.
        for again in ["k-1", "\"k-1\""] {
            let repeat = management.once(&path, again, &body).await;
            assert_eq!(repeat.snapshot(), first.snapshot(), "{path}");
            assert_eq!(repeat.header("location"), first.header("location"));
        }
        assert_eq!(management.items().await, items, "{path}");
    }
}

#[tokio::test]
async fn same_key_with_another_body_is_refused() {
    let management = Management::new().await;
    let (key, _) = management.key(ORG).await;
    let (client, _) = management.client(ORG).await;
    for (path, body, other) in creations(&key, &client) {
        assert_eq!(management.once(&path, "k-1", &body).await.status, 201, "{path}");
        let items = management.items().await;
        let refused = management.once(&path, "k-1", &other).await;
        assert_eq!(refused.status, 422, "{path}: {:#}", refused.body);
        assert_eq!(management.items().await, items, "{path}");
        assert_eq!(management.once(&path, "k-2", &other).await.status, 201, "{path}");
    }
}

/// A repeat must not revive a credential that an operator has ended since.
#[tokio::test]
async fn repeat_after_the_end_creates_nothing() {
    let management = Management::new().await;
    let clients = format!("/orgs/{ORG}/clients");
    let new = json!({ "scopes": ["scim"] });
    let created = management.once(&clients, "k-1", &new).await;
    assert_eq!(management.delete(&format!("{clients}/{}", text(&created, "id"))).await.status, 204);
    assert_eq!(management.once(&clients, "k-1", &new).await.status, 422);

    let (client, _) = management.client(ORG).await;
    let secrets = format!("{clients}/{client}/secrets");
    let added = management.once(&secrets, "k-1", &json!({})).await;
    assert_eq!(management.delete(&format!("{secrets}/{}", text(&added, "id"))).await.status, 204);
    // The next secret makes the client forget the ended one.
    assert_eq!(management.post(&secrets, json!({})).await.status, 201);
    assert_eq!(management.once(&secrets, "k-1", &json!({})).await.status, 422);
}

#[tokio::test]
async fn concurrent_repeats_create_one_credential() {
    let management = Management::new().await;
    let (path, body) = (format!("/orgs/{ORG}/keys"), json!({ "scopes": ["scim"] }));
    let before = management.service.app.store.keys(&ORG.parse().unwrap()).await.unwrap().len();
    let answers = join_all((0..8).map(|_| management.once(&path, "k-1", &body))).await;
    for answer in &answers {
        assert_eq!((answer.status, text(answer, "key")), (201, text(&answers[0], "key")));
    }
    let after = management.service.app.store.keys(&ORG.parse().unwrap()).await.unwrap().len();
    assert_eq!(after, before + 1);
}

#[tokio::test]
async fn same_key_in_another_organisation_is_another_request() {
    let management = Management::new().await;
    management.org("globex").await;
    let body = json!({ "scopes": ["scim"] });
    let one = management.once(&format!("/orgs/{ORG}/keys"), "k-1", &body).await;
    let two = management.once("/orgs/globex/keys", "k-1", &body).await;
    assert_eq!((one.status, two.status), (201, 201));
    assert_ne!(text(&one, "id"), text(&two, "id"));
    assert_ne!(text(&one, "key")["scim_acme_".len()..], text(&two, "key")["scim_globex_".len()..]);
}

#[tokio::test]
async fn key_is_refused_after_a_day() {
    let hours = Arc::<AtomicI64>::default();
    let offset = hours.clone();
    let clock = Clock::new(move || NOW + Duration::hours(offset.load(Ordering::Relaxed)));
    let management = Management::with_clock(clock).await;
    let (path, body) = (format!("/orgs/{ORG}/keys"), json!({ "scopes": ["scim"] }));
    let first = management.once(&path, "k-1", &body).await;
    hours.store(24, Ordering::Relaxed);
    assert_eq!(management.once(&path, "k-1", &body).await.snapshot(), first.snapshot());
    hours.store(25, Ordering::Relaxed);
    let late = management.once(&path, "k-1", &body).await;
    assert_eq!((late.status, late.body["key"].is_null()), (422, true));
}

#[tokio::test]
async fn malformed_key_is_refused() {
    let management = Management::new().await;
    let long = "k".repeat(129);
    let items = management.items().await;
    for key in ["", "\"\"", "\"", "a b", "a\"b", "é", &long] {
        let mut request = request(Method::POST, "/orgs", &json!({ "org": "new" }));
        request.headers_mut().insert("idempotency-key", HeaderValue::from_bytes(key.as_bytes()).unwrap());
        let answer = management.send(request).await;
        assert_eq!(
            (answer.status, &answer.body["errors"][0]["header"]),
            (400, &json!("Idempotency-Key")),
            "{key}"
        );
    }
    let mut twice = request(Method::POST, "/orgs", &json!({ "org": "new" }));
    twice.headers_mut().append("idempotency-key", HeaderValue::from_static("a"));
    twice.headers_mut().append("idempotency-key", HeaderValue::from_static("a"));
    assert_eq!(management.send(twice).await.status, 400);
    assert_eq!(management.items().await, items);
}
