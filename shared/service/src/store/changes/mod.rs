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
mod members;
mod part;
mod reservation;
mod tombstone;
mod turn;
mod unfinished;

use std::future::Future;

use tokio::time::Duration;

use super::{directory::Directory, table::KeyRange};
use crate::Error;
use change::Change;
pub(super) use members::{Draft, write_members};
pub(super) use reservation::Attempts;
pub(super) use tombstone::{finish_deletion_in_time, leave_actions, tombstone};
use turn::finish;
pub(super) use turn::read_in_turn;
pub use unfinished::{AbandonedChange, ListedChange};

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
    /// Finishes every change that has been pending for at least `min_age`.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`] if DynamoDB does not answer. Changes that were finished until then
    /// stay finished.
    pub async fn finish_pending(&self, min_age: Duration) -> Result<Finished, Error> {
        let mut finished = Finished::default();
        for item in self.table.query_all(KeyRange::all(&self.keys.pending())).await? {
            let outcome = match Change::from_item(&item) {
                Ok(change) if u128::from(change.age(&self.table.clock)) < min_age.as_millis() => continue,
                Ok(change) => {
                    finished.oldest_millis = finished.oldest_millis.max(change.age(&self.table.clock));
                    finish(self, change).await
                }
                Err(error) => Err(error),
            };
            match outcome {
                Ok(own) => finished.changes += usize::from(own),
                Err(Error::Internal(cause)) => {
                    log_stuck(self, &cause);
                    finished.stuck += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(finished)
    }
}

/// Reads memberships.
pub(super) async fn read_after_pending<T, F>(_: &Directory, read: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    read().await
}

fn log_stuck(directory: &Directory, cause: &str) {
    tracing::error!(org = directory.org().as_str(), cause, "a change cannot be finished");
}
