//! The state that the table must have when a call is carried out, beside the conditions of its actions.
//!
//! A condition protects against other writers. A rule says what the caller must have made sure of before: that the parts
//! which it deletes have no effect any more, or that a part is applied as it was written.

use crate::{
    action::Table,
    call::{Apply, Base, Call, Delete, Write},
    item::{Change, ChangeKind, Difference, Header, Id, Item, Key, Kind, Part, Resource},
};

/// A table that can be listed.
pub trait Listing<D>: Table<D> {
    /// Returns the parts of a change with their lower bounds.
    fn parts(&self, change: Change) -> Vec<(Id, Part<D>)>;
    /// Returns the members of a group.
    fn members(&self, group: Id) -> Vec<Id>;
    /// Returns the groups of a member.
    fn groups(&self, member: Id) -> Vec<Id>;
}

/// Checks a call that the table is about to carry out.
///
/// # Errors
/// The rule that the call breaks.
pub fn check<D: Difference>(table: &impl Listing<D>, call: &Call<D>) -> Result<(), &'static str> {
    let no_parts = |change| table.parts(change).is_empty();
    match call {
        Call::Write(write) => check_write(table, write),
        Call::Apply(apply) => check_apply(table, apply),
        Call::Finish { change, .. } => require(
            table.parts(*change).iter().all(|(_, part)| part.applied),
            "a change is finished after all of its parts are applied",
        ),
        Call::DeleteParts { change, .. } => require(
            header(table, *change).is_none_or(|header| header.discarded),
            "parts are deleted after their change is discarded",
        ),
        Call::Clean { change } => check_clean(table, *change),
        Call::Release { change, .. } => {
            require(no_parts(*change), "a reservation is released before parts are written")
        }
        Call::Lease { old, new, .. } => require(new > old, "a lease extends the time of a change"),
        Call::Delete(delete) => check_delete(table, delete),
        Call::Leave { member, group, version } => {
            require(
                is_deleted(table, *member),
                "a resource leaves its groups in transactions of their own after it is deleted",
            )?;
            require(
                version.is_some()
                    || group_of(table, *group).is_none()
                    || !table.members(*group).contains(member),
                "a group that a deleted member leaves gets another version",
            )
        }
        Call::Empty { group, .. } => {
            require(is_deleted(table, *group), "a group is emptied after it is deleted")
        }
        Call::Draft(_)
        | Call::TakeBack { .. }
        | Call::Reserve { .. }
        | Call::ReleaseLost { .. }
        | Call::Unlist { .. }
        | Call::Burn => Ok(()),
    }
}

fn require(holds: bool, rule: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(rule) }
}

fn header<D>(table: &impl Table<D>, change: Change) -> Option<Header> {
    match table.get(Key::Header(change)) {
        Some(Item::Header(header)) => Some(header),
        _ => None,
    }
}

fn resource<D>(table: &impl Table<D>, kind: Kind, id: Id) -> Option<Resource> {
    match table.get(Key::Resource(kind, id)) {
        Some(Item::Resource(resource)) => Some(resource),
        _ => None,
    }
}

fn group_of<D>(table: &impl Table<D>, id: Id) -> Option<Resource> {
    resource(table, Kind::Group, id)
}

fn is_deleted<D>(table: &impl Table<D>, id: Id) -> bool {
    resource(table, Kind::User, id).is_none() && group_of(table, id).is_none()
}

fn check_write<D: Difference>(table: &impl Listing<D>, write: &Write<D>) -> Result<(), &'static str> {
    let has_members = write.members.adds().next().is_some() || write.members.removes().next().is_some();
    match (write.resource.intent, write.base) {
        (Some(change), _) => {
            require(!has_members, "the transaction that commits a change writes no edges")?;
            require(covers_all(&table.parts(change)), "the parts of a committed change cover all ids")
        }
        (None, Base::Reserved(change) | Base::ReservedAt(change, _)) => require(
            table.parts(change).is_empty(),
            "a reserved group is written in one transaction before parts are written",
        ),
        _ => Ok(()),
    }
}

/// Returns whether each part ends where the next begins. The last has no end.
fn covers_all<D>(parts: &[(Id, Part<D>)]) -> bool {
    let begins = |bound| parts.iter().filter(|(lower, _)| *lower == bound).count() == 1;
    parts.iter().filter(|(_, part)| part.up_to.is_none()).count() == 1
        && parts.iter().all(|(_, part)| part.up_to.is_none_or(begins))
}

fn check_apply<D: Difference>(table: &impl Listing<D>, apply: &Apply<D>) -> Result<(), &'static str> {
    let intends = group_of(table, apply.group).is_some_and(|group| group.intent == Some(apply.change));
    require(intends, "a part is applied while the group names its change as the intent")?;
    let Some(Item::Part(part)) = table.get(Key::Part(apply.change, apply.part)) else { return Ok(()) };
    let removes: Vec<Id> = apply.difference.removes().collect();
    require(part.difference.removes().eq(removes), "a part is applied with its removals")?;
    let added: Vec<_> = apply.difference.adds().collect();
    let left_out: Vec<_> = part.difference.adds().filter(|member| !added.contains(member)).collect();
    require(
        added.iter().all(|member| part.difference.adds().any(|other| other == *member)),
        "a part is applied with no other additions than its own",
    )?;
    require(
        left_out.iter().all(|member| resource(table, member.kind, member.id).is_none()),
        "a part leaves out only members that do not exist",
    )?;
    require(
        apply.bump.is_some() || left_out.is_empty(),
        "a part that leaves a member out gives the group another version",
    )
}

fn check_clean<D: Difference>(table: &impl Listing<D>, change: Change) -> Result<(), &'static str> {
    let Some(header) = header(table, change) else { return Ok(()) };
    match header.kind {
        ChangeKind::Members => {
            require(header.discarded, "the header of a change of members is deleted after it is discarded")?;
            require(table.parts(change).is_empty(), "a header is deleted after its parts")
        }
        ChangeKind::Deleted(kind) => {
            let is_empty = kind == Kind::User || table.members(header.subject).is_empty();
            require(
                table.groups(header.subject).is_empty() && is_empty,
                "a tombstone is deleted after the edges of its resource",
            )
        }
    }
}

fn check_delete<D: Difference>(table: &impl Listing<D>, delete: &Delete<D>) -> Result<(), &'static str> {
    if delete.tombstone.is_some() {
        return Ok(());
    }
    let mut groups = table.groups(delete.subject.id);
    groups.retain(|group| delete.leaves.iter().all(|(left, _)| left != group));
    require(groups.is_empty(), "a deletion without a tombstone removes the resource from all of its groups")?;
    if delete.subject.kind == Kind::User {
        return Ok(());
    }
    let mut members = table.members(delete.subject.id);
    members.retain(|member| delete.members.removes().all(|removed| removed != *member));
    require(members.is_empty(), "a deletion without a tombstone removes all members of the group")
}
