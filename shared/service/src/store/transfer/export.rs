//! The export of an organisation.
//!
//! Users are read first, then the groups, each with its members. Writes in between do not make the file inconsistent:
//!
//! - A membership is written only if both of its resources are. A user that was created after the users were read is
//!   absent, and so are its memberships.
//! - A group is read before and after its members, until both readings have the same version. A change of members that is
//!   committed is waited for.
//! - Two resources may have the same unique name if one was renamed after it was read. The export fails then, and is to be
//!   repeated.

use std::{
    collections::{HashSet, hash_map::RandomState},
    hash::BuildHasher,
    io::{self, Write},
};

use futures_util::{StreamExt, stream};
use scim::{ResourceKind, id::Id};

use super::record::{Membership, OrganisationRecord, Tally, write_resource};
use crate::{
    Error,
    auth::Org,
    store::{
        changes::read_in_turn,
        directory::{Directory, Store},
        edges::Edge,
        index::entries,
        items::{Item, Stored},
        key_range::KeyRange,
        orgs::{operator_table, read_org},
        table::Backoff,
    },
};

/// The number of groups that are read at once.
const GROUPS_AT_ONCE: usize = 8;
/// The number of times that a group is read again because of small changes of its members.
const MOST_REPEATS: usize = 8;

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The organisation does not exist, or DynamoDB does not answer, or an item cannot be read.
    #[error(transparent)]
    Store(#[from] Error),
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] io::Error),
    /// Two resources had the same unique name, because one was renamed meanwhile.
    #[error("two resources exchanged a name while they were read")]
    Renamed,
}

/// The resources that the export contains, 24 bytes each.
#[derive(Default)]
struct Exported {
    users: Vec<[u8; 16]>,
    groups: Vec<[u8; 16]>,
    /// Hashes of unique names.
    names: HashSet<u64>,
    hasher: RandomState,
}

impl Exported {
    /// Adds a resource. Ids ascend, as they are read.
    fn add(&mut self, kind: ResourceKind, resource: &Stored) -> Result<(), ExportError> {
        for entry in entries(kind, resource).into_iter().filter(|entry| entry.unique) {
            if !self.names.insert(self.hasher.hash_one((entry.attribute, &entry.sk, kind))) {
                return Err(ExportError::Renamed);
            }
        }
        self.ids(kind).push(resource.id.to_bytes());
        Ok(())
    }

    fn ids(&mut self, kind: ResourceKind) -> &mut Vec<[u8; 16]> {
        match kind {
            ResourceKind::User => &mut self.users,
            ResourceKind::Group => &mut self.groups,
        }
    }
}

/// A member, in 17 bytes.
#[derive(Clone, Copy)]
struct Member {
    id: [u8; 16],
    kind: ResourceKind,
}

impl Store {
    /// Writes an organisation to `out`, one record a line. Calls `progress` with the numbers so far.
    ///
    /// # Errors
    /// [`ExportError`]. The output is incomplete then, and its last line is missing.
    pub async fn export(
        &self,
        org: &Org,
        out: &mut impl Write,
        mut progress: impl FnMut(Tally),
    ) -> Result<Tally, ExportError> {
        let none = || Error::NotFound(format!("The organisation {org} does not exist."));
        let organisation = read_org(&operator_table(self), org).await?.ok_or_else(none)?;
        if let Some(work) = organisation.work {
            return Err(work.conflict(org).into());
        }
        OrganisationRecord::of(&organisation).write(out)?;
        let (mut exported, mut tally) = (Exported::default(), Tally::default());
        let mut after = None;
        loop {
            let (items, next) = page(self, org, ResourceKind::User, after).await?;
            for item in items {
                let user = Stored::from_item(&item)?;
                exported.add(ResourceKind::User, &user)?;
                write_resource(out, ResourceKind::User, &user)?;
                tally.users += 1;
            }
            progress(tally);
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let mut nested = Vec::new();
        let mut after = None;
        loop {
            let (items, next) = page(self, org, ResourceKind::Group, after).await?;
            let ids = items.iter().map(group_id).collect::<Result<Vec<Id>, Error>>()?;
            let reads: Vec<_> = ids.iter().map(|id| read_group(self.as_operator(org), id)).collect();
            let mut reads = stream::iter(reads).buffered(GROUPS_AT_ONCE);
            while let Some(read) = reads.next().await {
                let Some((group, members)) = read? else { continue };
                exported.add(ResourceKind::Group, &group)?;
                write_resource(out, ResourceKind::Group, &group)?;
                tally.groups += 1;
                for member in members {
                    match member.kind {
                        ResourceKind::User if exported.users.binary_search(&member.id).is_ok() => {
                            membership(&group.id, member).write(out)?;
                            tally.members += 1;
                        }
                        ResourceKind::User => {}
                        // The group may follow. It is known only after the last group.
                        ResourceKind::Group => nested.push((group.id.to_bytes(), member)),
                    }
                }
                progress(tally);
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        for (group, member) in nested {
            if exported.groups.binary_search(&member.id).is_ok() {
                membership(&Id::from_bytes(group), member).write(out)?;
                tally.members += 1;
            }
        }
        tally.write(out)?;
        out.flush()?;
        Ok(tally)
    }
}

fn membership(group: &Id, member: Member) -> Membership {
    Membership { group: group.clone(), member: Id::from_bytes(member.id), kind: member.kind }
}

async fn page(
    store: &Store,
    org: &Org,
    kind: ResourceKind,
    after: Option<Item>,
) -> Result<(Vec<Item>, Option<Item>), Error> {
    let directory = store.as_operator(org);
    let partition = directory.keys.resources(kind);
    let page = directory.table.query(KeyRange::all(&partition).after(after)).await?;
    Ok((page.items, page.next))
}

/// Reads a group with its members. Returns `None` if it has been deleted.
async fn read_group(directory: Directory, id: &Id) -> Result<Option<(Stored, Vec<Member>)>, Error> {
    let partition = directory.keys.members(id.as_str());
    let key = directory.keys.resource(ResourceKind::Group, id.as_str());
    let (mut backoff, mut repeats) = (Backoff::new(&directory.table), 0);
    loop {
        let before = match read_in_turn(&directory, ResourceKind::Group, id, None).await {
            Ok(before) => before,
            Err(Error::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let range = KeyRange::all(&partition).whole_pages();
        let members = directory.table.query_each(range, |item| member(&item)).await?;
        let Some(after) = directory.table.get(&key).await? else { return Ok(None) };
        let after = Stored::from_item(&after)?;
        let has_no_large_change = after.intent.is_none() && after.finished == before.finished;
        if after.version == before.version || has_no_large_change && repeats >= MOST_REPEATS {
            return Ok(Some((before, members)));
        }
        repeats += 1;
        backoff.wait().await?;
    }
}

fn group_id(item: &Item) -> Result<Id, Error> {
    Ok(Stored::from_item(item)?.id)
}

fn member(item: &Item) -> Result<Member, Error> {
    let edge = Edge::from_item(item)?;
    Ok(Member { id: edge.member.to_bytes(), kind: edge.kind })
}
