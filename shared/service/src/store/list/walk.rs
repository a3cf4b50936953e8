//! Walks: pages of a partition that is in the requested order already.

use std::pin::pin;

use futures_util::TryStreamExt;
use scim::{ResourceKind, filter::Predicate, id::Id};

use super::{
    budget::{is_late, page_bytes, too_large, too_many},
    memberships::{keep_matching, with_memberships},
    read::{entry_id, load},
    request::{ListPart, ListRequest, ResourceRef, Start},
};
use crate::{
    Error,
    limits::SCAN_LIMIT,
    store::{
        changes::View,
        directory::Directory,
        items::{Item, Packed, sort_key},
        key_range::{KeyRange, PAGE},
        keys::{Keys, Partition},
        memberships::members_page,
        plan::Access,
    },
};

/// A partition in the requested order.
pub(super) struct Walk {
    partition: Partition,
    between: Option<(String, String)>,
    backward: bool,
    items: ItemType,
}

/// The type of the items of a walk.
enum ItemType {
    Resources,
    IndexEntries,
    /// The edges of this group.
    Edges(Id),
}

/// A part of a walk.
struct WalkPage {
    references: Vec<ResourceRef>,
    /// The number of items that were read.
    read: usize,
    /// The key after which the walk continues.
    next: Option<Item>,
}

impl Walk {
    /// Returns the walk for this access in the order of the request. `None` if no partition has this order.
    pub(super) fn of(keys: &Keys, request: &ListRequest<'_>, access: &Access<'_>) -> Option<Self> {
        let kind = request.kind;
        let (partition, between, items) = if request.is_in_order_of_creation() {
            match access {
                Access::Partition => (keys.resources(kind), None, ItemType::Resources),
                Access::Created(from, to) => {
                    (keys.resources(kind), Some(Id::range_created_between(*from, *to)), ItemType::Resources)
                }
                Access::Lookups(_) => {
                    let group = Id::parse(access.members_of()?)?;
                    (keys.members(group.as_str()), None, ItemType::Edges(group))
                }
                Access::Entries { .. } => return None,
            }
        } else {
            let index = request.index_of_order()?;
            let between = match access {
                Access::Partition => None,
                Access::Entries { indexed, between } if *indexed == index => Some(between.clone()),
                _ => return None,
            };
            (keys.index(kind, index.name), between, ItemType::IndexEntries)
        };
        Some(Self { partition, between, backward: request.is_descending(), items })
    }

    fn range(&self, after: Option<Item>) -> KeyRange<'_> {
        KeyRange::within(&self.partition, self.between.clone()).backward(self.backward).after(after)
    }

    fn start(&self, after: Option<String>) -> Option<Item> {
        after.map(|sk| self.partition.key(sk).attributes())
    }

    /// Reads the resources after a key. Members of another kind are left out.
    async fn read(
        &self,
        view: &View<'_>,
        kind: ResourceKind,
        after: Option<Item>,
        limit: Option<usize>,
    ) -> Result<WalkPage, Error> {
        if let ItemType::Edges(group) = &self.items {
            let page = members_page(view, group, after, self.backward, limit).await?;
            let of_kind = page.members.into_iter().filter(|edge| edge.kind == kind);
            let reference = |member: Id| ResourceRef::unread(member.to_string(), member);
            let references = of_kind.map(|edge| reference(edge.member)).collect();
            return Ok(WalkPage { references, read: page.read, next: page.next });
        }
        let page = view.directory.table.query(self.range(after).limit(limit.unwrap_or(PAGE))).await?;
        let read = page.items.len();
        let references = page.items.into_iter().map(|item| self.resource(item)).collect::<Result<_, _>>()?;
        Ok(WalkPage { references, read, next: page.next })
    }

    /// Returns the resource that an item stands for.
    fn resource(&self, item: Item) -> Result<ResourceRef, Error> {
        let position = sort_key(&item)?.to_owned();
        if let ItemType::IndexEntries = self.items {
            return Ok(ResourceRef::unread(position, entry_id(&item)?));
        }
        let stored = Packed::pack(item)?;
        let id = stored.id.clone();
        Ok(ResourceRef { position, id, stored: Some(Box::new(stored)), memberships: None })
    }
}

/// Counts the resources of a walk.
pub(super) async fn count(directory: &Directory, kind: ResourceKind, walk: &Walk) -> Result<u64, Error> {
    let (total, _) = skip(directory, kind, walk, None, u64::MAX).await?;
    Ok(total)
}

/// Reads the page at `start`. An `exact` walk needs no filter.
pub(super) async fn page_by_index(
    directory: &Directory,
    request: &ListRequest<'_>,
    walk: &Walk,
    exact: bool,
    start: Start,
    count: usize,
) -> Result<ListPart, Error> {
    let filter = request.filter.as_ref().filter(|_| !exact);
    let mut after = start.after;
    if start.skip > SCAN_LIMIT as u64 {
        return Err(too_many(request.kind));
    }
    if start.skip > 0 {
        let (skipped, position) = skip(directory, request.kind, walk, after, start.skip).await?;
        if position.is_none() {
            return Ok(ListPart { skipped, ..ListPart::default() });
        }
        after = position;
    }
    let before = after.clone();
    // No limit of items: the request that determined the total read all of them within the budget.
    let part = page(directory, request, walk, filter, after, count, None).await?;
    Ok(ListPart { before, skipped: start.skip, ..part })
}

/// Skips `number` resources. Returns the number of resources skipped, and the position of the last of them unless the
/// walk ends there.
async fn skip(
    directory: &Directory,
    kind: ResourceKind,
    walk: &Walk,
    after: Option<String>,
    number: u64,
) -> Result<(u64, Option<String>), Error> {
    let view = View::new(directory);
    let mut left = usize::try_from(number).unwrap_or(usize::MAX);
    let mut after = walk.start(after);
    loop {
        if let ItemType::Edges(_) = walk.items {
            // Members of another kind do not count, so the items themselves are read.
            let page = walk.read(&view, kind, after, None).await?;
            if let Some(last) = page.references.get(left - 1) {
                return Ok((number, Some(last.position.clone())));
            }
            left -= page.references.len();
            after = page.next;
        } else {
            let page = directory.table.query(walk.range(after).limit(left).count_only()).await?;
            left -= page.count;
            if left == 0
                && let Some(last) = &page.next
            {
                return Ok((number, Some(sort_key(last)?.to_owned())));
            }
            after = page.next;
        }
        if after.is_none() {
            return Ok((number - left as u64, None));
        }
        if is_late(directory) {
            return Err(too_many(kind));
        }
    }
}

/// Reads up to `count` resources that match the filter. With a `limit`, the page ends early after that many items, or
/// when the time is over, the documents are too large or there are too many memberships. Without a `limit`, the page fails
/// then.
pub(super) async fn page(
    directory: &Directory,
    request: &ListRequest<'_>,
    walk: &Walk,
    filter: Option<&Predicate>,
    after: Option<String>,
    count: usize,
    limit: Option<usize>,
) -> Result<ListPart, Error> {
    let view = View::new(directory);
    let mut resources: Vec<(String, Packed)> = Vec::new();
    let mut after = walk.start(after);
    let mut last = None;
    let (mut read, mut bytes) = (0, 0);
    let most = page_bytes(limit.is_some());
    let mut more = 'page: loop {
        let wanted = if filter.is_some() { PAGE } else { count - resources.len() };
        // One more item than wanted shows whether anything follows. If items lead to no resource, each query reads twice
        // as many as the one before.
        let limit_of_query = Some(read.max(wanted + 1));
        let walked = walk.read(&view, request.kind, after.take(), limit_of_query).await?;
        read += walked.read;
        let contiguous = matches!(walk.items, ItemType::Resources);
        let mut loads = pin!(load(directory, request.kind, walked.references));
        while let Some(stored) = loads.try_next().await? {
            for (position, stored) in keep_matching(directory, request, filter, stored, contiguous).await? {
                if resources.len() == count {
                    break 'page true;
                }
                bytes += stored.document.len();
                if bytes > most && !resources.is_empty() {
                    if limit.is_none() {
                        return Err(too_large());
                    }
                    break 'page true;
                }
                last = Some(position.clone());
                resources.push((position, stored));
            }
        }
        match walked.next {
            None => break false,
            Some(next) if limit.is_some_and(|limit| read >= limit || is_late(directory)) => {
                last = Some(sort_key(&next)?.to_owned());
                break true;
            }
            Some(_) if is_late(directory) => return Err(too_many(request.kind)),
            next => after = next,
        }
    };
    let shown = with_memberships(directory, request, &mut resources, None, limit.is_some()).await?;
    if shown.len() < resources.len() {
        more = true;
        last = shown.len().checked_sub(1).map(|index| resources[index].0.clone());
    }
    let resources = shown;
    Ok(ListPart { resources, last, more, ..ListPart::default() })
}
