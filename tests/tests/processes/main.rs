//! The programs as processes: starts, stops and kills of the gateway, its log, `scimctl` on a running gateway, and the doctor on
//! damaged stores.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are data: tables and whole responses")]
#![allow(clippy::needless_raw_string_hashes, reason = "expect_test writes them so")]

mod clients;
mod damage;
mod doctor;
mod durability;
mod janitor;
mod kill;
mod lifecycle;
mod program;
mod rotation;
mod scimctl;
mod start;
mod transfer;
mod unfinished;
