//! The programs as processes: the gateway is started, stopped and killed, and `scimctl` works on it; and the doctor on
//! stores that were damaged on purpose.

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
