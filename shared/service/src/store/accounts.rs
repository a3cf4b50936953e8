//! The accounts of the organisations in this process: what is known about their limits between two calls.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};

use crate::{auth::Org, bucket};

/// The number of accounts from which idle ones are dropped.
const MANY: usize = 1_000;

/// The accounts of all organisations. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Accounts(Arc<Mutex<HashMap<Org, Arc<Account>>>>);

/// The account of one organisation.
#[derive(Default)]
pub(super) struct Account {
    /// The tokens. One request at a time takes a lease, and the others wait for it.
    pub(super) bucket: AsyncMutex<bucket::Account>,
    work: Mutex<Work>,
}

/// The expensive work of an organisation in this process.
struct Work {
    at_once: u32,
    free: Arc<Semaphore>,
    /// Until when no slot is expected to be free, in milliseconds since 1970.
    full_until: u64,
}

impl Default for Work {
    fn default() -> Self {
        Self { at_once: 0, free: Arc::new(Semaphore::new(0)), full_until: 0 }
    }
}

impl Accounts {
    /// Returns the account of an organisation. `now` is in microseconds since 1970.
    pub(super) fn of(&self, org: &Org, now: u64) -> Arc<Account> {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(org) {
            return Arc::clone(account);
        }
        if accounts.len() >= MANY {
            accounts.retain(|_, account| !account.is_idle(now));
        }
        Arc::clone(accounts.entry(org.clone()).or_default())
    }
}

impl Account {
    fn is_idle(&self, now: u64) -> bool {
        self.bucket.try_lock().is_ok_and(|bucket| bucket.is_idle(now))
    }

    /// Reserves a share of this process. Returns `None` if the process has none to give, or no slot was free a moment ago.
    /// `now` is in milliseconds since 1970.
    pub(super) fn reserve(&self, at_once: u32, now: u64) -> Option<OwnedSemaphorePermit> {
        let mut work = self.work();
        if work.at_once != at_once {
            // The shares of requests that still run belong to the old semaphore. The slots in the item count them.
            let shares = usize::try_from(at_once).unwrap_or(Semaphore::MAX_PERMITS);
            *work = Work { at_once, free: Arc::new(Semaphore::new(shares)), full_until: 0 };
        }
        if now < work.full_until {
            return None;
        }
        Arc::clone(&work.free).try_acquire_owned().ok()
    }

    /// Records that no slot is free for this time, in milliseconds.
    pub(super) fn is_full(&self, now: u64, millis: u64) {
        self.work().full_until = now + millis;
    }

    fn work(&self) -> std::sync::MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
