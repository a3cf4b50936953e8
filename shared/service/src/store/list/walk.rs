//! Walks: pages of a partition that is in the requested order already.

use scim::{ResourceKind, filter::Predicate, id::Id};

use super::{
    budget::{is_late, too_many},
    memberships::{keep_matching, render_all},
    read::{entry_id, load},
    request::{ListPart, ListRequest, ResourceRef, Start},
};
use crate::{
    Error,
    limits::SCAN_LIMIT,
    store::{
        changes::read_after_pending,
        directory::Directory,
        edges::Edge,
        items::{Item, Stored, sort_key},
        keys::{Keys, Partition},
        plan::Access,
        table::{KeyRange, PAGE},
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
#[derive(Clone, Copy, PartialEq, Eq)]
enum ItemType {
    Resources,
    IndexEntries,
    Edges,
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
                    (keys.members(Id::parse(access.members_of()?)?.as_str()), None, ItemType::Edges)
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

    /// Returns the resource that an item stands for. `None` for a member of another kind.
    fn resource(&self, kind: ResourceKind, item: &Item) -> Result<Option<ResourceRef>, Error> {
        let position = sort_key(item)?.to_owned();
        Ok(match self.items {
            ItemType::Resources => {
                let stored = Stored::from_item(item)?;
                Some(ResourceRef { position, id: stored.id.clone(), stored: Some(stored) })
            }
            ItemType::IndexEntries => Some(ResourceRef { position, id: entry_id(item)?, stored: None }),
            ItemType::Edges => {
                let edge = Edge::from_item(item)?;
                (edge.kind == kind).then_some(ResourceRef { position, id: edge.member, stored: None })
            }
        })
    }
}

/// Counts the resources of a walk.
pub(super) async fn count(directory: &Directory, kind: ResourceKind, walk: &Walk) -> Result<u64, Error> {
    let skip_all = || skip(directory, kind, walk, None, u64::MAX);
    let (total, _) = match walk.items {
        ItemType::Edges => read_after_pending(directory, skip_all).await?,
        ItemType::Resources | ItemType::IndexEntries => skip_all().await?,
    };
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
    let mut left = usize::try_from(number).unwrap_or(usize::MAX);
    let mut after = walk.start(after);
    loop {
        let page = if walk.items == ItemType::Edges {
            // Members of another kind do not count, so the items themselves are read.
            let page = directory.table.query(walk.range(after).limit(PAGE)).await?;
            for item in &page.items {
                left -= usize::from(walk.resource(kind, item)?.is_some());
                if left == 0 {
                    return Ok((number, Some(sort_key(item)?.to_owned())));
                }
            }
            page
        } else {
            let page = directory.table.query(walk.range(after).limit(left).count_only()).await?;
            left -= page.count;
            if left == 0
                && let Some(last) = &page.next
            {
                return Ok((number, Some(sort_key(last)?.to_owned())));
            }
            page
        };
        after = page.next;
        if after.is_none() {
            return Ok((number - left as u64, None));
        }
        if is_late(directory) {
            return Err(too_many(kind));
        }
    }
}

/// Reads up to `count` resources that match the filter. With a `limit`, the page ends early after that many items, or
/// when the time is over. Without a `limit`, the page fails when the time is over.
pub(super) async fn page(
    directory: &Directory,
    request: &ListRequest<'_>,
    walk: &Walk,
    filter: Option<&Predicate>,
    after: Option<String>,
    count: usize,
    limit: Option<usize>,
) -> Result<ListPart, Error> {
    if walk.items == ItemType::Edges {
        // Pending changes are completed first, because they may have written some of their edges only.
        read_after_pending(directory, || async { Ok(()) }).await?;
    }
    let mut resources = Vec::new();
    let mut after = walk.start(after);
    let mut last = None;
    let mut read = 0;
    let more = 'page: loop {
        let wanted = if filter.is_some() { PAGE } else { count - resources.len() };
        // One more item than wanted shows whether anything follows. If items lead to no resource, each query reads twice
        // as many as the one before.
        let query_page = directory.table.query(walk.range(after.take()).limit(read.max(wanted + 1))).await?;
        let mut references = Vec::new();
        for item in &query_page.items {
            references.extend(walk.resource(request.kind, item)?);
        }
        read += query_page.items.len();
        let stored = load(directory, request.kind, references).await?;
        let contiguous = walk.items == ItemType::Resources;
        for (position, stored) in keep_matching(directory, request, filter, stored, contiguous).await? {
            if resources.len() == count {
                break 'page true;
            }
            resources.push(stored);
            last = Some(position);
        }
        match query_page.next {
            None => break false,
            Some(next) if limit.is_some_and(|limit| read >= limit || is_late(directory)) => {
                last = Some(sort_key(&next)?.to_owned());
                break true;
            }
            Some(_) if is_late(directory) => return Err(too_many(request.kind)),
            next => after = next,
        }
    };
    let resources = render_all(directory, request, resources).await?;
    Ok(ListPart { resources, last, more, ..ListPart::default() })
}
