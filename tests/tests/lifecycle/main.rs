//! The lifecycle of an organisation's data: export, import, deletion and repair.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::needless_raw_string_hashes, reason = "expect_test writes them so")]

mod bad_input;
mod deletion;
mod faults;
mod people;
mod repair;
mod round_trip;
mod world;
mod writers;
