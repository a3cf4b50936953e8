//! Keys, the pepper of their digests, and the announcements of their ends.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod announcements;
mod audit;
mod keys;
mod rotation;
mod world;
