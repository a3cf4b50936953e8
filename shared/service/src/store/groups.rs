//! Requests on one group.
//!
//! A PATCH that only adds and removes named members does not read the group ([`super::member_edit`]). Every other write
//! depends on the document or on the current members: it reads first, and writes under the version that it read. A write
//! that does not fit into one transaction becomes a pending change ([`super::changes`]).

use std::collections::BTreeSet;

use scim::{
    Invalid, ResourceKind, ScimType,
    id::Id,
    members::{self, Member, MemberEdit, MemberOperation},
    patch::Patch,
    resource::Document,
};

use super::{
    changes::{Attempts, read_after_pending, read_in_turn, write_members},
    directory::Directory,
    edges::{Difference, Edge, Memberships, edges, resolve, too_many_members, unknown_member},
    items::Stored,
    keys::Key,
    member_edit::edit_members,
    resources::{Expected, check_expected, creation, fresh, read, replacement, successor},
    table::{Backoff, KeyRange},
    transaction::FailedCondition,
    write::{Guard, lost_race, not_found, taken},
};
use crate::{
    Error,
    limits::{MEMBERS_SHOWN, READ_BACK_RESERVE},
};

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
        let mut backoff = Backoff::new(&self.table);
        loop {
            // The group is read first, so its version is never newer than the members that are shown with it: a client
            // that writes under the version undoes nothing that it has not seen. The group is read again to find out
            // whether a deletion, or a change in several transactions, was under way in between.
            let before =
                read_after_pending(self, || read_in_turn(self, ResourceKind::Group, &id, None)).await?;
            let members = read_members(self, &id).await?;
            let after = read(self, ResourceKind::Group, &id).await?;
            if after.intent.is_none() && after.finished == before.finished {
                return Ok((before, Memberships::Members(members)));
            }
            backoff.wait().await?;
        }
    }

    /// Returns a group that this request has written, as it is now. Members are left out if there are too many to show.
    /// Returns `None` if the group has been deleted since, or cannot be read in the remaining time: the write has
    /// succeeded, so neither is an error.
    pub async fn written_group(&self, id: &str, with_members: bool) -> Option<(Stored, Memberships)> {
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
        let stored = fresh(&self.table, document)?;
        let difference = Difference { add: resolve(self, members).await?, remove: Vec::new() };
        let group_write = |intent: Option<&Id>| {
            let intent = intent.cloned();
            creation(&self.keys, ResourceKind::Group, &Stored { intent, ..stored.clone() })
        };
        match write_members(self, &stored.id, &difference, None, group_write).await? {
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
    ) -> Result<Stored, Error> {
        let id = Id::parse(id).ok_or_else(|| not_found(ResourceKind::Group))?;
        let mut attempts = Attempts::new(self, &id);
        loop {
            match write_group(self, &attempts, expected, &change, operations).await {
                Ok(Written::Changed(stored)) => return Ok(stored),
                Ok(Written::Unchanged(stored)) => {
                    attempts.release().await?;
                    return Ok(stored);
                }
                Ok(Written::Lost) => attempts.lost(matches!(expected, Some(Expected::OneOf(_)))).await?,
                Err(error) => {
                    attempts.release().await?;
                    return Err(error);
                }
            }
        }
    }

    /// Changes a group by a PATCH. Returns its new version, or `None` if the members were as requested already and the
    /// group did not have to be read.
    ///
    /// # Errors
    /// As [`Self::update_group`].
    pub async fn patch_group(
        &self,
        id: &str,
        expected: Option<&Expected>,
        patch: &Patch,
    ) -> Result<Option<String>, Error> {
        if expected.is_none() && !patch.changes_document() {
            let id = Id::parse(id).ok_or_else(|| not_found(ResourceKind::Group))?;
            if let Some(edit @ MemberEdit { clear: false, .. }) = members::combine(patch.members()) {
                return edit_members(self, &id, &edit).await;
            }
        }
        let change = |document: &Document| patch.apply(document);
        let stored = self.update_group(id, expected, change, patch.members()).await?;
        Ok(Some(stored.version))
    }
}

/// The outcome of an attempt to write a group.
enum Written {
    /// The group has changed.
    Changed(Stored),
    /// The group was as requested already.
    Unchanged(Stored),
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
) -> Result<Written, Error> {
    let stored = attempts.read().await?;
    check_expected(expected, &stored)?;
    let document = change(&stored.document)?;
    let difference = difference(directory, &stored.id, operations).await?;
    if document == stored.document && difference.is_empty() {
        return Ok(Written::Unchanged(stored));
    }
    let next = successor(&directory.table, &stored, document)?;
    let group_write = |intent: Option<&Id>| {
        let next = Stored { intent: intent.cloned(), ..next.clone() };
        replacement(&directory.keys, ResourceKind::Group, &stored, &next)
    };
    let written = write_members(directory, &stored.id, &difference, attempts.reservation(), group_write);
    match written.await? {
        Ok(()) => Ok(Written::Changed(next)),
        Err(failed) if lost_race(&stored.id, &failed) => Ok(Written::Lost),
        Err(failed) => Err(write_error(&difference, &failed)),
    }
}

/// Reads the members of a group, up to the number that an answer shows.
async fn read_members(directory: &Directory, group: &Id) -> Result<Vec<Member>, Error> {
    let partition = directory.keys.members(group.as_str());
    let mut members = Vec::new();
    let mut after = None;
    loop {
        let page = directory.table.query(KeyRange::all(&partition).after(after)).await?;
        for item in &page.items {
            members.push(Edge::from_item(item)?.to_member());
        }
        if members.len() > MEMBERS_SHOWN {
            return Err(too_many_members());
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(members),
        }
    }
}

/// Returns the difference between the current members and those after the operations. A deleted resource is not a
/// member, even while its edges still exist.
async fn difference(
    directory: &Directory,
    group: &Id,
    operations: &[MemberOperation],
) -> Result<Difference, Error> {
    if operations.is_empty() {
        return Ok(Difference::default());
    }
    let named = members::combine(operations).filter(|edit| !edit.clear);
    let current: BTreeSet<Edge> = match &named {
        Some(edit) => {
            let ids = edit.add.iter().map(|member| &member.value).chain(&edit.remove);
            let keys: Vec<Key> = ids
                .filter(|id| Id::parse(id).is_some())
                .map(|id| directory.keys.edge(group.as_str(), id))
                .collect();
            let items = read_after_pending(directory, || directory.table.get_all(&keys)).await?;
            items.iter().map(Edge::from_item).collect::<Result<_, _>>()?
        }
        None => read_after_pending(directory, || edges(directory, group)).await?.into_iter().collect(),
    };
    let edit = named.unwrap_or_else(|| {
        let members: Vec<Member> = current.iter().map(Edge::to_member).collect();
        members::combine_on(operations, &members)
    });
    let members: BTreeSet<&str> = current.iter().map(|edge| edge.member.as_str()).collect();
    let new: Vec<Member> =
        edit.add.iter().filter(|member| !members.contains(member.value.as_str())).cloned().collect();
    let added: BTreeSet<&str> = edit.add.iter().map(|member| member.value.as_str()).collect();
    let removed: BTreeSet<&str> = edit.remove.iter().map(String::as_str).collect();
    let is_removed = |id: &str| if edit.clear { !added.contains(id) } else { removed.contains(id) };
    let remove =
        current.iter().map(|edge| &edge.member).filter(|id| is_removed(id.as_str())).cloned().collect();
    Ok(Difference { add: resolve(directory, &new).await?, remove })
}

/// Returns the error for a write of a group whose conditions failed.
fn write_error(difference: &Difference, failed: &[FailedCondition<Guard>]) -> Error {
    let unknown = failed.iter().find_map(|condition| match condition.guard {
        Guard::MemberExists(index) => difference.add.get(index),
        _ => None,
    });
    taken(ResourceKind::Group, failed)
        .or_else(|| unknown.map(|edge| unknown_member(edge.member.as_str())))
        .unwrap_or(Error::Unavailable)
}
