//! Stamps: every user and group has the id of its last event.
//!
//! The id of an event is greater than the stamp of every resource that its transaction writes or checks. If the resource was
//! read, the writer chooses such an id. Otherwise the condition [`is_later`] requires it, and the writer repeats the
//! transaction with an id after the stamp of the item that the failed condition returns.

use scim::id::Id;

use super::{
    directory::Directory,
    items::{Item, name, optional_event_id, string},
    transaction::{Condition, FailedCondition},
};
use crate::{Error, event::EventId};

/// The value of the id of the event in conditions and updates.
pub(super) const EVENT: &str = ":event";

/// The ids of the first and of the last event of a change. A large change of members has several.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) first: EventId,
    pub(super) last: EventId,
}

impl Span {
    /// Returns the span of a change that has one event.
    pub(super) fn of_one(event: EventId) -> Self {
        Self { first: event, last: event }
    }
}

/// Returns the condition with the requirement that the event is later than the resource's last one.
pub(super) fn is_later(condition: Condition, event: &EventId) -> Condition {
    condition
        .and(&format!("(attribute_not_exists({stamp}) OR {stamp} < {EVENT})", stamp = name::STAMP))
        .with(EVENT, &event.to_string())
}

/// Returns the attribute value of the id of an event.
pub(super) fn value(event: &EventId) -> aws_sdk_dynamodb::types::AttributeValue {
    string(&event.to_string())
}

/// Returns the latest stamp that the event is not later than, among the items whose conditions failed.
pub(super) fn overtaking<G>(
    failed: &[FailedCondition<G>],
    event: &EventId,
) -> Result<Option<EventId>, Error> {
    let stamp = |item: &Item| optional_event_id(item, name::STAMP);
    let stamps = failed.iter().filter_map(|condition| condition.item.as_ref()).map(stamp);
    let stamps = stamps.collect::<Result<Vec<_>, _>>()?;
    Ok(stamps.into_iter().flatten().max().filter(|stamp| stamp >= event))
}

/// Chooses the id of the events of a transaction. `floor` is the latest stamp of the resources that were read. `version` is
/// the random version that the transaction writes, so that no two ids are the same.
pub(super) fn event_id(directory: &Directory, floor: Option<&EventId>, version: &str) -> EventId {
    EventId::after(floor, directory.table.clock.unix_millis(), random_of(version))
}

/// Chooses the id of the events of a transaction that writes no random version: it creates the resource of an import, or
/// deletes a resource. The versions of imported resources may be the same.
pub(super) fn event_id_of(directory: &Directory, floor: Option<&EventId>, id: &Id, version: &str) -> EventId {
    event_id(directory, floor, &format!("{id} {version}"))
}

/// Returns the number that a version is the text of, or the FNV-1a hash of any other text.
fn random_of(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap_or_else(|_| {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        text.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
    })
}
