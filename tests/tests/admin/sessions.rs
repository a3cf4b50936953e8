//! Set-up links and sessions of the owner console.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use serde_json::json;
use service::{admin, clock::Clock, credential::Credential, portal::Portal};
use tests::{NOW, ORG};
use time::Duration;
use tokio::time::Instant;

use super::{Management, request, send_to, text};

fn links() -> String {
    format!("/orgs/{ORG}/links")
}

fn sessions() -> String {
    format!("/orgs/{ORG}/sessions")
}

/// The credential in the URL of a link.
fn link_of(url: &str) -> Credential {
    let (start, link) = url.split_once("?link=").expect("a link");
    assert_eq!(start, "https://scim.example.com/scim/console/enter");
    Credential::parse(link).expect("a credential")
}

impl Management {
    /// Uses a link as the console does. Returns whether it started a session.
    async fn uses(&self, link: &Credential) -> bool {
        let app = &self.service.app;
        let peppers = app.pepper.peppers().await.expect("peppers");
        let deadline = Instant::now() + std::time::Duration::from_secs(5);
        app.store.start_session(link, &peppers, deadline).await.expect("an answer").is_some()
    }
}

#[tokio::test]
async fn link_starts_one_session_which_can_be_ended() {
    let management = Management::new().await;
    let body = json!({
        "role": "viewer",
        "intent": "people",
        "returnUrl": "https://app.example.com/settings?tab=scim"
    });
    let created = management.post(&links(), body).await;
    assert_eq!(created.status, 201, "{:#}", created.body);
    assert_eq!(created.body["ends"], "2026-11-23T09:05:00.123Z");
    assert_eq!(management.get(&sessions()).await.body, json!({ "items": [], "next": null }));

    let link = link_of(&text(&created, "url"));
    assert!(management.uses(&link).await);
    assert!(!management.uses(&link).await, "a link is used once");
    let listed = management.get(&sessions()).await;
    let expected = json!({
        "items": [{
            "id": created.body["id"],
            "role": "viewer",
            "created": "2026-11-23T09:00:00.123Z",
            "ends": "2026-11-23T17:00:00.123Z",
            "actor": "ada"
        }],
        "next": null
    });
    assert_eq!(listed.body, expected);

    let session = format!("{}/{}", sessions(), text(&created, "id"));
    assert_eq!(management.delete(&session).await.status, 204);
    assert_eq!(management.delete(&session).await.status, 404);
    assert_eq!(management.get(&sessions()).await.body["items"], json!([]));
    let audit = management.get(&format!("/orgs/{ORG}/audit")).await;
    // Under the fixed clock, the entries have no order.
    for action in ["link.create", "session.start", "session.end"] {
        let entries = audit.body["items"].as_array().expect("entries").iter();
        assert_eq!(entries.filter(|entry| entry["action"] == action).count(), 1, "{action}");
    }
    assert!(!audit.body.to_string().contains("scimlink_"));
}

#[tokio::test]
async fn link_that_is_not_used_can_be_ended() {
    let management = Management::new().await;
    let created = management.post(&links(), json!({ "role": "owner" })).await;
    let session = format!("{}/{}", sessions(), text(&created, "id"));
    assert_eq!(management.delete(&session).await.status, 204);
    assert!(!management.uses(&link_of(&text(&created, "url"))).await);
}

#[tokio::test]
async fn link_ends_after_five_minutes() {
    let seconds = Arc::new(AtomicI64::new(0));
    let shared = Arc::clone(&seconds);
    let clock = Clock::new(move || NOW + Duration::seconds(shared.load(Ordering::Relaxed)));
    let management = Management::with_clock(clock).await;
    for (age, is_live) in [(299, true), (300, false)] {
        seconds.store(0, Ordering::Relaxed);
        let created = management.post(&links(), json!({ "role": "owner" })).await;
        seconds.store(age, Ordering::Relaxed);
        assert_eq!(management.uses(&link_of(&text(&created, "url"))).await, is_live, "{age}");
    }
}

#[tokio::test]
async fn link_needs_an_organisation_a_console_and_an_allowed_url() {
    let management = Management::new().await;
    let refused =
        management.post(&links(), json!({ "role": "owner", "returnUrl": "https://evil.example" })).await;
    assert_eq!(refused.status, 422, "{:#}", refused.body);
    assert_eq!(management.post("/orgs/none/links", json!({ "role": "owner" })).await.status, 404);
    assert_eq!(management.get("/orgs/none/sessions").await.status, 404);

    let mut app = management.service.app.clone();
    app.portal = Arc::new(Portal::default());
    let mut request = request(axum::http::Method::POST, &links(), &json!({ "role": "owner" }));
    request.extensions_mut().insert(service::admin::Operator(service::store::Actor::new("ada")));
    let answer = send_to(&admin::router(app), request).await;
    assert_eq!(answer.status, 409, "{:#}", answer.body);
}
