//! The write protocol of `shared/service/WRITES.md` as rules.
//!
//! A *call* is one write of the protocol. Its *actions* say which items it writes, and under which conditions. The rules
//! have two users:
//!
//! - The model (`tests/model/`) explores every interleaving of requests that make these calls.
//! - [`replay`] checks that the calls which the service really makes are calls of the protocol.

#![allow(missing_docs, reason = "the names of fields are those of the protocol")]

pub mod action;
pub mod call;
pub mod events;
pub mod item;
pub mod replay;
pub mod rules;
