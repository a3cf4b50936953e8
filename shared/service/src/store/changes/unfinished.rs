//! The list of unfinished changes.
//!
//! Each pending change of each organisation has an entry in the list. One transaction puts the entry with the header, and
//! one transaction deletes both. The janitor thus finds every change that a request has left, with one query for each
//! partition of the list, whatever the number of organisations.

use std::str::FromStr;

use futures_util::{Stream, StreamExt, stream};
use tokio::time::Instant;

use super::{change::Change, turn::finish};
use crate::{
    Error,
    auth::{Caller, Org},
    limits::OPERATOR_BUDGET,
    store::{
        directory::{Directory, Store},
        items::{Item, partition_key, sort_key},
        key_range::KeyRange,
        keys::{Key, Partition, org_and_change, unfinished_shards},
        table::Table,
        transaction::{Condition, Transaction},
        write::Guard,
    },
};

/// An entry of the list.
#[derive(Debug, Clone)]
pub struct ListedChange {
    org: Org,
    change: String,
    entry: Key,
}

/// A change whose request has ended.
pub struct AbandonedChange {
    directory: Directory,
    change: Change,
}

impl Store {
    /// Returns the unfinished changes of all organisations. One page of the list is in memory at a time. If a partition
    /// cannot be read, an error stands for the rest of it.
    pub fn unfinished(&self) -> impl Stream<Item = Result<ListedChange, Error>> {
        let mut shards: Vec<Partition> = unfinished_shards().collect();
        // Each run begins elsewhere: changes that take a whole run do not keep the others waiting for ever.
        let first = usize::try_from(self.entropy.below(shards.len() as u64)).unwrap_or_default();
        shards.rotate_left(first);
        let table = self.resource_table(Instant::now() + OPERATOR_BUDGET);
        stream::iter(shards).flat_map(move |shard| listed(table.clone(), shard))
    }

    /// Returns a listed change if its request has ended. If the change does not exist, deletes the entry.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`], and [`Error::Internal`] if the change cannot be read.
    pub async fn abandoned(&self, listed: &ListedChange) -> Result<Option<AbandonedChange>, Error> {
        let directory = self.directory(&Caller::operator(listed.org.clone()));
        let header = directory.keys.pending().key(&listed.change);
        let Some(item) = directory.table.get(&header).await? else {
            remove_entry(&directory, &listed.entry, &listed.change).await?;
            return Ok(None);
        };
        let change = Change::from_item(&item)?;
        let is_abandoned = change.is_abandoned(&directory.table.clock);
        Ok(is_abandoned.then_some(AbandonedChange { directory, change }))
    }
}

impl ListedChange {
    fn from_item(item: &Item) -> Result<Self, Error> {
        let damaged =
            || Error::Internal("an entry in the list of unfinished changes cannot be read".to_owned());
        let (org, change) = org_and_change(sort_key(item)?).ok_or_else(damaged)?;
        Ok(Self {
            org: Org::from_str(org).map_err(|_| damaged())?,
            change: change.to_owned(),
            entry: Key { pk: partition_key(item)?.to_owned(), sk: sort_key(item)?.to_owned() },
        })
    }

    /// Returns the organisation.
    #[must_use]
    pub fn org(&self) -> &Org {
        &self.org
    }
}

impl AbandonedChange {
    /// Returns the age in milliseconds.
    #[must_use]
    pub fn age_millis(&self) -> u64 {
        self.change.age(&self.directory.table.clock)
    }

    /// Finishes the change. Returns `false` if another process has taken it over.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`], and [`Error::Internal`] if an item of the change cannot be read.
    pub async fn finish(self) -> Result<bool, Error> {
        finish(&self.directory, self.change).await
    }
}

/// Returns the entries of one partition of the list.
fn listed(table: Table, shard: Partition) -> impl Stream<Item = Result<ListedChange, Error>> {
    let pages = stream::try_unfold(Some(None), move |after| {
        let (table, shard) = (table.clone(), shard.clone());
        async move {
            let Some(after) = after else { return Ok(None) };
            let page = table.query(KeyRange::all(&shard).after(after)).await?;
            Ok(Some((page.items, page.next.map(Some))))
        }
    });
    pages.flat_map(|page| {
        stream::iter(match page {
            Ok(items) => items.iter().map(ListedChange::from_item).collect(),
            Err(error) => vec![Err(error)],
        })
    })
}

/// Deletes an entry of the list, on condition that the change does not exist.
pub(super) async fn remove_entry(directory: &Directory, entry: &Key, change: &str) -> Result<(), Error> {
    let mut transaction = Transaction::new();
    let header = directory.keys.pending().key(change);
    transaction.check(header, Condition::absent(), Guard::StillPending);
    transaction.delete(entry.clone(), None, Guard::Unconditional);
    transaction.send(&directory.table).await.map(|_| ())
}
