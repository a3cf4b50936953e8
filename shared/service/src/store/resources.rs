//! Reading one resource, and the transactions that write it: what users and groups have in common.
//!
//! A write carries the difference of the index entries in one transaction under the version that was read. It also carries
//! the count, if it creates or deletes a resource, or changes `active` of a user. If another writer was faster, the request
//! is repeated on the new state. Only a request with `If-Match` fails then.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use scim::{ResourceKind, id::Id, resource::Document};

use super::{
    counts::{count_changed, count_created},
    directory::Directory,
    index::{Entry, entries, have_same_names, is_folded_alike},
    items::{Item, Stored, name, string},
    keys::Keys,
    outbox::put_events,
    stamps::{self, Span, is_later},
    table::Table,
    transaction::{Condition, Transaction},
    write::{Guard, not_found},
};
use crate::{
    Error,
    clock::timestamp,
    event::{Change, EventId},
};

/// The versions that `If-Match` accepts (RFC 7644 §3.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Any version, as long as the resource exists.
    Anything,
    /// One of these versions.
    OneOf(Vec<String>),
}

/// Checks the version of a resource against `If-Match`.
pub(super) fn check_expected(expected: Option<&Expected>, stored: &Stored) -> Result<(), Error> {
    match expected {
        Some(Expected::OneOf(versions)) if !versions.contains(&stored.version) => {
            Err(Error::PreconditionFailed)
        }
        _ => Ok(()),
    }
}

/// Reads the resource of that id.
pub(super) async fn read(directory: &Directory, kind: ResourceKind, id: &Id) -> Result<Stored, Error> {
    let key = directory.keys.resource(kind, id.as_str());
    let item = directory.table.get(&key).await?.ok_or_else(|| not_found(kind))?;
    Stored::from_item(&item)
}

/// Makes a new resource with that document.
pub(super) fn fresh(table: &Table, kind: ResourceKind, document: Document) -> Result<Stored, Error> {
    // The id and `meta.created` have the same time: a range of `meta.created` is a range of ids.
    let now = table.clock.now();
    let created = timestamp(now)?;
    let id = table.entropy.id(now)?;
    Ok(Stored {
        is_folded: !is_folded_alike(kind, &id, &document),
        id,
        document,
        version: table.entropy.version()?,
        modified: created.clone(),
        created,
        intent: None,
        reservation: None,
        joins: 0,
        finished: None,
        stamp: None,
        commit: None,
    })
}

/// Makes the next state of a resource: another document, another version, modified now, without a reservation. Index
/// entries of release 0.2 stay if their values stay. A name that now equals another one must not prevent other changes,
/// such as the deactivation of a user.
pub(super) fn successor(
    table: &Table,
    kind: ResourceKind,
    stored: &Stored,
    document: Document,
) -> Result<Stored, Error> {
    let keeps_entries = !stored.is_folded && have_same_names(kind, &stored.id, &stored.document, &document);
    Ok(Stored {
        is_folded: !keeps_entries && !is_folded_alike(kind, &stored.id, &document),
        document,
        version: table.entropy.version()?,
        modified: table.clock.timestamp()?,
        reservation: None,
        ..stored.clone()
    })
}

/// Makes the transaction that puts a new resource, its index entries and its count.
/// The item has the id of the event as its stamp.
pub(super) fn creation(
    keys: &Keys,
    kind: ResourceKind,
    stored: &Stored,
    event: &EventId,
) -> Transaction<Guard> {
    let stored = &Stored { stamp: Some(*event), ..stored.clone() };
    let mut transaction = Transaction::new();
    let key = keys.resource(kind, stored.id.as_str());
    transaction.put(key, stored.to_item(), Condition::absent(), Guard::Resource);
    let new = entries(kind, stored);
    index_changes(keys, &mut transaction, kind, &stored.id, &BTreeSet::new(), &new);
    count_created(keys, &mut transaction, kind, stored);
    transaction
}

/// Makes the transaction of [`creation`] with its event.
pub(super) fn told_creation(
    directory: &Directory,
    kind: ResourceKind,
    stored: &Stored,
    event: &EventId,
) -> Result<Transaction<Guard>, Error> {
    let mut transaction = creation(&directory.keys, kind, stored, event);
    let created = Change::created(kind, &stored.id, &stored.document);
    put_events(directory, &mut transaction, event, vec![created])?;
    Ok(transaction)
}

/// Makes the transaction that replaces a resource by its next state, and changes its index entries. If `active` of a user
/// changes, it changes the count too. Without events the stamp stays.
pub(super) fn replacement(
    keys: &Keys,
    kind: ResourceKind,
    stored: &Stored,
    next: &Stored,
    events: Option<Span>,
) -> Transaction<Guard> {
    let next = &Stored { stamp: events.map(|events| events.last).or(stored.stamp), ..next.clone() };
    let mut transaction = Transaction::new();
    let key = keys.resource(kind, stored.id.as_str());
    let unchanged = match events {
        // The deletion of a member changes the stamp of a group although the group is reserved.
        Some(events) if stored.reservation.is_some() => is_later(is_unchanged(stored), &events.first),
        _ => is_unchanged(stored),
    };
    transaction.put(key, next.to_item(), unchanged, Guard::Resource);
    let (old, new) = (entries(kind, stored), entries(kind, next));
    index_changes(keys, &mut transaction, kind, &stored.id, &old, &new);
    count_changed(keys, &mut transaction, kind, stored, next);
    transaction
}

/// Adds the actions that turn the old index entries of a resource into the new ones.
pub(super) fn index_changes(
    keys: &Keys,
    transaction: &mut Transaction<Guard>,
    kind: ResourceKind,
    id: &Id,
    old: &BTreeSet<Entry>,
    new: &BTreeSet<Entry>,
) {
    for entry in old.difference(new) {
        let key = keys.index(kind, entry.attribute).key(&entry.sk);
        transaction.delete(key, None, Guard::Unconditional);
    }
    for entry in new.difference(old) {
        let key = keys.index(kind, entry.attribute).key(&entry.sk);
        let item = Item::from([(name::ID.to_owned(), string(id.as_str()))]);
        let condition = entry.unique.then(Condition::absent);
        transaction.put(key, item, condition, Guard::Unique(entry.attribute));
    }
}

/// Returns the condition that the resource has not been written since it was read. Changes of members give a group another
/// version, so the condition covers them too. If the request has reserved the group, the reservation alone is the
/// condition.
pub(super) fn is_unchanged(stored: &Stored) -> Condition {
    match &stored.reservation {
        Some(reservation) => Condition::expression(format!("{} = :reservation", name::RESERVATION))
            .with(":reservation", reservation.as_str()),
        None => Condition::expression(format!(
            "{} = :version AND attribute_not_exists({})",
            name::VERSION,
            name::RESERVATION
        ))
        .with(":version", &stored.version),
    }
}

/// Returns the condition that the group exists and no change holds it.
pub(super) fn is_free() -> Condition {
    Condition::expression(format!(
        "attribute_exists({}) AND attribute_not_exists({}) AND attribute_not_exists({})",
        name::VERSION,
        name::INTENT,
        name::RESERVATION
    ))
}

/// Returns the update expression that gives a resource another version and stamp, and sets `meta.lastModified`.
pub(super) fn bump_version_expression() -> String {
    format!("SET {} = :new, {} = :now, {} = :stamp", name::VERSION, name::MODIFIED, name::STAMP)
}

/// Returns the values that [`bump_version_expression`] names.
pub(super) fn bump_version_values(
    table: &Table,
    version: &str,
    stamp: &EventId,
) -> Result<Vec<(&'static str, AttributeValue)>, Error> {
    let now = string(&table.clock.timestamp()?);
    Ok(vec![(":new", string(version)), (":now", now), (":stamp", stamps::value(stamp))])
}
