//! The store: resources, their index entries, memberships, counts and keys in DynamoDB.
//!
//! [`Store`] is the two tables. [`Directory`] is one organisation's part of them, and requires a
//! [`Caller`](crate::auth::Caller). Every read that a decision depends on is strongly consistent. Every write is one
//! transaction or, beyond DynamoDB's 100 actions, a pending change that any later request completes (`changes`). The
//! store has no trait and no second implementation: tests and the local gateway run it on an embedded DynamoDB.
//!
//! The public methods of [`Store`] and [`Directory`] are for `http` and `infra`. The files below call each other by
//! functions and types that they import, each only files that stand before it in this order:
//!
//! 1. `keys`, `items`, `index`: what an item is.
//! 2. `table`, `transaction`, `write`: calls to DynamoDB, and what a failed condition means.
//! 3. `directory`: [`Store`] and [`Directory`]. `counts`, `resources`, `edges`: the items of one resource.
//! 4. `changes`: writes that do not fit into one transaction.
//! 5. `users`, `member_edit`, `groups`, `deletion`: requests on one resource.
//! 6. `representation`: the JSON of one resource. `plan`, `list`, `bookmarks`, `pages`: requests on many.

mod bookmarks;
mod capacity;
mod changes;
mod counts;
mod deletion;
mod directory;
pub mod doctor;
mod edges;
mod groups;
mod index;
mod items;
mod keys;
mod list;
mod member_edit;
mod orgs;
mod pages;
mod plan;
pub mod representation;
mod resources;
mod table;
mod tables;
mod transaction;
mod users;
mod write;

pub use bookmarks::BOOKMARK_SECONDS;
pub(crate) use capacity::measured;
pub use changes::Finished;
pub use directory::{Directory, REQUEST_BUDGET, Store};
pub use edges::{MEMBERS_SHOWN, Memberships};
pub use items::Stored;
pub use keys::Kind;
pub use list::{ListRequest, SCAN_LIMIT};
pub use orgs::{KeyRecord, Organisation};
pub use pages::{CursorPage, IndexPage, Query};
pub use resources::Expected;
