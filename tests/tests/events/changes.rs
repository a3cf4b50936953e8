//! The events of each kind of change.

use expect_test::expect;
use serde_json::{Value, json};
use service::{auth::Scope, store::NewKey};
use tests::{ORG, PEPPER, Request, Service, operator, pepper_of, product::sequence};

use crate::{assert_events, feed, last, members};

#[tokio::test]
async fn user_events_have_the_changed_attributes_alone() {
    let service = Service::new().await;
    let start = last(&service).await;
    let body = json!({
        "userName": "ada@example.com",
        "externalId": "a-1",
        "name": { "givenName": "Ada", "familyName": "King" },
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "Mathematics", "division": "North" },
    });
    let id = service.post("/Users", body).await.id();
    let path = format!("/Users/{id}");
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
    service
        .patch(
            &path,
            json!([
                { "op": "replace", "path": "name.familyName", "value": "Lovelace" },
                { "op": "replace", "path": enterprise, "value": "Engines" },
                { "op": "remove", "path": "externalId" },
            ]),
        )
        .await;
    service.patch(&path, json!([{ "op": "replace", "path": "active", "value": false }])).await;
    service.patch(&path, json!([{ "op": "replace", "path": "active", "value": true }])).await;
    service.delete(&path).await;
    assert_events(
        &service,
        start,
        &expect![[r#"
            [
              {
                "sequence": 3,
                "type": "user.created",
                "resource": {
                  "type": "User",
                  "id": "{1}",
                  "externalId": "a-1",
                  "userName": "ada@example.com"
                },
                "after": {
                  "externalId": "a-1",
                  "userName": "ada@example.com",
                  "name": {
                    "familyName": "King",
                    "givenName": "Ada"
                  },
                  "active": true,
                  "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
                    "division": "North",
                    "department": "Mathematics"
                  }
                }
              },
              {
                "sequence": 4,
                "type": "user.updated",
                "resource": {
                  "type": "User",
                  "id": "{1}",
                  "userName": "ada@example.com"
                },
                "before": {
                  "name": {
                    "familyName": "King",
                    "givenName": "Ada"
                  },
                  "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
                    "department": "Mathematics"
                  },
                  "externalId": "a-1"
                },
                "after": {
                  "name": {
                    "familyName": "Lovelace",
                    "givenName": "Ada"
                  },
                  "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
                    "department": "Engines"
                  },
                  "externalId": null
                }
              },
              {
                "sequence": 5,
                "type": "user.deactivated",
                "resource": {
                  "type": "User",
                  "id": "{1}",
                  "userName": "ada@example.com"
                },
                "before": {
                  "active": true
                },
                "after": {
                  "active": false
                }
              },
              {
                "sequence": 6,
                "type": "user.reactivated",
                "resource": {
                  "type": "User",
                  "id": "{1}",
                  "userName": "ada@example.com"
                },
                "before": {
                  "active": false
                },
                "after": {
                  "active": true
                }
              },
              {
                "sequence": 7,
                "type": "user.deleted",
                "resource": {
                  "type": "User",
                  "id": "{1}",
                  "userName": "ada@example.com"
                },
                "before": {
                  "userName": "ada@example.com",
                  "name": {
                    "familyName": "Lovelace",
                    "givenName": "Ada"
                  },
                  "active": true,
                  "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
                    "division": "North",
                    "department": "Engines"
                  }
                }
              }
            ]
        "#]],
    )
    .await;
}

#[tokio::test]
async fn change_without_effect_has_no_event() {
    let service = Service::new().await;
    let user = service.user("ada").await;
    let group = service.group("Sales", &[&user]).await;
    let before = last(&service).await;
    service
        .patch(&format!("/Users/{user}"), json!([{ "op": "replace", "path": "active", "value": true }]))
        .await;
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": user }] }]);
    assert_eq!(service.patch(&format!("/Groups/{group}"), add).await.status, 204);
    let body = json!({ "displayName": "Sales", "members": [{ "value": user }] });
    assert_eq!(service.put(&format!("/Groups/{group}"), body).await.status, 200);
    let taken = service.post("/Users", json!({ "userName": "ada" })).await;
    assert_eq!(taken.verdict(), "409 uniqueness");
    assert_eq!(last(&service).await, before);
}

#[tokio::test]
async fn group_events_tell_members_apart() {
    let service = Service::new().await;
    let (ada, bob, eve) = (service.user("ada").await, service.user("bob").await, service.user("eve").await);
    let start = last(&service).await;
    let group = service.group("Sales", &[&ada]).await;
    let path = format!("/Groups/{group}");
    // Without reading the group.
    service
        .patch(
            &path,
            json!([
                { "op": "add", "path": "members", "value": [{ "value": bob }] },
                { "op": "remove", "path": format!("members[value eq \"{ada}\"]") },
            ]),
        )
        .await;
    // The document and the members.
    service
        .put(&path, json!({ "displayName": "Field sales", "members": members(std::slice::from_ref(&eve)) }))
        .await;
    // The deletion of a member removes it from its groups.
    service.delete(&format!("/Users/{eve}")).await;
    service.delete(&path).await;
    assert_events(
        &service,
        start,
        &expect![[r#"
            [
              {
                "sequence": 6,
                "type": "group.created",
                "resource": {
                  "type": "Group",
                  "id": "{1}",
                  "displayName": "Sales"
                },
                "after": {
                  "displayName": "Sales"
                }
              },
              {
                "sequence": 7,
                "type": "group.members_added",
                "resource": {
                  "type": "Group",
                  "id": "{1}",
                  "displayName": "Sales"
                },
                "members": [
                  "{2}"
                ]
              },
              {
                "sequence": 8,
                "type": "group.members_removed",
                "resource": {
                  "type": "Group",
                  "id": "{1}"
                },
                "members": [
                  "{2}"
                ]
              },
              {
                "sequence": 9,
                "type": "group.members_added",
                "resource": {
                  "type": "Group",
                  "id": "{1}"
                },
                "members": [
                  "{3}"
                ]
              },
              {
                "sequence": 10,
                "type": "group.updated",
                "resource": {
                  "type": "Group",
                  "id": "{1}",
                  "displayName": "Field sales"
                },
                "before": {
                  "displayName": "Sales"
                },
                "after": {
                  "displayName": "Field sales"
                }
              },
              {
                "sequence": 11,
                "type": "group.members_removed",
                "resource": {
                  "type": "Group",
                  "id": "{1}",
                  "displayName": "Field sales"
                },
                "members": [
                  "{3}"
                ]
              },
              {
                "sequence": 12,
                "type": "group.members_added",
                "resource": {
                  "type": "Group",
                  "id": "{1}",
                  "displayName": "Field sales"
                },
                "members": [
                  "{4}"
                ]
              },
              {
                "sequence": 13,
                "type": "group.members_removed",
                "resource": {
                  "type": "Group",
                  "id": "{1}"
                },
                "members": [
                  "{4}"
                ]
              },
              {
                "sequence": 14,
                "type": "user.deleted",
                "resource": {
                  "type": "User",
                  "id": "{4}",
                  "userName": "eve"
                },
                "before": {
                  "userName": "eve",
                  "active": true
                }
              },
              {
                "sequence": 15,
                "type": "group.deleted",
                "resource": {
                  "type": "Group",
                  "id": "{1}",
                  "displayName": "Field sales"
                },
                "before": {
                  "displayName": "Field sales"
                }
              }
            ]
        "#]],
    )
    .await;
}

#[tokio::test]
async fn large_change_of_members_has_an_event_for_each_part() {
    let service = Service::new().await;
    let mut users = Vec::new();
    for index in 0..100 {
        users.push(service.user(&format!("user-{index}")).await);
    }
    let start = last(&service).await;
    let body = json!({ "displayName": "All", "members": members(&users) });
    let group = service.post("/Groups", body).await.id();
    sequence(&service).await;
    let events = feed(&service, start).await;
    let summary: Vec<(String, usize)> = events.iter().map(summary).collect();
    expect![[r#"
        [
            (
                "group.created",
                0,
            ),
            (
                "group.members_added",
                32,
            ),
            (
                "group.members_added",
                32,
            ),
            (
                "group.members_added",
                32,
            ),
            (
                "group.members_added",
                4,
            ),
        ]
    "#]]
    .assert_debug_eq(&summary);
    let mut added: Vec<&str> = events.iter().flat_map(|event| ids(event)).collect();
    added.sort_unstable();
    users.sort_unstable();
    assert_eq!(added, users);
    // The events of the parts are after the event of the group, and before those of later changes.
    service
        .patch(&format!("/Groups/{group}"), json!([{ "op": "replace", "value": { "displayName": "Every" } }]))
        .await;
    sequence(&service).await;
    let events = feed(&service, start).await;
    assert_eq!(events.last().map(|event| event["type"].clone()), Some(json!("group.updated")));
    let mut event_ids: Vec<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
    let in_feed = event_ids.clone();
    event_ids.sort_unstable();
    assert_eq!(in_feed, event_ids, "the feed is in the order of ids");
}

fn summary(event: &Value) -> (String, usize) {
    (event["type"].as_str().expect("a type").to_owned(), ids(event).len())
}

fn ids(event: &Value) -> Vec<&str> {
    event["members"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[tokio::test]
async fn event_names_its_author_and_its_request() {
    let service = Service::new().await;
    let start = last(&service).await;
    Request::post("/Users?aadOptscim062020", json!({ "userName": "ada" })).send(&service).await;
    sequence(&service).await;
    let event = feed(&service, start).await.remove(0);
    expect![[r#"
        {"sequence":3,"id":"01a207a232fb0000000034116e681eda3219-00","type":"user.created","time":"{now}","org":"acme","resource":{"type":"User","id":"{1}","userName":"ada"},"after":{"userName":"ada","active":true},"actor":{"credential":"bd5ae0ac06e16a59","client":"entra"}}
    "#]].assert_eq(&format!("{:#}\n", service.named(&event.to_string())));
}

#[tokio::test]
async fn management_has_events_without_secrets() {
    let service = Service::new().await;
    let start = last(&service).await;
    let org = ORG.parse().expect("a name");
    let store = &service.app.store;
    let new = NewKey { scopes: [Scope::Scim].into(), ..NewKey::default() };
    let (key, record) = store.create_key(&org, &new, &pepper_of(PEPPER), &operator()).await.expect("a key");
    assert!(store.revoke_key(&org, &record.id, &operator()).await.expect("an answer"));
    sequence(&service).await;
    let events = feed(&service, start).await;
    let text = format!("{events:?}");
    assert!(!text.contains(key.reveal()), "the key is in an event");
    let types: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(types, ["key.created", "key.revoked"]);
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["resource"]["type"].as_str()).collect();
    assert_eq!(kinds, ["Key", "Key"]);
}

#[tokio::test]
async fn attributes_beyond_the_limit_are_named_only() {
    let service = Service::new().await;
    let start = last(&service).await;
    let text = "x".repeat(60_000);
    let values: Vec<Value> = (0..3).map(|index| json!({ "value": format!("{index}{text}") })).collect();
    let body = json!({ "userName": "ada", "entitlements": values });
    let created = service.post("/Users", body).await;
    assert_eq!(created.status, 201, "{:#}", created.body["detail"]);
    assert_events(
        &service,
        start,
        &expect![[r#"
            [
              {
                "sequence": 3,
                "type": "user.created",
                "resource": {
                  "type": "User",
                  "id": "{1}",
                  "userName": "ada"
                },
                "changed": [
                  "active",
                  "entitlements",
                  "userName"
                ]
              }
            ]
        "#]],
    )
    .await;
}
