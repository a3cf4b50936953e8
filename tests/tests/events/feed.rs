//! The feed over HTTP.

use std::fmt::Write;

use dynoxide::Database;
use expect_test::expect;
use local::embedded;
use serde_json::{Value, json};
use service::{
    auth::Scope,
    clock::Clock,
    config::Tables,
    credential::{Credential, Kind},
    entropy::Entropy,
    http::{self, Route},
    store::FEED_RETENTION,
};
use tests::{NOW, Request, Service, operator, product::sequence};

use crate::{feed, last};

#[tokio::test]
async fn feed_is_read_page_by_page() {
    let service = Service::new().await;
    for name in ["ada", "bob", "eve"] {
        service.user(name).await;
    }
    let end = last(&service).await;
    let mut seen = Vec::new();
    let mut after = 0;
    loop {
        let answer = Request::get(format!("/events/v1?after={after}&limit=2")).at_root().send(&service).await;
        assert_eq!(answer.body["last"], end);
        let events = answer.body["events"].as_array().expect("events").clone();
        assert!(events.len() <= 2);
        let Some(event) = events.last() else { break };
        after = event["sequence"].as_u64().expect("a number");
        seen.extend(events.iter().map(|event| event["sequence"].as_u64().expect("a number")));
    }
    assert_eq!(seen, (1..=end).collect::<Vec<_>>());
}

#[tokio::test]
async fn feed_needs_the_scope_read() {
    let service = Service::new().await;
    let write = service.organisation("acme", &[Scope::Write]).await;
    let read = service.organisation("acme", &[Scope::Read]).await;
    let other = service.organisation("other", &[Scope::Read]).await;
    service.user("ada").await;
    sequence(&service).await;
    for path in ["/events/v1", "/events/v1/snapshot"] {
        let request = Request::get(path).at_root();
        assert_eq!(request.clone().bearer(&write).send(&service).await.status, 403, "{path}");
        assert_eq!(request.send_as_is(&service).await.status, 401, "{path}");
    }
    let answer = Request::get("/events/v1").at_root().bearer(&read).send(&service).await;
    assert_eq!(answer.status, 200);
    // The feed of another organisation has none of these events.
    let answer = Request::get("/events/v1").at_root().bearer(&other).send(&service).await;
    assert_eq!(answer.body, json!({ "events": [], "last": 0 }));
}

#[tokio::test]
async fn every_route_refuses_every_invalid_credential() {
    let service = Service::new().await;
    let write = service.organisation("acme", &[Scope::Write]).await;
    let (_, secret) = service.oauth_client("acme", &[Scope::Read]).await;
    let revoked = service.organisation("acme", &[Scope::Read]).await;
    let store = &service.app.store;
    let org = "acme".parse().expect("a name");
    let keys = store.keys(&org).await.expect("keys");
    let id = keys.iter().map(|key| &key.id).max().expect("a key");
    assert!(store.revoke_key(&org, id, &operator()).await.expect("an answer"));
    let unissued = Credential::generate(Kind::Key, &org, &Entropy::seeded(7)).expect("a key");
    for Route { method, path, .. } in http::events() {
        let request =
            |key: &str| Request::json(method.clone(), path, json!({ "seq": 0 })).at_root().bearer(key);
        for (case, key, expected) in [
            ("a key of another scope", write.as_str(), 403),
            ("a secret of a client", secret.reveal(), 401),
            ("a revoked key", revoked.as_str(), 401),
            ("an unissued key", unissued.reveal(), 401),
            ("no key", "", 401),
        ] {
            let answer = request(key).send(&service).await;
            assert_eq!(answer.status, expected, "{method} {path}: {case}: {:#}", answer.body);
        }
        let answer = Request::json(method.clone(), path, json!({})).at_root().send_as_is(&service).await;
        assert_eq!(answer.status, 401, "{method} {path}");
    }
}

#[tokio::test]
async fn events_that_are_not_kept_lead_to_the_snapshot() {
    let service = Service::new().await;
    service.user("ada").await;
    let end = last(&service).await;
    // The feed of another table was read.
    let answer = Request::get(format!("/events/v1?after={}", end + 1)).at_root().send(&service).await;
    expect![[r#"
        410
        {
          "schemas": [
            "urn:ietf:params:scim:api:messages:2.0:Error"
          ],
          "status": "410",
          "detail": "The events after this sequence number are not kept any more. Read the snapshot at /events/v1/snapshot, and continue from its sequence number."
        }
    "#]].assert_eq(&answer.snapshot());
    assert_eq!(answer.header("link"), "<https://scim.test/events/v1/snapshot>; rel=\"snapshot\"");
    // DynamoDB deletes expired items late.
    let later = Clock::fixed(NOW + FEED_RETENTION + std::time::Duration::from_secs(1));
    let mut app = service.app.clone();
    app.store = service.store_with_clock(later);
    let request = Request::get("/events/v1").at_root().bearer(&service.key);
    let answer = request.send_to(service.router(app)).await;
    assert_eq!(answer.status, 410);
}

#[tokio::test]
async fn parameters_of_the_feed_are_checked() {
    let service = Service::new().await;
    let mut verdicts = String::new();
    for query in
        ["after=x", "after=-1", "limit=x", "wait=x", "after=1&after=2", "limit=0", "wait=-1", "limit=5000"]
    {
        let answer = Request::get(format!("/events/v1?{query}")).at_root().send(&service).await;
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        let _ = writeln!(verdicts, "{query}: {} {detail}", answer.verdict());
    }
    expect![[r#"
        after=x: 400 invalidValue The value of the query parameter 'after' is not a number. Send a whole number.
        after=-1: 400 invalidValue The query parameter 'after' is negative. Send 0 to begin at the first event.
        limit=x: 400 invalidValue The value of the query parameter 'limit' is not a number. Send a whole number.
        wait=x: 400 invalidValue The value of the query parameter 'wait' is not a number. Send a whole number.
        after=1&after=2: 400 invalidValue The query parameter 'after' is given more than once. Send it once.
        limit=0: 200 
        wait=-1: 200 
        limit=5000: 200 
    "#]].assert_eq(&verdicts);
    let answer = Request::get("/events/v1/snapshot?cursor=x").at_root().send(&service).await;
    assert_eq!(answer.verdict(), "400 invalidValue");
    let answer = Request::post("/events/v1", json!({})).at_root().send(&service).await;
    assert_eq!(answer.status, 405);
    // The feed is not under the base of SCIM, and no operation of a bulk request reaches it.
    assert_eq!(service.get("/events/v1").await.status, 404);
    let operation =
        json!([{ "method": "POST", "path": "/events/v1/ack", "bulkId": "1", "data": { "seq": 0 } }]);
    let answer = service.post("/Bulk", json!({ "Operations": operation })).await;
    assert_eq!(answer.body["Operations"][0]["status"], "404", "{:#}", answer.body);
}

#[tokio::test(start_paused = true)]
async fn request_waits_for_the_next_event() {
    let service = std::sync::Arc::new(Service::new().await);
    let end = last(&service).await;
    let waiting = tokio::spawn({
        let service = std::sync::Arc::clone(&service);
        async move { Request::get(format!("/events/v1?after={end}&wait=20")).at_root().send(&service).await }
    });
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(!waiting.is_finished());
    service.user("ada").await;
    sequence(&service).await;
    let answer = waiting.await.expect("an answer");
    assert_eq!(answer.body["events"][0]["type"], "user.created");
    // Without an event, the request ends after its time.
    let answer = Request::get(format!("/events/v1?after={}&wait=20", end + 1)).at_root().send(&service).await;
    assert_eq!(answer.body["events"], json!([]));
}

#[tokio::test]
async fn acknowledgement_moves_forward_and_leaves_a_proof() {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(embedded::client(database.clone())).await;
    let user = service.user("ada").await;
    service.delete(&format!("/Users/{user}")).await;
    let end = last(&service).await;
    let acknowledge = async |body| Request::post("/events/v1/ack", body).at_root().send(&service).await;
    let answer = acknowledge(json!({ "seq": end, "ended": { "sessions": 2 } })).await;
    assert_eq!(answer.body, json!({ "acknowledged": end }));
    assert_eq!(acknowledge(json!({ "seq": 1 })).await.body, json!({ "acknowledged": end }));
    let beyond = acknowledge(json!({ "seq": end + 1 })).await;
    assert_eq!(beyond.status, 409, "{:#}", beyond.body);
    for body in [json!({}), json!({ "seq": -1 }), json!({ "seq": 1, "ended": [] })] {
        assert_eq!(acknowledge(body.clone()).await.verdict(), "400 invalidValue", "{body}");
    }
    assert_eq!(feed(&service, end).await, Vec::<Value>::new());
    let query = json!({
        "TableName": Tables::default().resources,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": { ":pk": { "S": "ORG#acme#PROOF" } },
    });
    let proofs = embedded::dispatch(&database, "Query", query.to_string().as_bytes()).expect("proofs");
    let proofs: Value = serde_json::from_str(&proofs).expect("JSON");
    let proof = |name: &str| proofs["Items"][0][name].to_string();
    let proof = ["event", "ended", "millis", "acked"].map(proof).join("\n");
    expect![[r#"
        {"S":"{\"sequence\":4,\"id\":\"01a207a232fb0000000109222f84c38249bc-00\",\"type\":\"user.deleted\",\"time\":\"{now}\",\"org\":\"acme\",\"resource\":{\"type\":\"User\",\"id\":\"{1}\"},\"actor\":{\"credential\":\"dff96dbd859ab374\",\"client\":\"other\"}}"}
        {"S":"{\"sessions\":2}"}
        {"N":"0"}
        {"S":"{now}"}
    "#]].assert_eq(&format!("{}\n", service.named(&proof)));
    assert!(service.examine(&service.org).await.is_healthy());
}

#[tokio::test]
async fn first_acknowledgement_counts_from_the_snapshot() {
    let service = Service::new().await;
    let user = service.user("ada").await;
    service.delete(&format!("/Users/{user}")).await;
    let end = last(&service).await;
    Request::get("/events/v1/snapshot").at_root().send_lines(&service).await;
    let answer = Request::post("/events/v1/ack", json!({ "seq": 1 })).at_root().send(&service).await;
    assert_eq!(answer.body, json!({ "acknowledged": end }));
}
