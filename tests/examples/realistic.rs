//! Benchmarks on the realistic DynamoDB. Prints the tables of BENCHMARKS.md, "Time with DynamoDB".
//!
//! `cargo run --release --package tests --example realistic` measures all of them, and the arguments `latency`, `readers`
//! and `edits` select tables. Time is virtual: only calls to DynamoDB and pauses take time, the seed decides how long, and
//! the figures are the same on each machine. With `--wall-clock` the processor's work takes time too. With `--small` the
//! large groups are a tenth of their size.

#![allow(clippy::expect_used, reason = "the program fails by panicking")]
#![allow(clippy::print_stdout, reason = "the program prints tables")]

use std::{
    env,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, Select},
};
use axum::http::Method;
use dynoxide::Database;
use local::{
    embedded,
    realistic::{Counts, Realistic},
};
use serde_json::{Value, json};
use service::{config::Tables, entropy::Entropy};
use tests::{Answer, ORG, Request, Service, runtime_clock};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
    time::{Duration, Instant, interval, sleep, sleep_until},
};

/// The seed of all times.
const SEED: u64 = 1;
/// The number of users, which is that of the largest group.
const USERS: usize = 20_000;
/// The number of users and groups of an organisation as in COSTS.md, where each of the users is in five groups.
const COSTS_USERS: usize = 500;
const COSTS_GROUPS: usize = 50;
/// The number of users in a bulk request.
const BULK: usize = 1_000;
/// The time between two requests of a reader, and between two edits.
const PACE: Duration = Duration::from_millis(50);
/// The number of members that the small edits add and remove.
const EDITED: usize = 10;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let is_selected = |table: &str| has(table) || arguments.iter().all(|argument| argument.starts_with("--"));
    let divisor = if has("--small") { 10 } else { 1 };
    runtime(has("--wall-clock")).block_on(async {
        // The back-off of the SDK takes its jitter from the random numbers of the thread.
        fastrand::seed(SEED);
        let bench = Bench::new(USERS / divisor).await;
        if is_selected("latency") {
            bench.latency(divisor).await;
        }
        if is_selected("readers") {
            bench.readers(USERS / divisor).await;
        }
        if is_selected("edits") {
            bench.edits(divisor).await;
        }
    });
}

fn runtime(wall_clock: bool) -> Runtime {
    let runtime = if wall_clock {
        Builder::new_multi_thread().enable_all().build()
    } else {
        Builder::new_current_thread().enable_time().start_paused(true).build()
    };
    runtime.expect("a runtime")
}

/// A directory on the realistic DynamoDB.
struct Bench {
    service: Arc<Service>,
    db: Realistic,
    /// A process whose calls take no time. It prepares what is measured.
    quick: Service,
    quick_db: Client,
    users: Vec<String>,
    groups: Vec<String>,
}

/// The time and the status of a request.
type Sample = (Duration, u16);

impl Bench {
    async fn new(users: usize) -> Self {
        let database = Database::memory().expect("a database in memory");
        let quick_db = embedded::client(database.clone());
        let quick = Service::on_with_clock(quick_db.clone(), runtime_clock()).await;
        let db = Realistic::new(database, SEED);
        let service = Service::restarted(db.client(), runtime_clock(), Entropy::seeded(2), &quick.key);
        let (users, groups) = (create_users(&quick, users).await, Vec::new());
        let mut bench = Self { service: Arc::new(service), db, quick, quick_db, users, groups };
        for number in 0..COSTS_GROUPS {
            let apart = COSTS_GROUPS / 5;
            let members =
                (0..COSTS_USERS).filter(|user| user % apart == number % apart).map(|user| &bench.users[user]);
            bench.groups.push(bench.group(&format!("Group {number}"), members).await);
        }
        bench
    }

    /// Creates a group without taking time, and returns its id.
    async fn group(&self, name: &str, members: impl IntoIterator<Item = &String>) -> String {
        let body = json!({ "displayName": name, "members": values(members) });
        let answer = self.quick.post("/Groups?excludedAttributes=members", body).await;
        assert_eq!(answer.status, 201, "{:#}", answer.body);
        answer.id()
    }

    /// Sends a request without taking time.
    async fn prepare(&self, request: Request) -> Answer {
        let answer = request.send(&self.quick).await;
        assert!(answer.status < 300, "{request:?}: {:#}", answer.body);
        answer
    }

    /// Sends a request in a task of its own. Returns its time and its status.
    fn send(&self, request: Request) -> JoinHandle<Sample> {
        let service = Arc::clone(&self.service);
        tokio::spawn(async move { timed(&service, &request).await })
    }

    /// Measures an operation and prints its row.
    async fn row(&self, operation: &str, runs: usize, mut prepare: impl AsyncFnMut(usize) -> Request) {
        let (mut times, mut calls) = (Vec::new(), Vec::new());
        for run in 0..runs {
            let request = prepare(run).await;
            let _ = self.db.take_counts();
            let (time, status) = timed(&self.service, &request).await;
            assert!(status < 300, "{operation}: {status}");
            times.push(time);
            calls.push(self.db.take_counts().calls.values().sum::<usize>());
        }
        times.sort_unstable();
        calls.sort_unstable();
        let [p50, p95] = [50, 95].map(|percent| millis(percentile(&times, percent)));
        println!("| {operation} | {runs} | {} | {p50} | {p95} |", percentile(&calls, 50));
    }

    async fn latency(&self, divisor: usize) {
        println!("| operation | runs | calls | p50 in ms | p95 in ms |\n|---|---|---|---|---|");
        self.latency_of_users().await;
        self.latency_of_groups(divisor).await;
    }

    async fn latency_of_users(&self) {
        let user = |run: usize| format!("/Users/{}", self.users[run % COSTS_USERS]);
        let by_name = |name: &str| Request::get("/Users").filter(format!("userName eq \"{name}\""));
        self.row("create a user", 200, async |run| Request::post("/Users", new_user(&format!("new-{run}"))))
            .await;
        self.row("match by `userName`, not found", 200, async |_| by_name("nobody")).await;
        self.row("match by `userName`, found", 200, async |run| by_name(&user_name(run))).await;
        self.row("GET a user in 5 groups", 200, async |run| Request::get(user(run))).await;
        self.row("PUT a user, unchanged", 200, async |run| {
            let body = self.prepare(Request::get(user(run))).await.body;
            Request::put(user(run), body)
        })
        .await;
        self.row("PATCH `active` of a user", 200, async |run| {
            let active = !run.is_multiple_of(2);
            Request::patch(user(0), json!([{ "op": "replace", "path": "active", "value": active }]))
        })
        .await;
        let page = |start: usize| Request::get(format!("/Users?startIndex={start}&count=100"));
        self.row("list 100 users, the first page", 50, async |_| page(1)).await;
        self.row("list 100 users, the next page", 50, async |_| {
            self.prepare(page(1)).await;
            page(101)
        })
        .await;
        self.row("DELETE a user in 5 groups", 100, async |run| {
            let created = self.prepare(Request::post("/Users", new_user(&format!("gone-{run}")))).await;
            for number in 0..5 {
                self.prepare(edit(&self.groups[run % 10 + 10 * number], "add", [&created.id()])).await;
            }
            Request::delete(format!("/Users/{}", created.id()))
        })
        .await;
    }

    async fn latency_of_groups(&self, divisor: usize) {
        self.row("match a group by `displayName`, without members", 200, async |run| {
            Request::get("/Groups?excludedAttributes=members")
                .filter(format!("displayName eq \"Group {}\"", run % COSTS_GROUPS))
        })
        .await;
        self.row("list 50 groups of 50 members each", 50, async |_| {
            Request::get("/Groups?startIndex=1&count=100")
        })
        .await;
        let (group, other) = (&self.groups[0], [&self.users[COSTS_USERS]]);
        self.row("add one member", 200, async |_| {
            self.prepare(edit(group, "remove", other)).await;
            edit(group, "add", other)
        })
        .await;
        self.row("remove one member", 200, async |_| {
            self.prepare(edit(group, "add", other)).await;
            edit(group, "remove", other)
        })
        .await;
        for (size, runs) in [(10, 100), (50, 100), (1_000 / divisor, 25)] {
            let group = self.group("Exchanged", &self.users[..size]).await;
            self.row(&format!("PUT a group of {size}, one exchanged"), runs, async |run| {
                let members = values(&self.users[run + 1..=run + size]);
                Request::put(
                    format!("/Groups/{group}"),
                    json!({ "displayName": "Exchanged", "members": members }),
                )
            })
            .await;
            self.prepare(Request::delete(format!("/Groups/{group}"))).await;
        }
        for (size, runs) in [(1_000 / divisor, 25), (10_000 / divisor, 5)] {
            self.row(&format!("PATCH adds {size} members"), runs, async |run| {
                let group = self.group(&format!("Grown {size} {run}"), []).await;
                edit(&group, "add", &self.users[..size])
            })
            .await;
        }
        self.row(&format!("DELETE a group of {}", self.users.len()), 5, async |_| {
            let group = self.group("Deleted", &self.users).await;
            Request::delete(format!("/Groups/{group}"))
        })
        .await;
    }

    /// Deletes a group beside readers of users.
    async fn readers(&self, size: usize) {
        println!(
            "\n| readers | DELETE of {size} members | edges left | TransactWriteItems | ratio | cancelled by conflict \
             (actions) | GET p50 | slowest GET | GETs | 503 |\n|---|---|---|---|---|---|---|---|---|---|"
        );
        let mut alone = None;
        for readers in [0, 16, 64] {
            let group = self.group("Deleted", &self.users[..size]).await;
            let stop = Arc::new(AtomicBool::new(false));
            let samples = Arc::new(Mutex::new(Vec::new()));
            let _ = self.db.take_counts();
            let tasks: Vec<_> =
                (0..readers).map(|number| tokio::spawn(self.reader(number, &stop, &samples))).collect();
            let deleted = self.send(Request::delete(format!("/Groups/{group}"))).await.expect("an answer");
            let counts = self.db.take_counts();
            stop.store(true, Ordering::Relaxed);
            for task in tasks {
                task.await.expect("a reader");
            }
            let left = self.edges(&group).await;
            let sent = u32::try_from(counts.transactions()).unwrap_or(u32::MAX);
            let ratio = f64::from(sent) / f64::from(*alone.get_or_insert(sent));
            let samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
            println!(
                "| {readers} | {} | {left} | {sent} | {ratio:.2} | {} | {} |",
                outcome(deleted),
                conflicts(&counts),
                summary(&samples)
            );
        }
    }

    /// Reads one user after another until the benchmark stops it.
    fn reader(
        &self,
        number: u32,
        stop: &Arc<AtomicBool>,
        samples: &Arc<Mutex<Vec<Sample>>>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (service, stop, samples) = (Arc::clone(&self.service), Arc::clone(stop), Arc::clone(samples));
        let stride = usize::try_from(number).unwrap_or_default() + 1;
        let users: Vec<String> = self.users.iter().step_by(7 * stride).take(1_000).cloned().collect();
        async move {
            sleep(PACE * number / 64).await;
            for user in users.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let next = Instant::now() + PACE;
                let sample = timed(&service, &Request::get(format!("/Users/{user}"))).await;
                samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
                sleep_until(next).await;
            }
        }
    }

    /// Adds many members to a group beside edits of single members of the same group.
    async fn edits(&self, divisor: usize) {
        println!(
            "\n| PATCH adds | edits a second | answer | members afterwards | TransactWriteItems | cancelled by conflict \
             (actions) | edit p50 | slowest edit | edits | 503 |\n|---|---|---|---|---|---|---|---|---|---|"
        );
        for size in [1_000 / divisor, 10_000 / divisor] {
            for has_edits in [false, true] {
                let group = self.group(&format!("Grown beside {has_edits} {size}"), []).await;
                let stop = Arc::new(AtomicBool::new(false));
                let editor = has_edits.then(|| tokio::spawn(self.editor(&group, &stop)));
                sleep(20 * PACE).await;
                let _ = self.db.take_counts();
                let patched = self.send(edit(&group, "add", &self.users[EDITED..size + EDITED])).await;
                let counts = self.db.take_counts();
                stop.store(true, Ordering::Relaxed);
                let mut samples = Vec::new();
                if let Some(editor) = editor {
                    for sample in editor.await.expect("an editor") {
                        samples.push(sample.await.expect("an edit"));
                    }
                }
                let per_second = if has_edits { 1_000 / PACE.as_millis() } else { 0 };
                println!(
                    "| {size} members | {per_second} | {} | {} | {} | {} | {} |",
                    outcome(patched.expect("an answer")),
                    self.edges(&group).await,
                    counts.transactions(),
                    conflicts(&counts),
                    summary(&samples)
                );
            }
        }
    }

    /// Adds and removes single members at a fixed pace until the benchmark stops it. An edit does not wait for the one
    /// before.
    fn editor(
        &self,
        group: &str,
        stop: &Arc<AtomicBool>,
    ) -> impl Future<Output = Vec<JoinHandle<Sample>>> + Send + use<> {
        let (service, stop) = (Arc::clone(&self.service), Arc::clone(stop));
        let members = self.users[..EDITED].iter();
        let requests: Vec<Request> =
            members.flat_map(|member| ["add", "remove"].map(|op| edit(group, op, [member]))).collect();
        async move {
            let mut sent = Vec::new();
            let mut pace = interval(PACE);
            for request in requests.into_iter().cycle() {
                pace.tick().await;
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let service = Arc::clone(&service);
                sent.push(tokio::spawn(async move { timed(&service, &request).await }));
            }
            sent
        }
    }

    /// Counts the members of a group in the database.
    async fn edges(&self, group: &str) -> i32 {
        let pages = self
            .quick_db
            .query()
            .table_name(Tables::default().resources)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", AttributeValue::S(format!("ORG#{ORG}#GROUP#{group}")))
            .select(Select::Count)
            .into_paginator()
            .send();
        let pages: Result<Vec<_>, _> = pages.collect().await;
        pages.expect("pages").iter().map(|page| page.count).sum()
    }
}

async fn create_users(service: &Service, number: usize) -> Vec<String> {
    let mut users = Vec::new();
    for first in (0..number).step_by(BULK) {
        let create = |number: usize| json!({ "method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": new_user(&user_name(number)) });
        let operations: Value = (first..number.min(first + BULK)).map(create).collect();
        let answer = service.post("/Bulk", json!({ "Operations": operations })).await;
        for operation in answer.body["Operations"].as_array().expect("operations") {
            assert_eq!(operation["status"], "201", "{operation:#}");
            let location = operation["location"].as_str().unwrap_or_default();
            users.push(location.rsplit('/').next().unwrap_or_default().to_owned());
        }
    }
    users
}

fn user_name(number: usize) -> String {
    format!("user-{number:05}@example.com")
}

fn new_user(name: &str) -> Value {
    json!({
        "userName": name, "externalId": name, "active": true, "displayName": "Given Family",
        "name": { "givenName": "Given", "familyName": "Family" },
        "emails": [{ "value": format!("{name}.example"), "type": "work", "primary": true }],
    })
}

fn values(ids: impl IntoIterator<Item = impl AsRef<str>>) -> Value {
    ids.into_iter().map(|id| json!({ "value": id.as_ref() })).collect()
}

/// Returns a request that adds members to a group or removes them.
fn edit(group: &str, op: &str, members: impl IntoIterator<Item = impl AsRef<str>>) -> Request {
    let operation = json!([{ "op": op, "path": "members", "value": values(members) }]);
    Request::patch(format!("/Groups/{group}"), operation)
}

async fn timed(service: &Service, request: &Request) -> Sample {
    let began = Instant::now();
    let answer = request.send(service).await;
    let is_known = answer.status < 300 || answer.status == 503 || request.method == Method::GET;
    assert!(is_known, "{request:?}: {} {:#}", answer.status, answer.body);
    (began.elapsed(), answer.status)
}

fn percentile<T: Copy + Default>(sorted: &[T], percent: usize) -> T {
    let index = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(index).copied().unwrap_or_default()
}

fn millis(time: Duration) -> String {
    format!("{:.0}", time.as_secs_f64() * 1_000.0)
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn outcome((time, status): Sample) -> String {
    format!("{status} in {}", seconds(time))
}

fn conflicts(counts: &Counts) -> String {
    format!("{} ({})", counts.conflicts.transactions, counts.conflicts.actions)
}

/// Returns the cells of many requests: the median, the slowest, the number, and the number of refusals.
fn summary(samples: &[Sample]) -> String {
    if samples.is_empty() {
        return "| | |".to_owned();
    }
    let mut times: Vec<Duration> = samples.iter().map(|sample| sample.0).collect();
    times.sort_unstable();
    let refused = samples.iter().filter(|sample| sample.1 == 503).count();
    let (p50, slowest) = (percentile(&times, 50), percentile(&times, 100));
    format!("{} | {} | {} | {refused}", seconds(p50), seconds(slowest), samples.len())
}
