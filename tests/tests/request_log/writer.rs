//! The writer: faults of the table, batches and overflow.

use std::sync::{
    Arc, Mutex, Once,
    atomic::{AtomicUsize, Ordering},
};

use dynoxide::Database;
use futures_util::future::join_all;
use local::embedded::Connector;
use serde_json::{Value, json};
use service::{clock::Clock, config::Tables, telemetry};
use tests::{
    NOW, Request, Service,
    intercept::{self, Call, answer, exception},
};
use tokio::{sync::Notify, time::Duration};
use tracing::{Level, subscriber::with_default};

use super::World;

/// The behaviour of the table of requests.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Table {
    Works,
    Throttles,
    Refuses,
    Missing,
    Breaks,
    Hangs,
}

fn is_of_the_log(call: &Call) -> bool {
    String::from_utf8_lossy(call.body()).contains(&Tables::default().requests)
}

async fn world(table: Table) -> World {
    let database = Database::memory().expect("a database in memory");
    let connector = Connector::new(database.clone()).honouring_tokens();
    let client = intercept::client(connector, move |call| async move {
        let is_creation = matches!(call.operation.as_str(), "CreateTable" | "UpdateTimeToLive");
        if !is_of_the_log(&call) || is_creation {
            return call.forward().await;
        }
        match table {
            Table::Works => call.forward().await,
            Table::Throttles => answer(400, &exception("ThrottlingException")),
            Table::Refuses => answer(400, &exception("AccessDeniedException")),
            Table::Missing => answer(400, &exception("ResourceNotFoundException")),
            Table::Breaks => answer(500, &json!({})),
            Table::Hangs => std::future::pending().await,
        }
    });
    World::on(client, database).await
}

/// Sends a few requests. Returns the responses, with names for the values that the service chose.
async fn responses(service: &Service) -> String {
    let ada = service.post("/Users", json!({ "userName": "ada@example.com" })).await;
    let path = format!("/Users/{}", ada.id());
    let answers = [
        service.post("/Users", json!({ "userName": "ada@example.com" })).await,
        service.patch(&path, json!([{ "op": "replace", "path": "active", "value": false }])).await,
        service.get("/Users").await,
        service.get("/Schemas/x").await,
        service.delete(&path).await,
        ada,
    ];
    service.named(&answers.map(|answer| answer.snapshot()).concat())
}

#[tokio::test(start_paused = true)]
async fn fault_of_the_log_changes_no_response() {
    let expected = responses(&world(Table::Works).await.service).await;
    for table in [Table::Throttles, Table::Refuses, Table::Missing, Table::Breaks, Table::Hangs] {
        let world = world(table).await;
        assert_eq!(responses(&world.service).await, expected, "{table:?}");
        // The writer gives up each batch.
        world.service.app.store.flush_request_log().await;
        assert_eq!(world.items(), [] as [Value; 0]);
    }
}

/// A client whose writes of entries wait until the test lets them pass, and the sizes of the batches.
#[derive(Clone, Default)]
struct Gate {
    open: Arc<Notify>,
    sizes: Arc<Mutex<Vec<usize>>>,
    waiting: Arc<AtomicUsize>,
}

impl Gate {
    async fn world(&self) -> World {
        let gate = self.clone();
        let database = Database::memory().expect("a database in memory");
        let connector = Connector::new(database.clone()).honouring_tokens();
        let client = intercept::client(connector, move |call| {
            let gate = gate.clone();
            async move {
                if call.operation == "BatchWriteItem" {
                    let request = call.request();
                    let batch =
                        request["RequestItems"][Tables::default().requests].as_array().map_or(0, Vec::len);
                    gate.sizes.lock().unwrap().push(batch);
                    if gate.waiting.fetch_add(1, Ordering::SeqCst) == 0 {
                        gate.open.notified().await;
                    }
                }
                call.forward().await
            }
        });
        World::on(client, database).await
    }
}

#[tokio::test]
async fn entries_of_several_requests_are_one_batch() {
    let gate = Gate::default();
    let world = gate.world().await;
    let get = || Request::get("/ServiceProviderConfig");
    get().send(&world.service).await;
    while gate.waiting.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    join_all((0..30).map(|_| async { get().send(&world.service).await })).await;
    gate.open.notify_one();
    assert_eq!(world.entries().await.len(), 31);
    assert_eq!(*gate.sizes.lock().unwrap(), [1, 25, 5]);
    let organisation = world.service.own_organisation().await;
    let hours = world.service.app.store.request_hours(&organisation, "").await.expect("hours");
    assert_eq!(hours[0].requests, 31);
}

#[test]
fn full_queue_drops_entries_and_says_so() {
    let text = logged(Level::WARN, async {
        let gate = Gate::default();
        let world = gate.world().await;
        let get = || Request::get("/ServiceProviderConfig");
        get().send(&world.service).await;
        while gate.waiting.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..2_010 {
            assert_eq!(get().send(&world.service).await.status, 200);
        }
        gate.open.notify_one();
        world.service.app.store.flush_request_log().await;
        assert_eq!(world.items().len(), 1 + 2_000 + 1);
    });
    let dropped: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(dropped.len(), 1, "{text}");
    assert_eq!(dropped[0]["entries"], 10, "{text}");
    assert!(!text.contains("acme"), "{text}");
}

/// The line of a request has the calls of the request alone.
#[test]
fn request_line_does_not_count_the_log() {
    let numbers = [false, true].map(|is_recorded| {
        let text = logged(Level::INFO, async {
            let World { mut service, .. } = world(Table::Works).await;
            service.app.store = service.app.store.with_request_log(is_recorded);
            let router = service.router(service.app.clone());
            let service = service.with_router(router);
            let id = service.user("ada@example.com").await;
            service.get(&format!("/Users/{id}")).await;
            service.app.store.flush_request_log().await;
        });
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let numbers =
            |line: Value| ["DynamoDbCalls", "ReadUnits", "WriteUnits"].map(|name| line[name].clone());
        lines.map(numbers).collect::<Vec<_>>()
    });
    assert_eq!(numbers[0].len(), 2);
    assert_eq!(numbers[0], numbers[1]);
}

/// A failed batch is one line, which names neither a person nor an organisation.
#[test]
fn failed_batch_is_one_line() {
    let text = logged(Level::WARN, async {
        let world = world(Table::Refuses).await;
        world.service.user("ada@example.com").await;
        world.service.app.store.flush_request_log().await;
        tokio::time::sleep(Duration::from_secs(10)).await;
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("AccessDeniedException"), "{text}");
    assert!(!text.contains("ada@example.com") && !text.contains("acme"), "{text}");
}

/// The log of a thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns what the work logs. The clock of the runtime is paused, because the SDK repeats a call that takes long.
fn logged(level: Level, work: impl Future<Output = ()>) -> String {
    static FALLBACK: Once = Once::new();
    let clock = || Clock::fixed(NOW);
    // Every thread needs a subscriber, because tracing caches whether an event is enabled for all threads.
    FALLBACK.call_once(|| {
        let nowhere = telemetry::subscriber(Level::TRACE, None, clock(), std::io::sink);
        tracing::subscriber::set_global_default(nowhere).expect("no other global subscriber");
    });
    let lines = Lines::default();
    let written = lines.clone();
    let subscriber = telemetry::subscriber(level, None, clock(), move || written.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    with_default(subscriber, || runtime.expect("a runtime").block_on(work));
    let text = lines.0.lock().unwrap().clone();
    String::from_utf8(text).expect("a log is text")
}
