//! The limits of organisations: requests by a token bucket, and expensive requests by slots, across instances of the service
//! on one database. Time is virtual.
//!
//! The tests are one binary, because each binary links the SDK and the engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::needless_raw_string_hashes, reason = "as expect_test writes them")]

mod failures;
mod neighbours;
mod requests;
mod work;

use std::collections::BTreeMap;

use axum::http::Method;
use tests::{Answer, Request, instances::Sample};

/// Counts the answers of each status.
fn statuses(samples: &[Sample]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for sample in samples {
        *counts.entry(sample.answer.status).or_default() += 1;
    }
    counts
}

/// Fails unless the answer is a 429 with a whole number of seconds.
fn assert_limited(answer: &Answer) {
    assert_eq!(answer.status, 429, "{:#}", answer.body);
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1), "{answer:?}");
    assert_eq!(tests::form_violations(answer), Vec::<String>::new());
}

/// A request that makes one call beside the look-up of the key.
fn match_user() -> Request {
    Request::new(Method::GET, "/Users").filter("userName eq \"nobody\"")
}

/// A filter without an index.
fn scan() -> Request {
    Request::new(Method::GET, "/Users").filter("title pr")
}
