//! The audit log.

use std::collections::BTreeSet;

use service::{
    settings::Settings,
    store::{AuditEntry, KeyChange, OrgChange},
};
use tests::operator;
use time::Duration;

use crate::world::{World, org, scim_key};

async fn whole_log(world: &World, limit: usize) -> Vec<AuditEntry> {
    let mut log = Vec::new();
    let mut after = None;
    loop {
        let page = world.store().audit(&org(), limit, after.as_deref()).await.expect("a page");
        assert!(page.items.len() <= limit);
        log.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return log,
        }
    }
}

#[tokio::test]
async fn every_management_action_has_one_entry() {
    let world = World::new().await;
    let store = world.store();
    let pepper = &world.service.app.pepper;
    world.advance(Duration::SECOND);
    let (_, first) = world.create(scim_key()).await;
    world.advance(Duration::SECOND);
    let change = KeyChange { label: Some(Some("Okta".to_owned())), ..KeyChange::default() };
    store.change_key(&org(), &first.id, &change, &operator()).await.expect("an answer");
    world.advance(Duration::SECOND);
    let overlap = std::time::Duration::from_mins(1);
    let rotated = store.rotate_key(&org(), &first.id, overlap, pepper, &operator()).await.expect("an answer");
    let (_, second) = rotated.expect("a key");
    world.advance(Duration::SECOND);
    store.revoke_key(&org(), &second.id, &operator()).await.expect("an answer");
    // A second revocation changes nothing.
    store.revoke_key(&org(), &second.id, &operator()).await.expect("an answer");
    world.advance(Duration::SECOND);
    let settings = Settings { rate: 10, ..Settings::default() };
    let change = OrgChange { enabled: Some(false), settings: Some(settings) };
    store.change_org(&org(), change, &operator()).await.expect("an answer");

    let log = whole_log(&world, 2).await;
    let actions: Vec<_> = log.iter().map(|entry| entry.action.as_str()).collect();
    // The service itself made one organisation and one key, in the same millisecond.
    assert_eq!(actions[..5], ["org.change", "key.revoke", "key.rotate", "key.change", "key.create"]);
    assert_eq!(BTreeSet::from_iter(&actions[5..]), BTreeSet::from([&"key.create", &"org.create"]));
    assert!(log.iter().all(|entry| entry.actor == "test"));
    let [changed, revoked, .., label, created, _, _] = &log[..] else { panic!("{log:#?}") };
    assert_eq!(
        (&changed.before["settings"]["rate"], &changed.after["settings"]["rate"]),
        (&50.into(), &10.into())
    );
    assert_eq!((&changed.before["enabled"], &changed.after["enabled"]), (&true.into(), &false.into()));
    assert!(revoked.before["revoked"].is_null() && revoked.after["revoked"].is_string());
    assert_eq!((&label.before["label"], label.after["label"].as_str()), (&().into(), Some("Okta")));
    assert!(created.before.is_null());
    assert_eq!(created.target, first.id);
}

#[tokio::test]
async fn entries_contain_no_secret_and_no_digest() {
    let world = World::new().await;
    let (key, record) = world.create(scim_key()).await;
    world.store().revoke_key(&org(), &record.id, &operator()).await.expect("an answer");
    let text = format!("{:?}", whole_log(&world, 100).await);
    let secret = key.reveal().rsplit('_').next().expect("a secret");
    let digest = tests::pepper_of(tests::PEPPER).peppers().await.expect("peppers").digest(&key);
    for hidden in [key.reveal(), secret, digest.as_str()] {
        assert!(!text.contains(hidden));
    }
    assert!(text.contains(key.last_four()));
}

#[tokio::test]
async fn failed_actions_have_no_entry() {
    let world = World::new().await;
    let before = whole_log(&world, 100).await;
    assert!(!world.store().create_org(&org(), &operator()).await.expect("an answer"));
    assert!(!world.store().revoke_key(&org(), "0000000000000000", &operator()).await.expect("an answer"));
    assert_eq!(whole_log(&world, 100).await, before);
}

#[tokio::test]
async fn entries_are_kept_400_days() {
    let world = World::new().await;
    let count = whole_log(&world, 100).await.len();
    world.advance(Duration::days(400) - Duration::SECOND);
    assert_eq!(whole_log(&world, 100).await.len(), count);
    world.advance(Duration::SECOND * 2);
    assert_eq!(whole_log(&world, 100).await, []);
}
