//! The deletion of an organisation.
//!
//! 1. The settings name the deletion, so requests are refused from now on.
//! 2. The entries in the list of unfinished changes are deleted, so that the janitor finds no more work. Then the items of
//!    the organisation in the table of resources, found by scans.
//! 3. Requests that began before step 1 end, and the scan is repeated until it finds no item.
//! 4. The request log, the announcements of ends and the credentials are deleted, and the settings last. The audit log
//!    stays. The writer of the request log may write an entry of the last requests later. It expires.
//!
//! Each step may be repeated. A deletion that was interrupted continues at the first. The scan is also the proof that no
//! item is left: its prefix ends with `#`, which no name of an organisation contains, so `ORG#acme#` is no prefix of an
//! item of acme-2. Deletions are transactions with a token. A late copy of one cannot delete an item that an import has
//! written since.

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{Duration, Instant};

use super::{
    audit::Actor,
    directory::Store,
    feed::{head_item, read_head},
    hold::{Begun, begin},
    items::{Item, partition_key, sort_key},
    key_range::KeyRange,
    keys::{Key, Keys, Partition, SETTINGS, due_parts, unfinished_shards},
    table::{CONCURRENCY, Table, delete_request},
    transaction::{MAX_ACTIONS, Transaction},
    work::Work,
};
use crate::{Error, auth::Org, limits::OPERATOR_BUDGET};

/// The number of scans after which the deletion is given up, because something still writes.
const MOST_SCANS: usize = 10;

/// The progress of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erasing {
    /// The number of items that have been deleted.
    Deleted(u64),
    /// The number of seconds for which requests that began before the deletion may run.
    Waiting(u64),
}

/// The state of a deletion after a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// The organisation does not exist.
    NoOrg,
    /// Requests that began before the deletion may run for this time. Then the deletion can be continued.
    Waiting(Duration),
    /// Nothing is left of the organisation.
    Done,
}

impl Store {
    /// Begins or continues the deletion of an organisation until that time, and returns without waiting for requests that
    /// began before. The position of the scan is stored with the hold, so the table may be of any size.
    ///
    /// # Errors
    /// As [`Self::delete_org`].
    pub async fn advance_deletion(
        &self,
        org: &Org,
        actor: &Actor,
        until: Instant,
    ) -> Result<Deletion, Error> {
        let hold = match begin(self, org, Work::Deletion, actor).await? {
            Begun::Held(hold) => hold,
            Begun::NoOrg | Begun::Enabled | Begun::Busy(_) => return Ok(Deletion::NoOrg),
        };
        if !erase_log(self, org, Some(until)).await?.1 {
            return Ok(Deletion::Waiting(Duration::ZERO));
        }
        let mut scan = hold.scan(self, org).await?;
        loop {
            if scan.after.is_none() {
                // Only a scan that begins after those requests, and finds nothing, proves that nothing is left.
                scan.is_proof = hold.remaining(self).is_zero();
                scan.is_proof &= erase_unfinished(self, org).await? == 0;
            }
            let (deleted, next) = erase_page(self, org, scan.after.take()).await?;
            scan.is_proof &= deleted == 0;
            scan.after = next;
            if scan.after.is_none() {
                if scan.is_proof {
                    break;
                }
                let remaining = hold.remaining(self);
                if !remaining.is_zero() {
                    hold.save_scan(self, org, &scan).await?;
                    return Ok(Deletion::Waiting(remaining));
                }
            }
            if Instant::now() >= until {
                hold.save_scan(self, org, &scan).await?;
                return Ok(Deletion::Waiting(Duration::ZERO));
            }
        }
        erase_log(self, org, None).await?;
        erase_keys(self, org).await?;
        // Another request may have completed the deletion.
        hold.delete(self, org, actor).await?;
        Ok(Deletion::Done)
    }

    /// Deletes an organisation with everything that belongs to it, except its audit log. With `keeps_keys`, its settings and
    /// credentials stay too, and SCIM is disabled. Returns the number of deleted items, or `None` if the organisation does
    /// not exist.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`] if DynamoDB does not answer, [`Error::Conflict`] if something still
    /// writes. The organisation refuses requests until the deletion is done again.
    pub async fn delete_org(
        &self,
        org: &Org,
        keeps_keys: bool,
        actor: &Actor,
        mut progress: impl FnMut(Erasing),
    ) -> Result<Option<u64>, Error> {
        let hold = match begin(self, org, Work::Deletion, actor).await? {
            Begun::Held(hold) => hold,
            Begun::NoOrg | Begun::Enabled | Begun::Busy(_) => return Ok(None),
        };
        let last = read_head(&self.as_operator(org)).await?.last;
        let mut deleted = erase_resources(self, org, &mut progress).await?;
        progress(Erasing::Waiting(hold.remaining(self).as_secs()));
        hold.wait_for_requests(self).await;
        for scan in 0.. {
            let more = erase_resources(self, org, &mut progress).await?;
            deleted += more;
            if more == 0 {
                break;
            }
            if scan == MOST_SCANS {
                return Err(Error::Conflict(format!(
                    "Something still writes to the organisation {org}. End it, and run the command again."
                )));
            }
        }
        deleted += erase_log(self, org, None).await?.0;
        let is_done = if keeps_keys {
            keep_sequence(self, org, last).await?;
            hold.end(self, (org, actor), "org.empty", &deleted).await?
        } else {
            deleted += erase_keys(self, org).await? + 1;
            hold.delete(self, org, actor).await?
        };
        is_done.then_some(Some(deleted)).ok_or_else(|| {
            Error::Conflict(format!(
                "Another command works on the organisation {org}. Run the command again."
            ))
        })
    }
}

/// Writes the head of the feed of an organisation that is empty now. Its sequence numbers go on, so that a product that
/// continues from an old one is told to read the snapshot.
async fn keep_sequence(store: &Store, org: &Org, last: u64) -> Result<(), Error> {
    if last > 0 {
        resources(store).put(&Keys::of(org).feed_head(), head_item(last)).await?;
    }
    Ok(())
}

/// Deletes the organisation's entries in the list of unfinished changes, the headers of the changes, and the events in the
/// outbox. Returns their number.
async fn erase_unfinished(store: &Store, org: &Org) -> Result<u64, Error> {
    let keys = Keys::of(org);
    let mut deleted = 0;
    for shard in unfinished_shards() {
        let range = KeyRange::between(&shard, keys.unfinished_range());
        let listed = resources(store).query_all(range).await?;
        deleted += erase(&resources(store), &listed).await?;
    }
    let range = Keys::outbox_range(org);
    let outbox = resources(store).query_all(KeyRange::between(&Keys::outbox(org), range)).await?;
    deleted += erase(&resources(store), &outbox).await?;
    let pending = keys.pending();
    let headers = resources(store).query_all(KeyRange::all(&pending)).await?;
    Ok(deleted + erase(&resources(store), &headers).await?)
}

/// Deletes the organisation's items in the table of resources. Returns their number.
async fn erase_resources(store: &Store, org: &Org, progress: &mut impl FnMut(Erasing)) -> Result<u64, Error> {
    let mut deleted = erase_unfinished(store, org).await?;
    let mut after = None;
    loop {
        let (more, next) = erase_page(store, org, after).await?;
        deleted += more;
        progress(Erasing::Deleted(deleted));
        match next {
            Some(next) => after = Some(next),
            None => return Ok(deleted),
        }
    }
}

/// Deletes the organisation's items on one page of a scan. Returns their number, and the key after which the next page
/// begins.
async fn erase_page(store: &Store, org: &Org, after: Option<Item>) -> Result<(u64, Option<Item>), Error> {
    let table = resources(store);
    let (items, next) = table.scan_page(&Keys::of(org).prefix(), true, after).await?;
    Ok((erase(&table, &items).await?, next))
}

/// Deletes the request log of the organisation until that time. Returns the number of deleted items, and whether none is
/// left. No item has the key of a deleted one later, so a late copy of a deletion deletes nothing else.
async fn erase_log(store: &Store, org: &Org, until: Option<Instant>) -> Result<(u64, bool), Error> {
    let mut deleted = 0;
    for partition in Keys::request_log(org) {
        loop {
            let table = store.request_table(Instant::now() + OPERATOR_BUDGET);
            let page = table.query(KeyRange::all(&partition)).await?;
            let keys = page.items.iter().map(|item| sort_key(item).map(|sk| partition.key(sk)));
            let deletions = keys.map(|key| delete_request(&key?)).collect::<Result<Vec<_>, Error>>()?;
            deleted += deletions.len() as u64;
            table.write_all(deletions).await?;
            if page.next.is_none() {
                break;
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok((deleted, false));
            }
        }
    }
    Ok((deleted, true))
}

/// Deletes the organisation's items in the table of keys, except the settings. Returns their number.
async fn erase_keys(store: &Store, org: &Org) -> Result<u64, Error> {
    let is_due = |item: &Item| {
        sort_key(item).ok().and_then(due_parts).is_some_and(|(_, owner, _)| owner == org.as_str())
    };
    let is_credential = |item: &Item| sort_key(item).is_ok_and(|sk| sk != SETTINGS);
    let mut deleted = erase_partition(store, &Keys::dues(), is_due).await?;
    deleted += erase_partition(store, &Keys::organisation(org), is_credential).await?;
    deleted += erase_partition(store, &Keys::limits(org), |_| true).await?;
    Ok(deleted)
}

/// Deletes items of a partition in the table of keys. Returns their number.
async fn erase_partition(
    store: &Store,
    partition: &Partition,
    is_wanted: impl Fn(&Item) -> bool,
) -> Result<u64, Error> {
    let (mut deleted, mut after) = (0, None);
    loop {
        let table = store.key_table(Instant::now() + OPERATOR_BUDGET);
        let mut page = table.query(KeyRange::all(partition).after(after)).await?;
        page.items.retain(&is_wanted);
        deleted += erase(&table, &page.items).await?;
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(deleted),
        }
    }
}

/// Deletes these items. Returns their number.
async fn erase(table: &Table, items: &[Item]) -> Result<u64, Error> {
    let mut work = Vec::new();
    for chunk in items.chunks(MAX_ACTIONS) {
        let mut transaction = Transaction::new();
        for item in chunk {
            let key = Key { pk: partition_key(item)?.to_owned(), sk: sort_key(item)?.to_owned() };
            transaction.delete(key, None, ());
        }
        work.push(transaction.send(table));
    }
    stream::iter(work).buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>().await?;
    Ok(items.len() as u64)
}

fn resources(store: &Store) -> Table {
    store.resource_table(Instant::now() + OPERATOR_BUDGET)
}
