//! The request log: what it says of each request, what it never says, and its writer and its pages.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are data: requests and snapshots")]

mod actions;
mod failures;
mod pages;
mod recorded;
mod redaction;
mod writer;

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use aws_sdk_dynamodb::Client;
use dynoxide::Database;
use local::embedded::{self, dispatch};
use serde_json::{Value, json};
use service::{
    auth::Org,
    clock::Clock,
    config::Tables,
    request_log::{Entry, Filter},
};
use tests::{NOW, ORG, Service};

/// A service with a request log and a clock that the test advances.
struct World {
    service: Service,
    database: Database,
    seconds: Arc<AtomicI64>,
}

impl World {
    async fn new() -> Self {
        let database = Database::memory().expect("a database in memory");
        Self::on(embedded::client(database.clone()), database).await
    }

    async fn on(client: Client, database: Database) -> Self {
        let seconds = Arc::<AtomicI64>::default();
        let offset = seconds.clone();
        let clock = Clock::new(move || NOW + time::Duration::seconds(offset.load(Ordering::Relaxed)));
        let service = Service::on_with_clock(client, clock).await.recorded();
        Self { service, database, seconds }
    }

    fn advance(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Returns all entries, the oldest first.
    async fn entries(&self) -> Vec<Entry> {
        self.service.app.store.flush_request_log().await;
        let mut entries = self.select(&Filter::default()).await;
        entries.reverse();
        entries
    }

    /// Returns the selected entries, the newest first.
    async fn select(&self, filter: &Filter) -> Vec<Entry> {
        let organisation = self.service.own_organisation().await;
        self.service.app.store.request_log(&organisation, filter, 1_000, None).await.expect("a page").items
    }

    /// Returns the newest entries as JSON, the oldest first, with names for the values that the service chose.
    async fn text(&self, newest: usize) -> String {
        let entries = self.entries().await;
        let start = entries.len().saturating_sub(newest);
        let lines: Vec<String> =
            entries[start..].iter().map(|entry| serde_json::to_string(entry).expect("JSON") + "\n").collect();
        self.service.named(&lines.concat())
    }

    /// Returns all items of the table of requests.
    fn items(&self) -> Vec<Value> {
        let scan = json!({ "TableName": Tables::default().requests });
        let answer = dispatch(&self.database, "Scan", scan.to_string().as_bytes()).expect("a scan");
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        answer["Items"].as_array().expect("items").clone()
    }
}

fn org() -> Org {
    ORG.parse().expect("a name")
}
