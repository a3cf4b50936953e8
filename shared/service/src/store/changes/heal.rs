//! The work of `scimctl doctor --finish`: finishes every change, and removes what a restore or a defect has left of others.
//!
//! A change is taken over even if its request may still run: each step has a condition, so the request fails or finds its
//! work done. A table that was restored in part may contain any item of a change without the others.

use std::collections::{BTreeMap, BTreeSet};

use scim::{ResourceKind, id::Id};
use tokio::time::timeout_at;

use super::{apply::resume_without_header, change::Change, turn::finish, unfinished::remove_entry};
use crate::{
    Error,
    limits::COMMIT_RESERVE,
    store::{
        directory::Directory,
        items::{Item, name, optional_id, partition_key, sort_key},
        key_range::KeyRange,
        keys::{Key, org_and_change, unfinished_shards},
        table::delete_request,
    },
};

const OUT_OF_TIME: &str = "the time ended before all changes were finished; run the command again";

impl Directory {
    /// Finishes every change, whatever its age, and removes the parts, intents, reservations and list entries of changes
    /// that do not exist. Stops before the deadline of the caller. Returns why changes are left, one sentence each.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`] if DynamoDB does not answer. Changes that were finished until then
    /// stay finished.
    pub async fn finish_pending(&self) -> Result<Vec<String>, Error> {
        let mut left = Vec::new();
        match timeout_at(self.table.deadline - COMMIT_RESERVE, heal(self, &mut left)).await {
            Ok(outcome) => outcome?,
            Err(_) => left.push(OUT_OF_TIME.to_owned()),
        }
        Ok(left)
    }
}

async fn heal(directory: &Directory, left: &mut Vec<String>) -> Result<(), Error> {
    finish_headers(directory, left).await?;
    let intents = heal_groups(directory, left).await?;
    remove_lost_parts(directory, &intents, left).await?;
    remove_lost_entries(directory).await
}

/// Adds a change to those that are left if a defect is the reason. Any other error ends the work.
fn note_defect<T>(left: &mut Vec<String>, change: &Id, outcome: Result<T, Error>) -> Result<(), Error> {
    match outcome {
        Ok(_) => Ok(()),
        Err(Error::Internal(cause)) => {
            left.push(format!("the change {change} cannot be finished: {cause}"));
            Ok(())
        }
        Err(error) => Err(error),
    }
}

async fn finish_headers(directory: &Directory, left: &mut Vec<String>) -> Result<(), Error> {
    let partition = directory.keys.pending();
    let mut after = None;
    loop {
        let page = directory.table.query(KeyRange::all(&partition).after(after)).await?;
        for item in &page.items {
            // The doctor reports a header that cannot be read.
            if let Ok(change) = Change::from_item(item) {
                let id = change.id.clone();
                note_defect(left, &id, finish(directory, change).await)?;
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// The changes that groups name as their intents.
#[derive(Default)]
struct Intents {
    named: BTreeSet<Id>,
    /// Whether an intent cannot be read.
    unreadable: bool,
}

/// Completes the changes that groups name although their headers are lost, and removes such reservations.
async fn heal_groups(directory: &Directory, left: &mut Vec<String>) -> Result<Intents, Error> {
    let partition = directory.keys.resources(ResourceKind::Group);
    let mut intents = Intents::default();
    let mut after = None;
    loop {
        let page = directory.table.query(KeyRange::all(&partition).after(after)).await?;
        for item in &page.items {
            heal_group(directory, item, &mut intents, left).await?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(intents),
        }
    }
}

async fn heal_group(
    directory: &Directory,
    item: &Item,
    intents: &mut Intents,
    left: &mut Vec<String>,
) -> Result<(), Error> {
    let Some(group) = Id::parse(sort_key(item)?) else {
        intents.unreadable |= item.contains_key(name::INTENT);
        return Ok(());
    };
    for attribute in [name::INTENT, name::RESERVATION] {
        let is_intent = attribute == name::INTENT;
        let change = match optional_id(item, attribute) {
            Ok(Some(change)) => change,
            Ok(None) => continue,
            Err(_) => {
                intents.unreadable |= is_intent;
                continue;
            }
        };
        if is_intent {
            intents.named.insert(change.clone());
        }
        if !exists(directory, &change).await? {
            note_defect(left, &change, resume_without_header(directory, &group, &change).await)?;
        }
    }
    Ok(())
}

/// Removes the parts of changes that have no header and that no group names as its intent: they can take no effect any
/// more, because the commit requires the header.
async fn remove_lost_parts(
    directory: &Directory,
    intents: &Intents,
    left: &mut Vec<String>,
) -> Result<(), Error> {
    let mut parts: BTreeMap<Id, Vec<Key>> = BTreeMap::new();
    for item in directory.table.scan_prefix(&directory.keys.parts_prefix(), None).await? {
        let key = Key { pk: partition_key(&item)?.to_owned(), sk: sort_key(&item)?.to_owned() };
        if let Some(change) = directory.keys.change_of_parts(&key.pk) {
            parts.entry(change).or_default().push(key);
        }
    }
    for (change, keys) in parts {
        if intents.named.contains(&change) || exists(directory, &change).await? {
            continue;
        }
        if intents.unreadable {
            left.push(format!(
                "the parts of the change {change} are kept, because a group's intent cannot be read"
            ));
            continue;
        }
        let deletions = keys.iter().map(delete_request).collect::<Result<_, _>>()?;
        directory.table.write_all(deletions).await?;
    }
    Ok(())
}

/// Removes the organisation's entries in the list of unfinished changes that belong to no change.
async fn remove_lost_entries(directory: &Directory) -> Result<(), Error> {
    for shard in unfinished_shards() {
        let range = KeyRange::between(&shard, directory.keys.unfinished_range());
        for item in directory.table.query_all(range).await? {
            let sk = sort_key(&item)?;
            if let Some((_, change)) = org_and_change(sk)
                && directory.table.get(&directory.keys.pending().key(change)).await?.is_none()
            {
                remove_entry(directory, &shard.key(sk), change).await?;
            }
        }
    }
    Ok(())
}

/// Returns whether the change has a header.
async fn exists(directory: &Directory, change: &Id) -> Result<bool, Error> {
    let header = directory.keys.pending().key(change.as_str());
    Ok(directory.table.get(&header).await?.is_some())
}
