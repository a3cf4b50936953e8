//! The call of the protocol that consists of given actions.

use std::collections::BTreeSet;

use super::table::{Items, Members};
use crate::{
    action::{Action, Condition, Effect, Slot, Table, Update},
    call::{Apply, Base, Call, Delete, Draft, Write},
    item::{Change, Entry, Header, Id, Item, Key, Kind, Member, Part, Resource},
};

type Actions<'a> = &'a [Action<Members>];

/// Returns the call that makes these actions.
///
/// # Errors
/// Why no call of the protocol makes them.
pub(super) fn recognise(actions: Actions<'_>, table: &Items) -> Result<Call<Members>, String> {
    let call = guess(actions, table).ok_or("no call of the protocol has such actions")?;
    let mut missing = call.actions();
    let mut unexpected = Vec::new();
    for action in actions {
        match missing.iter().position(|expected| expected == action) {
            Some(index) => {
                missing.remove(index);
            }
            None => unexpected.push(action),
        }
    }
    if missing.is_empty() && unexpected.is_empty() {
        Ok(call)
    } else {
        Err(format!("as {call:?} the call has unexpected actions {unexpected:#?} and lacks {missing:#?}"))
    }
}

/// Returns the only call that may consist of these actions. Whether it does is checked afterwards.
fn guess(actions: Actions<'_>, table: &Items) -> Option<Call<Members>> {
    let header = actions.iter().find_map(|action| match action.key {
        Key::Header(change) => Some((change, action)),
        _ => None,
    });
    let group = group_update(actions);
    if let [Action { key: Key::Nothing, .. }] = actions {
        return Some(Call::Burn);
    }
    if let Some(apply) = apply(actions, table) {
        return Some(Call::Apply(apply));
    }
    if actions.iter().any(|action| matches!(action.effect, Effect::Put(Item::Part(_)))) {
        return draft(actions).map(Call::Draft);
    }
    if let Some(delete) = delete(actions) {
        return Some(Call::Delete(delete));
    }
    match (header, group) {
        (_, Some((group, Update { intent: Slot::Remove, finished: Some(change), .. }))) => {
            Some(Call::Finish { change, group, header: header.is_some() })
        }
        (Some((change, action)), Some((group, update))) => match (update.reservation, &action.effect) {
            (Slot::Set(_), _) => Some(Call::Reserve { change, group, until: put_header(actions)?.until }),
            (Slot::Remove, Effect::Update(_)) => Some(Call::TakeBack { change, group, reserved: true }),
            (Slot::Remove, Effect::Delete) => Some(Call::Release { change, group }),
            (Slot::Remove, _) => Some(Call::ReleaseLost { change, group }),
            (Slot::Keep, _) => write(actions).map(Call::Write),
        },
        (Some((change, action)), None) => of_header(actions, change, action),
        (None, _) => write(actions).map(Call::Write).or_else(|| departure(actions, table)),
    }
}

/// Returns the call that writes a header and no other resource than by a check, or a resource as a whole.
fn of_header(actions: Actions<'_>, change: Change, action: &Action<Members>) -> Option<Call<Members>> {
    let checked = actions.iter().find_map(|action| match (action.key, &action.effect) {
        (Key::Resource(Kind::Group, group), Effect::Check) => Some(group),
        _ => None,
    });
    match (&action.effect, checked) {
        (Effect::Update(update), _) if update.until.is_some() => match action.condition {
            Condition::Until(old) => Some(Call::Lease { change, old, new: update.until? }),
            _ => None,
        },
        (Effect::Update(_), Some(group)) => Some(Call::TakeBack { change, group, reserved: false }),
        _ if actions.iter().any(|action| matches!(action.key, Key::Resource(..))) => {
            write(actions).map(Call::Write)
        }
        (Effect::Delete, _) => Some(Call::Clean { change }),
        (Effect::Check, _) => Some(Call::Unlist { change }),
        _ => None,
    }
}

/// Returns the update of a group, unless it only counts that the group was added to another one.
fn group_update(actions: Actions<'_>) -> Option<(Id, Update)> {
    actions.iter().find_map(|action| match (action.key, &action.effect) {
        (Key::Resource(Kind::Group, group), Effect::Update(update)) if !update.joins => {
            Some((group, *update))
        }
        _ => None,
    })
}

fn put_header(actions: Actions<'_>) -> Option<Header> {
    actions.iter().find_map(|action| match &action.effect {
        Effect::Put(Item::Header(header)) => Some(*header),
        _ => None,
    })
}

/// Returns the edges that are put and deleted.
fn members(actions: Actions<'_>) -> Members {
    let mut members = Members::default();
    let groups: BTreeSet<Id> = actions
        .iter()
        .filter_map(|action| match (action.key, &action.effect) {
            (Key::Resource(Kind::Group, id), Effect::Update(update)) if update.joins => Some(id),
            _ => None,
        })
        .collect();
    for action in actions {
        match (action.key, &action.effect) {
            (Key::Edge { group, member }, Effect::Put(_)) => {
                let is_group = groups.contains(&member) || group == member;
                let kind = if is_group { Kind::Group } else { Kind::User };
                members.add.insert(Member { kind, id: member });
            }
            (Key::Edge { member, .. }, Effect::Delete) => {
                members.remove.insert(member);
            }
            _ => {}
        }
    }
    members
}

fn apply(actions: Actions<'_>, table: &Items) -> Option<Apply<Members>> {
    let (change, part) = actions.iter().find_map(|action| match (action.key, &action.effect) {
        (Key::Part(change, lower), Effect::Update(_)) => Some((change, lower)),
        _ => None,
    })?;
    let of_edge = actions.iter().find_map(|action| match action.key {
        Key::Edge { group, .. } => Some(group),
        _ => None,
    });
    let of_header = || match table.get(Key::Header(change)) {
        Some(Item::Header(header)) => Some(header.subject),
        _ => None,
    };
    let bump = group_update(actions);
    let group = of_edge.or_else(|| bump.map(|(group, _)| group)).or_else(of_header)?;
    let bump = bump.and_then(|(_, update)| update.version);
    Some(Apply { change, group, part, difference: members(actions), bump })
}

fn draft(actions: Actions<'_>) -> Option<Draft<Members>> {
    let part = |action: &Action<Members>| match (action.key, &action.effect) {
        (Key::Part(change, lower), Effect::Put(Item::Part(part))) => Some((change, lower, part.clone())),
        _ => None,
    };
    let parts: Vec<(Change, Id, Part<Members>)> = actions.iter().filter_map(part).collect();
    let change = parts.first()?.0;
    let parts = parts.into_iter().map(|(_, lower, part)| (lower, part)).collect();
    Some(Draft { change, header: put_header(actions), parts })
}

fn delete(actions: Actions<'_>) -> Option<Delete<Members>> {
    let (subject, condition) = actions.iter().find_map(|action| match (action.key, &action.effect) {
        (Key::Resource(kind, id), Effect::Delete) => Some((Member { kind, id }, action.condition)),
        _ => None,
    })?;
    let Condition::Untouched(version, joins) = condition else { return None };
    let bump = |action: &Action<Members>| match (action.key, &action.effect) {
        (Key::Resource(Kind::Group, group), Effect::Update(update)) => Some((group, update.version?)),
        _ => None,
    };
    let own_member = |action: &Action<Members>| match action.key {
        Key::Edge { group, member } if group == subject.id => Some(member),
        _ => None,
    };
    let change = actions.iter().find_map(|action| match action.key {
        Key::Header(change) => Some(change),
        _ => None,
    });
    Some(Delete {
        subject,
        read: (version, joins),
        entries: entries(actions, |effect| *effect == Effect::Delete),
        leaves: actions.iter().filter_map(bump).collect(),
        members: Members { add: BTreeSet::new(), remove: actions.iter().filter_map(own_member).collect() },
        tombstone: change.zip(put_header(actions).map(|header| header.until)),
    })
}

fn entries(actions: Actions<'_>, of: impl Fn(&Effect<Members>) -> bool) -> Vec<Entry> {
    let entry = |action: &Action<Members>| match action.key {
        Key::Index(entry) if of(&action.effect) => Some(entry),
        _ => None,
    };
    actions.iter().filter_map(entry).collect()
}

fn write(actions: Actions<'_>) -> Option<Write<Members>> {
    let (subject, condition, resource) =
        actions.iter().find_map(|action| match (action.key, &action.effect) {
            (Key::Resource(kind, id), Effect::Put(Item::Resource(resource))) => {
                Some((Member { kind, id }, action.condition, *resource))
            }
            (Key::Resource(kind, id), Effect::Update(update)) if !update.joins => {
                let intent = match update.intent {
                    Slot::Set(change) => Some(change),
                    _ => None,
                };
                let resource = Resource { version: update.version?, intent, ..Resource::default() };
                Some((Member { kind, id }, action.condition, resource))
            }
            _ => None,
        })?;
    let base = match condition {
        Condition::Absent => Base::New,
        Condition::Free => Base::Free,
        Condition::Unchanged(version) => Base::Unchanged(version),
        Condition::Reserved(change) => Base::Reserved(change),
        Condition::ReservedAt(change, version) => Base::ReservedAt(change, version),
        _ => return None,
    };
    let still = |action: &Action<Members>| match (action.key, &action.effect) {
        (Key::Edge { member, .. }, Effect::Check) => Some((member, action.condition == Condition::Exists)),
        _ => None,
    };
    Some(Write {
        subject,
        base,
        resource,
        members: members(actions),
        still: actions.iter().filter_map(still).collect(),
        entries: entries(actions, |effect| matches!(effect, Effect::Put(_))),
        removed_entries: entries(actions, |effect| *effect == Effect::Delete),
        flips: actions.iter().any(|action| {
            let is_user = action.key == Key::Count(Kind::User);
            is_user && matches!(action.effect, Effect::Update(update) if update.count == 0)
        }),
    })
}

/// Returns the call that removes edges of a deleted resource.
fn departure(actions: Actions<'_>, table: &Items) -> Option<Call<Members>> {
    let (group, member) = actions.iter().find_map(|action| match (action.key, &action.effect) {
        (Key::Edge { group, member }, Effect::Delete) => Some((group, member)),
        _ => None,
    })?;
    let exists = |id| {
        let exists = |kind| table.get(Key::Resource(kind, id)).is_some();
        exists(Kind::User) || exists(Kind::Group)
    };
    match group_update(actions) {
        Some((_, update)) => Some(Call::Leave { member, group, version: update.version }),
        None if !exists(member) => Some(Call::Leave { member, group, version: None }),
        None => Some(Call::Empty { group, members: members(actions) }),
    }
}
