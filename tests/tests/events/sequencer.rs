//! The sequencer: gapless, exactly once, and only where there is work.

use std::sync::Arc;

use dynoxide::Database;
use fastrand::Rng;
use futures_util::TryStreamExt;
use local::embedded;
use serde_json::json;
use service::{
    auth::{Org, Scope},
    config::Tables,
    sequencing,
};
use tests::{
    Service,
    product::{self, Product, sequence},
    schedule::{Faults, Schedule},
};

use crate::{feed, last};

/// The number of runs of the test with two sequencers.
const RUNS: u64 = 40;

#[test]
fn two_sequencers_and_writers_lose_and_repeat_nothing() {
    for seed in 0..RUNS {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(race(seed));
    }
}

async fn race(seed: u64) {
    let schedule = Schedule::new(seed, Faults { conflicts: 5, throttled: 0 });
    let database = Database::memory().expect("a database in memory");
    let service = Arc::new(Service::on(schedule.client(database)).await);
    let mut random = Rng::with_seed(seed);
    let mut clients: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>> = Vec::new();
    for client in 0..3 {
        let service = Arc::clone(&service);
        let count = random.usize(3..8);
        clients.push(Box::pin(async move {
            let mut users = Vec::new();
            for index in 0..count {
                users.push(service.user(&format!("user-{client}-{index}")).await);
            }
            let ids: Vec<&str> = users.iter().map(String::as_str).collect();
            service.group(&format!("group-{client}"), &ids).await;
            service.delete(&format!("/Users/{}", users[0])).await;
        }));
    }
    for _ in 0..2 {
        let service = Arc::clone(&service);
        clients.push(Box::pin(async move {
            for _ in 0..6 {
                sequence(&service).await;
            }
        }));
    }
    schedule.run(clients).await;
    product::check(&service).await;
}

#[tokio::test]
async fn only_organisations_with_events_are_visited() {
    let service = Service::new().await;
    let store = &service.app.store;
    for index in 0..40 {
        service.organisation(&format!("org-{index}"), &[Scope::Scim]).await;
    }
    sequencing::sequence_all(store).await.expect("a run");
    assert_eq!(orgs(&service).await, Vec::<String>::new());
    service.user("ada").await;
    assert_eq!(orgs(&service).await, ["acme"]);
    let sequenced = sequencing::sequence_all(store).await.expect("a run");
    assert_eq!((sequenced.events, sequenced.failed.len()), (1, 0));
    assert_eq!(orgs(&service).await, Vec::<String>::new());
}

async fn orgs(service: &Service) -> Vec<String> {
    let orgs: Vec<Org> = service.app.store.orgs_with_events().try_collect().await.expect("organisations");
    orgs.iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn feed_with_events_after_its_head_goes_on() {
    let database = Database::memory().expect("a database in memory");
    let service = Service::on(embedded::client(database.clone())).await;
    service.user("ada").await;
    let end = last(&service).await;
    // A restore is not cut at the borders of transactions: the head may be older than the events.
    let head = json!({
        "TableName": Tables::default().resources,
        "Key": { "pk": { "S": "ORG#acme#FEED" }, "sk": { "S": "HEAD" } },
        "UpdateExpression": "SET seq = :one, released = :one",
        "ExpressionAttributeValues": { ":one": { "N": "1" } },
    });
    embedded::dispatch(&database, "UpdateItem", head.to_string().as_bytes()).expect("an update");
    service.user("bob").await;
    product::check(&service).await;
    assert_eq!(last(&service).await, end + 1);
}

#[tokio::test]
async fn product_that_stops_anywhere_continues_without_a_gap() {
    let service = Service::new().await;
    let mut product = Product::start(&service).await;
    for index in 0..60 {
        let user = service.user(&format!("user-{index}")).await;
        if index % 3 == 0 {
            service.group(&format!("group-{index}"), &[&user]).await;
        }
        if index % 7 == 0 {
            sequence(&service).await;
            product.follow(&service).await;
        }
    }
    sequence(&service).await;
    product.follow(&service).await;
    assert_eq!(product.tables, product::directory(&service).await);
    let events = feed(&service, 0).await;
    assert_eq!(events.len() as u64, last(&service).await);
}
