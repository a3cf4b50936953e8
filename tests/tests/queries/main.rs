//! Queries: results and their order, paging, and costs.
//!
//! The tests are one binary, because each binary links the SDK and the engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are data: tables and whole answers")]
#![allow(clippy::needless_raw_string_hashes, reason = "as expect_test writes them")]

mod budget;
mod costs;
mod cursors;
mod directory;
mod members;
mod operations;
mod pages;
mod paging;
mod plans;
mod reads;
mod search;

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use serde_json::Value;
use service::clock::Clock;
use tests::{Request, Service};
use time::Duration;

/// The collections, and the root, which contains both.
const USERS: &str = "/Users";
const GROUPS: &str = "/Groups";
const ROOT: &str = "";

/// The longest time that a test waits for a clock that it cannot advance.
const MAX_WAIT: Duration = Duration::milliseconds(10);

/// How a client pages through a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paging {
    /// By `startIndex`, until a page is not full.
    Index,
    /// By `cursor`, until a page has no next cursor.
    Cursor,
}

/// Reads all pages of a list. Calls `between` after each page except the last.
async fn walk(
    service: &Service,
    query: &Request,
    paging: Paging,
    count: usize,
    mut between: impl AsyncFnMut(),
) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut index = 1;
    let mut cursor = String::new();
    loop {
        assert!(pages.len() < 1_000, "{query:?} does not end");
        let query = query.clone().query("count", count);
        let query = match paging {
            Paging::Index => query.query("startIndex", index),
            Paging::Cursor => query.query("cursor", &cursor),
        };
        let answer = query.send_query(service).await;
        assert_eq!(answer.status, 200, "{query:?}: {:#}", answer.body);
        let shown = resources(&answer.body).len();
        assert_eq!(answer.body["itemsPerPage"], shown, "{query:?}");
        assert!(shown <= count, "{query:?}: {shown}");
        let next = answer.body["nextCursor"].as_str().unwrap_or_default().to_owned();
        pages.push(answer.body);
        match paging {
            Paging::Index if shown == count => index += shown,
            Paging::Cursor if !next.is_empty() => cursor = next,
            Paging::Index | Paging::Cursor => return pages,
        }
        between().await;
    }
}

/// Returns the resources of all pages.
fn all_of(pages: &[Value]) -> Vec<Value> {
    pages.iter().flat_map(resources).cloned().collect()
}

fn resources(page: &Value) -> &[Value] {
    page["Resources"].as_array().map(Vec::as_slice).expect("a list of resources")
}

/// Returns an attribute of each resource, or an empty text for a resource without it.
fn each<'a>(resources: impl IntoIterator<Item = &'a Value>, attribute: &str) -> Vec<String> {
    let text = |resource: &Value| resource[attribute].as_str().unwrap_or_default().to_owned();
    resources.into_iter().map(text).collect()
}

/// A clock that advances only when a test advances it.
#[derive(Clone, Default)]
struct TestClock(Arc<AtomicI64>);

impl TestClock {
    fn clock(&self) -> Clock {
        let (clock, start) = (self.clone(), tests::start_time());
        Clock::new(move || start + Duration::milliseconds(clock.0.load(Ordering::Relaxed)))
    }

    /// Advances the clock. Where the service uses another clock, the test waits for a short time instead.
    fn advance(&self, by: Duration) {
        if by <= MAX_WAIT && !tests::has_clock() {
            return std::thread::sleep(by.unsigned_abs());
        }
        tests::require_test_clock();
        let millis = i64::try_from(by.whole_milliseconds()).expect("a short time");
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

/// Returns a service with an empty organisation, and its clock.
async fn service_with_clock() -> (Service, TestClock) {
    let clock = TestClock::default();
    (Service::with_clock(clock.clock()).await, clock)
}
