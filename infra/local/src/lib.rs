//! The gateway on a laptop: every function's router in one process, on an embedded DynamoDB. Never deployed.

pub mod embedded;
pub mod endpoint;
pub mod gateway;
