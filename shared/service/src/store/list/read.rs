//! Reads that walks and collections share.

use std::collections::HashMap;

use scim::{ResourceKind, id::Id};

use super::{budget::is_late, request::ResourceRef};
use crate::{
    Error,
    store::{
        changes::View,
        directory::Directory,
        edges::Edge,
        items::{Item, Stored, name, text},
        keys::Key,
        memberships::members_page,
        table::KeyRange,
    },
};

/// Reads the items of a range and converts each. Returns `None` if there are more than `limit`, or no time is left.
pub(super) async fn gather<T>(
    directory: &Directory,
    range: KeyRange<'_>,
    limit: usize,
    convert: impl Fn(&Item) -> Result<T, Error>,
) -> Result<Option<Vec<T>>, Error> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = directory.table.query(range.clone().after(after)).await?;
        for item in &page.items {
            all.push(convert(item)?);
        }
        match page.next {
            _ if all.len() > limit => return Ok(None),
            None => return Ok(Some(all)),
            Some(_) if is_late(directory) => return Ok(None),
            next => after = next,
        }
    }
}

/// Reads the members of a group. Returns `None` if there are more than `limit`, or no time is left.
pub(super) async fn gather_members(
    view: &View<'_>,
    group: &Id,
    limit: usize,
) -> Result<Option<Vec<Edge>>, Error> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = members_page(view, group, after, false, None).await?;
        all.extend(page.members);
        match page.next {
            _ if all.len() > limit => return Ok(None),
            None => return Ok(Some(all)),
            Some(_) if is_late(view.directory) => return Ok(None),
            next => after = next,
        }
    }
}

/// Reads the resources that are yet to be read, and returns all with their positions. Resources that were deleted in the
/// meantime are left out.
pub(super) async fn load(
    directory: &Directory,
    kind: ResourceKind,
    references: Vec<ResourceRef>,
) -> Result<Vec<(String, Stored)>, Error> {
    let unread = references.iter().filter(|reference| reference.stored.is_none());
    let keys: Vec<Key> =
        unread.map(|reference| directory.keys.resource(kind, reference.id.as_str())).collect();
    let items = directory.table.get_all(&keys).await?;
    let mut read = HashMap::with_capacity(items.len());
    for item in &items {
        let stored = Stored::from_item(item)?;
        read.insert(stored.id.clone(), stored);
    }
    let loaded = references.into_iter().filter_map(|reference| {
        let stored = reference.stored.or_else(|| read.remove(&reference.id))?;
        Some((reference.position, stored))
    });
    Ok(loaded.collect())
}

/// Returns the id of the resource that an index entry belongs to.
pub(super) fn entry_id(entry: &Item) -> Result<Id, Error> {
    let id = text(entry, name::ID)?;
    Id::parse(id).ok_or_else(|| Error::Internal("an index entry cannot be read".to_owned()))
}
