//! The end of a change of members: its parts are applied, or it is taken back.
//!
//! Only the group says whether a change is committed. The parts are applied after a read of the group has returned the
//! change as its intent. The check is not part of each transaction, because transactions that check the same item
//! conflict, and parts are applied in parallel. It is as strong: a part exists until its change is discarded, and a
//! committed change is discarded by the transaction that removes the intent.

use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{ResourceKind, id::Id};

use super::{
    change::{Change, lease},
    part::{PART_ACTIONS, Part},
};
use crate::{
    Error,
    event::{EventId, Subject},
    store::{
        directory::Directory,
        edges::{Difference, IfSatisfied, edge_actions},
        items::{Item, name, optional_event_id, optional_id, sort_key, string},
        key_range::KeyRange,
        keys::Key,
        outbox::put_events_by,
        stamps::event_id,
        table::{Backoff, CONCURRENCY, delete_request},
        transaction::{Condition, Transaction},
        write::{Guard, lost_race},
    },
};

/// Applies the parts of a change that this request has committed, and removes the change.
pub(super) async fn finish_members(
    directory: &Directory,
    change: &Change,
    parts: &[Part],
    commit: &EventId,
) -> Result<(), Error> {
    apply_parts(directory, change, parts, commit).await?;
    clear_intent(directory, change).await?;
    clean(directory, change, part_keys(directory, change, parts)).await
}

/// Continues a change that its request has left: completes it if the group names it as its intent, and takes it back
/// otherwise.
pub(super) async fn resume_members(directory: &Directory, change: &mut Change) -> Result<(), Error> {
    let group = directory.keys.resource(ResourceKind::Group, change.subject.as_str());
    let mut backoff = Backoff::new(&directory.table);
    loop {
        let item = directory.table.get(&group).await?.unwrap_or_default();
        let names_change = |name| optional_id(&item, name).map(|holder| holder.as_ref() == Some(&change.id));
        if names_change(name::INTENT)? {
            // A change that release 0.2 committed has no event.
            let commit = if let Some(commit) = optional_event_id(&item, name::COMMIT)? {
                commit
            } else {
                let stamp = optional_event_id(&item, name::STAMP)?;
                event_id(directory, stamp.as_ref(), &directory.table.entropy.version()?)
            };
            apply_stored_parts(directory, change, &commit).await?;
            clear_intent(directory, change).await?;
            break;
        }
        let reserved = names_change(name::RESERVATION)?;
        if take_back(directory, change, reserved).await? {
            break;
        }
        backoff.wait().await?;
    }
    remove_parts(directory, change).await
}

/// Takes back a draft, or a reservation, unless it has been committed. Returns `false` if the group is not as expected any
/// more.
pub(super) async fn take_back(directory: &Directory, change: &Change, reserved: bool) -> Result<bool, Error> {
    let mut transaction = Transaction::new();
    if reserved {
        remove_reservation(directory, &mut transaction, change);
    } else {
        let group = directory.keys.resource(ResourceKind::Group, change.subject.as_str());
        let not_committed = Condition::expression(format!(
            "(attribute_not_exists({intent}) OR {intent} <> :change) AND \
             (attribute_not_exists({reservation}) OR {reservation} <> :change)",
            intent = name::INTENT,
            reservation = name::RESERVATION,
        ));
        transaction.check(group, not_committed.with(":change", change.id.as_str()), Guard::Resource);
    }
    change.discard(&directory.keys, &mut transaction);
    let Err(failed) = transaction.send(&directory.table).await? else { return Ok(true) };
    if failed.iter().any(|condition| condition.guard == Guard::Resource) {
        return Ok(false);
    }
    // The header is gone: another request has removed the change, or a restore lost the header of a reservation.
    if reserved {
        let mut transaction = Transaction::new();
        remove_reservation(directory, &mut transaction, change);
        transaction.check(change.key(&directory.keys), Condition::absent(), Guard::StillPending);
        return Ok(transaction.send(&directory.table).await?.is_ok());
    }
    Ok(true)
}

/// Adds the action that removes the reservation of the change from its group.
pub(super) fn remove_reservation(
    directory: &Directory,
    transaction: &mut Transaction<Guard>,
    change: &Change,
) {
    transaction.update(
        directory.keys.resource(ResourceKind::Group, change.subject.as_str()),
        format!("REMOVE {}", name::RESERVATION),
        vec![],
        Condition::expression(format!("{} = :change", name::RESERVATION)).with(":change", change.id.as_str()),
        Guard::Resource,
    );
}

/// Deletes the parts of a discarded change, then its header.
pub(super) async fn clean(directory: &Directory, change: &Change, parts: Vec<Key>) -> Result<(), Error> {
    let deletions = parts.iter().map(delete_request).collect::<Result<_, _>>()?;
    directory.table.write_all(deletions).await?;
    let mut transaction = Transaction::new();
    change.end(&directory.keys, &mut transaction);
    transaction.send(&directory.table).await.map(|_| ())
}

/// Returns the keys of these parts of a change.
pub(super) fn part_keys(directory: &Directory, change: &Change, parts: &[Part]) -> Vec<Key> {
    let partition = directory.keys.parts(&change.id);
    parts.iter().map(|part| part.key(&partition)).collect()
}

/// Deletes all stored parts of a discarded change, then its header.
pub(super) async fn remove_parts(directory: &Directory, change: &Change) -> Result<(), Error> {
    let partition = directory.keys.parts(&change.id);
    let parts = directory.table.query_all(KeyRange::all(&partition)).await?;
    let keys = parts.iter().map(|part| Ok(partition.key(sort_key(part)?)));
    clean(directory, change, keys.collect::<Result<_, Error>>()?).await
}

/// Applies every stored part that is not applied yet.
async fn apply_stored_parts(
    directory: &Directory,
    change: &mut Change,
    commit: &EventId,
) -> Result<(), Error> {
    let partition = directory.keys.parts(&change.id);
    let mut after: Option<Item> = None;
    let mut read = 0;
    loop {
        let page = directory.table.query(KeyRange::all(&partition).after(after)).await?;
        let mut parts = page.items.iter().map(Part::from_item).collect::<Result<Vec<_>, _>>()?;
        for (number, part) in (read..).zip(&mut parts) {
            part.number_if_absent(number);
        }
        read += u32::try_from(parts.len()).unwrap_or_default();
        apply_parts(directory, change, &parts, commit).await?;
        if page.next.is_none() {
            return Ok(());
        }
        after = page.next;
        lease(directory, change).await?;
    }
}

async fn apply_parts(
    directory: &Directory,
    change: &Change,
    parts: &[Part],
    commit: &EventId,
) -> Result<(), Error> {
    let unapplied = parts.iter().filter(|part| !part.applied);
    let work: Vec<_> = unapplied.map(|part| apply_part(directory, change, part, commit)).collect();
    stream::iter(work).buffer_unordered(CONCURRENCY).try_collect::<Vec<()>>().await?;
    Ok(())
}

/// Applies one part, unless another request has applied it.
async fn apply_part(
    directory: &Directory,
    change: &Change,
    part: &Part,
    commit: &EventId,
) -> Result<(), Error> {
    let Directory { table, keys, .. } = directory;
    let partition = keys.parts(&change.id);
    let (group, by) = (Subject::unread(ResourceKind::Group, &change.subject), change.by(directory)?);
    let mut difference = part.difference.clone();
    // A part of release 0.2 has no room for its event, so its last addition has a transaction of its own. It may be repeated.
    if let Some(edge) = difference.add.pop_if(|_| part.difference.actions() > PART_ACTIONS) {
        let alone = Difference { add: vec![edge], remove: Vec::new() };
        let event = event_id(directory, Some(commit), &table.entropy.version()?);
        let mut transaction = edge_actions(keys, &change.subject, &alone, IfSatisfied::Rewrite, None);
        put_events_by(directory, &mut transaction, &event, &by, alone.changes(&group))?;
        // The condition fails if the member was deleted after the change was committed.
        let _ = transaction.send(table).await?;
    }
    let mut bumps_version = false;
    loop {
        let mut transaction = Transaction::new();
        part.mark(&partition, &mut transaction);
        // The id of the commit is later than the stamps of the members.
        transaction.append(edge_actions(keys, &change.subject, &difference, IfSatisfied::Rewrite, None));
        put_events_by(directory, &mut transaction, &part.event(commit), &by, difference.changes(&group))?;
        if bumps_version {
            let group = keys.resource(ResourceKind::Group, change.subject.as_str());
            let values = vec![
                (":new", string(&table.entropy.version()?)),
                (":now", string(&table.clock.timestamp()?)),
            ];
            // The stamp is that of the last part already.
            let expression = format!("SET {} = :new, {} = :now", name::VERSION, name::MODIFIED);
            transaction.update(group, expression, values, Condition::exists(), Guard::Resource);
        }
        let Err(failed) = transaction.send(table).await? else { return Ok(()) };
        if failed.iter().any(|condition| condition.guard == Guard::StillPending) {
            return Ok(());
        }
        // A member was deleted after the change was committed. The result is that of a deletion after the whole change,
        // which gives the group another version. If a restore lost the group, only the edges are written.
        bumps_version = !lost_race(&change.subject, &failed);
        let mut index = 0;
        difference.add.retain(|_| {
            index += 1;
            !failed.iter().any(|condition| condition.guard == Guard::MemberExists(index - 1))
        });
    }
}

/// Removes the intent of a change whose parts are all applied, and discards the change.
async fn clear_intent(directory: &Directory, change: &Change) -> Result<(), Error> {
    let clear = |with_header| {
        let mut transaction = Transaction::new();
        transaction.update(
            directory.keys.resource(ResourceKind::Group, change.subject.as_str()),
            format!("SET {} = :change REMOVE {}, {}", name::FINISHED, name::INTENT, name::COMMIT),
            vec![],
            Condition::expression(format!("{} = :change", name::INTENT)).with(":change", change.id.as_str()),
            Guard::Resource,
        );
        if with_header {
            change.discard(&directory.keys, &mut transaction);
        }
        transaction.send(&directory.table)
    };
    match clear(true).await? {
        // A restore lost the header.
        Err(failed) if failed.iter().all(|condition| condition.guard == Guard::StillPending) => {
            clear(false).await.map(|_| ())
        }
        // If the condition of the group fails, another request has finished the change.
        _ => Ok(()),
    }
}

/// Completes or takes back the change that a group names although a restore lost the header.
pub(super) async fn resume_without_header(
    directory: &Directory,
    group: &Id,
    change: &Id,
) -> Result<(), Error> {
    let mut change = Change::lost(group, change);
    resume_members(directory, &mut change).await
}
