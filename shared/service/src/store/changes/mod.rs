//! Pending changes: writes that take more than one transaction, and are still all or nothing if the process is killed
//! between any two calls.
//!
//! `WRITES.md` describes the protocol. A change of members is a *draft* at first: a header and parts that have no effect.
//! One transaction *commits* it: the group's item names the change as its `intent`. Then the parts are applied, each by one
//! transaction. A deletion that does not fit into one transaction leaves a *tombstone*, and the edges are removed
//! afterwards. A change belongs to its request for longer than a request can live. Then a writer that needs the group, or
//! the janitor, takes it over.

mod apply;
mod change;
mod heal;
mod members;
mod part;
mod reservation;
mod tombstone;
mod turn;
mod unfinished;
mod view;

pub(super) use change::{Change, ChangeKind};
pub(super) use members::{Commit, Draft, GroupWrite, write_members};
pub(super) use part::{Part, are_complete};
pub(super) use reservation::Attempts;
pub(super) use tombstone::{finish_deletion_in_time, leave_actions, left_group, tombstone};
pub(super) use turn::read_in_turn;
pub use unfinished::{AbandonedChange, ListedChange};
pub(super) use view::{Scope, SeenMembers, View};
