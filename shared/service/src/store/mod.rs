//! The store: resources, their index entries, memberships, counts and keys in DynamoDB.
//!
//! [`Store`] is the three tables. [`Directory`] is one organisation's part of them, and requires a
//! [`Caller`](crate::auth::Caller). Every read that a decision depends on is strongly consistent. Every write is one
//! transaction or, beyond DynamoDB's 100 actions, a pending change that any later request completes (`changes`). The
//! store has no trait and no second implementation: tests and the local gateway run it on an embedded DynamoDB.
//!
//! The public methods of [`Store`] and [`Directory`] are for `http` and `infra`. Inside the store, a file calls only
//! functions and types that it imports, from files that stand before it in this order:
//!
//! 1. `keys`, `event_keys`, `items`, `index_keys`, `index`, `key_range`: the items.
//! 2. `sdk_error`, `table`, `attempts`, `transaction`, `update`, `scan`, `write`: calls to DynamoDB, and the meaning of failed conditions.
//! 3. `capacity`, `accounts`, `request_queue`, `directory`: [`Store`] and [`Directory`]. `leases`, `slots`: limits of organisations.
//!    `stamps`, `outbox`: events of transactions.
//! 4. `counts`, `resources`, `edges`: the items of one resource.
//! 5. `changes`, `memberships`: writes that do not fit into one transaction, and memberships as readers see them beside
//!    these writes.
//! 6. `users`, `member_edit`, `groups`, `deletion`: requests on one resource.
//! 7. `representation`, `plan`, `list`, `bookmarks`, `pages`: requests on many resources.
//! 8. `key_record`, `client_record`, `authentication`: credentials.
//! 9. `audit`, `due`, `work`, `orgs`, `creation`, `credential_writes`, `credentials`, `client_writes`, `tokens`, `clients`,
//!    `rewrap`, `announcements`, `tables`, `doctor`, `hold`, `erase`, `transfer`, `sessions`, `request_writer`, `request_log`,
//!    `search`, `neighbours`, `feed`, `sequencer`, `acknowledgement`, `snapshot`: management, the request log, the pages of the console, and events.

mod accounts;
mod acknowledgement;
mod announcements;
mod attempts;
mod audit;
mod authentication;
mod bookmarks;
mod capacity;
mod changes;
mod client_record;
mod client_writes;
mod clients;
mod counts;
mod creation;
mod credential_writes;
mod credentials;
mod deletion;
mod directory;
pub mod doctor;
mod due;
mod edges;
mod erase;
mod event_keys;
mod feed;
mod groups;
mod hold;
mod index;
mod index_keys;
mod items;
mod key_range;
mod key_record;
mod keys;
mod leases;
mod list;
mod member_edit;
mod memberships;
mod neighbours;
mod orgs;
mod outbox;
mod pages;
mod plan;
pub mod representation;
mod request_log;
mod request_queue;
mod request_writer;
mod resources;
mod rewrap;
mod scan;
mod sdk_error;
mod search;
mod sequencer;
mod sessions;
mod slots;
mod snapshot;
mod stamps;
mod table;
mod tables;
mod tokens;
mod transaction;
pub mod transfer;
mod update;
mod users;
mod work;
mod write;

pub use acknowledgement::PROOF_RETENTION;
pub use announcements::{Due, End};
pub use audit::{AUDIT_RETENTION, Actor, AuditEntry, Page};
pub use authentication::{Authenticated, RefusedKey, USE_INTERVAL, UnrecordedUse};
pub(crate) use capacity::measured;
pub use changes::{AbandonedChange, ListedChange};
pub use client_record::{ClientId, ClientRecord, SecretRecord};
pub use clients::{
    ClientAuthentication, MAX_CLIENTS, MAX_SECRET_LIFETIME, MAX_SECRETS, NewClient, SECRET_LIFETIME,
};
pub use credential_writes::{MAX_LABEL, MAX_LIFETIME, check_end, check_label};
pub use credentials::{KeyChange, NewKey, Repeatable};
pub use directory::{Directory, Store};
pub use due::ANNOUNCED_DAYS;
pub use edges::Memberships;
pub use erase::{Deletion, Erasing};
pub use feed::{FEED_PAGE, FEED_RETENTION, FeedHead, FeedPage};
pub use groups::WrittenGroup;
pub use items::{Packed, Stored};
pub use key_record::KeyRecord;
pub use list::{ListRequest, Listed};
pub use orgs::{OrgChange, Organisation};
pub use pages::{CursorPage, IndexPage, Query};
pub use resources::Expected;
pub use search::SearchPage;
pub use sequencer::org_of_outbox;
pub use sessions::{NewLink, SessionRecord, StartedSession};
pub use snapshot::{ParsePositionError, SnapshotPage, SnapshotPosition};
pub use tokens::{IssuedToken, TokenClient};
pub use work::Work;
