//! Creation, change, rotation, expiry and use of keys.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use dynoxide::Database;
use service::{
    Error,
    auth::Scope,
    credential::{Credential, Kind},
    entropy::Entropy,
    store::{KeyChange, NewKey, Repeatable},
};
use tests::{Request, counting::Counter, operator};
use time::Duration;

use crate::world::{World, org, scim_key};

const OVERLAP: std::time::Duration = std::time::Duration::from_hours(7 * 24);

#[tokio::test]
async fn expired_key_is_401_and_says_so() {
    let world = World::new().await;
    let (key, _) = world.key_until(Some(world.now() + Duration::days(90))).await;
    world.advance(Duration::days(90) - Duration::SECOND);
    assert_eq!(world.status(&key).await, 200);
    world.advance(Duration::SECOND);
    let answer = world.get(&key).await;
    assert_eq!(answer.status, 401);
    let detail = answer.body["detail"].as_str().expect("a detail");
    assert_eq!(
        detail,
        "This API key expired at 2027-02-21T09:00:00.123Z. Create a new key and enter it at the identity provider."
    );
}

#[tokio::test]
async fn refused_keys_are_alike_in_text_and_in_calls() {
    let database = Database::memory().expect("a database in memory");
    let counter = Counter::default();
    let world = World::on(database.clone(), counter.client(database)).await;
    let (revoked, record) = world.key_until(None).await;
    assert!(world.store().revoke_key(&org(), &record.id, &operator()).await.expect("an answer"));
    let unknown = Credential::generate(Kind::Key, &org(), &Entropy::system()).expect("a key");
    let elsewhere = Credential::generate(Kind::Key, &"nobody".parse().expect("a name"), &Entropy::system());
    let token = Credential::generate(Kind::Token, &org(), &Entropy::system()).expect("a token");
    let secret = Credential::generate(Kind::ClientSecret, &org(), &Entropy::system()).expect("a secret");
    let mut malformed = revoked.reveal().to_owned();
    malformed.pop();
    let presented = [
        ("revoked", revoked.reveal().to_owned()),
        ("unknown", unknown.reveal().to_owned()),
        ("of no organisation", elsewhere.expect("a key").reveal().to_owned()),
        ("unknown token", token.reveal().to_owned()),
        ("secret of a client", secret.reveal().to_owned()),
        ("malformed", malformed),
        ("text", "secret".to_owned()),
    ];
    let mut seen = BTreeSet::new();
    for (case, key) in presented {
        let _ = counter.take();
        let answer = Request::get("/Users").bearer(&key).send_as_is(&world.service).await;
        let calls: Vec<_> = counter.take().into_values().map(|cost| format!("{:?}", cost.calls)).collect();
        assert_eq!(answer.status, 401, "{case}");
        seen.insert(format!("{} {} {calls:?}", answer.body, answer.header("www-authenticate")));
    }
    assert_eq!(seen.len(), 1, "{seen:#?}");
    assert!(seen.first().is_some_and(|only| only.contains("BatchGetItem")), "{seen:#?}");
}

#[tokio::test]
async fn basic_credentials_are_accepted_with_any_user_name() {
    let world = World::new().await;
    let (key, _) = world.key_until(None).await;
    let status = async |pair: &str| {
        let header = format!("Basic {}", BASE64_STANDARD.encode(pair));
        Request::get("/Users").header("authorization", &header).send_as_is(&world.service).await.status
    };
    let key = key.reveal();
    for user in ["", "okta", "ada@example.com", "ünï", "scim_acme_x"] {
        assert_eq!(status(&format!("{user}:{key}")).await, 200, "{user}");
    }
    for pair in [key.to_owned(), format!("{key}:"), format!("{key}:x"), format!("okta:{key}x"), String::new()]
    {
        assert_eq!(status(&pair).await, 401, "{pair}");
    }
    for header in [format!("Basic {key}"), "Basic ==".to_owned(), "Basic".to_owned()] {
        let answer = Request::get("/Users").header("authorization", &header).send_as_is(&world.service).await;
        assert_eq!(answer.status, 401, "{header}");
    }
}

/// Waits until the record of a use is written. The answer does not wait for it.
async fn last_use(world: &World, id: &str, expected: Option<&str>) -> Option<String> {
    for _ in 0..1_000 {
        let found = world.record(id).await.last_used;
        if found.as_deref() == expected {
            return found;
        }
        tokio::task::yield_now().await;
    }
    world.record(id).await.last_used
}

#[tokio::test]
async fn use_of_a_key_is_recorded_once_an_hour() {
    let database = Database::memory().expect("a database in memory");
    let counter = Counter::default();
    let world = World::on(database.clone(), counter.client(database)).await;
    let (key, record) = world.key_until(None).await;
    assert_eq!(record.last_used, None);
    let send = async |agent: &str| {
        let request = Request::get("/Users").bearer(key.reveal()).header("user-agent", agent);
        assert_eq!(request.send_as_is(&world.service).await.status, 200);
    };
    send("Okta SCIM Client 1.0.0").await;
    let first = "2026-11-23T09:00:00.123Z";
    assert_eq!(last_use(&world, &record.id, Some(first)).await.as_deref(), Some(first));
    assert_eq!(world.record(&record.id).await.last_used_by.as_deref(), Some("okta"));

    world.advance(Duration::minutes(59));
    let _ = counter.take();
    send("Microsoft Azure AD SCIM provisioning 1.0.0").await;
    let later = last_use(&world, &record.id, Some("never")).await;
    assert_eq!(later.as_deref(), Some(first));
    let written: f64 = counter.take().values().map(|cost| cost.write).sum();
    assert!(written < 0.5, "no use is recorded within the hour");

    world.advance(Duration::minutes(1));
    send("Microsoft Azure AD SCIM provisioning 1.0.0").await;
    let second = "2026-11-23T10:00:00.123Z";
    assert_eq!(last_use(&world, &record.id, Some(second)).await.as_deref(), Some(second));
    assert_eq!(world.record(&record.id).await.last_used_by.as_deref(), Some("entra"));
}

#[tokio::test]
async fn refused_key_records_no_use() {
    let world = World::new().await;
    let (key, record) = world.key_until(None).await;
    assert!(world.store().revoke_key(&org(), &record.id, &operator()).await.expect("an answer"));
    assert_eq!(world.status(&key).await, 401);
    assert_eq!(last_use(&world, &record.id, Some("never")).await, None);
}

#[tokio::test]
async fn rotated_key_ends_after_the_overlap() {
    let world = World::new().await;
    let new = NewKey {
        label: Some("Okta".to_owned()),
        ends: Some(world.now() + Duration::days(365)),
        ..scim_key()
    };
    let (old, before) = world.create(new).await;
    world.advance(Duration::days(300));
    let rotated = world
        .store()
        .rotate_key(&org(), &before.id, OVERLAP, &world.service.app.pepper, &operator())
        .await
        .expect("an answer");
    let (new, record) = rotated.expect("a key");
    assert_eq!(record.replaces.as_deref(), Some(before.id.as_str()));
    assert_eq!((&record.label, &record.scopes), (&before.label, &before.scopes));
    assert_eq!(record.ends.as_deref(), Some("2028-09-18T09:00:00.123Z"), "it lives 365 days too");
    assert_eq!(world.record(&before.id).await.ends.as_deref(), Some("2027-09-26T09:00:00.123Z"));

    world.advance(Duration::days(7) - Duration::SECOND);
    assert_eq!((world.status(&old).await, world.status(&new).await), (200, 200));
    world.advance(Duration::SECOND);
    assert_eq!((world.status(&old).await, world.status(&new).await), (401, 200));
    let again =
        world.store().rotate_key(&org(), &before.id, OVERLAP, &world.service.app.pepper, &operator()).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
}

#[tokio::test]
async fn rotation_does_not_prolong_the_old_key() {
    let world = World::new().await;
    let end = world.now() + Duration::days(1);
    let (_, before) = world.key_until(Some(end)).await;
    let pepper = &world.service.app.pepper;
    let rotated = world.store().rotate_key(&org(), &before.id, OVERLAP, pepper, &operator()).await;
    assert!(rotated.expect("an answer").is_some());
    assert_eq!(world.record(&before.id).await.ends, before.ends);
}

#[tokio::test]
async fn changed_scopes_apply_to_the_next_request() {
    let world = World::new().await;
    let (key, record) = world.key_until(None).await;
    let change = async |scope| {
        let change = KeyChange { scopes: Some([scope].into()), ..KeyChange::default() };
        world
            .store()
            .change_key(&org(), &record.id, &change, &operator())
            .await
            .expect("an answer")
            .expect("a key")
    };
    assert_eq!(world.status(&key).await, 200);
    change(Scope::Write).await;
    let answer = world.get(&key).await;
    assert_eq!(answer.status, 403);
    assert!(answer.body["detail"].as_str().expect("a detail").contains("'read'"), "{}", answer.body);
    change(Scope::Read).await;
    assert_eq!(world.status(&key).await, 200);
}

#[tokio::test]
async fn changed_end_and_label_are_stored_and_removed() {
    let world = World::new().await;
    let (key, record) = world.key_until(Some(world.now() + Duration::days(2))).await;
    let change = async |change: KeyChange| {
        world
            .store()
            .change_key(&org(), &record.id, &change, &operator())
            .await
            .expect("an answer")
            .expect("a key")
    };
    let label = Some(Some("Entra, test".to_owned()));
    let changed = change(KeyChange { label, ends: Some(None), ..KeyChange::default() }).await;
    assert_eq!(changed, world.record(&record.id).await);
    assert_eq!((changed.label.as_deref(), changed.ends.as_deref()), (Some("Entra, test"), None));
    world.advance(Duration::days(3));
    assert_eq!(world.status(&key).await, 200);
    let changed = change(KeyChange { label: Some(None), ..KeyChange::default() }).await;
    assert_eq!(changed.label, None);
}

#[tokio::test]
async fn invalid_keys_are_refused_and_nothing_is_stored() {
    let world = World::new().await;
    let before = world.store().keys(&org()).await.expect("keys");
    let now = world.now();
    let refused = [
        NewKey { scopes: BTreeSet::new(), ..scim_key() },
        NewKey { label: Some(String::new()), ..scim_key() },
        NewKey { label: Some("  ".to_owned()), ..scim_key() },
        NewKey { label: Some("x".repeat(201)), ..scim_key() },
        NewKey { label: Some("a\nb".to_owned()), ..scim_key() },
        NewKey { ends: Some(now), ..scim_key() },
        NewKey { ends: Some(now - Duration::days(1)), ..scim_key() },
        NewKey { ends: Some(now + Duration::days(36_500)), ..scim_key() },
    ];
    let pepper = &world.service.app.pepper;
    for new in refused {
        let created = world.store().create_key(&org(), &new, pepper, &operator()).await;
        assert!(matches!(created, Err(Error::Invalid(_))), "{new:?}");
    }
    let nobody = "nobody".parse().expect("a name");
    let created = world.store().create_key(&nobody, &scim_key(), pepper, &operator()).await;
    assert!(matches!(created, Err(Error::NotFound(_))));
    assert_eq!(world.store().keys(&org()).await.expect("keys"), before);
    let accepted = NewKey { label: Some("ü".repeat(200)), ..scim_key() };
    assert!(world.store().create_key(&org(), &accepted, pepper, &operator()).await.is_ok());
}

#[tokio::test]
async fn repeated_creation_returns_the_same_key() {
    let world = World::new().await;
    let repeatable = Repeatable { secret: [7; 32], fingerprint: "a".to_owned() };
    let new = NewKey { repeatable: Some(repeatable.clone()), ..scim_key() };
    let first = world.create(new.clone()).await;
    assert_eq!(world.create(new).await, first);
    let other = Repeatable { fingerprint: "b".to_owned(), ..repeatable };
    let new = NewKey { repeatable: Some(other), ..scim_key() };
    let refused = world.store().create_key(&org(), &new, &world.service.app.pepper, &operator()).await;
    assert!(matches!(refused, Err(Error::IdempotencyKeyUsed)), "{refused:?}");
}
