//! The order of events of writers whose clocks differ.

use dynoxide::Database;
use local::embedded;
use serde_json::{Value, json};
use service::{clock::Clock, entropy::Entropy};
use tests::{NOW, Service, product};
use time::Duration;

use crate::{feed, last};

/// Two processes on one database. The clock of the second is behind.
async fn writers() -> (Service, Service) {
    let database = Database::memory().expect("a database");
    let fast = Service::on(embedded::client(database.clone())).await;
    let clock = Clock::fixed(NOW - Duration::seconds(5));
    let slow = Service::restarted(embedded::client(database), clock, Entropy::seeded(77), &fast.key);
    (fast, slow)
}

async fn types(service: &Service, after: u64) -> Vec<String> {
    let events = feed(service, after).await;
    events.iter().filter_map(|event| event["type"].as_str()).map(str::to_owned).collect()
}

#[tokio::test]
async fn effect_follows_its_cause_on_a_slow_clock() {
    let (fast, slow) = writers().await;
    let user = fast.user("ada").await;
    let group = fast.group("Sales", &[]).await;
    let start = last(&fast).await;
    // The addition reads neither the group nor the user.
    let path = format!("/Groups/{group}");
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": user }] }]);
    assert_eq!(slow.patch(&path, add).await.status, 204);
    let replace = json!([{ "op": "replace", "value": { "displayName": "Field" } }]);
    assert_eq!(slow.patch(&path, replace).await.status, 204);
    assert_eq!(slow.delete(&format!("/Users/{user}")).await.status, 204);
    assert_eq!(slow.delete(&path).await.status, 204);
    product::check(&fast).await;
    let expected =
        ["group.members_added", "group.updated", "group.members_removed", "user.deleted", "group.deleted"];
    assert_eq!(types(&fast, start).await, expected);
}

#[tokio::test]
async fn member_created_by_a_fast_clock_comes_first() {
    let (fast, slow) = writers().await;
    let group = slow.group("Sales", &[]).await;
    let start = last(&fast).await;
    let user = fast.user("ada").await;
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": user }] }]);
    assert_eq!(slow.patch(&format!("/Groups/{group}"), add).await.status, 204);
    product::check(&fast).await;
    assert_eq!(types(&fast, start).await, ["user.created", "group.members_added"]);
}

#[tokio::test]
async fn large_change_by_a_slow_clock_follows_its_members() {
    let (fast, slow) = writers().await;
    let mut users: Vec<String> = Vec::new();
    for index in 0..50 {
        users.push(fast.user(&format!("user-{index}")).await);
    }
    let all: Vec<Value> = users.iter().map(|id| json!({ "value": id })).collect();
    let group = fast.group("Sales", &[]).await;
    let add = json!([{ "op": "add", "path": "members", "value": all }]);
    assert_eq!(slow.patch(&format!("/Groups/{group}"), add).await.status, 204);
    assert_eq!(fast.delete(&format!("/Users/{}", users[7])).await.status, 204);
    product::check(&fast).await;
    let body = json!({ "displayName": "Other", "members": users[8..].iter().map(|id| json!({ "value": id })).collect::<Vec<_>>() });
    assert_eq!(slow.post("/Groups", body).await.status, 201);
    product::check(&fast).await;
}
