//! The import of memberships.
//!
//! Groups keep the versions of the file, so a membership is added without another version of its group, and without another
//! stamp. No request reads or writes the organisation meanwhile (`import`).

use std::collections::{BTreeMap, HashSet, btree_map::Entry};

use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{ResourceKind, id::Id};

use super::{
    outcome::{Outcome, Outcomes},
    record::Membership,
};
use crate::{
    Error,
    event::{EventId, Subject},
    store::{
        directory::Directory,
        edges::{Difference, Edge, IfSatisfied, edge_actions},
        items::{name, optional_event_id, sort_key},
        keys::Key,
        outbox::put_events,
        stamps::{event_id, overtaking},
        table::CONCURRENCY,
        transaction::MAX_ACTIONS,
        write::Guard,
    },
};

/// The number of memberships that fit one transaction.
const CHUNK: usize = (MAX_ACTIONS - 1) / 3;

/// A membership and the number of its line.
pub(super) type Numbered = (u64, Membership);

/// Adds the memberships that do not exist yet.
pub(super) async fn join_all(directory: &Directory, batch: Vec<Numbered>) -> Result<Outcomes, Error> {
    let mut by_group: BTreeMap<Id, BTreeMap<Id, (u64, ResourceKind)>> = BTreeMap::new();
    let mut outcomes = Vec::new();
    for (line, Membership { group, member, kind }) in batch {
        match by_group.entry(group).or_default().entry(member) {
            Entry::Vacant(vacant) => {
                vacant.insert((line, kind));
            }
            Entry::Occupied(earlier) if earlier.get().1 == kind => outcomes.push((line, Outcome::Skipped)),
            Entry::Occupied(earlier) => {
                let reason = format!("Line {} has the membership with another kind.", earlier.get().0);
                outcomes.push((line, Outcome::Refused(reason)));
            }
        }
    }
    let groups: Vec<Key> =
        by_group.keys().map(|id| directory.keys.resource(ResourceKind::Group, id.as_str())).collect();
    let mut stamps: BTreeMap<String, Option<EventId>> = BTreeMap::new();
    for item in directory.table.get_all(&groups).await? {
        stamps.insert(sort_key(&item)?.to_owned(), optional_event_id(&item, name::STAMP)?);
    }
    let mut work = Vec::new();
    for (group, members) in by_group {
        if let Some(stamp) = stamps.get(group.as_str()) {
            let members: Vec<_> = members.into_iter().collect();
            let chunks = members.chunks(CHUNK);
            work.extend(chunks.map(|chunk| join(directory, group.clone(), *stamp, chunk.to_vec())));
        } else {
            let refusal = format!("The group {group} does not exist.");
            outcomes.extend(members.into_values().map(|(line, _)| (line, Outcome::Refused(refusal.clone()))));
        }
    }
    let joined: Vec<Outcomes> = stream::iter(work).buffer_unordered(CONCURRENCY).try_collect().await?;
    outcomes.extend(joined.into_iter().flatten());
    Ok(outcomes)
}

/// Adds members to one group.
async fn join(
    directory: &Directory,
    group: Id,
    mut floor: Option<EventId>,
    members: Vec<(Id, (u64, ResourceKind))>,
) -> Result<Outcomes, Error> {
    let keys: Vec<Key> =
        members.iter().map(|(member, _)| directory.keys.edge(group.as_str(), member.as_str())).collect();
    let present: HashSet<String> = directory.table.existing(&keys).await?.into_iter().collect();
    let mut outcomes = Vec::new();
    let mut left = Vec::new();
    for (member, (line, kind)) in members {
        if present.contains(member.as_str()) {
            outcomes.push((line, Outcome::Skipped));
        } else {
            left.push((line, Edge { member, kind }));
        }
    }
    while !left.is_empty() {
        let difference =
            Difference { add: left.iter().map(|(_, edge)| edge.clone()).collect(), remove: Vec::new() };
        let event = event_id(directory, floor.as_ref(), &directory.table.entropy.version()?);
        let mut transaction =
            edge_actions(&directory.keys, &group, &difference, IfSatisfied::Fail, Some(&event));
        let subject = Subject::unread(ResourceKind::Group, &group);
        put_events(directory, &mut transaction, &event, difference.changes(&subject))?;
        let Err(failed) = transaction.send(&directory.table).await? else {
            outcomes.extend(left.into_iter().map(|(line, _)| (line, Outcome::Written)));
            break;
        };
        if let Some(stamp) = overtaking(&failed, &event)? {
            floor = Some(stamp);
            continue;
        }
        let mut dropped = BTreeMap::new();
        for condition in &failed {
            match condition.guard {
                Guard::MemberExists(index) => dropped.insert(index, false),
                Guard::NotYetMember(index) => dropped.insert(index, true),
                _ => None,
            };
        }
        if dropped.is_empty() {
            return Err(Error::Internal("a membership cannot be added".to_owned()));
        }
        let mut kept = Vec::new();
        for (index, (line, edge)) in left.into_iter().enumerate() {
            match dropped.get(&index) {
                None => kept.push((line, edge)),
                Some(true) => outcomes.push((line, Outcome::Skipped)),
                Some(false) => outcomes.push((
                    line,
                    Outcome::Refused(format!(
                        "The {} {} does not exist, so it cannot be a member.",
                        edge.kind.as_str(),
                        edge.member
                    )),
                )),
            }
        }
        left = kept;
    }
    Ok(outcomes)
}
