//! Memberships of the resources on a page: read for filters that mention them, and for answers that show them.

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{ResourceKind, filter::Predicate, id::Id, members::Member};
use serde_json::{Map, Value};

use super::{budget::too_many, read::gather, request::ListRequest};
use crate::{
    Error,
    limits::{MEMBERS_SHOWN, SCAN_LIMIT},
    store::{
        changes::read_after_pending,
        directory::Directory,
        edges::{Edge, Memberships, reverse_edge, reverse_edges, too_many_members},
        items::{Item, Stored},
        keys,
        plan::MembershipNeeds,
        table::{CONCURRENCY, KeyRange},
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
        read_after_pending(directory, || match_memberships(directory, request, filter, &stored, contiguous))
            .await?
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
    let matches =
        |stored: &Stored, memberships: &Memberships| filter.matches(&request.render(stored, memberships));
    if kind == ResourceKind::User && contiguous {
        let groups = groups_of_range(directory, stored.iter().map(|(_, stored)| &stored.id)).await?;
        let with_groups = stored.iter().zip(&groups);
        return Ok(with_groups.map(|((_, stored), groups)| matches(stored, groups)).collect());
    }
    let needs = MembershipNeeds::of(kind.membership_attribute(), filter);
    let reads: Vec<_> = stored
        .iter()
        .map(async |(_, stored)| {
            let memberships = match &needs {
                Some(needs) => Some(needed_memberships(directory, kind, &stored.id, needs).await?),
                None => all_memberships(directory, kind, &stored.id, SCAN_LIMIT).await?,
            };
            Ok(matches(stored, &memberships.ok_or_else(|| too_many(kind))?))
        })
        .collect();
    stream::iter(reads).buffered(CONCURRENCY).try_collect().await
}

/// Renders the resources of a page, with their memberships if the projection contains them.
pub(super) async fn render_all(
    directory: &Directory,
    request: &ListRequest<'_>,
    stored: Vec<Stored>,
) -> Result<Vec<Map<String, Value>>, Error> {
    let render = |(stored, memberships): (&Stored, &Memberships)| {
        request.projection.apply(request.render(stored, memberships))
    };
    if stored.is_empty() || !request.projection.includes(request.kind.membership_attribute()) {
        return Ok(stored.iter().map(|stored| render((stored, &Memberships::None))).collect());
    }
    let contiguous =
        request.kind == ResourceKind::User && request.filter.is_none() && request.is_in_order_of_creation();
    let memberships = if contiguous {
        let users = || stored.iter().map(|user| &user.id);
        read_after_pending(directory, || groups_of_range(directory, users())).await?
    } else {
        read_after_pending(directory, || memberships_of_each(directory, request.kind, &stored)).await?
    };
    Ok(stored.iter().zip(&memberships).map(render).collect())
}

/// Returns the groups of each of these users with one query. The users are all users between the first and the last of
/// them, so their reverse edges are one range.
async fn groups_of_range<'a>(
    directory: &Directory,
    users: impl Iterator<Item = &'a Id> + Clone,
) -> Result<Vec<Memberships>, Error> {
    let (Some(first), Some(last)) = (users.clone().min(), users.clone().max()) else {
        return Ok(Vec::new());
    };
    let partition = directory.keys.reverse_edges();
    let between = keys::reverse_range(first.as_str(), last.as_str());
    let items = directory.table.query_all(KeyRange::between(&partition, between)).await?;
    let mut groups: HashMap<&str, Vec<String>> = HashMap::new();
    for item in &items {
        let (member, group) = reverse_edge(item)?;
        groups.entry(member).or_default().push(group.to_owned());
    }
    Ok(users.map(|id| Memberships::Groups(groups.remove(id.as_str()).unwrap_or_default())).collect())
}

/// Returns the memberships of each resource, in the order of the resources.
async fn memberships_of_each(
    directory: &Directory,
    kind: ResourceKind,
    stored: &[Stored],
) -> Result<Vec<Memberships>, Error> {
    let reads: Vec<_> =
        stored.iter().map(|stored| all_memberships(directory, kind, &stored.id, MEMBERS_SHOWN)).collect();
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
    directory: &Directory,
    kind: ResourceKind,
    id: &Id,
    limit: usize,
) -> Result<Option<Memberships>, Error> {
    match kind {
        ResourceKind::User => Ok(Some(Memberships::Groups(reverse_edges(directory, id.as_str()).await?))),
        ResourceKind::Group => {
            let partition = directory.keys.members(id.as_str());
            let members = gather(directory, KeyRange::all(&partition), limit, member).await?;
            Ok(members.map(Memberships::Members))
        }
    }
}

/// Returns those groups or members of a resource that a filter needs.
async fn needed_memberships(
    directory: &Directory,
    kind: ResourceKind,
    id: &Id,
    needs: &MembershipNeeds<'_>,
) -> Result<Memberships, Error> {
    let own = id.as_str();
    let (partition, between) = match kind {
        ResourceKind::User => (directory.keys.reverse_edges(), Some(keys::reverse_range(own, own))),
        ResourceKind::Group => (directory.keys.members(own), None),
    };
    // A set, because BatchGetItem rejects duplicate keys.
    let ids: BTreeSet<Id> = needs.ids.iter().filter_map(|id| Id::parse(id)).collect();
    let key = |id: &Id| match kind {
        ResourceKind::User => directory.keys.reverse_edge(own, id.as_str()),
        ResourceKind::Group => directory.keys.edge(own, id.as_str()),
    };
    let mut items = directory.table.get_all(&ids.iter().map(key).collect::<Vec<_>>()).await?;
    if needs.any && items.is_empty() {
        items = directory.table.query(KeyRange::within(&partition, between).limit(1)).await?.items;
    }
    match kind {
        ResourceKind::User => {
            let groups = items.iter().map(|item| Ok(reverse_edge(item)?.1.to_owned()));
            groups.collect::<Result<_, Error>>().map(Memberships::Groups)
        }
        ResourceKind::Group => items.iter().map(member).collect::<Result<_, _>>().map(Memberships::Members),
    }
}

fn member(edge: &Item) -> Result<Member, Error> {
    Ok(Edge::from_item(edge)?.to_member())
}
