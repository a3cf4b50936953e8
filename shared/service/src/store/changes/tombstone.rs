//! Tombstones: pending changes that remove the edges of deleted resources.

use std::iter;

use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{ResourceKind, id::Id};

use super::change::{Change, ChangeKind, finish_in_time};
use crate::{
    Error,
    event::{self, EventId, Subject},
    store::{
        directory::Directory,
        edges::{Difference, IfSatisfied, edge_actions, edge_member, reverse_edge},
        items::Item,
        key_range::KeyRange,
        keys,
        outbox::put_events_by,
        resources::{bump_version_expression, bump_version_values},
        stamps::{event_id, is_later, overtaking},
        table::{Backoff, CONCURRENCY},
        transaction::{Condition, MAX_ACTIONS, Transaction},
        write::Guard,
    },
};

/// Adds a tombstone to the transaction that deletes the resource.
pub(in crate::store) fn tombstone(
    directory: &Directory,
    transaction: &mut Transaction<Guard>,
    kind: ResourceKind,
    id: &Id,
) -> Result<Change, Error> {
    let change = Change::new(directory, ChangeKind::Deleted(kind), id)?;
    change.begin(&directory.keys, transaction);
    Ok(change)
}

/// Removes the edges of a resource that this request deleted, as far as its time allows.
pub(in crate::store) async fn finish_deletion_in_time(
    directory: &Directory,
    tombstone: &Change,
    kind: ResourceKind,
) {
    finish_in_time(directory, finish_deletion(directory, tombstone, kind)).await;
}

/// Removes the edges of a deleted resource, then its tombstone.
pub(super) async fn finish_deletion(
    directory: &Directory,
    tombstone: &Change,
    kind: ResourceKind,
) -> Result<(), Error> {
    leave_groups(directory, tombstone).await?;
    if kind == ResourceKind::Group {
        remove_members(directory, &tombstone.subject).await?;
    }
    let mut transaction = Transaction::new();
    tombstone.end(&directory.keys, &mut transaction);
    transaction.send(&directory.table).await.map(|_| ())
}

/// Removes a deleted resource from its groups. Each of them gets another version.
async fn leave_groups(directory: &Directory, tombstone: &Change) -> Result<(), Error> {
    let member = &tombstone.subject;
    let partition = directory.keys.reverse_edges();
    let range = keys::reverse_range(member.as_str(), member.as_str());
    let mut backoff = Backoff::new(&directory.table);
    loop {
        let range = KeyRange::between(&partition, range.clone()).limit(CONCURRENCY);
        let page = directory.table.query(range).await?;
        if page.items.is_empty() {
            return Ok(());
        }
        let work: Vec<_> = page.items.iter().map(|item| leave_group(directory, tombstone, item)).collect();
        let all_left = stream::iter(work).buffer_unordered(CONCURRENCY).try_collect::<Vec<bool>>().await?;
        if all_left.contains(&false) {
            backoff.wait().await?;
        } else if page.next.is_none() {
            // No request adds a deleted resource to a group, so no edge is left.
            return Ok(());
        }
    }
}

/// Removes a deleted resource from one group. Returns whether the edge is gone. If the last event of the group is later than
/// that of the removal would be, tries again.
async fn leave_group(directory: &Directory, tombstone: &Change, reverse: &Item) -> Result<bool, Error> {
    let Directory { table, keys, .. } = directory;
    let (member, by) = (&tombstone.subject, tombstone.by(directory)?);
    let (_, group) = reverse_edge(reverse)?;
    let group =
        Id::parse(group).ok_or_else(|| Error::Internal("a reverse edge cannot be read".to_owned()))?;
    let mut floor = None;
    loop {
        let version = table.entropy.version()?;
        let event = event_id(directory, floor.as_ref(), &version);
        let mut transaction = leave_actions(directory, member, &group, &version, &event)?;
        put_events_by(directory, &mut transaction, &event, &by, left_group(member, &group))?;
        let Err(failed) = transaction.send(table).await? else { return Ok(true) };
        match overtaking(&failed, &event)? {
            Some(stamp) => floor = Some(stamp),
            None => break,
        }
    }
    // Either the group has been deleted too and only its edges are left, or another request has removed the member since
    // and has given the group another version.
    let leave = Difference { add: Vec::new(), remove: vec![member.clone()] };
    let removed = edge_actions(keys, &group, &leave, IfSatisfied::Rewrite, None).send(table).await?;
    Ok(removed.is_ok())
}

/// Makes the transaction that removes a member from a group, and gives the group another version.
pub(in crate::store) fn leave_actions(
    directory: &Directory,
    member: &Id,
    group: &Id,
    version: &str,
    event: &EventId,
) -> Result<Transaction<Guard>, Error> {
    let Directory { table, keys, .. } = directory;
    let leave = Difference { add: Vec::new(), remove: vec![member.clone()] };
    let mut transaction = edge_actions(keys, group, &leave, IfSatisfied::Fail, None);
    let key = keys.resource(ResourceKind::Group, group.as_str());
    let values = bump_version_values(table, version, event)?;
    let exists = is_later(Condition::exists(), event);
    transaction.update(key, bump_version_expression(), values, exists, Guard::OfGroup);
    Ok(transaction)
}

/// Returns the change of a group that a member has left.
pub(in crate::store) fn left_group(member: &Id, group: &Id) -> Vec<event::Change> {
    let group = Subject::unread(ResourceKind::Group, group);
    event::Change::members(&group, iter::empty(), iter::once(member))
}

/// Removes the edges of a deleted group.
async fn remove_members(directory: &Directory, group: &Id) -> Result<(), Error> {
    let Directory { table, keys, .. } = directory;
    let partition = keys.members(group.as_str());
    loop {
        let page = table.query(KeyRange::all(&partition).limit(CONCURRENCY * MAX_ACTIONS / 2)).await?;
        let members = page.items.iter().map(edge_member).collect::<Result<Vec<_>, _>>()?;
        if members.is_empty() {
            return Ok(());
        }
        let work: Vec<_> = members
            .chunks(MAX_ACTIONS / 2)
            .map(|chunk| {
                let removed = Difference { add: Vec::new(), remove: chunk.to_vec() };
                // The deletion of the group has an event, and its members need none.
                edge_actions(keys, group, &removed, IfSatisfied::Rewrite, None).send(table)
            })
            .collect();
        stream::iter(work).buffer_unordered(CONCURRENCY).try_collect::<Vec<_>>().await?;
    }
}
