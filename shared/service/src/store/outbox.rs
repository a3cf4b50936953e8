//! The outbox: the events of each transaction, in one item that the transaction puts.
//!
//! The items of all organisations are in a few partitions, so that the sequencer finds the organisations that have any
//! without visiting the others. The sort key begins with the organisation.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    directory::{Directory, Store},
    items::{Item, text},
    keys::Keys,
    transaction::Transaction,
    write::Guard,
};
use crate::{
    Error,
    auth::Org,
    event::{Authorship, Change, Event, EventId},
};

/// The attribute with the events as JSON.
const EVENTS: &str = "events";

/// The events of one transaction.
pub(super) struct Outgoing<'a> {
    pub(super) org: &'a Org,
    pub(super) id: &'a EventId,
    pub(super) by: &'a Authorship,
}

/// Returns who makes the changes of a request.
pub(super) fn authorship(directory: &Directory) -> Result<Authorship, Error> {
    let (author, request) = directory.caller.author();
    Ok(Authorship { author, request: request.map(str::to_owned), at: directory.table.clock.timestamp()? })
}

/// Adds the events of the changes to the transaction of a request, as one action. Adds nothing if nothing changes.
pub(super) fn put_events(
    directory: &Directory,
    transaction: &mut Transaction<Guard>,
    id: &EventId,
    changes: Vec<Change>,
) -> Result<(), Error> {
    put_events_by(directory, transaction, id, &authorship(directory)?, changes)
}

/// Adds events like [`put_events`], of a change that another request may have begun.
pub(super) fn put_events_by(
    directory: &Directory,
    transaction: &mut Transaction<Guard>,
    id: &EventId,
    by: &Authorship,
    changes: Vec<Change>,
) -> Result<(), Error> {
    let outgoing = Outgoing { org: directory.org(), id, by };
    put(&directory.store, transaction, &outgoing, changes, Guard::Unconditional)
}

/// Adds the events of the changes to a transaction on any table.
pub(super) fn put<G>(
    store: &Store,
    transaction: &mut Transaction<G>,
    outgoing: &Outgoing<'_>,
    changes: Vec<Change>,
    guard: G,
) -> Result<(), Error> {
    if changes.is_empty() || !store.writes_events {
        return Ok(());
    }
    let Outgoing { org, id, by } = outgoing;
    let events: Vec<Event> = changes
        .into_iter()
        .enumerate()
        .map(|(number, change)| change.event(id, number, org.as_str(), by))
        .collect();
    let json =
        serde_json::to_string(&events).map_err(|_| Error::Internal("an event is not JSON".to_owned()))?;
    let item = Item::from([(EVENTS.to_owned(), AttributeValue::S(json))]);
    transaction.put_in(&store.tables.resources, Keys::outbox_entry(org, id), item, guard);
    Ok(())
}

/// Returns the events of an item.
pub(super) fn events_of(item: &Item) -> Result<Vec<Event>, Error> {
    serde_json::from_str(text(item, EVENTS)?)
        .map_err(|_| Error::Internal("an item of the outbox cannot be read".to_owned()))
}
