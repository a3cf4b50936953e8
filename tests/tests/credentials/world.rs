//! A service whose clock the test advances.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use aws_sdk_dynamodb::Client;
use dynoxide::Database;
use local::embedded;
use service::{
    auth::{Org, Scope},
    clock::Clock,
    credential::Credential,
    store::{KeyRecord, NewKey, Store},
};
use tests::{Answer, NOW, ORG, Request, Service, operator};
use time::{Duration, OffsetDateTime};

/// A service and its clock.
pub(crate) struct World {
    pub(crate) service: Service,
    pub(crate) database: Database,
    seconds: Arc<AtomicI64>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = Database::memory().expect("a database in memory");
        Self::on(database.clone(), embedded::client(database)).await
    }

    /// Returns a service that uses the client.
    pub(crate) async fn on(database: Database, client: Client) -> Self {
        let seconds = Arc::new(AtomicI64::new(0));
        let now = seconds.clone();
        let clock = Clock::new(move || NOW + Duration::seconds(now.load(Ordering::Relaxed)));
        Self { service: Service::on_with_clock(client, clock).await, database, seconds }
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.seconds.fetch_add(time.whole_seconds(), Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        NOW + Duration::seconds(self.seconds.load(Ordering::Relaxed))
    }

    pub(crate) fn store(&self) -> &Store {
        &self.service.app.store
    }

    pub(crate) async fn create(&self, new: NewKey) -> (Credential, KeyRecord) {
        self.store().create_key(&org(), &new, &self.service.app.pepper, &operator()).await.expect("a key")
    }

    /// Creates a key with the scope `scim` and this end.
    pub(crate) async fn key_until(&self, ends: Option<OffsetDateTime>) -> (Credential, KeyRecord) {
        self.create(NewKey { ends, ..scim_key() }).await
    }

    pub(crate) async fn record(&self, id: &str) -> KeyRecord {
        self.store().key(&org(), id).await.expect("an answer").expect("a key")
    }

    pub(crate) async fn get(&self, key: &Credential) -> Answer {
        Request::get("/Users").bearer(key.reveal()).send_as_is(&self.service).await
    }

    pub(crate) async fn status(&self, key: &Credential) -> u16 {
        self.get(key).await.status
    }
}

/// Returns a new key with the scope `scim`.
pub(crate) fn scim_key() -> NewKey {
    NewKey { scopes: [Scope::Scim].into(), ..NewKey::default() }
}

pub(crate) fn org() -> Org {
    ORG.parse().expect("an organisation")
}
