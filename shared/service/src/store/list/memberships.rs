//! Memberships of the resources on a page: read for filters that mention them, and for answers that show them.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{ResourceKind, filter::Predicate, id::Id};

use super::{
    budget::too_many,
    read::{Allowance, gather_members},
    request::{ListRequest, Listed},
};
use crate::{
    Error,
    limits::{MEMBERS_SHOWN, SCAN_LIMIT},
    pace::Pace,
    store::{
        changes::View,
        directory::Directory,
        edges::{Edge, Memberships, too_many_groups, too_many_members},
        items::Packed,
        memberships::{any_group_of, any_member_of, groups_among, groups_of, groups_of_range, members_among},
        plan::MembershipNeeds,
        table::CONCURRENCY,
    },
};

/// The number of memberships that a filter holds at a time, unless a single resource has more.
const FILTERED_AT_ONCE: usize = 50_000;

/// Keeps the resources that match the filter. They are `contiguous` if they are all resources between the first and the
/// last of them.
pub(super) async fn keep_matching(
    directory: &Directory,
    request: &ListRequest<'_>,
    filter: Option<&Predicate>,
    stored: Vec<(String, Packed)>,
    contiguous: bool,
) -> Result<Vec<(String, Packed)>, Error> {
    let Some(filter) = filter else { return Ok(stored) };
    let mut kept = Vec::new();
    if filter.mentions(request.kind.membership_attribute()) {
        let matches = match_memberships(directory, request, filter, &stored, contiguous).await?;
        let with_matches = stored.into_iter().zip(matches);
        kept.extend(with_matches.filter_map(|(stored, matches)| matches.then_some(stored)));
        return Ok(kept);
    }
    let mut pace = Pace::new();
    for (position, stored) in stored {
        if filter.matches(&request.render(&stored.unpack()?, &Memberships::None)) {
            kept.push((position, stored));
        }
        pace.step().await;
    }
    Ok(kept)
}

/// Evaluates a filter on memberships for each resource. The memberships of one resource are dropped before those of the
/// next are rendered.
async fn match_memberships(
    directory: &Directory,
    request: &ListRequest<'_>,
    filter: &Predicate,
    stored: &[(String, Packed)],
    contiguous: bool,
) -> Result<Vec<bool>, Error> {
    let kind = request.kind;
    let view = View::new(directory);
    let matches = |stored: &Packed, memberships: &Memberships| {
        Ok::<_, Error>(filter.matches(&request.render(&stored.unpack()?, memberships)))
    };
    let mut verdicts = Vec::with_capacity(stored.len());
    if kind == ResourceKind::User && contiguous {
        let _permit = directory.large_reads.acquire().await;
        let mut pace = Pace::new();
        while verdicts.len() < stored.len() {
            let left: Vec<&Id> = stored[verdicts.len()..].iter().map(|(_, stored)| &stored.id).collect();
            let groups =
                groups_of_range(&view, &left, FILTERED_AT_ONCE).await?.ok_or_else(|| too_many(kind))?;
            for groups in groups {
                verdicts.push(matches(&stored[verdicts.len()].1, &Memberships::Groups(groups))?);
                pace.step().await;
            }
        }
        return Ok(verdicts);
    }
    if let Some(needs) = MembershipNeeds::of(kind.membership_attribute(), filter) {
        let reads: Vec<_> = stored
            .iter()
            .map(async |(_, stored)| {
                matches(stored, &needed_memberships(&view, kind, &stored.id, &needs).await?)
            })
            .collect();
        return stream::iter(reads).buffered(CONCURRENCY).try_collect().await;
    }
    let _permit = directory.large_reads.acquire().await;
    for chunk in stored.chunks(CONCURRENCY) {
        let allowance = Allowance::new(FILTERED_AT_ONCE);
        let reads: Vec<_> = chunk
            .iter()
            .map(async |(_, stored)| {
                let memberships = all_memberships(&view, kind, &stored.id, &allowance).await?;
                memberships.map(|memberships| matches(stored, &memberships)).transpose()
            })
            .collect();
        let some: Vec<Option<bool>> = stream::iter(reads).buffered(CONCURRENCY).try_collect().await?;
        for ((_, stored), is_match) in chunk.iter().zip(some) {
            verdicts.push(if let Some(is_match) = is_match {
                is_match
            } else {
                // The memberships of these resources are too many to be read at the same time.
                let alone = Allowance::new(SCAN_LIMIT);
                let memberships = all_memberships(&view, kind, &stored.id, &alone).await?;
                matches(stored, &memberships.ok_or_else(|| too_many(kind))?)?
            });
        }
    }
    Ok(verdicts)
}

/// Adds their memberships to the resources of a page, if the projection contains them. The memberships of a resource that
/// are `known` are not read again. If there are too many memberships, a page that `may_be_short` has fewer resources. The
/// documents are moved out of the resources that are returned.
pub(super) async fn with_memberships(
    directory: &Directory,
    request: &ListRequest<'_>,
    page: &mut [(String, Packed)],
    known: Option<Box<Memberships>>,
    may_be_short: bool,
) -> Result<Vec<Listed>, Error> {
    let kind = request.kind;
    let memberships = if page.is_empty() || !request.projection.includes(kind.membership_attribute()) {
        vec![Memberships::None; page.len()]
    } else if let (Some(known), [_]) = (known, &*page) {
        vec![*known]
    } else {
        let ids: Vec<&Id> = page.iter().map(|(_, stored)| &stored.id).collect();
        read_memberships(directory, request, &ids, may_be_short).await?
    };
    let listed = page.iter_mut().zip(memberships).map(|((_, stored), memberships)| {
        let document = std::mem::take(&mut stored.document);
        Listed { kind, stored: Packed { document, ..stored.clone() }, memberships }
    });
    Ok(listed.collect())
}

/// Returns the memberships of the resources of a page, in their order. If there are too many, those of the first resources
/// if the page `may_be_short`.
async fn read_memberships(
    directory: &Directory,
    request: &ListRequest<'_>,
    ids: &[&Id],
    may_be_short: bool,
) -> Result<Vec<Memberships>, Error> {
    let kind = request.kind;
    let too_many = || match kind {
        ResourceKind::User => too_many_groups(),
        ResourceKind::Group => too_many_members(),
    };
    let view = View::new(directory);
    let contiguous =
        kind == ResourceKind::User && request.filter.is_none() && request.is_in_order_of_creation();
    // A short page has room for the documents too.
    let limit = if may_be_short { MEMBERS_SHOWN / 4 * 3 } else { MEMBERS_SHOWN };
    let mut memberships: Vec<Memberships> = if contiguous {
        let groups = groups_of_range(&view, ids, limit).await?.ok_or_else(too_many)?;
        groups.into_iter().map(Memberships::Groups).collect()
    } else {
        let allowance = Allowance::new(limit);
        let reads: Vec<_> = ids.iter().map(|id| all_memberships(&view, kind, id, &allowance)).collect();
        let mut reads = stream::iter(reads).buffered(CONCURRENCY);
        let mut read = Vec::with_capacity(ids.len());
        while let Some(Some(memberships)) = reads.try_next().await? {
            read.push(memberships);
        }
        read
    };
    if memberships.len() < ids.len() && !may_be_short {
        return Err(too_many());
    }
    if let (true, [first, ..]) = (memberships.is_empty(), ids) {
        // The reads at the same time left nothing of the allowance.
        let alone = Allowance::new(MEMBERS_SHOWN);
        memberships.push(all_memberships(&view, kind, first, &alone).await?.ok_or_else(too_many)?);
    }
    Ok(memberships)
}

/// Returns the groups of a user or the members of a group. `None` if the allowance does not suffice.
async fn all_memberships(
    view: &View<'_>,
    kind: ResourceKind,
    id: &Id,
    allowance: &Allowance,
) -> Result<Option<Memberships>, Error> {
    match kind {
        ResourceKind::User => {
            let groups = groups_of(view, id, allowance.left()).await?;
            Ok(groups.filter(|groups| allowance.take(groups.len())).map(Memberships::Groups))
        }
        ResourceKind::Group => Ok(gather_members(view, id, allowance).await?.as_deref().map(members)),
    }
}

/// Returns those groups or members of a resource that a filter needs.
async fn needed_memberships(
    view: &View<'_>,
    kind: ResourceKind,
    id: &Id,
    needs: &MembershipNeeds<'_>,
) -> Result<Memberships, Error> {
    // A set, because BatchGetItem rejects duplicate keys.
    let ids: BTreeSet<Id> = needs.ids.iter().filter_map(|id| Id::parse(id)).collect();
    match kind {
        ResourceKind::User => {
            let mut groups = groups_among(view, id, &ids).await?;
            if needs.any && groups.is_empty() {
                groups.extend(any_group_of(view, id).await?);
            }
            Ok(Memberships::Groups(groups))
        }
        ResourceKind::Group => {
            let mut edges = members_among(view, id, &ids).await?;
            if needs.any && edges.is_empty() {
                edges.extend(any_member_of(view, id).await?);
            }
            Ok(members(&edges))
        }
    }
}

fn members(edges: &[Edge]) -> Memberships {
    Memberships::Members(edges.iter().map(Edge::to_member).collect())
}
