//! OAuth: the token endpoint, its clients, and attacks on both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are data: requests")]

mod attacks;
mod grants;
mod keys;
mod lifecycle;
mod requests;
mod world;
