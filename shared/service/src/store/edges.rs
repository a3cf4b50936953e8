//! Memberships as items.
//!
//! A membership is two items that are written together: the edge, in the partition of the group, and the reverse edge,
//! sorted by member. The item of a group contains no member, so the cost of a change of members does not depend on the
//! size of the group.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{Invalid, ResourceKind, ScimType, id::Id, members::Member};

use super::{
    directory::Directory,
    items::{Item, name, optional_event_id, sort_key, string, text},
    key_range::KeyRange,
    keys::{self, Key, Keys, kind_from_stored, stored_kind},
    stamps::is_later,
    table::{BATCH_GET, CONCURRENCY},
    transaction::{Condition, Transaction},
    write::Guard,
};
use crate::{
    Error,
    event::{Change, EventId, Subject},
    limits::MEMBERS_SHOWN,
};

/// The memberships that are shown with a resource. They are stored apart from its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memberships {
    /// The client did not request them.
    None,
    /// The ids of a user's groups.
    Groups(Vec<String>),
    /// The members of a group.
    Members(Vec<Member>),
}

/// A member of a group, as its edge stores it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub(super) member: Id,
    pub(super) kind: ResourceKind,
}

/// The members that a write adds to a group and removes from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) add: Vec<Edge>,
    pub(super) remove: Vec<Id>,
}

/// The reaction to an edge that is in the requested state already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum IfSatisfied {
    /// The condition of the edge fails.
    Fail,
    /// The edge is written again.
    Rewrite,
}

impl Difference {
    pub(super) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }

    /// Returns the changes of members, as events tell them.
    pub(super) fn changes(&self, group: &Subject) -> Vec<Change> {
        Change::members(group, self.add.iter().map(|edge| &edge.member), self.remove.iter())
    }

    /// Returns the number of actions that [`edge_actions`] makes of it.
    pub(super) fn actions(&self) -> usize {
        3 * self.add.len() + 2 * self.remove.len()
    }
}

impl Edge {
    pub(super) fn from_item(item: &Item) -> Result<Self, Error> {
        let damaged = || Error::Internal("a member edge cannot be read".to_owned());
        Ok(Self {
            member: edge_member(item)?,
            kind: kind_from_stored(text(item, name::KIND)?).ok_or_else(damaged)?,
        })
    }

    pub(super) fn to_member(&self) -> Member {
        Member { value: self.member.to_string(), member_type: Some(self.kind) }
    }
}

/// Returns the member of an edge.
pub(super) fn edge_member(item: &Item) -> Result<Id, Error> {
    Id::parse(sort_key(item)?).ok_or_else(|| Error::Internal("a member edge cannot be read".to_owned()))
}

/// Returns the member and the group of a reverse edge.
pub(super) fn reverse_edge(item: &Item) -> Result<(&str, &str), Error> {
    keys::member_and_group(sort_key(item)?)
        .ok_or_else(|| Error::Internal("a reverse edge cannot be read".to_owned()))
}

/// Makes the transaction that applies the difference to the edges. Requires that `event` is later than the last event of
/// each new member.
pub(super) fn edge_actions(
    keys: &Keys,
    group: &Id,
    difference: &Difference,
    if_satisfied: IfSatisfied,
    event: Option<&EventId>,
) -> Transaction<Guard> {
    let exists = || match event {
        Some(event) => is_later(Condition::exists(), event),
        None => Condition::exists(),
    };
    let strict = |condition: Condition| (if_satisfied == IfSatisfied::Fail).then_some(condition);
    let group = group.as_str();
    let mut transaction = Transaction::new();
    for (index, Edge { member, kind }) in difference.add.iter().enumerate() {
        let member = member.as_str();
        // A group that is its own member needs no count: the caller's transaction names the group already, and may name
        // an item once only.
        if (*kind, member) != (ResourceKind::Group, group) {
            transaction.update(
                keys.resource(*kind, member),
                format!("ADD {} :one", name::JOINS),
                vec![(":one", AttributeValue::N("1".to_owned()))],
                exists(),
                Guard::MemberExists(index),
            );
        }
        let edge = keys.edge(group, member);
        let item = Item::from([(name::KIND.to_owned(), string(stored_kind(*kind)))]);
        transaction.put(edge, item, strict(Condition::absent()), Guard::NotYetMember(index));
        transaction.put(keys.reverse_edge(member, group), Item::new(), None, Guard::Unconditional);
    }
    for (index, member) in difference.remove.iter().enumerate() {
        let member = member.as_str();
        let edge = keys.edge(group, member);
        transaction.delete(edge, strict(Condition::exists()), Guard::StillMember(index));
        transaction.delete(keys.reverse_edge(member, group), None, Guard::Unconditional);
    }
    transaction
}

/// Reads the members of a group.
pub(super) async fn edges(directory: &Directory, group: &Id) -> Result<Vec<Edge>, Error> {
    let partition = directory.keys.members(group.as_str());
    directory.table.query_each(KeyRange::all(&partition).whole_pages(), |item| Edge::from_item(&item)).await
}

/// Members that were read.
#[derive(Debug, Clone, Default)]
pub(super) struct Resolved {
    /// The members, sorted.
    pub(super) edges: Vec<Edge>,
    /// The latest of their stamps.
    pub(super) stamp: Option<EventId>,
}

/// Returns the members as edges. Reads each member to find out its kind.
///
/// # Errors
/// `invalidValue` if a member does not exist.
pub(super) async fn resolve(directory: &Directory, members: &[Member]) -> Result<Resolved, Error> {
    let members = parse_members(members)?;
    let batches: Vec<_> = members.chunks(BATCH_GET).map(|batch| resolve_batch(directory, batch)).collect();
    let resolved: Vec<Resolved> = stream::iter(batches).buffered(CONCURRENCY).try_collect().await?;
    let stamp = resolved.iter().filter_map(|batch| batch.stamp).max();
    let mut edges: Vec<Edge> = resolved.into_iter().flat_map(|batch| batch.edges).collect();
    edges.sort_unstable();
    Ok(Resolved { edges, stamp })
}

/// Does the same as [`resolve`] for one batch. A member that does not exist ends the request before the other batches are
/// read.
async fn resolve_batch(
    directory: &Directory,
    members: &[(Id, Option<ResourceKind>)],
) -> Result<Resolved, Error> {
    let mut edges = Vec::with_capacity(members.len());
    let mut latest = None;
    let attributes = format!("{}, {}", keys::SK, name::STAMP);
    let mut unresolved: Vec<_> = members.iter().collect();
    for kind in ResourceKind::ALL {
        let (candidates, rest): (Vec<_>, Vec<_>) =
            unresolved.into_iter().partition(|(_, stated)| stated.is_none_or(|stated| stated == kind));
        let keys: Vec<Key> =
            candidates.iter().map(|(id, _)| directory.keys.resource(kind, id.as_str())).collect();
        let mut found = BTreeSet::new();
        if !keys.is_empty() {
            for item in directory.table.get_batch(&keys, Some(&attributes)).await? {
                latest = latest.max(optional_event_id(&item, name::STAMP)?);
                found.insert(sort_key(&item)?.to_owned());
            }
        }
        unresolved = rest;
        for member in candidates {
            if found.contains(member.0.as_str()) {
                edges.push(Edge { member: member.0.clone(), kind });
            } else {
                unresolved.push(member);
            }
        }
    }
    match unresolved.first() {
        Some((id, _)) => Err(unknown_member(id.as_str())),
        None => Ok(Resolved { edges, stamp: latest }),
    }
}

/// Returns the id of each member, and its kind if the client stated it.
pub(super) fn parse_members(members: &[Member]) -> Result<Vec<(Id, Option<ResourceKind>)>, Error> {
    members
        .iter()
        .map(|member| match Id::parse(&member.value) {
            Some(id) => Ok((id, member.member_type)),
            // Text that is not an id may be personal data, such as an e-mail address: it is not echoed.
            None => Err(Error::Invalid(Invalid::value(
                "A value of 'members' is not an id of this service. Assign the user or group to the application \
                 first. Nothing was changed.",
            ))),
        })
        .collect()
}

/// Returns the error for a user in more than [`MEMBERS_SHOWN`] groups, or users in so many groups together.
pub(super) fn too_many_groups() -> Error {
    Error::Invalid(Invalid::new(
        ScimType::TooMany,
        format!(
            "The answer would show more than {MEMBERS_SHOWN} groups of users. Request fewer users with 'count', or leave \
             the groups out with excludedAttributes=groups, and read them page by page from /Groups with the filter \
             members.value eq \"<id of the user>\"."
        ),
    ))
}

/// Returns the error for more than [`MEMBERS_SHOWN`] members.
pub(super) fn too_many_members() -> Error {
    Error::Invalid(Invalid::new(
        ScimType::TooMany,
        format!(
            "The answer would show more than {MEMBERS_SHOWN} members. Leave them out with excludedAttributes=members, \
             and read them page by page from /Users with the filter groups.value eq \"<id of the group>\"."
        ),
    ))
}

/// Returns the error for a member that does not exist.
pub(super) fn unknown_member(id: &str) -> Error {
    Error::Invalid(Invalid::value(format!(
        "There is no user or group with the id {id}, so it cannot be added to 'members'. Assign it to the application \
         first. Nothing was changed."
    )))
}
