//! The write protocol of `shared/service/WRITES.md` as rules.
//!
//! A *call* is one write of the protocol. Its *actions* say which items it writes, and under which conditions. The rules
//! have two users:
//!
//! - The model (`tests/model/`) explores every interleaving of requests that make these calls.
//! - [`replay`] checks that the calls which the service really makes are calls of the protocol.
//!
//! [`events`] has the rules of events: ids, the moves into the feed, and the gate. A second model (`tests/events/`)
//! explores them, and [`replay::allows_events`] checks recorded calls against them.

#![allow(missing_docs, reason = "the names of fields are those of the protocol")]

pub mod action;
pub mod call;
pub mod events;
pub mod item;
pub mod replay;
pub mod rules;
