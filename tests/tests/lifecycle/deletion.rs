//! The deletion of an organisation removes everything that belongs to it, and nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use service::{
    auth::Scope,
    config::Tables,
    store::{Erasing, NewKey, OrgChange, transfer::ImportError},
};
use tests::{NOW, ORG, operator};
use time::Duration;

use crate::world::{World, import, org};

const CHANGE: &str = "01938000-0000-7000-8000-00000000000c";

fn put(world: &World, table: &str, item: &Value) {
    world.call("PutItem", &json!({ "TableName": table, "Item": item }));
}

#[tokio::test(start_paused = true)]
async fn deletion_leaves_no_key_of_the_organisation() {
    let world = World::new().await;
    let neighbour = world.neighbour().await;
    let Tables { resources, keys, .. } = Tables::default();
    // Remains of any kind, also of releases to come.
    let text = |text: &str| json!({ "S": text });
    for (table, pk, sk) in [
        (&resources, format!("ORG#{ORG}#PENDING"), CHANGE),
        (&resources, format!("ORG#{ORG}#PENDING#{CHANGE}"), "part"),
        (&resources, format!("ORG#{ORG}#PAGE"), "bookmark"),
        (&resources, format!("ORG#{ORG}#FEED"), "event"),
        (&resources, "UNFINISHED#07".to_owned(), &*format!("acme#{CHANGE}")),
        (&resources, "UNFINISHED#07".to_owned(), &*format!("acme-2#{CHANGE}")),
        (&keys, format!("ORG#{ORG}"), "CLIENT#1"),
        (&keys, format!("ORG#{ORG}"), "BUCKET"),
    ] {
        put(&world, table, &json!({ "pk": text(&pk), "sk": text(sk) }));
    }
    let neighbour_entry = world.items("acme-2").len() - neighbour.len();
    assert_eq!(neighbour_entry, 1);
    let items = world.items("acme").len() as u64;
    // The beginning of the deletion has an event.
    assert_eq!(world.delete().await, Some(items + 1));
    assert_eq!(world.items("acme"), [] as [Value; 0]);
    assert_eq!(world.items("acme-2").len(), neighbour.len() + 1);
    assert!(world.service.examine("acme").await.is_healthy());
    assert_eq!(world.delete().await, None);
}

#[tokio::test(start_paused = true)]
async fn announcements_go_and_the_audit_log_stays() {
    let world = World::empty().await;
    let new = NewKey {
        scopes: BTreeSet::from([Scope::Scim]),
        label: None,
        ends: Some(NOW + Duration::days(90)),
        repeatable: None,
    };
    let pepper = &world.service.app.pepper;
    world.store().create_key(&org(), &new, pepper, &operator()).await.expect("a key");
    let dues = || {
        let pk = json!({ ":pk": { "S": "DUE" } });
        let query = json!({
            "TableName": Tables::default().keys, "KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": pk,
        });
        world.call("Query", &query)["Count"].clone()
    };
    assert_eq!(dues(), 1);
    world.delete().await;
    assert_eq!(dues(), 0);
    let log = world.store().audit(&org(), 10, None).await.expect("a log");
    let actions: Vec<&str> = log.items.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions.len(), 5, "{actions:?}");
    for action in ["org.create", "key.create", "org.change", "org.delete"] {
        assert!(actions.contains(&action), "{action} in {actions:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn organisation_refuses_all_until_its_deletion_is_done() {
    let world = World::new().await;
    let text = world.export().await;
    let mut waited = false;
    let (acme, operator) = (org(), operator());
    let deletion = world.store().delete_org(&acme, false, &operator, |erasing| {
        waited |= matches!(erasing, Erasing::Waiting(_));
    });
    // The command is interrupted while it waits.
    assert!(tokio::time::timeout(std::time::Duration::from_secs(30), deletion).await.is_err());
    assert!(waited);
    assert_eq!(world.service.get("/Users").await.status, 403);
    let enable = OrgChange { enabled: Some(true), ..OrgChange::default() };
    let changed = world.store().change_org(&org(), enable, &operator).await;
    assert!(matches!(&changed, Err(service::Error::Conflict(_))), "{changed:?}");
    let new = NewKey { scopes: BTreeSet::from([Scope::Read]), label: None, ends: None, repeatable: None };
    let created = world.store().create_key(&org(), &new, &world.service.app.pepper, &operator).await;
    assert!(matches!(&created, Err(service::Error::Conflict(_))), "{created:?}");
    assert!(!world.store().create_org(&org(), &operator).await.expect("an answer"));
    assert!(matches!(import(world.store(), &text).await, Err(ImportError::Busy(_))));
    assert!(world.delete().await.is_some());
    assert_eq!(world.items("acme"), [] as [Value; 0]);
    assert!(world.store().create_org(&org(), &operator).await.expect("an answer"));
}

#[tokio::test(start_paused = true)]
async fn late_write_of_a_request_is_deleted() {
    let world = World::new().await;
    let (store, acme, operator) = (world.store(), org(), operator());
    let deletion = store.delete_org(&acme, false, &operator, |_| {});
    let request = async {
        tokio::time::sleep(std::time::Duration::from_secs(20)).await;
        // A request that authenticated before the deletion began.
        let caller = service::auth::Caller::operator(org());
        let document = json!({ "userName": "late" });
        let document = scim::resource::Document::from_request(&scim::schema::USER_TYPE, &document);
        store.directory(&caller).create_user(document.expect("a document")).await.expect("a user");
    };
    let (deleted, ()) = tokio::join!(deletion, request);
    deleted.expect("a deletion");
    assert_eq!(world.items("acme"), [] as [Value; 0]);
}

#[tokio::test(start_paused = true)]
async fn keys_survive_a_deletion_that_keeps_them() {
    let world = World::new().await;
    let text = world.export().await;
    let deleted = world.store().delete_org(&org(), true, &operator(), |_| {}).await.expect("a deletion");
    assert!(deleted.is_some());
    let left: Vec<String> = world
        .items("acme")
        .iter()
        .map(|item| item["sk"]["S"].as_str().unwrap_or_default().to_owned())
        .collect();
    // The settings, the key, and the event of the end of the deletion.
    assert_eq!(left.len(), 3, "{left:?}");
    assert_eq!(world.service.get("/Users").await.status, 403);
    world.import(&text).await;
    assert_eq!(world.service.get("/Users").await.status, 403);
    world.set_enabled(true).await;
    let users = world.service.get("/Users").await;
    assert_eq!((users.status, &users.body["totalResults"]), (200, &json!(4)));
    assert_eq!(world.export().await, text);
}
