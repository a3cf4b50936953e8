//! The store: resources, their index entries, memberships, counts and keys in DynamoDB.
//!
//! [`Store`] is the two tables; [`Directory`] is one organisation's part of them, and needs a [`Caller`] to be had.
//! Every read that decides something is strongly consistent, every write is one transaction or, beyond DynamoDB's 100
//! actions, a pending change that whoever meets it finishes (`changes`). There is no second store and no trait:
//! tests and the local gateway run this code on an embedded DynamoDB.

mod bookmarks;
mod changes;
mod counts;
pub mod doctor;
mod groups;
mod index;
mod items;
mod keys;
mod list;
mod meter;
mod orgs;
mod pages;
mod plan;
pub mod representation;
mod resources;
mod tables;
mod transaction;
mod wire;

use aws_sdk_dynamodb::Client;
use tokio::time::{Duration, Instant};

pub use bookmarks::BOOKMARK_SECONDS;
pub use changes::Finished;
pub use groups::{Edited, MEMBERS_SHOWN};
pub use items::Stored;
pub use keys::Kind;
pub use list::{ListRequest, SCAN_LIMIT};
pub(crate) use meter::measured;
pub use orgs::{KeyInfo, OrgInfo};
pub use pages::{CursorPage, IndexPage, Query};
pub use representation::Extra;
pub use resources::Expected;

use crate::{
    ambient::{Clock, Entropy},
    auth::{Caller, Org},
    config::Tables,
};
use keys::Keys;

/// How long a request may take before it is answered with 503. API Gateway gives up after 29 s.
pub const REQUEST_BUDGET: Duration = Duration::from_secs(25);

/// Requests to DynamoDB that one request of ours has under way at a time.
const CONCURRENCY: usize = 16;

/// Both tables.
#[derive(Clone)]
pub struct Store {
    db: Client,
    tables: Tables,
    clock: Clock,
    entropy: Entropy,
}

impl Store {
    /// The store behind that client.
    #[must_use]
    pub fn new(db: &Client, tables: Tables, clock: Clock, entropy: Entropy) -> Self {
        Self { db: meter::metered(db), tables, clock, entropy }
    }

    /// The caller's organisation, for as long as the caller waits.
    #[must_use]
    pub fn directory(&self, caller: &Caller) -> Directory {
        Directory {
            store: self.clone(),
            caller: caller.clone(),
            keys: Keys::of(caller.org()),
            deadline: caller.deadline(),
        }
    }

    /// The source of randomness, for new keys.
    #[must_use]
    pub fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

/// One organisation's resources, for the length of one request.
#[derive(Clone)]
pub struct Directory {
    store: Store,
    caller: Caller,
    keys: Keys,
    deadline: Instant,
}

impl Directory {
    /// The organisation.
    #[must_use]
    pub fn org(&self) -> &Org {
        self.caller.org()
    }
}
