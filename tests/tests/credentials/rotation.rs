//! Rotation of the pepper: no credential ends, and requests are served at every point of it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use dynoxide::Database;
use local::embedded::{self, Connector};
use service::{
    App,
    credential::Credential,
    entropy::Entropy,
    http,
    pepper::{Pepper, PepperFile, Peppers, Secret},
    store::Store,
};
use tests::{NOW, Request, Service, intercept, operator};

use crate::world::{World, org, scim_key};

/// The number of keys of the organisation.
const KEYS: usize = 5;

fn peppers(generations: usize) -> Peppers {
    let secrets = (0..generations).map(|number| Secret::new(format!("pepper {number}")));
    secrets.fold(Peppers::single(Secret::new(tests::PEPPER)), Peppers::with_generation)
}

/// A source of peppers that has the latest ones in a file, and old ones in its cache.
fn stale_source(file: &tempfile::NamedTempFile, cached: &Peppers, latest: &Peppers) -> Pepper {
    std::fs::write(file.path(), cached.to_stored().expect("a text")).expect("a file");
    let source = PepperFile::open(file.path()).expect("peppers");
    std::fs::write(file.path(), latest.to_stored().expect("a text")).expect("a file");
    Pepper::File(source)
}

async fn keys_of(world: &World) -> Vec<Credential> {
    let mut keys = Vec::new();
    for _ in 0..KEYS {
        keys.push(world.create(scim_key()).await.0);
    }
    keys
}

async fn status(service: &Service, pepper: &Pepper, key: &str) -> u16 {
    let app = App { pepper: pepper.clone(), ..service.app.clone() };
    Request::get("/ServiceProviderConfig").bearer(key).send_to(http::router(app, http::all())).await.status
}

#[tokio::test]
async fn keys_stay_valid_through_any_number_of_rotations() {
    let world = World::new().await;
    let keys = keys_of(&world).await;
    let ids = |records: Vec<service::store::KeyRecord>| {
        records.into_iter().map(|record| record.id).collect::<Vec<_>>()
    };
    let before = ids(world.store().keys(&org()).await.expect("keys"));
    for generations in 1..=4 {
        let latest = peppers(generations);
        world.store().begin_generation(latest.generation()).await.expect("an answer");
        let moved = world.store().rewrap(&org(), &latest).await.expect("an answer");
        assert_eq!(moved, KEYS + 1, "with the key of the service");
        assert_eq!(world.store().rewrap(&org(), &latest).await, Ok(0), "a repeat moves nothing");
        let only_latest = Pepper::Fixed(latest.with_latest_only());
        for key in &keys {
            assert_eq!(status(&world.service, &only_latest, key.reveal()).await, 200);
        }
    }
    assert_eq!(ids(world.store().keys(&org()).await.expect("keys")), before);
}

#[tokio::test]
async fn key_id_and_last_use_survive_a_rotation() {
    let world = World::new().await;
    let (key, _) = world.create(scim_key()).await;
    assert_eq!(world.status(&key).await, 200);
    let before = world.store().keys(&org()).await.expect("keys");
    world.store().rewrap(&org(), &peppers(1)).await.expect("an answer");
    assert_eq!(format!("{:?}", visible(&world).await), format!("{:?}", visible_of(&before)));
}

fn visible_of(records: &[service::store::KeyRecord]) -> Vec<String> {
    records.iter().map(|record| serde_json::to_string(record).expect("JSON")).collect()
}

async fn visible(world: &World) -> Vec<String> {
    visible_of(&world.store().keys(&org()).await.expect("keys"))
}

/// Sends a request with each key before each call of a rotation, from processes with old, both and new peppers.
#[tokio::test]
async fn requests_are_served_before_each_call_of_a_rotation() {
    let database = Database::memory().expect("a database in memory");
    let world = World::on(database.clone(), embedded::client(database.clone())).await;
    let keys = Arc::new(keys_of(&world).await);
    let latest = peppers(1);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let old = stale_source(&file, &peppers(0), &latest);
    let service = Arc::new(world.service);
    let failures = Arc::new(Mutex::new(Vec::new()));
    let calls = Arc::new(AtomicUsize::new(0));
    let (seen, counted) = (failures.clone(), calls.clone());
    let sources = [old, Pepper::Fixed(latest.clone())];
    let client = intercept::client(Connector::new(database), move |call| {
        let (service, keys, seen, sources) = (service.clone(), keys.clone(), seen.clone(), sources.clone());
        let number = counted.fetch_add(1, Ordering::Relaxed);
        async move {
            for key in keys.iter() {
                for pepper in &sources {
                    let status = status(&service, pepper, key.reveal()).await;
                    if status != 200 {
                        seen.lock().expect("a lock").push(format!("call {number}: {status}"));
                    }
                }
            }
            call.forward().await
        }
    });
    let rotating = Store::new(
        &client,
        service::config::Tables::default(),
        service::clock::Clock::fixed(NOW),
        Entropy::seeded(9),
    );
    rotating.begin_generation(1).await.expect("an answer");
    assert_eq!(rotating.rewrap(&org(), &latest).await, Ok(KEYS + 1));
    assert_eq!(*failures.lock().expect("a lock"), [""; 0]);
    assert!(calls.load(Ordering::Relaxed) > KEYS);
}

/// Stops the rotation after each of its calls, and runs it again.
#[tokio::test]
async fn interrupted_rotation_is_completed_by_a_repeat() {
    for stop_after in 0.. {
        let world = World::new().await;
        let keys = keys_of(&world).await;
        let latest = peppers(1);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let client = intercept::client(Connector::new(world.database.clone()), move |call| {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                if number >= stop_after {
                    std::future::pending::<()>().await;
                }
                call.forward().await
            }
        });
        let tables = service::config::Tables::default();
        let clock = service::clock::Clock::fixed(NOW);
        let rotating = Store::new(&client, tables, clock, Entropy::seeded(9));
        let rotation = async {
            rotating.begin_generation(1).await.expect("an answer");
            rotating.rewrap(&org(), &latest).await.expect("an answer")
        };
        tokio::pin!(rotation);
        let completed = tokio::select! {
            biased;
            _ = &mut rotation => true,
            () = stopped(&calls, stop_after) => false,
        };
        world.store().begin_generation(1).await.expect("an answer");
        world.store().rewrap(&org(), &latest).await.expect("an answer");
        let only_latest = Pepper::Fixed(latest.clone().with_latest_only());
        for key in &keys {
            assert_eq!(
                status(&world.service, &only_latest, key.reveal()).await,
                200,
                "after {stop_after} calls"
            );
        }
        if completed {
            assert!(stop_after > KEYS);
            return;
        }
    }
}

/// Waits until a call is held.
async fn stopped(calls: &AtomicUsize, after: usize) {
    while calls.load(Ordering::Relaxed) <= after {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stale_process_stores_no_digest_of_an_old_generation() {
    let world = World::new().await;
    let latest = peppers(1);
    let file = tempfile::NamedTempFile::new().expect("a file");
    world.store().begin_generation(1).await.expect("an answer");
    world.store().rewrap(&org(), &latest).await.expect("an answer");

    let stale = stale_source(&file, &peppers(0), &latest);
    let (key, _) = world.store().create_key(&org(), &scim_key(), &stale, &operator()).await.expect("a key");
    let only_latest = Pepper::Fixed(latest.with_latest_only());
    assert_eq!(status(&world.service, &only_latest, key.reveal()).await, 200);

    // A process whose source does not have the generation yet creates nothing.
    let behind = Pepper::Fixed(peppers(0));
    let refused = world.store().create_key(&org(), &scim_key(), &behind, &operator()).await;
    assert!(matches!(refused, Err(service::Error::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn new_organisation_begins_with_the_latest_generation() {
    let world = World::new().await;
    world.store().begin_generation(1).await.expect("an answer");
    let beta = "beta".parse().expect("a name");
    assert_eq!(world.store().create_org(&beta, &operator()).await, Ok(true));
    assert_eq!(world.store().create_org(&beta, &operator()).await, Ok(false));
    let refused = world.store().create_key(&beta, &scim_key(), &Pepper::Fixed(peppers(0)), &operator()).await;
    assert!(matches!(refused, Err(service::Error::Unavailable(_))), "{refused:?}");
}

#[tokio::test]
async fn process_without_the_new_pepper_answers_503() {
    let world = World::new().await;
    let (key, _) = world.create(scim_key()).await;
    world.store().rewrap(&org(), &peppers(1)).await.expect("an answer");
    // 401 would make the identity provider stop.
    assert_eq!(status(&world.service, &Pepper::Fixed(peppers(0)), key.reveal()).await, 503);
}
