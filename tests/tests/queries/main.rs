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

use std::{
    fmt::{Display, Write},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use axum::http::Method;
use serde_json::{Map, Value};
use service::ambient::Clock;
use tests::{Answer, Service};
use time::Duration;

/// The collections there are to ask, and the root, which is both.
const USERS: &str = "/Users";
const GROUPS: &str = "/Groups";
const ROOT: &str = "";

/// So long a test can wait for a clock.
const MOMENT: Duration = Duration::milliseconds(10);

/// A query: `GET` of a collection; of the root, where there is none, `POST`.
#[derive(Clone, Debug)]
struct Query {
    path: &'static str,
    key: Option<String>,
    parameters: Vec<(&'static str, String)>,
}

impl Query {
    fn of(path: &'static str) -> Self {
        Self { path, key: None, parameters: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.parameters.push((name, value.to_string()));
        self
    }

    fn filter(self, filter: impl Display) -> Self {
        self.with("filter", filter)
    }

    /// By another organisation's key.
    fn by(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    async fn ask(&self, service: &Service) -> Answer {
        if self.path == ROOT { self.search(service).await } else { self.get(service).await }
    }

    async fn get(&self, service: &Service) -> Answer {
        let parameters: Vec<String> =
            self.parameters.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let target = format!("{}?{}", self.path, parameters.join("&"));
        service.request_as(self.key(service), Method::GET, &target, Value::Null).await
    }

    async fn search(&self, service: &Service) -> Answer {
        let member = |(name, value): &(&str, String)| {
            let value = value.parse::<i64>().map_or_else(|_| Value::from(value.as_str()), Value::from);
            ((*name).to_owned(), value)
        };
        let body: Map<String, Value> = self.parameters.iter().map(member).collect();
        let target = format!("{}/.search", self.path);
        service.request_as(self.key(service), Method::POST, &target, body.into()).await
    }

    fn key<'a>(&'a self, service: &'a Service) -> &'a str {
        self.key.as_deref().unwrap_or(&service.key)
    }
}

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
    query: &Query,
    way: Way,
    count: usize,
    mut between: impl AsyncFnMut(),
) -> Vec<Value> {
    let mut pages = Vec::new();
    let mut index = 1;
    let mut cursor = String::new();
    loop {
        assert!(pages.len() < 1_000, "{query:?} does not end");
        let query = query.clone().with("count", count);
        let query = match way {
            Way::Index => query.with("startIndex", index),
            Way::Cursor => query.with("cursor", &cursor),
        };
        let answer = query.ask(service).await;
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

/// Percent-encodes all but letters and digits.
fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
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
