//! Collections: all resources that match a filter, sorted, of which a page is a slice.

use std::pin::pin;

use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{ResourceKind, filter::Predicate, id::Id};

use super::{
    budget::{is_late, page_bytes, too_large},
    memberships::{keep_matching, with_memberships},
    read::{Allowance, entry_id, gather, gather_members, load},
    request::{ListPart, ListRequest, ResourceRef, Start},
};
use crate::{
    Error,
    limits::{MEMBERS_SHOWN, PAGE_BYTES},
    pace::Pace,
    store::{
        changes::View,
        counts::counts,
        directory::Directory,
        edges::{Edge, Memberships, too_many_groups},
        index::Indexed,
        index_keys,
        items::{Item, Packed, sort_key},
        key_range::{KeyRange, PAGE},
        keys::Partition,
        memberships::groups_of,
        plan::{Access, Lookup, Plan},
        table::CONCURRENCY,
    },
};

/// The number of resources from which a scan reads several ranges in parallel.
const PARALLEL_SCAN_MIN: u64 = 4_000;
/// The number of ranges that such a scan reads.
const PARALLEL_SCAN_RANGES: u64 = 8;

/// Reads the page at `start` from a collection. A page that would be too large ends early if it `may_be_short`.
pub(super) async fn slice(
    directory: &Directory,
    request: &ListRequest<'_>,
    matches: Vec<ResourceRef>,
    start: Start,
    count: usize,
    may_be_short: bool,
) -> Result<ListPart, Error> {
    let is_before = |matching: &ResourceRef| match &start.after {
        None => false,
        Some(after) if request.is_descending() => matching.position >= *after,
        Some(after) => matching.position <= *after,
    };
    let before = matches.iter().take_while(|matching| is_before(matching)).count();
    let skip = usize::try_from(start.skip).unwrap_or(usize::MAX).min(matches.len() - before);
    let total = Some(matches.len() as u64);
    let mut left = matches.into_iter().skip(before + skip);
    let mut page: Vec<ResourceRef> = left.by_ref().take(count).collect();
    let mut last = page.last().map(|last| last.position.clone());
    let mut more = left.next().is_some();
    let known = page.first_mut().and_then(|first| first.memberships.take());
    let mut loads = pin!(load(directory, request.kind, page));
    let (mut shown, mut bytes, mut is_cut) = (Vec::new(), 0, false);
    let most = page_bytes(may_be_short);
    'page: while let Some(loaded) = loads.try_next().await? {
        for (position, stored) in loaded {
            bytes += stored.document.len();
            if bytes > most && !shown.is_empty() {
                is_cut = true;
                break 'page;
            }
            shown.push((position, stored));
        }
    }
    if is_cut && !may_be_short {
        return Err(too_large());
    }
    let resources = with_memberships(directory, request, &mut shown, known, may_be_short).await?;
    if is_cut || resources.len() < shown.len() {
        more = true;
        last = resources.len().checked_sub(1).map(|index| shown[index].0.clone());
    }
    Ok(ListPart { resources, last, more, skipped: skip as u64, total, ..ListPart::default() })
}

/// Collects every resource that matches, in the requested order. Returns `None` if more than `limit` items would be read,
/// or no time is left. `shows` says whether the page shows any of them.
pub(super) async fn collect(
    directory: &Directory,
    request: &ListRequest<'_>,
    plan: Plan<'_>,
    limit: usize,
    shows: bool,
) -> Result<Option<Vec<ResourceRef>>, Error> {
    let filter = request.filter.as_ref().filter(|_| !plan.exact);
    let matches = match plan.access {
        Access::Partition => scan(directory, request, filter, None, limit).await?,
        Access::Created(from, to) => {
            scan(directory, request, filter, Some(Id::range_created_between(from, to)), limit).await?
        }
        Access::Lookups(lookups) => match look_up_all(directory, request.kind, lookups, limit).await? {
            Some(ids) => match ids.as_slice() {
                [id] if shows && shows_groups(request) => read_user(directory, request, filter, id).await?,
                _ => read_matching(directory, request, filter, ids).await?,
            },
            None => None,
        },
        Access::Entries { indexed, between } => {
            match entry_ids(directory, request.kind, indexed, between, &Allowance::new(limit)).await? {
                Some(ids) => read_matching(directory, request, filter, ids).await?,
                None => None,
            }
        }
    };
    let Some(mut matches) = matches else { return Ok(None) };
    matches.sort_unstable_by(|a, b| a.position.cmp(&b.position));
    if request.is_descending() {
        matches.reverse();
    }
    Ok(Some(matches))
}

fn shows_groups(request: &ListRequest<'_>) -> bool {
    request.kind == ResourceKind::User && request.projection.includes(request.kind.membership_attribute())
}

/// Reads the only user that keys lead to, together with its groups: identity providers look for users in this way.
///
/// The members of a group are not read together with it, because its version must not be newer than the members.
async fn read_user(
    directory: &Directory,
    request: &ListRequest<'_>,
    filter: Option<&Predicate>,
    id: &Id,
) -> Result<Option<Vec<ResourceRef>>, Error> {
    let view = View::new(directory);
    let user = load(directory, request.kind, vec![ResourceRef::unread(id.to_string(), id.clone())]);
    let user = user.try_concat();
    let (user, groups) = tokio::try_join!(user, groups_of(&view, id, MEMBERS_SHOWN))?;
    let memberships = Memberships::Groups(groups.ok_or_else(too_many_groups)?);
    let Some((_, stored)) = user.into_iter().next() else { return Ok(Some(Vec::new())) };
    if let Some(filter) = filter
        && !filter.matches(&request.render(&stored.unpack()?, &memberships))
    {
        return Ok(Some(Vec::new()));
    }
    let memberships = Some(Box::new(memberships));
    Ok(Some(vec![ResourceRef { memberships, ..request.positioned(stored)? }]))
}

/// Reads the resources of these ids, a page at a time, and keeps those that match.
async fn read_matching(
    directory: &Directory,
    request: &ListRequest<'_>,
    filter: Option<&Predicate>,
    mut ids: Vec<Id>,
) -> Result<Option<Vec<ResourceRef>>, Error> {
    ids.sort_unstable();
    ids.dedup();
    let unread = |id: &Id| ResourceRef::unread(id.to_string(), id.clone());
    if filter.is_none() && request.is_in_order_of_creation() {
        return Ok(Some(ids.iter().map(unread).collect()));
    }
    let mut matches = Vec::new();
    // The documents of a small collection are kept, so that the page need not read them again.
    let (is_small, mut kept) = (ids.len() <= PAGE, 0);
    let mut loads = pin!(load(directory, request.kind, ids.iter().map(unread).collect()));
    while let Some(stored) = loads.try_next().await? {
        for (_, stored) in keep_matching(directory, request, filter, stored, false).await? {
            let bytes = stored.document.len();
            let mut matching = request.positioned(stored)?;
            if is_small && kept + bytes <= PAGE_BYTES {
                kept += bytes;
            } else {
                matching.forget();
            }
            matches.push(matching);
        }
        if is_late(directory) {
            return Ok(None);
        }
    }
    Ok(Some(matches))
}

/// Reads the partition of resources, or a range of it, and keeps the resources that match.
async fn scan(
    directory: &Directory,
    request: &ListRequest<'_>,
    filter: Option<&Predicate>,
    between: Option<(String, String)>,
    limit: usize,
) -> Result<Option<Vec<ResourceRef>>, Error> {
    let partition = directory.keys.resources(request.kind);
    let total = counts(directory, &[request.kind]).await?.total;
    if between.is_none() && total > limit as u64 {
        return Ok(None);
    }
    let ranges = match between {
        None if total >= PARALLEL_SCAN_MIN => parallel_ranges(directory, &partition).await?,
        between => vec![between],
    };
    let scan = |between| scan_range(directory, request, filter, &partition, between, limit);
    let scans: Vec<_> = ranges.into_iter().map(scan).collect();
    let matches: Vec<Option<Vec<ResourceRef>>> =
        stream::iter(scans).buffered(CONCURRENCY).try_collect().await?;
    let matches = matches.into_iter().collect::<Option<Vec<_>>>();
    Ok(matches.map(|matches| matches.into_iter().flatten().collect()))
}

async fn scan_range(
    directory: &Directory,
    request: &ListRequest<'_>,
    filter: Option<&Predicate>,
    partition: &Partition,
    between: Option<(String, String)>,
    limit: usize,
) -> Result<Option<Vec<ResourceRef>>, Error> {
    let mut matches = Vec::new();
    let mut after = None;
    let mut read = 0;
    loop {
        let page = directory.table.query(KeyRange::within(partition, between.clone()).after(after)).await?;
        read += page.items.len();
        if read > limit {
            return Ok(None);
        }
        let stored = page.items.into_iter().map(|item| Ok((String::new(), Packed::pack(item)?)));
        let stored = stored.collect::<Result<_, Error>>()?;
        let mut points = Pace::new();
        for (_, stored) in keep_matching(directory, request, filter, stored, true).await? {
            let mut matching = request.positioned(stored)?;
            matching.forget();
            matches.push(matching);
            points.step().await;
        }
        match page.next {
            None => return Ok(Some(matches)),
            Some(_) if is_late(directory) => return Ok(None),
            next => after = next,
        }
    }
}

/// Divides the partition of resources into ranges of equal duration.
async fn parallel_ranges(
    directory: &Directory,
    partition: &Partition,
) -> Result<Vec<Option<(String, String)>>, Error> {
    let end = |backward| directory.table.query(KeyRange::all(partition).limit(1).backward(backward));
    let (first, last) = tokio::try_join!(end(false), end(true))?;
    let created_at = |items: &[Item]| {
        let id = items.first().and_then(|item| sort_key(item).ok()).and_then(Id::parse);
        id.map(|id| id.created_at()).unwrap_or_default()
    };
    let (from, to) = (created_at(&first.items), created_at(&last.items));
    // The last resource may be older than the first one: the two queries run at the same time, and resources may be
    // deleted in between.
    let step = to.saturating_sub(from) / PARALLEL_SCAN_RANGES + 1;
    let range = |number| {
        let start = from + number * step;
        Some(Id::range_created_between(start, start + step - 1))
    };
    Ok((0..PARALLEL_SCAN_RANGES).map(range).collect())
}

/// Returns the ids that the lookups lead to. `None` if there are more than `limit`.
async fn look_up_all(
    directory: &Directory,
    kind: ResourceKind,
    lookups: Vec<Lookup<'_>>,
    limit: usize,
) -> Result<Option<Vec<Id>>, Error> {
    let view = View::new(directory);
    let allowance = Allowance::new(limit);
    let reads: Vec<_> = lookups.into_iter().map(|lookup| look_up(&view, kind, lookup, &allowance)).collect();
    let mut reads = stream::iter(reads).buffered(CONCURRENCY);
    let mut ids = Vec::new();
    while let Some(found) = reads.try_next().await? {
        match found {
            Some(found) if ids.len() + found.len() <= limit => ids.extend(found),
            _ => return Ok(None),
        }
    }
    Ok(Some(ids))
}

async fn look_up(
    view: &View<'_>,
    kind: ResourceKind,
    lookup: Lookup<'_>,
    allowance: &Allowance,
) -> Result<Option<Vec<Id>>, Error> {
    let directory = view.directory;
    match lookup {
        Lookup::Id(id) => Ok(Some(Id::parse(id).into_iter().collect())),
        // DynamoDB rejects keys of this length, so no entry has such a value.
        Lookup::Entry(_, value) if value.is_empty() || value.len() > index_keys::MAX_KEY => {
            Ok(Some(Vec::new()))
        }
        Lookup::Entry(indexed, value) if indexed.unique => {
            let entry = directory.table.get(&directory.keys.index(kind, indexed.name).key(value)).await?;
            entry.iter().map(entry_id).collect::<Result<_, _>>().map(Some)
        }
        // The sort key contains an id after the value, so the value is shorter than the longest key.
        Lookup::Entry(_, value) if value.len() == index_keys::MAX_KEY => Ok(Some(Vec::new())),
        Lookup::Entry(indexed, value) => {
            entry_ids(directory, kind, indexed, index_keys::index_range(value), allowance).await
        }
        Lookup::GroupsOf(id) => {
            let Some(id) = Id::parse(id) else { return Ok(Some(Vec::new())) };
            let groups = groups_of(view, &id, allowance.left()).await?;
            Ok(groups.map(|groups| groups.iter().filter_map(|id| Id::parse(id)).collect()))
        }
        Lookup::MembersOf(id) => {
            let Some(id) = Id::parse(id) else { return Ok(Some(Vec::new())) };
            let members = gather_members(view, &id, allowance).await?;
            let of_kind = |members: Vec<Edge>| {
                members.into_iter().filter(|edge| edge.kind == kind).map(|edge| edge.member).collect()
            };
            Ok(members.map(of_kind))
        }
    }
}

async fn entry_ids(
    directory: &Directory,
    kind: ResourceKind,
    indexed: &Indexed,
    between: (String, String),
    allowance: &Allowance,
) -> Result<Option<Vec<Id>>, Error> {
    let partition = directory.keys.index(kind, indexed.name);
    gather(directory, KeyRange::between(&partition, between), allowance, entry_id).await
}
