//! The programs as processes: the gateway is started, stopped and killed, and `scimctl` works on it; and the doctor on
//! stores that were damaged on purpose.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are data: tables and whole answers")]
#![allow(clippy::needless_raw_string_hashes, reason = "as expect_test writes them")]

mod doctor;
mod kill;
mod lifecycle;
mod program;
mod scimctl;
mod start;
