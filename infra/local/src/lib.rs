//! The local gateway: the routers of all functions in one process, with an embedded DynamoDB. It is never deployed.

pub mod embedded;
pub mod endpoint;
pub mod gateway;
pub mod realistic;
mod transactions;
