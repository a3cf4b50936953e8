//! The cost of events: writes with and without them, the rate of the sequencer, and the time of a page of the feed. Prints the
//! tables of BENCHMARKS.md, "Events".
//!
//! `cargo run --release --package tests --example events [WRITES]`. The service, the sequencer and the embedded DynamoDB, in
//! memory, are in this process and on one thread.

#![allow(clippy::expect_used, reason = "the program fails by panicking")]
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "the program prints a table")]

use std::{
    env,
    time::{Duration, Instant},
};

use serde_json::json;
use service::auth::Org;
use tests::{ORG, Request, Service};
use tokio::runtime::Builder;

/// The number of measured pages of the feed at each position.
const PAGES: usize = 50;

fn main() {
    let writes = env::args().nth(1).and_then(|number| number.parse().ok()).unwrap_or(20_000);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(writes));
}

async fn measure(writes: usize) {
    let with = Service::embedded().await;
    let without = Service::embedded().await.without_events();
    let (mut times, mut ids) = ([Writes::default(), Writes::default()], [Vec::new(), Vec::new()]);
    // The two services take turns, so that both meet the same machine.
    for number in 0..writes {
        for (index, service) in [&with, &without].into_iter().enumerate() {
            let body = json!({
                "userName": format!("user-{number}@example.com"),
                "externalId": format!("00u{number}"),
                "name": { "givenName": "Ada", "familyName": number.to_string() },
                "emails": [{ "value": format!("user-{number}@example.com"), "primary": true }],
            });
            let start = Instant::now();
            let created = service.post("/Users", body).await;
            times[index].create += start.elapsed();
            assert_eq!(created.status, 201);
            let path = format!("/Users/{}", created.id());
            let change = json!([{ "op": "replace", "path": "active", "value": false }]);
            let start = Instant::now();
            assert_eq!(service.patch(&path, change).await.status, 200);
            times[index].patch += start.elapsed();
            ids[index].push(created.id());
        }
    }
    for (index, service) in [&with, &without].into_iter().enumerate() {
        let group = service.group("all", &[]).await;
        for id in &ids[index] {
            let add = json!([{ "op": "add", "path": "members", "value": [{ "value": id }] }]);
            let start = Instant::now();
            assert_eq!(service.patch(&format!("/Groups/{group}"), add).await.status, 204);
            times[index].add += start.elapsed();
        }
    }
    let [a, b] = &times;
    println!("| write | with events | without | ratio |\n|---|---|---|---|");
    row("create a user", a.create, b.create, writes);
    row("PATCH `active`", a.patch, b.patch, writes);
    row("add one member", a.add, b.add, writes);

    let org: Org = ORG.parse().expect("a name");
    let start = Instant::now();
    let moved = with
        .app
        .store
        .sequence(&org, tokio::time::Instant::now() + Duration::from_mins(10))
        .await
        .expect("a run of the sequencer");
    let sequenced = start.elapsed();
    let start = Instant::now();
    let (mut after, mut read) = (0, 0);
    loop {
        let events = page(&with, after).await;
        let Some(last) = events.last() else { break };
        after = last["sequence"].as_u64().expect("a number");
        read += events.len();
    }
    let reading = start.elapsed();
    println!("\n| step | events | events/s |\n|---|---|---|");
    println!("| sequence | {moved} | {:.0} |", moved as f64 / sequenced.as_secs_f64());
    println!("| read the feed, 1,000 a page | {read} | {:.0} |", read as f64 / reading.as_secs_f64());
    println!("| both | {read} | {:.0} |", read as f64 / (sequenced + reading).as_secs_f64());

    println!("\n| page of 1,000 events | p50 |\n|---|---|");
    for (name, position) in [("first", 0), ("middle", after / 2), ("last", after - 1_000)] {
        let mut times = Vec::new();
        for _ in 0..PAGES {
            let start = Instant::now();
            assert_eq!(page(&with, position).await.len(), 1_000);
            times.push(start.elapsed());
        }
        times.sort_unstable();
        println!("| {name} | {:.1} ms |", times[PAGES / 2].as_secs_f64() * 1_000.0);
    }
}

/// The times of all writes of a kind.
#[derive(Default)]
struct Writes {
    create: Duration,
    patch: Duration,
    add: Duration,
}

fn row(name: &str, with: Duration, without: Duration, count: usize) {
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    let ratio = with.as_secs_f64() / without.as_secs_f64();
    println!("| {name} | {:.0} µs | {:.0} µs | {ratio:.2} |", micros(with), micros(without));
}

async fn page(service: &Service, after: u64) -> Vec<serde_json::Value> {
    let path = format!("/events/v1?after={after}&limit=1000");
    let answer = Request::get(path).at_root().send(service).await;
    assert_eq!(answer.status, 200);
    answer.body["events"].as_array().expect("events").clone()
}
