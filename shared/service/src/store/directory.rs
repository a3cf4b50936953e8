//! The store of all organisations, and the directory of one.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use tokio::{sync::Semaphore, time::Instant};

use super::{accounts::Accounts, capacity::metered, keys::Keys, request_queue::RequestQueue, table::Table};
use crate::{
    auth::{Caller, Org},
    clock::Clock,
    config::Tables,
    entropy::Entropy,
};

/// The three tables: resources, organisations with their keys, and the request log.
#[derive(Clone)]
pub struct Store {
    pub(super) db: Client,
    pub(super) tables: Tables,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    /// Whether the limits of organisations apply.
    pub(super) is_limited: bool,
    pub(super) accounts: Accounts,
    /// Whether changes write events.
    pub(super) writes_events: bool,
    /// The entries of the request log that wait, if requests are recorded.
    pub(super) recorded: Option<RequestQueue>,
}

impl Store {
    /// Creates a store on these tables of that client.
    #[must_use]
    pub fn new(db: &Client, tables: Tables, clock: Clock, entropy: Entropy) -> Self {
        let accounts = Accounts::default();
        let (is_limited, writes_events) = (true, true);
        Self { db: metered(db), tables, clock, entropy, is_limited, accounts, writes_events, recorded: None }
    }

    /// Returns the store with or without events. A new store writes them. Without them, their cost can be measured.
    #[must_use]
    pub fn with_events(self, writes_events: bool) -> Self {
        Self { writes_events, ..self }
    }

    /// Returns the store with or without the limits of organisations. A new store has them.
    #[must_use]
    pub fn with_limits(self, is_limited: bool) -> Self {
        Self { is_limited, ..self }
    }

    /// Returns the directory of the caller's organisation, for as long as the caller waits.
    #[must_use]
    pub fn directory(&self, caller: &Caller) -> Directory {
        Directory {
            table: self.resource_table(caller.deadline()),
            keys: Keys::of(caller.org()),
            caller: caller.clone(),
            store: self.clone(),
            large_reads: Arc::new(Semaphore::new(1)),
        }
    }

    /// Returns the directory of an organisation for the next calls of an operator. A command that takes longer than
    /// [`OPERATOR_BUDGET`](crate::limits::OPERATOR_BUDGET) opens the directory again for each page.
    pub(super) fn as_operator(&self, org: &Org) -> Directory {
        self.directory(&Caller::operator(org.clone()))
    }

    /// Returns the source of randomness, for new keys.
    #[must_use]
    pub fn entropy(&self) -> &Entropy {
        &self.entropy
    }

    /// Returns the clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Returns the table of resources.
    pub(super) fn resource_table(&self, deadline: Instant) -> Table {
        self.table(&self.tables.resources, deadline)
    }

    /// Returns the table of organisations and keys.
    pub(super) fn key_table(&self, deadline: Instant) -> Table {
        self.table(&self.tables.keys, deadline)
    }

    /// Returns the table of the request log.
    pub(super) fn request_table(&self, deadline: Instant) -> Table {
        self.table(&self.tables.requests, deadline)
    }

    fn table(&self, name: &str, deadline: Instant) -> Table {
        Table {
            db: self.db.clone(),
            name: name.to_owned(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            deadline,
        }
    }
}

/// The users and groups of one organisation, for the length of one request.
#[derive(Clone)]
pub struct Directory {
    pub(super) table: Table,
    pub(super) keys: Keys,
    pub(super) caller: Caller,
    pub(super) store: Store,
    /// The permit to read memberships for a filter. Scans read several ranges at the same time, and the memberships of each
    /// page of resources may take 20 MB.
    pub(super) large_reads: Arc<Semaphore>,
}

impl Directory {
    /// Returns the organisation.
    #[must_use]
    pub fn org(&self) -> &Org {
        self.caller.org()
    }
}
