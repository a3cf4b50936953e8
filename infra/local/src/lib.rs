//! The local gateway: the routers of all functions in one process, with an embedded DynamoDB. It is never deployed.

mod admin;
pub mod embedded;
mod endpoint;
pub mod gateway;
pub mod log;
mod private;
pub mod realistic;
pub mod serve;
pub mod served;
mod transactions;
pub mod turns;
