//! Requests on one group.
//!
//! A PATCH that only adds and removes named members does not read the group ([`super::member_edit`]). Every other write
//! depends on the document or on the current members: it reads first, and writes under the version that it read. A write
//! that does not fit into one transaction becomes a pending change ([`super::changes`]).

use std::collections::{BTreeMap, BTreeSet};

use scim::{
    Invalid, ResourceKind, ScimType,
    id::Id,
    members::{self, Member, MemberEdit, MemberOperation},
    patch::Patch,
    resource::Document,
};

use super::{
    changes::{Attempts, Commit, GroupWrite, View, write_members},
    directory::Directory,
    edges::{Difference, Edge, Memberships, Resolved, edges, resolve, too_many_members, unknown_member},
    items::Stored,
    keys::Key,
    member_edit::edit_members,
    memberships::{existing, members_of},
    resources::{Expected, check_expected, creation, fresh, read, replacement, successor},
    table::Backoff,
    transaction::FailedCondition,
    write::{Guard, lost_race, not_found, taken},
};
use crate::{
    Error,
    error::Reason,
    event::{Change, EventId, Subject},
    limits::{MEMBERS_SHOWN, READ_BACK_RESERVE},
    request_log::Members,
};

/// A group as a request has read and written it.
#[derive(Debug, Clone)]
pub struct WrittenGroup {
    stored: Stored,
    /// The members. `None` if the request has not read all of them.
    members: Option<Vec<Edge>>,
    /// The members that the request added, and those that it removed.
    changed: (Members, Members),
}

/// The number of times that a group is read again because of changes in one transaction.
const MOST_REPEATS: usize = 3;

impl WrittenGroup {
    /// Returns the group.
    #[must_use]
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Returns the members that the request added, and those that it removed.
    #[must_use]
    pub fn changed_members(&self) -> (&Members, &Members) {
        (&self.changed.0, &self.changed.1)
    }

    /// Returns the group and, if they are wanted, known and not too many to show, its members.
    #[must_use]
    pub fn shown(self, with_members: bool) -> (Stored, Memberships) {
        let members = self.members.filter(|members| with_members && members.len() <= MEMBERS_SHOWN);
        (self.stored, members.as_deref().map_or(Memberships::None, shown))
    }
}

impl Directory {
    /// Returns the group of that id and, if they are wanted, its members.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none in this organisation, `tooMany` if it has more than [`MEMBERS_SHOWN`]
    /// members.
    pub async fn group(&self, id: &str, with_members: bool) -> Result<(Stored, Memberships), Error> {
        let id = Id::parse(id).ok_or_else(|| not_found(ResourceKind::Group))?;
        if !with_members {
            return Ok((read(self, ResourceKind::Group, &id).await?, Memberships::None));
        }
        let (mut backoff, mut repeats) = (Backoff::new(&self.table), 0);
        loop {
            // The group is read first, so its version is never newer than the members that are shown with it: a client
            // that writes under the version undoes nothing that it has not seen. The group is read again to find out
            // whether its members changed in between: a query may show a transaction in part. Small changes alone do not
            // keep a reader of a busy group waiting.
            let view = View::new(self);
            let (before, _) = tokio::try_join!(read(self, ResourceKind::Group, &id), view.deleted())?;
            let members = members_of(&view, &before, MEMBERS_SHOWN).await?.ok_or_else(too_many_members)?;
            let again = read(self, ResourceKind::Group, &id);
            let (members, after) = tokio::try_join!(existing(self, members), again)?;
            let is_same = (&after.intent, &after.version) == (&before.intent, &before.version);
            let has_no_large_change = (&after.intent, &after.finished) == (&before.intent, &before.finished);
            if is_same || has_no_large_change && repeats >= MOST_REPEATS {
                return Ok((before, shown(&members)));
            }
            repeats += 1;
            backoff.wait().await?;
        }
    }

    /// Returns a group that this request has patched. Reads the group again if the request does not know what is wanted.
    /// Members are left out if there are too many to show. Returns `None` if the group has been deleted since, or cannot be
    /// read in the remaining time: the write has succeeded, so neither is an error.
    pub async fn patched_group(
        &self,
        id: &str,
        written: Option<WrittenGroup>,
        with_members: bool,
    ) -> Option<(Stored, Memberships)> {
        if let Some(written) = written.filter(|written| !with_members || written.members.is_some()) {
            return Some(written.shown(with_members));
        }
        let read = async {
            match self.group(id, with_members).await {
                Err(Error::Invalid(Invalid { scim_type: ScimType::TooMany, .. })) => {
                    self.group(id, false).await
                }
                outcome => outcome,
            }
        };
        tokio::time::timeout_at(self.table.deadline - READ_BACK_RESERVE, read).await.ok()?.ok()
    }

    /// Creates a group with its members.
    ///
    /// # Errors
    /// `uniqueness` if the displayName is taken, `invalidValue` if a member does not exist.
    pub async fn create_group(
        &self,
        document: Document,
        members: &[Member],
    ) -> Result<(Stored, Vec<Member>), Error> {
        let stored = fresh(&self.table, ResourceKind::Group, document)?;
        let resolved = resolve(self, members).await?;
        let difference = Difference { add: resolved.edges, remove: Vec::new() };
        let group_write = |commit: &Commit| {
            let stored = commit.named_by(&stored);
            creation(&self.keys, ResourceKind::Group, &stored, &commit.events.last)
        };
        let of_group = GroupWrite {
            subject: Subject::of(ResourceKind::Group, &stored.id, &stored.document),
            changes: vec![Change::created(ResourceKind::Group, &stored.id, &stored.document)],
            floor: resolved.stamp,
            version: &stored.version,
        };
        match write_members(self, &stored.id, &difference, None, of_group, group_write).await? {
            Ok(()) => Ok((stored, difference.add.iter().map(Edge::to_member).collect())),
            Err(failed) => Err(write_error(&difference, &failed)),
        }
    }

    /// Changes a group's document, its members, or both. `change` takes the current document, and may be called again if
    /// another writer was faster. Version and `lastModified` stay if nothing changes.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::PreconditionFailed`], `uniqueness`, `invalidValue` if a member to be added does
    /// not exist, and the errors of `change`.
    pub async fn update_group(
        &self,
        id: &str,
        expected: Option<&Expected>,
        change: impl Fn(&Document) -> Result<Document, Invalid>,
        operations: &[MemberOperation],
    ) -> Result<WrittenGroup, Error> {
        let id = Id::parse(id).ok_or_else(|| not_found(ResourceKind::Group))?;
        let mut attempts = Attempts::new(self, &id);
        loop {
            match write_group(self, &attempts, expected, &change, operations).await {
                Ok(Attempt::Changed(group)) => return Ok(group),
                Ok(Attempt::Unchanged(group)) => {
                    attempts.release().await?;
                    return Ok(group);
                }
                Ok(Attempt::Lost) => attempts.lost(matches!(expected, Some(Expected::OneOf(_)))).await?,
                Err(error) => {
                    attempts.release().await?;
                    return Err(error);
                }
            }
        }
    }

    /// Changes a group by a PATCH. `change` applies the PATCH to the document. Returns its new version, or `None` if the members were as requested already and the
    /// group did not have to be read. Returns also the group if it was read.
    ///
    /// # Errors
    /// As [`Self::update_group`].
    pub async fn patch_group(
        &self,
        id: &str,
        expected: Option<&Expected>,
        change: impl Fn(&Document) -> Result<Document, Invalid>,
        patch: &Patch,
    ) -> Result<(Option<String>, Option<WrittenGroup>), Error> {
        if expected.is_none() && !patch.changes_document() {
            let id = Id::parse(id).ok_or_else(|| not_found(ResourceKind::Group))?;
            if let Some(edit @ MemberEdit { clear: false, .. }) = members::combine(patch.members()) {
                return Ok((edit_members(self, &id, &edit).await?, None));
            }
        }
        let written = self.update_group(id, expected, change, patch.members()).await?;
        Ok((Some(written.stored.version.clone()), Some(written)))
    }
}

/// The outcome of an attempt to write a group.
enum Attempt {
    /// The group has changed.
    Changed(WrittenGroup),
    /// The group was as requested already.
    Unchanged(WrittenGroup),
    /// Another writer was faster.
    Lost,
}

/// Reads the group, and writes it under the version that it read or under the reservation.
async fn write_group(
    directory: &Directory,
    attempts: &Attempts<'_>,
    expected: Option<&Expected>,
    change: impl Fn(&Document) -> Result<Document, Invalid>,
    operations: &[MemberOperation],
) -> Result<Attempt, Error> {
    let stored = attempts.read().await?;
    check_expected(expected, &stored)?;
    let document = change(&stored.document)?;
    let MemberChange { difference, members, stamp } =
        member_change(directory, &stored.id, operations).await?;
    if document == stored.document && difference.is_empty() {
        return Ok(Attempt::Unchanged(WrittenGroup { stored, members, changed: Default::default() }));
    }
    let changed = (
        Members::of(difference.add.iter().map(|edge| edge.member.as_str())),
        Members::of(difference.remove.iter().map(Id::as_str)),
    );
    let next = successor(&directory.table, ResourceKind::Group, &stored, document)?;
    let group_write = |commit: &Commit| {
        let next = commit.named_by(&next);
        replacement(&directory.keys, ResourceKind::Group, &stored, &next, Some(commit.events))
    };
    let updated = Change::updated(ResourceKind::Group, &stored.id, &stored.document, &next.document);
    let of_group = GroupWrite {
        subject: Subject::of(ResourceKind::Group, &stored.id, &next.document),
        changes: updated.into_iter().collect(),
        floor: stored.stamp.max(stamp),
        version: &next.version,
    };
    let reservation = attempts.reservation();
    let written = write_members(directory, &stored.id, &difference, reservation, of_group, group_write);
    match written.await? {
        Ok(()) => Ok(Attempt::Changed(WrittenGroup { stored: next, members, changed })),
        Err(failed) if lost_race(&stored.id, &failed) => Ok(Attempt::Lost),
        Err(failed) => Err(write_error(&difference, &failed)),
    }
}

fn shown(members: &[Edge]) -> Memberships {
    Memberships::Members(members.iter().map(Edge::to_member).collect())
}

/// The effect of operations on the members of a group.
#[derive(Default)]
struct MemberChange {
    difference: Difference,
    /// The members after the operations. `None` if not all members were read.
    members: Option<Vec<Edge>>,
    /// The latest stamp of the members to be added.
    stamp: Option<EventId>,
}

/// Returns the effect of the operations on the current members. A deleted resource is not a member, even while its edges
/// still exist.
async fn member_change(
    directory: &Directory,
    group: &Id,
    operations: &[MemberOperation],
) -> Result<MemberChange, Error> {
    if operations.is_empty() {
        return Ok(MemberChange::default());
    }
    let named = members::combine(operations).filter(|edit| !edit.clear);
    let view = View::new(directory);
    let read = async {
        match &named {
            Some(edit) => {
                let ids = edit.add.iter().map(|member| &member.value).chain(&edit.remove);
                let ids = ids.filter(|id| Id::parse(id).is_some());
                let keys: Vec<Key> = ids.map(|id| directory.keys.edge(group.as_str(), id)).collect();
                directory.table.get_all(&keys).await?.iter().map(Edge::from_item).collect()
            }
            None => edges(directory, group).await,
        }
    };
    // The write requires that no change of members is unfinished, so only deletions are.
    let (edges, deleted) = tokio::try_join!(read, view.deleted())?;
    let exists = |edge: &Edge| !deleted.contains(edge.member.as_str());
    let mut current: BTreeMap<Id, Edge> =
        edges.into_iter().filter(exists).map(|edge| (edge.member.clone(), edge)).collect();
    let is_complete = named.is_none();
    let edit = named.unwrap_or_else(|| {
        let members: Vec<Member> = current.values().map(Edge::to_member).collect();
        members::combine_on(operations, &members)
    });
    let is_member = |id: &str| Id::parse(id).is_some_and(|id| current.contains_key(&id));
    let new: Vec<Member> = edit.add.iter().filter(|member| !is_member(&member.value)).cloned().collect();
    let added: BTreeSet<&str> = edit.add.iter().map(|member| member.value.as_str()).collect();
    let removed: BTreeSet<&str> = edit.remove.iter().map(String::as_str).collect();
    let is_removed = |id: &str| if edit.clear { !added.contains(id) } else { removed.contains(id) };
    let remove: Vec<Id> = current.keys().filter(|id| is_removed(id.as_str())).cloned().collect();
    let Resolved { edges: add, stamp } = resolve(directory, &new).await?;
    let difference = Difference { add, remove };
    let members = is_complete.then(|| {
        current.retain(|id, _| !is_removed(id.as_str()));
        current.extend(difference.add.iter().map(|edge| (edge.member.clone(), edge.clone())));
        current.into_values().collect()
    });
    Ok(MemberChange { difference, members, stamp })
}

/// Returns the error for a write of a group whose conditions failed.
fn write_error(difference: &Difference, failed: &[FailedCondition<Guard>]) -> Error {
    let unknown = failed.iter().find_map(|condition| match condition.guard {
        Guard::MemberExists(index) => difference.add.get(index),
        _ => None,
    });
    taken(ResourceKind::Group, failed)
        .or_else(|| unknown.map(|edge| unknown_member(edge.member.as_str())))
        .unwrap_or(Error::Unavailable(Reason::Conflicts))
}
