//! Parts: the operations of a change of members, divided so that each part fits into one transaction.
//!
//! The parts of a change cover all ids. Each contains the operations on the members between its lower bound and that of
//! the next part, so the part that concerns a member is found by one query.

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use scim::{ResourceKind, id::Id};

use crate::{
    Error,
    event::EventId,
    store::{
        edges::{Difference, Edge},
        items::{Item, optional_number, optional_text, sort_key, string},
        keys::{BEFORE_IDS, Key, Partition},
        transaction::{Condition, MAX_ACTIONS, Transaction},
        write::Guard,
    },
};

/// The number of actions that apply a part. One more marks it, and one puts its events.
pub(super) const PART_ACTIONS: usize = MAX_ACTIONS - 2;
const USERS: &str = "users";
const GROUPS: &str = "groups";
const REMOVED: &str = "removed";
const UP_TO: &str = "upto";
const APPLIED: &str = "applied";
const NUMBER: &str = "place";

/// A part of a change of members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Part {
    /// The smallest id that the part covers.
    lower: String,
    /// The smallest id that it does not cover any more.
    up_to: Option<String>,
    pub(super) difference: Difference,
    pub(super) applied: bool,
    /// The place among the parts of the change, from 0. The parts of release 0.2 have none.
    number: Option<u32>,
}

impl Part {
    pub(in crate::store) fn from_item(item: &Item) -> Result<Self, Error> {
        let edges =
            |name, kind| ids(item, name).map(|ids| ids.into_iter().map(move |member| Edge { member, kind }));
        Ok(Self {
            lower: sort_key(item)?.to_owned(),
            up_to: optional_text(item, UP_TO)?.map(str::to_owned),
            difference: Difference {
                add: edges(USERS, ResourceKind::User)?.chain(edges(GROUPS, ResourceKind::Group)?).collect(),
                remove: ids(item, REMOVED)?,
            },
            applied: item.contains_key(APPLIED),
            number: optional_number(item, NUMBER)?.and_then(|number| u32::try_from(number).ok()),
        })
    }

    fn to_item(&self) -> Item {
        let Difference { add, remove } = &self.difference;
        let of = |kind| add.iter().filter(move |edge| edge.kind == kind).map(|edge| &edge.member);
        let mut item = Item::new();
        insert_ids(&mut item, USERS, of(ResourceKind::User));
        insert_ids(&mut item, GROUPS, of(ResourceKind::Group));
        insert_ids(&mut item, REMOVED, remove.iter());
        if let Some(number) = self.number {
            item.insert(NUMBER.to_owned(), AttributeValue::N(number.to_string()));
        }
        if let Some(up_to) = &self.up_to {
            item.insert(UP_TO.to_owned(), string(up_to));
        }
        item
    }

    /// Numbers a part of release 0.2.
    pub(super) fn number_if_absent(&mut self, number: u32) {
        self.number.get_or_insert(number);
    }

    /// Returns the id of the part's events. `commit` is that of the change.
    pub(super) fn event(&self, commit: &EventId) -> EventId {
        commit.of_part(self.number.unwrap_or_default())
    }

    pub(super) fn key(&self, partition: &Partition) -> Key {
        partition.key(&self.lower)
    }

    /// Adds the action that puts the part.
    pub(super) fn put(&self, partition: &Partition, transaction: &mut Transaction<Guard>) {
        transaction.put(self.key(partition), self.to_item(), Condition::absent(), Guard::StillPending);
    }

    /// Adds the action that marks the part as applied, on condition that no request has applied it.
    pub(super) fn mark(&self, partition: &Partition, transaction: &mut Transaction<Guard>) {
        transaction.update(
            self.key(partition),
            format!("SET {APPLIED} = :true"),
            vec![(":true", AttributeValue::Bool(true))],
            Condition::expression(format!(
                "attribute_exists({pk}) AND attribute_not_exists({APPLIED})",
                pk = crate::store::keys::PK
            )),
            Guard::StillPending,
        );
    }

    /// Returns whether both are states of one part of one change.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.lower == other.lower
    }

    /// Returns whether the part contains the operations on that member, if there are any.
    pub(in crate::store) fn covers(&self, member: &str) -> bool {
        self.begins_by(member) && self.up_to.as_deref().is_none_or(|up_to| member < up_to)
    }

    /// Returns whether the part covers this member or smaller ids only.
    pub(super) fn begins_by(&self, member: &str) -> bool {
        self.lower.as_str() <= member
    }
}

/// Returns whether these parts, in ascending order, cover all members between the two.
pub(super) fn cover(parts: &[Part], first: &str, last: &str) -> bool {
    let is_next = |pair: &[Part]| matches!(pair, [part, next] if part.up_to.as_deref() == Some(&next.lower));
    parts.first().is_some_and(|part| part.begins_by(first))
        && parts.windows(2).all(is_next)
        && parts.last().is_some_and(|part| part.up_to.as_deref().is_none_or(|up_to| last < up_to))
}

/// Divides the difference into parts, sorted by member.
pub(super) fn parts(difference: &Difference) -> Vec<Part> {
    let Difference { add, remove } = difference;
    let added = add.iter().map(|edge| (&edge.member, Some(edge)));
    let mut operations: Vec<(&Id, Option<&Edge>)> =
        added.chain(remove.iter().map(|member| (member, None))).collect();
    operations.sort_unstable_by_key(|(member, _)| *member);
    let mut parts: Vec<Part> = Vec::new();
    let mut part = part_from(BEFORE_IDS);
    for (member, added) in operations {
        let actions = if added.is_some() { 3 } else { 2 };
        if part.difference.actions() + actions > PART_ACTIONS {
            part.up_to = Some(member.to_string());
            parts.push(std::mem::replace(&mut part, part_from(member.as_str())));
        }
        match added {
            Some(edge) => part.difference.add.push(edge.clone()),
            None => part.difference.remove.push(member.clone()),
        }
    }
    parts.push(part);
    for (number, part) in (0..).zip(&mut parts) {
        part.number = Some(number);
    }
    parts
}

/// Returns whether these parts, sorted by lower bound, are all parts of a change.
pub(in crate::store) fn are_complete(parts: &[Part]) -> bool {
    let mut next = Some(BEFORE_IDS);
    for part in parts {
        if next != Some(&part.lower) {
            return false;
        }
        next = part.up_to.as_deref();
    }
    next.is_none()
}

fn part_from(lower: &str) -> Part {
    Part {
        lower: lower.to_owned(),
        up_to: None,
        difference: Difference::default(),
        applied: false,
        number: None,
    }
}

/// Stores ids as their bytes, one after the other. As texts they would take two and a half times the space.
fn insert_ids<'a>(item: &mut Item, name: &str, ids: impl Iterator<Item = &'a Id>) {
    let bytes: Vec<u8> = ids.flat_map(Id::to_bytes).collect();
    if !bytes.is_empty() {
        item.insert(name.to_owned(), AttributeValue::B(Blob::new(bytes)));
    }
}

fn ids(item: &Item, name: &str) -> Result<Vec<Id>, Error> {
    let damaged = || Error::Internal("a part of a pending change cannot be read".to_owned());
    let Some(value) = item.get(name) else { return Ok(Vec::new()) };
    let (ids, rest) = value.as_b().map_err(|_| damaged())?.as_ref().as_chunks::<16>();
    if !rest.is_empty() {
        return Err(damaged());
    }
    Ok(ids.iter().map(|bytes| Id::from_bytes(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::keys::SK;

    fn id(number: u64) -> Id {
        Id::v7(number, [0; 10])
    }

    fn difference(operations: u64) -> Difference {
        let edge = |number| Edge { member: id(number), kind: ResourceKind::User };
        let (add, remove): (Vec<u64>, Vec<u64>) = (0..operations).partition(|number| number % 3 != 0);
        Difference {
            add: add.into_iter().rev().map(edge).collect(),
            remove: remove.into_iter().map(id).collect(),
        }
    }

    #[test]
    fn parts_cover_every_id_once() {
        for operations in [0, 1, 37, 38, 500] {
            let parts = parts(&difference(operations));
            assert_eq!(parts[0].lower, BEFORE_IDS);
            assert_eq!(parts.last().unwrap().up_to, None);
            for pair in parts.windows(2) {
                assert_eq!(pair[0].up_to.as_deref(), Some(pair[1].lower.as_str()));
            }
            let mut covered = 0;
            for part in &parts {
                assert!(part.difference.actions() <= PART_ACTIONS);
                let added = part.difference.add.iter().map(|edge| &edge.member);
                for member in added.chain(&part.difference.remove) {
                    covered += 1;
                    let covering = parts.iter().filter(|part| part.covers(member.as_str()));
                    assert!(covering.eq([part]));
                }
            }
            assert_eq!(covered, operations);
            assert!(are_complete(&parts));
            for missing in 0..parts.len() {
                let rest = [&parts[..missing], &parts[missing + 1..]].concat();
                assert!(!are_complete(&rest));
            }
        }
    }

    #[test]
    fn part_is_read_as_it_was_written() {
        for part in parts(&difference(100)) {
            let mut item = part.to_item();
            item.insert(SK.to_owned(), string(&part.lower));
            assert_eq!(Part::from_item(&item), Ok(part));
        }
    }
}
