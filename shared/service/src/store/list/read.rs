//! Reads that walks and collections share.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures_util::{Stream, StreamExt, stream};
use scim::{ResourceKind, id::Id};

use super::{budget::is_late, request::ResourceRef};
use crate::{
    Error,
    store::{
        changes::View,
        directory::Directory,
        edges::Edge,
        items::{Item, Packed, name, text},
        key_range::KeyRange,
        keys::Key,
        memberships::members_page,
        table::BATCH_GET,
    },
};

/// The number of reads of a hundred documents that are in flight at a time. Each answer of DynamoDB has up to 16 MB.
const DOCUMENT_READS: usize = 2;

/// The number of items that several reads may return together.
pub(super) struct Allowance(AtomicUsize);

impl Allowance {
    pub(super) fn new(items: usize) -> Self {
        Self(AtomicUsize::new(items))
    }

    /// Takes from the allowance. Returns whether it suffices.
    pub(super) fn take(&self, items: usize) -> bool {
        let left = |left: usize| Some(left.saturating_sub(items));
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok_and(|before| before >= items)
    }

    /// Returns what is left.
    pub(super) fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reads the items of a range and converts each. Returns `None` if the allowance does not suffice, or no time is left.
pub(super) async fn gather<T>(
    directory: &Directory,
    range: KeyRange<'_>,
    allowance: &Allowance,
    convert: impl Fn(&Item) -> Result<T, Error>,
) -> Result<Option<Vec<T>>, Error> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = directory.table.query(range.clone().after(after)).await?;
        if !allowance.take(page.items.len()) {
            return Ok(None);
        }
        for item in &page.items {
            all.push(convert(item)?);
        }
        match page.next {
            None => return Ok(Some(all)),
            Some(_) if is_late(directory) => return Ok(None),
            next => after = next,
        }
    }
}

/// Reads the members of a group. Returns `None` if the allowance does not suffice, or no time is left.
pub(super) async fn gather_members(
    view: &View<'_>,
    group: &Id,
    allowance: &Allowance,
) -> Result<Option<Vec<Edge>>, Error> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = members_page(view, group, after, false, None).await?;
        if !allowance.take(page.members.len()) {
            return Ok(None);
        }
        all.extend(page.members);
        match page.next {
            None => return Ok(Some(all)),
            Some(_) if is_late(view.directory) => return Ok(None),
            next => after = next,
        }
    }
}

/// Reads the resources that are yet to be read, a hundred at a time, and returns all with their positions. Resources that
/// were deleted in the meantime are left out.
pub(super) fn load(
    directory: &Directory,
    kind: ResourceKind,
    references: Vec<ResourceRef>,
) -> impl Stream<Item = Result<Vec<(String, Packed)>, Error>> {
    let mut references = references.into_iter();
    let batches = std::iter::from_fn(move || {
        let mut batch = Vec::new();
        let mut unread = 0;
        // Resources that were read already are in batches of their own size: they are not read again.
        while unread < BATCH_GET
            && let Some(reference) = references.next()
        {
            unread += usize::from(reference.stored.is_none());
            batch.push(reference);
        }
        (!batch.is_empty()).then_some(batch)
    });
    stream::iter(batches).map(move |batch| load_batch(directory, kind, batch)).buffered(DOCUMENT_READS)
}

async fn load_batch(
    directory: &Directory,
    kind: ResourceKind,
    references: Vec<ResourceRef>,
) -> Result<Vec<(String, Packed)>, Error> {
    let unread = references.iter().filter(|reference| reference.stored.is_none());
    let keys: Vec<Key> =
        unread.map(|reference| directory.keys.resource(kind, reference.id.as_str())).collect();
    let items = if keys.is_empty() { Vec::new() } else { directory.table.get_all(&keys).await? };
    let mut read = HashMap::with_capacity(items.len());
    for item in items {
        let stored = Packed::pack(item)?;
        read.insert(stored.id.clone(), stored);
    }
    let loaded = references.into_iter().filter_map(|reference| {
        let stored = reference.stored.map(|stored| *stored).or_else(|| read.remove(&reference.id))?;
        Some((reference.position, stored))
    });
    Ok(loaded.collect())
}

/// Returns the id of the resource that an index entry belongs to.
pub(super) fn entry_id(entry: &Item) -> Result<Id, Error> {
    let id = text(entry, name::ID)?;
    Id::parse(id).ok_or_else(|| Error::Internal("an index entry cannot be read".to_owned()))
}
