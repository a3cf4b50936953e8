//! Deletion and import when a call to DynamoDB fails, or when the process dies at any call: the same command again completes
//! the work.

use std::{fs, path::PathBuf};

use dynoxide::Database;
use local::embedded;
use service::{clock::Clock, entropy::Entropy, store::Store};
use tests::{
    NOW, Service,
    faults::{Fault, Faults, Plan},
    operator,
};

use crate::world::{World, export, import, items, org, store};

/// The faults, and whether they last.
const FAULTS: [(Fault, bool); 4] = [
    (Fault::CrashBefore, false),
    (Fault::CrashAfter, false),
    (Fault::Unanswered, false),
    (Fault::Broken, true),
];

/// A copy of a database, from which others are made.
struct Snapshot(PathBuf);

impl Snapshot {
    fn of(world: &World, name: &str) -> Self {
        let name = format!("lifecycle-{name}-{}.db", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_file(&path);
        world.database.vacuum_into(&path.to_string_lossy()).expect("a snapshot");
        Self(path)
    }

    fn database(&self) -> Database {
        let database = Database::memory().expect("a database");
        database.restore_from(&self.0.to_string_lossy()).expect("a copy");
        database
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes each call of the work fail in each way, and does the work again.
async fn assert_resumable(
    snapshot: &Snapshot,
    work: impl AsyncFn(&Store) -> bool,
    check_between: impl AsyncFn(&Database, Plan),
    check_after: impl AsyncFn(&Database, Plan),
) {
    let (database, faults) = (snapshot.database(), Faults::default());
    assert!(work(&store(&faults.client(database), 3)).await, "the work fails without a fault");
    let calls = faults.calls();
    assert!(calls > 10, "{calls} calls");
    for call in 0..calls {
        for (fault, lasting) in FAULTS {
            let plan = Plan { call, fault, lasting };
            let (database, faults) = (snapshot.database(), Faults::default());
            let failing = store(&faults.client(database.clone()), 3);
            faults.plan(Some(plan));
            tokio::select! {
                _ = work(&failing) => {}
                () = faults.crashed() => {}
            }
            check_between(&database, plan).await;
            assert!(work(&store(&embedded::client(database.clone()), 4)).await, "{plan:?}");
            check_after(&database, plan).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn interrupted_deletion_is_completed() {
    let world = World::new().await;
    let neighbour = world.neighbour().await;
    let (before, key) = (world.items("acme"), world.service.key.clone());
    let snapshot = Snapshot::of(&world, "deletion");
    // The first command may have done all of the work.
    let work = async |store: &Store| store.delete_org(&org(), false, &operator(), |_| {}).await.is_ok();
    let is_refused = async |database: &Database, plan| {
        let client = embedded::client(database.clone());
        let service = Service::restarted(client, Clock::fixed(NOW), Entropy::seeded(9), &key);
        let status = service.get("/Users").await.status;
        let is_untouched = items(database, "acme").len() >= before.len();
        assert!(matches!(status, 401 | 403) || status == 200 && is_untouched, "{plan:?}: {status}");
    };
    assert_resumable(&snapshot, work, is_refused, async |database, plan| {
        assert_eq!(items(database, "acme").len(), 0, "{plan:?}");
        assert_eq!(items(database, "acme-2"), neighbour, "{plan:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn interrupted_import_is_completed() {
    let world = World::new().await;
    let text = world.export().await;
    world.delete().await;
    let snapshot = Snapshot::of(&world, "import");
    // An import that is done is refused, because SCIM is enabled.
    let work = async |store: &Store| match import(store, &text).await {
        Ok((refused, _)) => refused.is_empty(),
        Err(_) => store.org(&org()).await.is_ok_and(|org| org.is_some_and(|org| org.enabled)),
    };
    assert_resumable(
        &snapshot,
        work,
        async |_, _| {},
        async |database, plan| {
            let store = store(&embedded::client(database.clone()), 6);
            assert_eq!(export(&store).await.expect("an export"), text, "{plan:?}");
            let directory = store.directory(&service::auth::Caller::operator(org()));
            let report = directory.examine().await.expect("a report");
            assert!(report.is_healthy(), "{plan:?}: {:?}", report.findings);
        },
    )
    .await;
}
