//! Queries: what is found and in what order, how lists are gone through, and what all of that costs.
//!
//! One binary, for each links the SDK and the engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are data: tables and whole answers")]
#![allow(clippy::needless_raw_string_hashes, reason = "as expect_test writes them")]

mod budget;
mod costs;
mod cursors;
mod members;
mod operations;
mod paging;
mod plans;
mod reads;
mod search;

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use serde_json::Value;
use service::ambient::Clock;
use tests::{Request, Service};
use time::Duration;

/// The collections there are to ask, and the root, which is both.
const USERS: &str = "/Users";
const GROUPS: &str = "/Groups";
const ROOT: &str = "";

/// So long a test can wait for a clock.
const MOMENT: Duration = Duration::milliseconds(10);

/// How a client goes through a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By `startIndex`, as far as there are full pages.
    Index,
    /// By `cursor`, as far as there is a next one.
    Cursor,
}

/// Every page of the list in turn. `between` is called after each page that is not the last.
async fn walk(
    service: &Service,
    query: &Request,
    way: Way,
    count: usize,
    mut between: impl AsyncFnMut(),
) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut index = 1;
    let mut cursor = String::new();
    loop {
        assert!(pages.len() < 1_000, "{query:?} does not end");
        let query = query.clone().query("count", count);
        let query = match way {
            Way::Index => query.query("startIndex", index),
            Way::Cursor => query.query("cursor", &cursor),
        };
        let answer = query.send_query(service).await;
        assert_eq!(answer.status, 200, "{query:?}: {:#}", answer.body);
        let shown = resources(&answer.body).len();
        assert_eq!(answer.body["itemsPerPage"], shown, "{query:?}");
        assert!(shown <= count, "{query:?}: {shown}");
        let next = answer.body["nextCursor"].as_str().unwrap_or_default().to_owned();
        pages.push(answer.body);
        match way {
            Way::Index if shown == count => index += shown,
            Way::Cursor if !next.is_empty() => cursor = next,
            Way::Index | Way::Cursor => return pages,
        }
        between().await;
    }
}

/// What all the pages show.
fn all_of(pages: &[Value]) -> Vec<Value> {
    pages.iter().flat_map(resources).cloned().collect()
}

fn resources(page: &Value) -> &[Value] {
    page["Resources"].as_array().map(Vec::as_slice).expect("a list of resources")
}

/// That attribute of each resource, for short tables; empty where there is none.
fn each<'a>(resources: impl IntoIterator<Item = &'a Value>, attribute: &str) -> Vec<String> {
    let text = |resource: &Value| resource[attribute].as_str().unwrap_or_default().to_owned();
    resources.into_iter().map(text).collect()
}

/// A clock that moves when it is told to.
#[derive(Clone, Default)]
struct Hands(Arc<AtomicI64>);

impl Hands {
    fn clock(&self) -> Clock {
        let (hands, beginning) = (self.clone(), tests::beginning());
        Clock::new(move || beginning + Duration::milliseconds(hands.0.load(Ordering::Relaxed)))
    }

    /// Where the clock cannot be turned, a moment can be waited for.
    fn advance(&self, by: Duration) {
        if by <= MOMENT && !tests::has_clock() {
            return std::thread::sleep(by.unsigned_abs());
        }
        tests::turns_the_clock();
        let millis = i64::try_from(by.whole_milliseconds()).expect("not so long");
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

/// A service with an empty organisation, and its clock.
async fn with_hands() -> (Service, Hands) {
    let hands = Hands::default();
    (Service::at_clock(hands.clock()).await, hands)
}
