//! The write-ahead log of the gateway: what is on the disk when a response is sent.
//!
//! The gateway runs in this process, with a function in place of the flush. A power cut keeps the database file and the
//! part of the log that the last flush has seen. The log of these tests is too small for a checkpoint.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, header::AUTHORIZATION},
};
use local::gateway::Gateway;
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt;

use crate::program::TempDir;

/// The time in which a response that waits for nothing arrives on any machine.
const LONG: Duration = Duration::from_secs(30);
/// The time for which a response is observed to wait.
const SHORT: Duration = Duration::from_millis(300);

/// A disk whose flushes a test can hold.
#[derive(Default)]
struct Disk {
    /// The length of the log that is on the disk.
    flushed: AtomicU64,
    flushes: AtomicUsize,
    held: Mutex<bool>,
    released: Condvar,
}

impl Disk {
    fn flush(&self, log: &File) -> io::Result<()> {
        let length = log.metadata()?.len();
        let held = self.held.lock().unwrap();
        drop(self.released.wait_while(held, |held| *held).unwrap());
        self.flushed.store(length, Ordering::SeqCst);
        self.flushes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn hold(&self, held: bool) {
        *self.held.lock().unwrap() = held;
        self.released.notify_all();
    }

    fn flushes(&self) -> usize {
        self.flushes.load(Ordering::SeqCst)
    }
}

/// A gateway and its disk.
#[derive(Clone)]
struct World {
    gateway: Arc<Gateway>,
    disk: Arc<Disk>,
    key: String,
}

impl World {
    async fn new(dir: &TempDir) -> Self {
        let disk = Arc::new(Disk::default());
        let flushed = Arc::clone(&disk);
        let data = dir.path("data");
        let gateway = Gateway::open_with(&data, false, None, move |log| flushed.flush(log)).await.unwrap();
        // The test counts the writes of requests alone.
        let gateway = gateway.with_request_log(false);
        let key = gateway.key(None).await.unwrap();
        gateway.log().flushed().await;
        Self { gateway: Arc::new(gateway), disk, key }
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        send(&self.gateway.router("http://localhost/scim/v2"), &self.key, method, path, body).await
    }

    async fn create(&self, name: &str) -> String {
        let (status, user) = self.send("POST", "/Users", json!({ "userName": name })).await;
        assert_eq!(status, 201, "{user}");
        user["id"].as_str().unwrap().to_owned()
    }

    /// Sends a request that creates the user, and returns when the engine has carried the write out. The flush waits.
    async fn create_held(&self, name: &'static str) -> tokio::task::JoinHandle<String> {
        self.disk.hold(true);
        let world = self.clone();
        let created = tokio::spawn(async move { world.create(name).await });
        while !self.is_stored(name) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        created
    }

    fn is_stored(&self, name: &str) -> bool {
        let scan = json!({ "TableName": "scim-resources" }).to_string();
        local::embedded::dispatch(&self.gateway.database(), "Scan", scan.as_bytes()).unwrap().contains(name)
    }

    /// Returns a copy of the database as a power cut leaves it, in a new directory.
    fn cut(&self, dir: &TempDir, name: &str) -> PathBuf {
        let flushed = self.disk.flushed.load(Ordering::SeqCst);
        let (data, copy) = (dir.path("data"), dir.path(name));
        fs::DirBuilder::new().mode(0o700).create(&copy).unwrap();
        fs::copy(data.join("pepper"), copy.join("pepper")).unwrap();
        fs::copy(data.join("scim.db"), copy.join("scim.db")).unwrap();
        fs::copy(data.join("scim.db-wal"), copy.join("scim.db-wal")).unwrap();
        File::options().write(true).open(copy.join("scim.db-wal")).unwrap().set_len(flushed).unwrap();
        copy
    }
}

async fn send(router: &Router, key: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/scim/v2{path}"))
        .header(AUTHORIZATION, format!("Bearer {key}"))
        .header("content-type", "application/scim+json")
        .body(if body.is_null() { Body::empty() } else { Body::from(body.to_string()) })
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// Opens the copy as a new gateway, and returns the status of a `GET` of the user.
async fn status_in(copy: &Path, key: &str, id: &str) -> u16 {
    let gateway = Gateway::open(copy, false, None).await.unwrap();
    let router = gateway.router("http://localhost/scim/v2");
    send(&router, key, "GET", &format!("/Users/{id}"), Value::Null).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_wait_for_the_flush_of_what_they_show() {
    let dir = TempDir::new("flush");
    let world = World::new(&dir).await;
    let mut created = world.create_held("held@example.com").await;
    assert!(timeout(SHORT, &mut created).await.is_err(), "the response precedes the flush");
    // A reader sees the user, and must not show it yet.
    let reader = world.clone();
    let mut read = tokio::spawn(async move { reader.send("GET", "/Users", Value::Null).await });
    assert!(timeout(SHORT, &mut read).await.is_err(), "a reader shows what a power cut would undo");
    world.disk.hold(false);
    let id = timeout(LONG, created).await.unwrap().unwrap();
    let (_, list) = timeout(LONG, read).await.unwrap().unwrap();
    assert_eq!(list["totalResults"], 1);
    assert_eq!(status_in(&world.cut(&dir, "cut"), &world.key, &id).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cut_keeps_every_acknowledged_write() {
    let dir = TempDir::new("power_cut");
    let world = World::new(&dir).await;
    let mut cuts = Vec::new();
    for round in 0..6 {
        let writers = (0..8).map(|writer| {
            let world = world.clone();
            tokio::spawn(async move { world.create(&format!("{round}-{writer}@example.com")).await })
        });
        let mut acknowledged = Vec::new();
        for (number, writer) in writers.enumerate() {
            acknowledged.push(writer.await.unwrap());
            if number % 3 == 0 {
                cuts.push((world.cut(&dir, &format!("cut-{round}-{number}")), acknowledged.clone()));
            }
        }
    }
    for (copy, acknowledged) in cuts {
        for id in acknowledged {
            assert_eq!(status_in(&copy, &world.key, &id).await, 200, "{id} in {}", copy.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unacknowledged_write_may_be_lost() {
    let dir = TempDir::new("unacknowledged");
    let world = World::new(&dir).await;
    let created = world.create_held("lost@example.com").await;
    let copy = world.cut(&dir, "cut");
    world.disk.hold(false);
    let id = timeout(LONG, created).await.unwrap().unwrap();
    // The cut is real: it does not contain the write.
    assert_eq!(status_in(&copy, &world.key, &id).await, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_flush_serves_all_writes_that_wait() {
    let dir = TempDir::new("group_commit");
    let world = World::new(&dir).await;
    let before = world.disk.flushes();
    let first = world.create_held("first@example.com").await;
    let names: Vec<String> = (0..20).map(|number| format!("{number}@example.com")).collect();
    let others: Vec<_> = names
        .iter()
        .map(|name| {
            let (world, name) = (world.clone(), name.clone());
            tokio::spawn(async move { world.create(&name).await })
        })
        .collect();
    while !names.iter().all(|name| world.is_stored(name)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.disk.hold(false);
    let mut members = vec![json!({ "value": timeout(LONG, first).await.unwrap().unwrap() })];
    for other in others {
        members.push(json!({ "value": timeout(LONG, other).await.unwrap().unwrap() }));
    }
    assert_eq!(world.disk.flushes() - before, 2, "one for the first write, one for all others");
    let before = world.disk.flushes();
    assert_eq!(world.send("GET", "/Users", Value::Null).await.0, 200);
    assert_eq!(world.disk.flushes() - before, 0, "a read without a write needs no flush");
    for number in 0..40 {
        members.push(json!({ "value": world.create(&format!("member-{number}@example.com")).await }));
    }
    let before = world.disk.flushes();
    let group = json!({ "displayName": "all", "members": members });
    assert_eq!(world.send("POST", "/Groups", group).await.0, 201);
    assert_eq!(world.disk.flushes() - before, 1, "one for all transactions of a request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_flush_answers_no_request() {
    let dir = TempDir::new("failed_flush");
    let gateway =
        Gateway::open_with(&dir.path("data"), false, None, |_| Err(io::Error::other("the disk is gone")))
            .await
            .unwrap();
    let key = gateway.key(None).await.unwrap();
    let router = gateway.router("http://localhost/scim/v2");
    let user = json!({ "userName": "unflushed@example.com" });
    assert!(timeout(SHORT, send(&router, &key, "POST", "/Users", user)).await.is_err());
    assert_eq!(timeout(LONG, gateway.log().failed()).await.unwrap(), "the disk is gone");
    assert!(timeout(SHORT, send(&router, &key, "GET", "/Users", Value::Null)).await.is_err());
}

/// The operating system reports the error of a flush once. The request that asked for the flush may have ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flush_that_fails_after_its_request_stops_the_gateway() {
    let dir = TempDir::new("abandoned_flush");
    let disk = Arc::new(Disk::default());
    let (flushed, calls) = (Arc::clone(&disk), AtomicUsize::new(0));
    let flush = move |log: &File| match calls.fetch_add(1, Ordering::SeqCst) {
        1 => flushed.flush(log).and(Err(io::Error::other("the disk is gone"))),
        _ => flushed.flush(log),
    };
    let gateway = Gateway::open_with(&dir.path("data"), false, None, flush).await.unwrap();
    let gateway = Arc::new(gateway.with_request_log(false));
    let key = gateway.key(None).await.unwrap();
    gateway.log().flushed().await;
    let world = World { gateway: Arc::clone(&gateway), disk, key };
    let created = world.create_held("abandoned@example.com").await;
    tokio::time::sleep(SHORT).await;
    created.abort();
    assert!(created.await.is_err());
    world.disk.hold(false);
    assert_eq!(timeout(LONG, gateway.log().failed()).await.unwrap(), "the disk is gone");
    assert!(timeout(SHORT, world.create("next@example.com")).await.is_err());
}

/// The log may contain what a killed process wrote and did not flush.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_response_after_a_start_waits_for_a_flush() {
    let dir = TempDir::new("start_flush");
    let world = World::new(&dir).await;
    let created = world.create_held("unflushed@example.com").await;
    created.abort();
    let copy = dir.path("copy");
    fs::DirBuilder::new().mode(0o700).create(&copy).unwrap();
    for name in ["pepper", "scim.db", "scim.db-wal"] {
        fs::copy(dir.path("data").join(name), copy.join(name)).unwrap();
    }
    world.disk.hold(false);
    let disk = Arc::new(Disk::default());
    let flushed = Arc::clone(&disk);
    let gateway = Gateway::open_with(&copy, false, None, move |log| flushed.flush(log)).await.unwrap();
    let gateway = gateway.with_request_log(false);
    let again = World { gateway: Arc::new(gateway), disk, key: world.key.clone() };
    let (_, list) = again.send("GET", "/Users", Value::Null).await;
    assert_eq!((list["totalResults"].as_u64(), again.disk.flushes()), (Some(1), 1));
}
