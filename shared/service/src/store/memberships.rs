//! Memberships as readers see them: the edges, with the effects of pending changes.

use std::collections::{BTreeSet, HashMap};

use scim::{ResourceKind, id::Id};

use super::{
    changes::{Scope, SeenMembers, View},
    directory::Directory,
    edges::{Edge, reverse_edge, too_many_groups},
    items::{Item, Stored, sort_key},
    key_range::KeyRange,
    keys::{self, AFTER_IDS, BEFORE_IDS, Key},
};
use crate::{Error, limits::MEMBERS_SHOWN};

/// A page of the members of a group.
pub(super) struct MembersPage {
    /// The members, in the order of the page.
    pub(super) members: Vec<Edge>,
    /// The number of edges that were read.
    pub(super) read: usize,
    /// The key after which the next page begins.
    pub(super) next: Option<Item>,
}

/// The groups of the members of a range.
struct RangeGroups {
    groups: HashMap<String, Vec<String>>,
    /// The member whose groups may be incomplete. Those of the members after it were not read.
    incomplete: Option<String>,
}

/// Returns the ids of the groups of a member that exists. Returns `None` if there are more than `limit`.
pub(super) async fn groups_of(
    view: &View<'_>,
    member: &Id,
    limit: usize,
) -> Result<Option<Vec<String>>, Error> {
    let between = keys::reverse_range(member.as_str(), member.as_str());
    let read = || read_groups(view.directory, between.clone(), false, limit);
    let (mut read, effects) = view.read(|_| Scope::of_member(member), read).await?;
    let groups = read.groups.remove(member.as_str()).unwrap_or_default();
    Ok(read.incomplete.is_none().then(|| effects.groups(member, groups)))
}

/// Returns the ids of the groups of each of these members, with one query for about 12,000 groups. The members are all
/// resources of their kind between the first and the last of them, in ascending or descending order, so their reverse
/// edges are one range. Once more than `limit` groups were read, the rest of the members is left out, but not the first one.
/// Returns `None` if the first member has more than [`MEMBERS_SHOWN`].
pub(super) async fn groups_of_range(
    view: &View<'_>,
    members: &[&Id],
    limit: usize,
) -> Result<Option<Vec<Vec<String>>>, Error> {
    let (Some(first), Some(last)) = (members.iter().min(), members.iter().max()) else {
        return Ok(Some(Vec::new()));
    };
    let scope = || Scope { groups: Vec::new(), first: first.to_string(), last: last.to_string() };
    let backward = members.first() > members.last();
    let between = keys::reverse_range(first.as_str(), last.as_str());
    let read = || read_groups(view.directory, between.clone(), backward, limit);
    let (mut read, effects) = view.read(|_| scope(), read).await?;
    let is_read = |id: &Id| match read.incomplete.as_deref() {
        None => true,
        Some(incomplete) if backward => id.as_str() > incomplete,
        Some(incomplete) => id.as_str() < incomplete,
    };
    // The last page may lead far beyond the limit.
    let mut count = 0;
    let mut is_within = |id: &Id| {
        count += read.groups.get(id.as_str()).map_or(0, Vec::len);
        count <= limit
    };
    let complete = members.iter().copied().take_while(|id| is_read(id) && is_within(id));
    let complete: Vec<&Id> = complete.collect();
    if let (true, [first, ..]) = (complete.is_empty(), members) {
        return Ok(groups_of(view, first, MEMBERS_SHOWN).await?.map(|groups| vec![groups]));
    }
    let groups = complete.into_iter().map(|id| {
        let groups = read.groups.remove(id.as_str()).unwrap_or_default();
        effects.groups(id, groups)
    });
    Ok(Some(groups.collect()))
}

/// Reads the reverse edges of a range of sort keys, until there are more than `limit`.
async fn read_groups(
    directory: &Directory,
    between: (String, String),
    backward: bool,
    limit: usize,
) -> Result<RangeGroups, Error> {
    let partition = directory.keys.reverse_edges();
    let range = KeyRange::between(&partition, between).whole_pages().backward(backward);
    let mut read = RangeGroups { groups: HashMap::new(), incomplete: None };
    let (mut after, mut count) = (None, 0);
    loop {
        let page = directory.table.query(range.clone().after(after)).await?;
        count += page.items.len();
        for item in &page.items {
            let (member, group) = reverse_edge(item)?;
            match read.groups.get_mut(member) {
                Some(groups) => groups.push(group.to_owned()),
                None => {
                    read.groups.insert(member.to_owned(), vec![group.to_owned()]);
                }
            }
        }
        if count > limit {
            let last = page.items.last().map(|item| reverse_edge(item).map(|(member, _)| member.to_owned()));
            read.incomplete = last.transpose()?;
            break;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if backward {
        read.groups.values_mut().for_each(|groups| groups.reverse());
    }
    Ok(read)
}

/// Returns those of the groups that have this member, which exists.
pub(super) async fn groups_among(
    view: &View<'_>,
    member: &Id,
    groups: &BTreeSet<Id>,
) -> Result<Vec<String>, Error> {
    let directory = view.directory;
    let key = |group: &Id| directory.keys.reverse_edge(member.as_str(), group.as_str());
    let keys: Vec<Key> = groups.iter().map(key).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let scope =
        |_: &Vec<Item>| Scope { groups: groups.iter().cloned().collect(), ..Scope::of_member(member) };
    let (items, effects) = view.read(scope, || directory.table.get_all(&keys)).await?;
    let groups = items.iter().map(|item| reverse_edge(item).map(|(_, group)| group.to_owned()));
    Ok(effects.groups(member, groups.collect::<Result<_, _>>()?))
}

/// Returns any group of a member that exists.
pub(super) async fn any_group_of(view: &View<'_>, member: &Id) -> Result<Option<String>, Error> {
    let directory = view.directory;
    let partition = directory.keys.reverse_edges();
    let between = keys::reverse_range(member.as_str(), member.as_str());
    let range = KeyRange::between(&partition, between).limit(1);
    let read = || directory.table.query(range.clone());
    let (page, effects) = view.read(|_| Scope::of_member(member), read).await?;
    if !effects.is_empty() {
        let groups = groups_of(view, member, MEMBERS_SHOWN).await?.ok_or_else(too_many_groups)?;
        return Ok(groups.into_iter().next());
    }
    page.items.first().map(|item| reverse_edge(item).map(|(_, group)| group.to_owned())).transpose()
}

/// Returns those of the resources that are members of the group.
pub(super) async fn members_among(
    view: &View<'_>,
    group: &Id,
    members: &BTreeSet<Id>,
) -> Result<Vec<Edge>, Error> {
    let directory = view.directory;
    let (Some(first), Some(last)) = (members.first(), members.last()) else { return Ok(Vec::new()) };
    let key = |member: &Id| directory.keys.edge(group.as_str(), member.as_str());
    let keys: Vec<Key> = members.iter().map(key).collect();
    let scope = || Scope { groups: vec![group.clone()], first: first.to_string(), last: last.to_string() };
    let (items, effects) = view.read(|_| scope(), || directory.table.get_all(&keys)).await?;
    let edges = items.iter().map(Edge::from_item).collect::<Result<_, _>>()?;
    existing(directory, effects.members(group, edges, |member| members.contains(member))).await
}

/// Returns any member of the group.
pub(super) async fn any_member_of(view: &View<'_>, group: &Id) -> Result<Option<Edge>, Error> {
    let mut page = members_page(view, group, None, false, Some(1)).await?;
    while page.members.is_empty() && page.next.is_some() {
        page = members_page(view, group, page.next, false, None).await?;
    }
    Ok(page.members.into_iter().next())
}

/// Reads a page of the members of a group, after a key. Without a limit, the page is as large as a page of DynamoDB.
pub(super) async fn members_page(
    view: &View<'_>,
    group: &Id,
    after: Option<Item>,
    backward: bool,
    limit: Option<usize>,
) -> Result<MembersPage, Error> {
    let directory = view.directory;
    let partition = directory.keys.members(group.as_str());
    let range = KeyRange::all(&partition).backward(backward).after(after.clone());
    let range = limit.map_or_else(|| range.clone().whole_pages(), |limit| range.clone().limit(limit));
    let after = after.as_ref().map(|after| sort_key(after)).transpose()?;
    // The members of the page are those after the key, up to the last edge that was read.
    let ends = |until: Option<&String>| {
        let (until, after) = (until.map(String::as_str), after);
        if backward {
            (until.unwrap_or(BEFORE_IDS).to_owned(), after.unwrap_or(AFTER_IDS).to_owned())
        } else {
            (after.unwrap_or(BEFORE_IDS).to_owned(), until.unwrap_or(AFTER_IDS).to_owned())
        }
    };
    let read = async || {
        let page = directory.table.query(range.clone()).await?;
        let until = page.next.as_ref().map(|next| sort_key(next).map(str::to_owned)).transpose()?;
        Ok((page, until))
    };
    let scope = |(_, until): &(_, Option<String>)| {
        let (first, last) = ends(until.as_ref());
        Scope { groups: vec![group.clone()], first, last }
    };
    let ((page, until), effects) = view.read(scope, read).await?;
    let (first, last) = ends(until.as_ref());
    let is_read = |member: &Id| {
        (first.as_str()..=last.as_str()).contains(&member.as_str()) && Some(member.as_str()) != after
    };
    let edges = page.items.iter().map(Edge::from_item).collect::<Result<_, _>>()?;
    let mut members = existing(directory, effects.members(group, edges, is_read)).await?;
    if backward {
        members.reverse();
    }
    Ok(MembersPage { members, read: page.items.len(), next: page.next })
}

/// Reads the members of a group that was read before. Returns `None` if there are more than `limit`. The members are
/// right if a later read of the group returns the same intent and the same version.
pub(super) async fn members_of(
    view: &View<'_>,
    group: &Stored,
    limit: usize,
) -> Result<Option<SeenMembers>, Error> {
    let Directory { table, keys, .. } = view.directory;
    let partition = keys.members(group.id.as_str());
    let range = KeyRange::all(&partition).whole_pages();
    let (effects, mut page) = tokio::try_join!(view.effects_on(group), table.query(range.clone()))?;
    let mut edges = Vec::new();
    loop {
        for item in &page.items {
            edges.push(Edge::from_item(item)?);
        }
        if edges.len() > limit + effects.removals() {
            return Ok(None);
        }
        match page.next {
            Some(next) => page = table.query(range.clone().after(Some(next))).await?,
            None => break,
        }
    }
    let seen = effects.members(&group.id, edges, |_| true);
    Ok((seen.edges.len() + seen.added.len() <= limit).then_some(seen))
}

/// Returns the members without those that have been deleted since a change added them.
pub(super) async fn existing(directory: &Directory, seen: SeenMembers) -> Result<Vec<Edge>, Error> {
    let SeenMembers { mut edges, added } = seen;
    for kind in ResourceKind::ALL {
        let of_kind: Vec<&Edge> = added.iter().filter(|edge| edge.kind == kind).collect();
        let key = |edge: &&Edge| directory.keys.resource(kind, edge.member.as_str());
        let keys: Vec<Key> = of_kind.iter().map(key).collect();
        let found: BTreeSet<String> = directory.table.existing(&keys).await?.into_iter().collect();
        for edge in of_kind.into_iter().filter(|edge| found.contains(edge.member.as_str())) {
            edges.insert(edge.member.clone(), edge.clone());
        }
    }
    Ok(edges.into_values().collect())
}
