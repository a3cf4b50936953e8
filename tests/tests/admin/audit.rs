//! The audit log: one entry for each action of management, without secrets.

use std::sync::atomic::{AtomicI64, Ordering};

use expect_test::expect;
use serde_json::json;
use service::clock::Clock;
use tests::{NOW, ORG};
use time::Duration;

use super::{Management, text};

#[tokio::test]
async fn every_action_has_one_entry() {
    // Entries of one millisecond have no order.
    let readings = AtomicI64::default();
    let clock = Clock::new(move || NOW + Duration::milliseconds(readings.fetch_add(1, Ordering::Relaxed)));
    let management = Management::with_clock(clock).await;
    management.org("globex").await;
    management.patch("/orgs/globex", json!({ "enabled": false })).await;
    management.patch("/orgs/globex", json!({ "enabled": true, "settings": { "rate": 10 } })).await;
    let (id, _) = management.key("globex").await;
    let path = format!("/orgs/globex/keys/{id}");
    management.patch(&path, json!({ "label": "Okta", "scopes": ["read", "write"] })).await;
    let rotated = management.post(&format!("{path}/rotate"), json!({})).await;
    management.post(&format!("{path}/revoke"), serde_json::Value::Null).await;
    // A repeated revocation changes nothing.
    management.post(&format!("{path}/revoke"), serde_json::Value::Null).await;
    let (client, secret) = management.client("globex").await;
    let clients = format!("/orgs/globex/clients/{client}");
    management.post(&format!("{clients}/secrets"), json!({})).await;
    management.delete(&format!("{clients}/secrets/{secret}")).await;
    management.delete(&clients).await;
    let log = management.get("/orgs/globex/audit").await;
    let entries = log.body["items"].as_array().unwrap();
    let lines: Vec<String> = entries
        .iter()
        .rev()
        .map(|entry| format!("{} {} {}", entry["actor"], entry["action"], entry["target"]))
        .collect();
    let lines = lines.join("\n").replace(&id, "{key}").replace(&text(&rotated, "id"), "{new key}");
    let lines = lines.replace(&client, "{client}");
    expect![[r#"
        "ada" "org.create" "globex"
        "ada" "org.change" "globex"
        "ada" "org.change" "globex"
        "ada" "key.create" "{key}"
        "ada" "key.change" "{key}"
        "ada" "key.rotate" "{key}"
        "ada" "key.revoke" "{key}"
        "ada" "client.create" "{client}"
        "ada" "client.secret.add" "{client}"
        "ada" "client.secret.end" "{client}"
        "ada" "client.delete" "{client}""#]]
    .assert_eq(&lines);
    let change = &entries[entries.len() - 2];
    assert_eq!((&change["before"]["enabled"], &change["after"]["enabled"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn log_has_no_secrets() {
    let management = Management::new().await;
    let (id, key) = management.key(ORG).await;
    let path = format!("/orgs/{ORG}/keys/{id}");
    let rotated = management.post(&format!("{path}/rotate"), json!({})).await;
    management.post(&format!("{path}/revoke"), serde_json::Value::Null).await;
    let client = management.post(&format!("/orgs/{ORG}/clients"), json!({ "scopes": ["scim"] })).await;
    let log = management.get(&format!("/orgs/{ORG}/audit?limit=100")).await.body.to_string();
    for secret in [key, text(&rotated, "key"), text(&client, "clientSecret")] {
        // The last four characters are shown, so that people recognise the credential.
        let secret = &secret["scimsecret_acme_".len()..secret.len() - 4];
        assert!(!log.contains(secret));
        for answer in [management.get(&path).await, management.get(&format!("/orgs/{ORG}/keys")).await] {
            assert!(!answer.body.to_string().contains(secret));
        }
        assert!(management.items().await.iter().all(|item| !item.contains(secret)));
    }
    let digests: Vec<String> = management
        .items()
        .await
        .iter()
        .filter_map(|item| Some(item.split_once("KEY#")?.1.chars().take(64).collect()))
        .collect();
    assert!(digests.len() >= 3, "{digests:?}");
    assert!(digests.iter().all(|digest| !log.contains(digest)), "a digest is in the log");
}

#[tokio::test]
async fn refused_request_has_no_entry() {
    let management = Management::new().await;
    let before = management.get(&format!("/orgs/{ORG}/audit")).await.body;
    management.post("/orgs", json!({ "org": ORG })).await;
    management.post(&format!("/orgs/{ORG}/keys"), json!({ "scopes": [] })).await;
    management.patch(&format!("/orgs/{ORG}"), json!({ "settings": { "rate": 0 } })).await;
    management.post(&format!("/orgs/{ORG}/keys/0000000000000000/revoke"), serde_json::Value::Null).await;
    assert_eq!(management.get(&format!("/orgs/{ORG}/audit")).await.body, before);
}
