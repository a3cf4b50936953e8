//! Pending changes: writes that take more than one transaction, and are still all or nothing if the process is killed
//! between any two calls.
//!
//! A change of members is written first as a *draft*, with its *chunks* in a partition of their own. Each chunk fits into
//! one transaction. The draft has no effect. Then one transaction *commits* the draft: it writes the group's item, with
//! the change as the `intent` of the group, and marks the change as committed. From then on the change is certain. One
//! transaction applies a chunk and deletes it, so each chunk is applied exactly once, even if several requests try. At
//! the end the intent and the pending change are removed together. Writers of a group never write past an intent: they
//! finish the change first.
//!
//! A deletion needs no draft: the transaction that deletes the resource puts a *tombstone* among the pending changes,
//! and the edges of the resource are left to remove.
//!
//! The partition of pending changes is nearly always empty. Readers of edges read it at the same time. A draft whose
//! request has ended is removed by the first request that finds it older than two minutes.

mod change;
mod members;
mod tombstone;

use std::{collections::BTreeSet, future::Future};

use scim::{ResourceKind, id::Id};
use tokio::time::{Duration, timeout_at};

use super::{
    directory::Directory,
    items::Stored,
    resources::read,
    table::{Backoff, KeyRange},
    transaction::Transaction,
};
use crate::{Error, limits::OWN_WORK_RESERVE};
pub(super) use change::live_draft;
use change::{Change, Step};
pub(super) use members::write_members;
use members::{abandon, clear_intent, finish_members};
use tombstone::finish_deletion;
pub(super) use tombstone::{finish_deletion_in_time, tombstone};

/// The largest number of pending changes that a request reads, and then finishes, at a time.
const PENDING_PAGE: usize = 20;

/// Pending changes that are to be finished.
#[derive(Default)]
struct Pending {
    changes: Vec<Change>,
    /// The number of further changes that cannot be read.
    unreadable: usize,
}

/// The changes that [`Directory::finish_pending`] finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Finished {
    /// The number of changes.
    pub changes: usize,
    /// The number of changes that are left because they cannot be read or applied. Each is a defect, and logged.
    pub stuck: usize,
    /// The age of the oldest change, in milliseconds.
    pub oldest_millis: u64,
}

impl Directory {
    /// Finishes every change that has been pending for at least `min_age`, and removes abandoned drafts.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`] if DynamoDB does not answer. Changes that were finished until then
    /// stay finished.
    pub async fn finish_pending(&self, min_age: Duration) -> Result<Finished, Error> {
        let mut finished = Finished::default();
        let mut stuck = BTreeSet::new();
        loop {
            let pending = read_pending(self, min_age, &stuck).await?;
            if pending.changes.is_empty() {
                return Ok(Finished { stuck: stuck.len() + pending.unreadable, ..finished });
            }
            let oldest = pending.changes.iter().map(|change| change.age(&self.table.clock)).max();
            finished.oldest_millis = finished.oldest_millis.max(oldest.unwrap_or_default());
            let before = stuck.len();
            finish_each(self, &pending.changes, &mut stuck).await?;
            finished.changes += pending.changes.len() - (stuck.len() - before);
        }
    }
}

/// Reads items that a pending change may have half written. The pending changes are read at the same time. If there are
/// any, they are finished, and `read` is repeated.
pub(super) async fn read_after_pending<T, F>(directory: &Directory, read: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut stuck = BTreeSet::new();
    loop {
        let (value, pending) = tokio::join!(read(), read_pending(directory, Duration::ZERO, &stuck));
        let pending = pending?;
        if pending.changes.is_empty() {
            return value;
        }
        let finishing = finish_each(directory, &pending.changes, &mut stuck);
        match timeout_at(directory.table.deadline - OWN_WORK_RESERVE, finishing).await {
            Ok(finished) => finished?,
            Err(_) => return value,
        }
    }
}

/// Reads a resource. If it is a group with an intent, finishes the change and reads the group again.
pub(super) async fn read_without_intent(
    directory: &Directory,
    kind: ResourceKind,
    id: &Id,
) -> Result<Stored, Error> {
    let mut backoff = Backoff::new(&directory.table);
    loop {
        let stored = read(directory, kind, id).await?;
        match &stored.intent {
            None => return Ok(stored),
            Some(intent) => finish_intent(directory, id, intent).await?,
        }
        backoff.wait().await?;
    }
}

/// Finishes the change that a group names as its intent.
pub(super) async fn finish_intent(directory: &Directory, group: &Id, intent: &str) -> Result<(), Error> {
    if let Some(item) = directory.table.get(&directory.keys.pending().key(intent)).await? {
        return finish(directory, &Change::from_item(&item)?).await;
    }
    // Another request has finished the change since and cleared the intent; or the change was lost, and the intent alone
    // is left.
    let mut transaction = Transaction::new();
    clear_intent(&directory.keys, &mut transaction, group, intent);
    transaction.send(&directory.table).await.map(|_| ())
}

/// Finishes these changes. A change that cannot be finished because of a defect joins the `stuck`, and the others are
/// still finished.
async fn finish_each(
    directory: &Directory,
    changes: &[Change],
    stuck: &mut BTreeSet<Id>,
) -> Result<(), Error> {
    for change in changes {
        match finish(directory, change).await {
            Err(Error::Internal(cause)) => {
                log_stuck(directory, &cause);
                stuck.insert(change.id.clone());
            }
            outcome => outcome?,
        }
    }
    Ok(())
}

/// Finishes a change of any request.
async fn finish(directory: &Directory, change: &Change) -> Result<(), Error> {
    match change.step {
        Step::Draft | Step::Abandoned => abandon(directory, change).await,
        Step::Members => finish_members(directory, change).await,
        Step::UserDeleted => finish_deletion(directory, change, ResourceKind::User).await,
        Step::GroupDeleted => finish_deletion(directory, change, ResourceKind::Group).await,
    }
}

/// Reads changes that have been pending for at least `min_age` and are not `stuck`. Drafts that their requests may still
/// commit are left out.
async fn read_pending(
    directory: &Directory,
    min_age: Duration,
    stuck: &BTreeSet<Id>,
) -> Result<Pending, Error> {
    let clock = &directory.table.clock;
    let partition = directory.keys.pending();
    let mut pending = Pending::default();
    let mut after = None;
    loop {
        let page = directory.table.query(KeyRange::all(&partition).limit(PENDING_PAGE).after(after)).await?;
        for item in &page.items {
            match Change::from_item(item) {
                Ok(change)
                    if !change.is_live_draft(clock)
                        && u128::from(change.age(clock)) >= min_age.as_millis()
                        && !stuck.contains(&change.id) =>
                {
                    pending.changes.push(change);
                }
                Ok(_) => {}
                // The change is damaged, or of another release. It must not make everything else unreadable.
                Err(_) => {
                    log_stuck(directory, "a pending change cannot be read");
                    pending.unreadable += 1;
                }
            }
        }
        if !pending.changes.is_empty() || page.next.is_none() {
            return Ok(pending);
        }
        after = page.next;
    }
}

fn log_stuck(directory: &Directory, cause: &str) {
    tracing::error!(org = directory.org().as_str(), cause, "a change cannot be finished");
}
