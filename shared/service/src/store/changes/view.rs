//! Views: the effects of pending changes on the memberships that a reader has read.
//!
//! Readers write nothing and wait for nothing. A reader reads the headers at the same time as memberships. There are
//! nearly always none. Otherwise:
//!
//! - A tombstone hides the deleted resource as a member and as a group.
//! - A change of members that its group names as its intent overrides the edges, whether its parts are applied or not. A
//!   reader therefore sees all of the change. It reads the group, and the parts that contain the members in question.
//! - Any other change of members has no effect yet.
//!
//! If a change has ended since the header was read, it may have changed some of the memberships before they were read and
//! some afterwards. They are read again.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{ResourceKind, id::Id};
use tokio::{sync::OnceCell, time::Instant};

use super::{
    change::{Change, ChangeKind},
    part::{Part, cover},
};
use crate::{
    Error,
    error::Reason,
    store::{
        directory::Directory,
        edges::Edge,
        items::{Stored, name, optional_id},
        key_range::KeyRange,
        keys::{AFTER_IDS, BEFORE_IDS, Key},
        table::CONCURRENCY,
    },
};

/// The pending changes of an organisation, as one or more reads of memberships see them. The headers are read once.
pub(in crate::store) struct View<'a> {
    pub(in crate::store) directory: &'a Directory,
    headers: OnceCell<Headers>,
}

/// The headers of an organisation.
#[derive(Default)]
struct Headers {
    /// The changes of members.
    changes: Vec<Change>,
    /// The ids of the resources that tombstones name.
    deleted: BTreeSet<String>,
}

/// The memberships that a reader asks for.
#[derive(Debug, Clone)]
pub(in crate::store) struct Scope {
    /// The groups. Empty for all groups.
    pub(in crate::store) groups: Vec<Id>,
    /// The smallest and the largest id of the members.
    pub(in crate::store) first: String,
    pub(in crate::store) last: String,
}

/// The effects of pending changes on the memberships of a scope.
#[derive(Debug, Default)]
pub(in crate::store) struct Effects {
    deleted: BTreeSet<String>,
    /// The groups whose committed changes are not finished, with their parts.
    committed: Vec<(Id, Vec<Part>)>,
}

/// The members of a group, sorted by id.
pub(in crate::store) struct SeenMembers {
    pub(in crate::store) edges: BTreeMap<Id, Edge>,
    /// The members that a committed change adds and that have no edge yet. Those that have been deleted since the commit
    /// will not get one.
    pub(in crate::store) added: Vec<Edge>,
}

/// The state of a change at the time of a read.
enum State {
    Uncommitted,
    Committed(Vec<Part>),
    /// The change is committed, and a part was not there.
    Uncovered,
    Ended,
}

/// The changes that a reader has met in earlier reads of the same memberships.
#[derive(Default)]
struct Met {
    /// Those that have ended. They have no effect on memberships that are read later.
    ended: BTreeSet<Id>,
    /// Those that were committed after their parts were read, or ended before. If a part is still not there, they have
    /// ended, or the part is lost.
    uncovered: BTreeSet<Id>,
}

impl<'a> View<'a> {
    pub(in crate::store) fn new(directory: &'a Directory) -> Self {
        Self { directory, headers: OnceCell::new() }
    }

    async fn headers(&self) -> Result<&Headers, Error> {
        self.headers.get_or_try_init(|| read_headers(self.directory)).await
    }

    /// Returns the ids of deleted resources that still have edges.
    pub(in crate::store) async fn deleted(&self) -> Result<&BTreeSet<String>, Error> {
        Ok(&self.headers().await?.deleted)
    }

    /// Reads memberships, and returns them with the effects of the pending changes. `scope` says which memberships were
    /// read.
    pub(in crate::store) async fn read<T, F>(
        &self,
        scope: impl Fn(&T) -> Scope,
        read: impl Fn() -> F,
    ) -> Result<(T, Effects), Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let directory = self.directory;
        let (headers, value) = tokio::try_join!(self.headers(), read())?;
        let mut met = Met::default();
        if let Some(effects) = effects(directory, headers, &scope(&value), &mut met).await? {
            return Ok((value, effects));
        }
        while Instant::now() < directory.table.deadline {
            let (headers, value) = tokio::try_join!(read_headers(directory), read())?;
            if let Some(effects) = effects(directory, &headers, &scope(&value), &mut met).await? {
                return Ok((value, effects));
            }
        }
        Err(Error::Unavailable(Reason::Conflicts))
    }

    /// Returns the effects on all members of a group that was read before. They are right if a later read of the group
    /// returns the same intent.
    pub(in crate::store) async fn effects_on(&self, group: &Stored) -> Result<Effects, Error> {
        let parts = async {
            match &group.intent {
                Some(change) => read_parts(self.directory, change, BEFORE_IDS, AFTER_IDS).await,
                None => Ok(Vec::new()),
            }
        };
        let (deleted, parts) = tokio::try_join!(self.deleted(), parts)?;
        Ok(Effects { deleted: deleted.clone(), committed: vec![(group.id.clone(), parts)] })
    }
}

impl Scope {
    /// Returns the scope of one member and all of its groups.
    pub(in crate::store) fn of_member(member: &Id) -> Self {
        Self { groups: Vec::new(), first: member.to_string(), last: member.to_string() }
    }

    fn contains(&self, change: &Change) -> bool {
        self.groups.is_empty() || self.groups.contains(&change.subject)
    }
}

impl Effects {
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.deleted.is_empty() && self.committed.is_empty()
    }

    /// Returns the number of members that committed changes remove.
    pub(in crate::store) fn removals(&self) -> usize {
        self.parts().map(|(_, part)| part.difference.remove.len()).sum()
    }

    /// Returns the groups of a member that has these edges. The member exists.
    pub(in crate::store) fn groups(&self, member: &Id, groups: Vec<String>) -> Vec<String> {
        if self.is_empty() {
            return groups;
        }
        let mut groups: BTreeSet<String> = groups.into_iter().collect();
        for (group, part) in self.parts().filter(|(_, part)| part.covers(member.as_str())) {
            if part.difference.add.iter().any(|edge| edge.member == *member) {
                groups.insert(group.to_string());
            }
            if part.difference.remove.contains(member) {
                groups.remove(group.as_str());
            }
        }
        let is_deleted = |id: &str| self.deleted.contains(id);
        groups.retain(|group| !is_deleted(group) && !is_deleted(member.as_str()));
        groups.into_iter().collect()
    }

    /// Returns the members of a group that has these edges. `is_read` says whether the edge of a member would be among
    /// them.
    pub(in crate::store) fn members(
        &self,
        group: &Id,
        edges: Vec<Edge>,
        is_read: impl Fn(&Id) -> bool,
    ) -> SeenMembers {
        let mut edges: BTreeMap<Id, Edge> =
            edges.into_iter().map(|edge| (edge.member.clone(), edge)).collect();
        let mut added = Vec::new();
        for (_, part) in self.parts().filter(|(changed, _)| *changed == group) {
            for member in &part.difference.remove {
                edges.remove(member);
            }
            let new = part.difference.add.iter().filter(|edge| is_read(&edge.member));
            added.extend(new.filter(|edge| !edges.contains_key(&edge.member)).cloned());
        }
        let is_deleted = |id: &Id| self.deleted.contains(id.as_str());
        edges.retain(|member, _| !is_deleted(member) && !is_deleted(group));
        added.retain(|edge| !is_deleted(&edge.member) && !is_deleted(group));
        SeenMembers { edges, added }
    }

    fn parts(&self) -> impl Iterator<Item = (&Id, &Part)> {
        self.committed.iter().flat_map(|(group, parts)| parts.iter().map(move |part| (group, part)))
    }
}

async fn read_headers(directory: &Directory) -> Result<Headers, Error> {
    let mut headers = Headers::default();
    for item in directory.table.query_all(KeyRange::all(&directory.keys.pending())).await? {
        match Change::from_item(&item) {
            Ok(change) if change.kind == ChangeKind::Members => headers.changes.push(change),
            Ok(change) => {
                headers.deleted.insert(change.subject.to_string());
            }
            // The header is damaged, or of another release. It must not make everything else unreadable.
            Err(_) => log_unreadable(directory),
        }
    }
    Ok(headers)
}

/// Returns the effects of the changes on memberships that were read at the time of the headers. Returns `None` if the
/// memberships have to be read again, because a change has ended or was committed meanwhile.
async fn effects(
    directory: &Directory,
    headers: &Headers,
    scope: &Scope,
    met: &mut Met,
) -> Result<Option<Effects>, Error> {
    let is_open = |change: &&Change| scope.contains(change) && !met.ended.contains(&change.id);
    let changes: Vec<&Change> = headers.changes.iter().filter(is_open).collect();
    let discarded = changes.iter().filter(|change| change.discarded).map(|change| change.id.clone());
    let mut over: Vec<Id> = discarded.collect();
    let mut are_current = over.is_empty();
    let mut effects = Effects { deleted: headers.deleted.clone(), committed: Vec::new() };
    if are_current {
        for (change, state) in states(directory, &changes, scope).await? {
            match state {
                State::Uncommitted => {}
                State::Committed(parts) => effects.committed.push((change.subject.clone(), parts)),
                State::Uncovered if met.uncovered.insert(change.id.clone()) => are_current = false,
                State::Uncovered | State::Ended => over.push(change.id.clone()),
            }
        }
    }
    are_current &= over.is_empty();
    met.ended.extend(over);
    Ok(are_current.then_some(effects))
}

/// Reads the states of changes: their groups, and the parts that contain members of the scope. The headers of changes
/// that are not named are read afterwards. A change whose header is open then had not ended when its group was read.
async fn states<'c>(
    directory: &Directory,
    changes: &[&'c Change],
    scope: &Scope,
) -> Result<Vec<(&'c Change, State)>, Error> {
    let group = |change: &Change| directory.keys.resource(ResourceKind::Group, change.subject.as_str());
    // A set, because BatchGetItem rejects duplicate keys.
    let groups: HashSet<Key> = changes.iter().map(|change| group(change)).collect();
    let groups: Vec<Key> = groups.into_iter().collect();
    let reads: Vec<_> =
        changes.iter().map(|change| read_parts(directory, &change.id, &scope.first, &scope.last)).collect();
    let parts = stream::iter(reads).buffered(CONCURRENCY).try_collect::<Vec<_>>();
    let (found, parts) = tokio::try_join!(directory.table.get_all(&groups), parts)?;
    let mut named = BTreeSet::new();
    for item in &found {
        named.extend(optional_id(item, name::INTENT)?);
    }
    let unnamed = changes.iter().filter(|change| !named.contains(&change.id));
    let headers: Vec<Key> = unnamed.map(|change| change.key(&directory.keys)).collect();
    let mut open = BTreeSet::new();
    for item in directory.table.get_all(&headers).await? {
        open.extend(Change::from_item(&item).ok().filter(|now| !now.discarded).map(|now| now.id));
    }
    let mut states = Vec::new();
    for (change, parts) in changes.iter().zip(parts) {
        let state = if !named.contains(&change.id) {
            if open.contains(&change.id) { State::Uncommitted } else { State::Ended }
        } else if cover(&parts, &scope.first, &scope.last) {
            State::Committed(parts)
        } else {
            // The parts were read before the last of them was written, or after they were deleted.
            State::Uncovered
        };
        states.push((*change, state));
    }
    Ok(states)
}

/// Reads the parts of a change that contain the operations on the members between the two, in ascending order.
async fn read_parts(directory: &Directory, change: &Id, first: &str, last: &str) -> Result<Vec<Part>, Error> {
    let partition = directory.keys.parts(change);
    let range = |from: &str, to: &str| KeyRange::between(&partition, (from.to_owned(), to.to_owned()));
    // The part of the first member is the last one that begins at or before it.
    let of_first = directory.table.query(range(BEFORE_IDS, first).backward(true).limit(1));
    let others = async {
        if first == last { Ok(Vec::new()) } else { directory.table.query_all(range(first, last)).await }
    };
    let (of_first, others) = tokio::try_join!(of_first, others)?;
    let mut parts = Vec::new();
    for item in of_first.items.iter().chain(&others) {
        match Part::from_item(item) {
            Ok(part) => parts.push(part),
            // The gap ends the change for this reader.
            Err(_) => log_unreadable(directory),
        }
    }
    // A part that begins at the first member is read twice, and may be applied in between.
    parts.dedup_by(|second, first| second.is_same(first));
    Ok(parts)
}

fn log_unreadable(directory: &Directory) {
    tracing::error!(org = directory.org().as_str(), "a pending change cannot be read");
}
