//! The programs as processes: the gateway is started, stopped and killed, and `scimctl` works on it; and the doctor on
//! stores that were damaged on purpose.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::too_many_lines, reason = "most lines are data: tables and whole answers")]
#![allow(clippy::needless_raw_string_hashes, reason = "as expect_test writes them")]

#[path = "processes/doctor.rs"]
mod doctor;
#[path = "processes/kill.rs"]
mod kill;
#[path = "processes/lifecycle.rs"]
mod lifecycle;
#[path = "processes/program.rs"]
mod program;
#[path = "processes/scimctl.rs"]
mod scimctl;
#[path = "processes/start.rs"]
mod start;
