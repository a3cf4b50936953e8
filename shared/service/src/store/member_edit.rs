//! Adding and removing named members without reading the group.
//!
//! The cost is the same for every size of group, and concurrent writers of different members do not undo each other. The
//! transaction checks that each new member exists, and its conditions say whether any membership changes.

use std::collections::BTreeSet;

use scim::{ResourceKind, id::Id, members::MemberEdit};

use super::{
    changes::{Draft, read_in_turn},
    directory::Directory,
    edges::{Difference, Edge, IfSatisfied, Resolved, edge_actions, parse_members, resolve, unknown_member},
    items::{name, string},
    keys::{Key, Keys},
    outbox::put_events,
    resources::{bump_version_expression, bump_version_values, is_free, read},
    slots::begin_expensive,
    stamps::{self, event_id, is_later, overtaking},
    table::Backoff,
    transaction::{Condition, FailedCondition, MAX_ACTIONS, Transaction},
    write::Guard,
};
use crate::{
    Error,
    error::Reason,
    event::{EventId, Subject},
};

/// Applies operations that only name members to add and to remove. Returns the group's new version, or `None` if the
/// members were as requested already.
pub(super) async fn edit_members(
    directory: &Directory,
    group: &Id,
    edit: &MemberEdit,
) -> Result<Option<String>, Error> {
    // A member without a type is taken for a user, until that proves wrong: identity providers send users, without
    // their type.
    let add = parse_members(&edit.add)?
        .into_iter()
        .map(|(id, kind)| Edge { member: id, kind: kind.unwrap_or(ResourceKind::User) })
        .collect();
    let remove = edit.remove.iter().filter_map(|id| Id::parse(id)).collect();
    let requested = Difference { add, remove };
    // The group and the events take one action each.
    if requested.actions() + 2 <= MAX_ACTIONS {
        return edit_few(directory, group, requested).await;
    }
    begin_expensive(directory).await?;
    let Resolved { edges: add, stamp } = resolve(directory, &edit.add).await?;
    edit_many(directory, group, Difference { add, ..requested }, stamp).await
}

/// Adds and removes members in one transaction, without reading.
async fn edit_few(directory: &Directory, id: &Id, requested: Difference) -> Result<Option<String>, Error> {
    let Directory { table, keys, .. } = directory;
    let mut difference = requested.clone();
    let mut backoff = Backoff::new(table);
    let mut floor = None;
    loop {
        if difference.is_empty() {
            read(directory, ResourceKind::Group, id).await?;
            return Ok(None);
        }
        let version = table.entropy.version()?;
        let event = event_id(directory, floor.as_ref(), &version);
        let mut transaction = Transaction::new();
        transaction.update(
            keys.resource(ResourceKind::Group, id.as_str()),
            bump_version_expression(),
            bump_version_values(table, &version, &event)?,
            is_later(is_free(), &event),
            Guard::Resource,
        );
        transaction.append(edge_actions(keys, id, &difference, IfSatisfied::Fail, Some(&event)));
        let group = Subject::unread(ResourceKind::Group, id);
        put_events(directory, &mut transaction, &event, difference.changes(&group))?;
        check_still_as_requested(keys, &mut transaction, id, &requested, &difference);
        let Err(failed) = transaction.send(table).await? else {
            return Ok(Some(version));
        };
        if let Some(stamp) = overtaking(&failed, &event)? {
            floor = Some(stamp);
            backoff.wait().await?;
        } else if failed.iter().any(|condition| condition.guard == Guard::Resource) {
            read_in_turn(directory, ResourceKind::Group, id, None).await?;
        } else if failed.iter().any(|condition| condition.guard == Guard::StillAsRequested) {
            difference.clone_from(&requested);
            backoff.wait().await?;
        } else {
            drop_satisfied(directory, &mut difference, &failed).await?;
        }
    }
}

/// Adds and removes members in several transactions. All operations are written as requested, whatever the members are, so
/// the change is committed whatever the version of the group is.
async fn edit_many(
    directory: &Directory,
    id: &Id,
    requested: Difference,
    floor: Option<EventId>,
) -> Result<Option<String>, Error> {
    let before = read(directory, ResourceKind::Group, id).await?;
    if before.holder().is_none() && is_satisfied(directory, id, &requested).await? {
        let after = read(directory, ResourceKind::Group, id).await?;
        if after.holder().is_none() && after.version == before.version {
            return Ok(None);
        }
    }
    let draft = Draft::write(directory, id, &requested).await?;
    match commit(directory, id, &draft, before.stamp.max(floor)).await {
        Ok((version, event)) => {
            draft.finish(directory, &event).await;
            Ok(Some(version))
        }
        Err(error) => {
            draft.discard(directory).await;
            Err(error)
        }
    }
}

/// Commits the draft when no other change holds the group. Returns the group's new version, and the id from which those of
/// the parts' events are derived. `floor` is the latest stamp that was read.
async fn commit(
    directory: &Directory,
    id: &Id,
    draft: &Draft,
    mut floor: Option<EventId>,
) -> Result<(String, EventId), Error> {
    let Directory { table, keys, .. } = directory;
    loop {
        let version = table.entropy.version()?;
        let event = event_id(directory, floor.as_ref(), &version);
        let stamp = draft.last_event(&event);
        let mut values = bump_version_values(table, &version, &stamp)?;
        values.push((":intent", string(draft.id().as_str())));
        values.push((":commit", stamps::value(&event)));
        let mut transaction = Transaction::new();
        transaction.update(
            keys.resource(ResourceKind::Group, id.as_str()),
            format!("{}, {} = :intent, {} = :commit", bump_version_expression(), name::INTENT, name::COMMIT),
            values,
            is_later(is_free(), &event),
            Guard::Resource,
        );
        let Err(failed) = draft.commit(directory, transaction).await? else {
            return Ok((version, event));
        };
        if failed.iter().all(|condition| condition.guard != Guard::Resource) {
            // Another request has taken the draft back, because this one was suspended for too long.
            return Err(Error::Unavailable(Reason::Conflicts));
        }
        floor = overtaking(&failed, &event)?.or(floor);
        read_in_turn(directory, ResourceKind::Group, id, None).await?;
    }
}

/// Returns whether every member is as requested already.
async fn is_satisfied(directory: &Directory, group: &Id, requested: &Difference) -> Result<bool, Error> {
    let edge = |member: &Id| directory.keys.edge(group.as_str(), member.as_str());
    let added: Vec<Key> = requested.add.iter().map(|added| edge(&added.member)).collect();
    let removed: Vec<Key> = requested.remove.iter().map(edge).collect();
    Ok(directory.table.existing(&removed).await?.is_empty()
        && directory.table.existing(&added).await?.len() == added.len())
}

/// Checks that the memberships that already matched the request still do. The request thus takes effect at one time, and
/// not partly earlier and partly later.
fn check_still_as_requested(
    keys: &Keys,
    transaction: &mut Transaction<Guard>,
    group: &Id,
    requested: &Difference,
    difference: &Difference,
) {
    let added: BTreeSet<&Id> = difference.add.iter().map(|edge| &edge.member).collect();
    let removed: BTreeSet<&Id> = difference.remove.iter().collect();
    let members = requested.add.iter().map(|edge| &edge.member).filter(|member| !added.contains(member));
    let others = requested.remove.iter().filter(|member| !removed.contains(member));
    let conditions =
        members.map(|id| (id, Condition::exists())).chain(others.map(|id| (id, Condition::absent())));
    for (member, condition) in conditions {
        let edge = keys.edge(group.as_str(), member.as_str());
        transaction.check(edge, condition, Guard::StillAsRequested);
    }
}

/// Removes from the difference the memberships that are as requested, and corrects the kind of members that are groups.
///
/// # Errors
/// `invalidValue` if a member to be added does not exist.
async fn drop_satisfied(
    directory: &Directory,
    difference: &mut Difference,
    failed: &[FailedCondition<Guard>],
) -> Result<(), Error> {
    let has_failed = |guard: Guard| failed.iter().any(|condition| condition.guard == guard);
    let mut add = Vec::new();
    for (index, edge) in std::mem::take(&mut difference.add).into_iter().enumerate() {
        let is_member = has_failed(Guard::NotYetMember(index));
        if !has_failed(Guard::MemberExists(index)) {
            add.extend((!is_member).then_some(edge));
            continue;
        }
        let group =
            directory.table.get(&directory.keys.resource(ResourceKind::Group, edge.member.as_str())).await?;
        if edge.kind == ResourceKind::Group || group.is_none() {
            return Err(unknown_member(edge.member.as_str()));
        }
        add.extend((!is_member).then_some(Edge { kind: ResourceKind::Group, ..edge }));
    }
    difference.add = add;
    let remove = std::mem::take(&mut difference.remove).into_iter().enumerate();
    difference.remove =
        remove.filter(|(index, _)| !has_failed(Guard::StillMember(*index))).map(|(_, id)| id).collect();
    Ok(())
}
