//! Deletion of one resource.
//!
//! A resource with few memberships is deleted together with them, in one transaction. Any other leaves a tombstone, and
//! its memberships are removed afterwards.

use std::collections::BTreeSet;

use scim::{ResourceKind, id::Id};

use super::{
    changes::{finish_deletion_in_time, leave_actions, left_group, read_in_turn, tombstone},
    counts::count_deleted,
    directory::Directory,
    edges::{Difference, IfSatisfied, edge_actions, edge_member, reverse_edge},
    index::entries,
    items::{Stored, name},
    key_range::KeyRange,
    keys,
    outbox::put_events,
    resources::{Expected, check_expected, index_changes, is_unchanged},
    slots::begin_expensive,
    stamps::{event_id_of, overtaking},
    table::Backoff,
    transaction::{MAX_ACTIONS, Transaction},
    write::{Guard, not_found},
};
use crate::{
    Error,
    event::{Change, EventId},
};

impl Directory {
    /// Deletes a resource. The resource and its index entries disappear at once, for every reader. Its memberships
    /// disappear with it. Returns the resource as it was.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`].
    pub async fn delete(
        &self,
        kind: ResourceKind,
        id: &str,
        expected: Option<&Expected>,
    ) -> Result<Stored, Error> {
        let id = Id::parse(id).ok_or_else(|| not_found(kind))?;
        let mut backoff = Backoff::new(&self.table);
        let mut leaves_tombstone = false;
        let mut floor = None;
        loop {
            let stored = read_in_turn(self, kind, &id, None).await?;
            check_expected(expected, &stored)?;
            floor = stored.stamp.max(floor);
            let event = event_id_of(self, floor.as_ref(), &id, &stored.version);
            let mut transaction = removal(self, kind, &stored);
            let memberships = if leaves_tombstone {
                None
            } else {
                // The events take one action.
                memberships(self, kind, &id, &event, MAX_ACTIONS - transaction.len() - 1).await?
            };
            let mut changes = Vec::new();
            let tombstone = if let Some((memberships, groups)) = memberships {
                transaction.append(memberships);
                changes.extend(groups.iter().flat_map(|group| left_group(&id, group)));
                None
            } else {
                begin_expensive(self).await?;
                Some(tombstone(self, &mut transaction, kind, &id)?)
            };
            changes.push(Change::deleted(kind, &id, &stored.document));
            put_events(self, &mut transaction, &event, changes)?;
            match transaction.send(&self.table).await? {
                Ok(()) => {
                    if let Some(tombstone) = tombstone {
                        finish_deletion_in_time(self, &tombstone, kind).await;
                    }
                    return Ok(stored);
                }
                // Another writer has changed the resource. If only a group of it has changed, a tombstone does not depend
                // on that group.
                Err(failed) => {
                    let overtaken = overtaking(&failed, &event)?;
                    floor = overtaken.or(floor);
                    leaves_tombstone = overtaken.is_none()
                        && failed.iter().all(|condition| condition.guard != Guard::Resource);
                    backoff.wait().await?;
                }
            }
        }
    }
}

/// Makes the transaction that deletes a resource and its index entries, and counts the deletion.
fn removal(directory: &Directory, kind: ResourceKind, stored: &Stored) -> Transaction<Guard> {
    let keys = &directory.keys;
    let mut transaction = Transaction::new();
    let unchanged = match stored.joins {
        0 => is_unchanged(stored).and(&format!("attribute_not_exists({})", name::JOINS)),
        joins => is_unchanged(stored).and(&format!("{} = :joins", name::JOINS)).with_number(":joins", joins),
    };
    transaction.delete(keys.resource(kind, stored.id.as_str()), unchanged, Guard::Resource);
    let old = entries(kind, stored);
    index_changes(keys, &mut transaction, kind, &stored.id, &old, &BTreeSet::new());
    count_deleted(keys, &mut transaction, kind, stored);
    transaction
}

/// Makes the transaction that removes every membership of a resource. Returns it with the groups that the resource leaves.
/// Returns `None` if it has more than `limit` actions.
///
/// The resource was read before. The conditions on its `joins`, and for the members of a group on its version, fail if a
/// membership is added after that.
async fn memberships(
    directory: &Directory,
    kind: ResourceKind,
    id: &Id,
    event: &EventId,
    limit: usize,
) -> Result<Option<(Transaction<Guard>, Vec<Id>)>, Error> {
    let Directory { table, keys, .. } = directory;
    let (reverse, members) = (keys.reverse_edges(), keys.members(id.as_str()));
    let between = keys::reverse_range(id.as_str(), id.as_str());
    let groups = table.query(KeyRange::between(&reverse, between).limit(limit / 3 + 1));
    let members = async {
        match kind {
            ResourceKind::User => Ok(None),
            ResourceKind::Group => table.query(KeyRange::all(&members).limit(limit / 2 + 1)).await.map(Some),
        }
    };
    let (groups, members) = tokio::try_join!(groups, members)?;
    let members = members.map(|page| page.items).unwrap_or_default();
    let mut transaction = Transaction::new();
    let mut left = Vec::new();
    for item in &groups.items {
        let (_, group) = reverse_edge(item)?;
        match Id::parse(group) {
            // A transaction may name an item once only.
            Some(group) if group != *id => {
                let version = table.entropy.version()?;
                transaction.append(leave_actions(directory, id, &group, &version, event)?);
                left.push(group);
            }
            _ => return Ok(None),
        }
    }
    let remove = members.iter().map(edge_member).collect::<Result<_, _>>()?;
    let removed = Difference { add: Vec::new(), remove };
    transaction.append(edge_actions(keys, id, &removed, IfSatisfied::Rewrite, None));
    Ok((transaction.len() <= limit).then_some((transaction, left)))
}
