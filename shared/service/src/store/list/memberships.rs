//! Memberships of the resources on a page: read for filters that mention them, and for answers that show them.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{ResourceKind, filter::Predicate, id::Id};
use serde_json::{Map, Value};

use super::{budget::too_many, read::gather_members, request::ListRequest};
use crate::{
    Error,
    limits::{MEMBERS_SHOWN, SCAN_LIMIT},
    store::{
        changes::View,
        directory::Directory,
        edges::{Edge, Memberships, too_many_members},
        items::Stored,
        memberships::{any_group_of, any_member_of, groups_among, groups_of, groups_of_range, members_among},
        plan::MembershipNeeds,
        table::CONCURRENCY,
    },
};

/// Keeps the resources that match the filter. They are `contiguous` if they are all resources between the first and the
/// last of them.
pub(super) async fn keep_matching(
    directory: &Directory,
    request: &ListRequest<'_>,
    filter: Option<&Predicate>,
    stored: Vec<(String, Stored)>,
    contiguous: bool,
) -> Result<Vec<(String, Stored)>, Error> {
    let Some(filter) = filter else { return Ok(stored) };
    let matches = if filter.mentions(request.kind.membership_attribute()) {
        match_memberships(directory, request, filter, &stored, contiguous).await?
    } else {
        let matches = |stored| filter.matches(&request.render(stored, &Memberships::None));
        stored.iter().map(|(_, stored)| matches(stored)).collect()
    };
    let with_matches = stored.into_iter().zip(matches);
    Ok(with_matches.filter_map(|(stored, matches)| matches.then_some(stored)).collect())
}

/// Evaluates a filter on memberships for each resource. The memberships of one resource are dropped before those of the
/// next one are read, because the groups of a page may have any number of members.
async fn match_memberships(
    directory: &Directory,
    request: &ListRequest<'_>,
    filter: &Predicate,
    stored: &[(String, Stored)],
    contiguous: bool,
) -> Result<Vec<bool>, Error> {
    let kind = request.kind;
    let view = View::new(directory);
    let matches =
        |stored: &Stored, memberships: &Memberships| filter.matches(&request.render(stored, memberships));
    if kind == ResourceKind::User && contiguous {
        let groups = groups_of_range(&view, stored.iter().map(|(_, stored)| &stored.id)).await?;
        let with_groups = stored.iter().zip(groups);
        let matches =
            |((_, stored), groups): (&(_, Stored), _)| matches(stored, &Memberships::Groups(groups));
        return Ok(with_groups.map(matches).collect());
    }
    let needs = MembershipNeeds::of(kind.membership_attribute(), filter);
    let reads: Vec<_> = stored
        .iter()
        .map(async |(_, stored)| {
            let memberships = match &needs {
                Some(needs) => Some(needed_memberships(&view, kind, &stored.id, needs).await?),
                None => all_memberships(&view, kind, &stored.id, SCAN_LIMIT).await?,
            };
            Ok(matches(stored, &memberships.ok_or_else(|| too_many(kind))?))
        })
        .collect();
    stream::iter(reads).buffered(CONCURRENCY).try_collect().await
}

/// Renders the resources of a page, with their memberships if the projection contains them. The memberships of a resource
/// that are `known` are not read again.
pub(super) async fn render_all(
    directory: &Directory,
    request: &ListRequest<'_>,
    stored: Vec<Stored>,
    known: Option<Memberships>,
) -> Result<Vec<Map<String, Value>>, Error> {
    let render = |(stored, memberships): (&Stored, &Memberships)| {
        request.projection.apply(request.render(stored, memberships))
    };
    if stored.is_empty() || !request.projection.includes(request.kind.membership_attribute()) {
        return Ok(stored.iter().map(|stored| render((stored, &Memberships::None))).collect());
    }
    if let (Some(known), [stored]) = (&known, stored.as_slice()) {
        return Ok(vec![render((stored, known))]);
    }
    let view = View::new(directory);
    let contiguous =
        request.kind == ResourceKind::User && request.filter.is_none() && request.is_in_order_of_creation();
    let memberships = if contiguous {
        let groups = groups_of_range(&view, stored.iter().map(|user| &user.id)).await?;
        groups.into_iter().map(Memberships::Groups).collect()
    } else {
        memberships_of_each(&view, request.kind, &stored).await?
    };
    Ok(stored.iter().zip(&memberships).map(render).collect())
}

/// Returns the memberships of each resource, in the order of the resources.
async fn memberships_of_each(
    view: &View<'_>,
    kind: ResourceKind,
    stored: &[Stored],
) -> Result<Vec<Memberships>, Error> {
    let reads: Vec<_> =
        stored.iter().map(|stored| all_memberships(view, kind, &stored.id, MEMBERS_SHOWN)).collect();
    let mut reads = stream::iter(reads).buffered(CONCURRENCY);
    let mut all = Vec::new();
    let mut members = 0;
    while let Some(memberships) = reads.try_next().await? {
        let memberships = memberships.ok_or_else(too_many_members)?;
        if let Memberships::Members(of_group) = &memberships {
            members += of_group.len();
        }
        if members > MEMBERS_SHOWN {
            return Err(too_many_members());
        }
        all.push(memberships);
    }
    Ok(all)
}

/// Returns the groups of a user or the members of a group. `None` if a group has more than `limit` members.
async fn all_memberships(
    view: &View<'_>,
    kind: ResourceKind,
    id: &Id,
    limit: usize,
) -> Result<Option<Memberships>, Error> {
    match kind {
        ResourceKind::User => Ok(Some(Memberships::Groups(groups_of(view, id).await?))),
        ResourceKind::Group => Ok(gather_members(view, id, limit).await?.as_deref().map(members)),
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
