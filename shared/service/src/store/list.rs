//! Lists: the resources a filter matches, in one stable order, a page at a time (RFC 7644 §3.4.2, RFC 9865).
//!
//! The order is that of creation, which is the order of ids, or the one asked for. A list is one of two things. A
//! *walk* goes through a partition that has the order already, from any position, and costs what the page costs. A
//! *collection* is worked out whole: what look-ups lead to, what a scan within its budget finds, sorted.
//!
//! By index the total is exact, so the first page of a filter that has to be evaluated is of a collection; where the
//! total is known, and by cursor, where nobody asks for it, the filter is evaluated along the walk. Positions are keys,
//! not counts: a resource that is there during a whole walk is shown exactly once, whatever comes and goes meanwhile.

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{
    Invalid, ScimType, filter::Predicate, id::Id, members::Member, projection::Projection, sort::Sort,
};
use serde_json::{Map, Value};

use super::{
    CONCURRENCY, Directory, Stored,
    groups::{Edge, MEMBERS_SHOWN, reverse_edge, too_many_members},
    index::{INDEXED, Indexed},
    items::{Item, name, sort_key, text},
    keys::{self, Key, Kind, Partition},
    plan::{Access, Lookup, Plan, ids_asked_of, plan},
    wire::{PAGE, Range},
};
use crate::Error;

/// Resources that a filter without a key may be evaluated on in one request, and index entries that may be read.
pub const SCAN_LIMIT: usize = 100_000;
/// Resources that one page by cursor looks at: it may then be short, and says where to go on.
const LOOKS_PER_PAGE: usize = 10_000;
/// From so many resources on, a scan reads several ranges at once.
const PARALLEL_FROM: u64 = 4_000;
/// So many.
const PARALLEL_RANGES: u64 = 8;

/// What is shown with a resource but not kept in its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extra {
    /// Nothing was asked for.
    None,
    /// Of a user: the ids of its groups.
    Groups(Vec<String>),
    /// Of a group: its members.
    Members(Vec<Member>),
}

/// What is asked of the resources of one kind.
pub struct ListRequest<'a> {
    /// The kind of resource.
    pub kind: Kind,
    /// Which of them.
    pub filter: Option<Predicate>,
    /// In what order; that of creation if none is given.
    pub sort: Option<Sort>,
    /// What of them is answered.
    pub projection: Projection,
    /// How a resource is shown, which is what a filter sees.
    pub represent: &'a Represent<'a>,
}

/// Shows a resource.
pub type Represent<'a> = dyn Fn(Kind, &Stored, &Extra) -> Map<String, Value> + Send + Sync + 'a;

/// A part of a list.
#[derive(Default)]
pub(super) struct Listed {
    /// The resources, as they are answered.
    pub(super) resources: Vec<Map<String, Value>>,
    /// The position of what stands before the first of them, where that was counted to.
    pub(super) before: Option<String>,
    /// The position to go on after.
    pub(super) last: Option<String>,
    /// Whether anything follows.
    pub(super) more: bool,
    /// How many were passed over.
    pub(super) skipped: u64,
    /// How many match in all, where a filter was evaluated on all.
    pub(super) total: Option<u64>,
}

/// Where a page by index begins: after a position, and then past so many.
#[derive(Default)]
pub(super) struct Begin {
    pub(super) after: Option<String>,
    pub(super) skip: u64,
}

/// A partition in the order asked for.
struct Walk {
    partition: Partition,
    between: Option<(String, String)>,
    backward: bool,
    rows: RowsOf,
}

/// What the items of a walk are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RowsOf {
    Resources,
    Entries,
    Edges,
}

/// A resource of a walk or a collection, and its place in the order.
struct Found {
    position: String,
    id: Id,
    /// What was read of it; read for the page where only its key is known, or a scan found more than is kept.
    stored: Option<Stored>,
}

impl Directory {
    /// The page that begins there, with at most `count` resources. Unless the total of a filtered list is `known`, it is
    /// worked out.
    ///
    /// # Errors
    /// `tooMany` if the filter names no key and there is more to look at than [`SCAN_LIMIT`].
    pub(super) async fn list_by_index(
        &self,
        request: &ListRequest<'_>,
        begin: Begin,
        count: usize,
        known: bool,
    ) -> Result<Listed, Error> {
        let plan = request.plan();
        if let Some(walk) = self.walk_of(request, &plan.access)
            && (plan.exact || known)
        {
            let counted = async {
                Ok(match walk.rows {
                    RowsOf::Edges if !known => Some(self.how_many_edges(request.kind, &walk).await?),
                    _ => None,
                })
            };
            let listed = self.walk_to(request, &walk, plan.exact, begin, count);
            let (total, listed) = tokio::try_join!(counted, listed)?;
            return Ok(Listed { total, ..listed });
        }
        let found = self.collect(request, plan).await?;
        let total = Some(found.len() as u64);
        let listed = self.slice(request, found, begin, count).await?;
        Ok(Listed { total, ..listed })
    }

    /// The page of at most `count` resources that follows a position. It may be short: a page looks at about 10,000.
    ///
    /// # Errors
    /// `tooMany` if the resources have to be sorted by what has no index, and are more than [`SCAN_LIMIT`].
    pub(super) async fn list_by_cursor(
        &self,
        request: &ListRequest<'_>,
        after: Option<String>,
        count: usize,
    ) -> Result<Listed, Error> {
        let plan = request.plan();
        if let Some(walk) = self.walk_of(request, &plan.access) {
            let filter = request.filter.as_ref().filter(|_| !plan.exact);
            return self.walk(request, &walk, filter, after, count, LOOKS_PER_PAGE).await;
        }
        let found = self.collect(request, plan).await?;
        self.slice(request, found, Begin { after, skip: 0 }, count).await
    }

    /// The slice of a collection that a page is.
    async fn slice(
        &self,
        request: &ListRequest<'_>,
        found: Vec<Found>,
        begin: Begin,
        count: usize,
    ) -> Result<Listed, Error> {
        let is_before = |found: &Found| match &begin.after {
            None => false,
            Some(after) if request.is_descending() => found.position >= *after,
            Some(after) => found.position <= *after,
        };
        let passed = found.iter().take_while(|found| is_before(found)).count();
        let skip = usize::try_from(begin.skip).unwrap_or(usize::MAX).min(found.len() - passed);
        let mut left = found.into_iter().skip(passed + skip);
        let page: Vec<Found> = left.by_ref().take(count).collect();
        let last = page.last().map(|last| last.position.clone());
        let stored = self.load(request.kind, page).await?;
        Ok(Listed {
            resources: self.show(request, stored).await?,
            last,
            more: left.next().is_some(),
            skipped: skip as u64,
            ..Listed::default()
        })
    }

    /// The walk there is for this access and order.
    fn walk_of(&self, request: &ListRequest<'_>, access: &Access<'_>) -> Option<Walk> {
        let kind = request.kind;
        let backward = request.is_descending();
        let (partition, between, rows) = if request.is_in_order_of_creation() {
            match access {
                Access::Partition => (self.keys.resources(kind), None, RowsOf::Resources),
                Access::Created(from, to) => {
                    (self.keys.resources(kind), Some(Id::made_between(*from, *to)), RowsOf::Resources)
                }
                Access::MembersOf(group) => {
                    (self.keys.members(Id::parse(group)?.as_str()), None, RowsOf::Edges)
                }
                Access::Lookups(_) | Access::Entries { .. } => return None,
            }
        } else if *access == Access::Partition {
            (self.keys.index(kind, request.index_of_order()?.name), None, RowsOf::Entries)
        } else {
            return None;
        };
        Some(Walk { partition, between, backward, rows })
    }

    /// How many of the edges of a walk are of that kind.
    async fn how_many_edges(&self, kind: Kind, walk: &Walk) -> Result<u64, Error> {
        let edges = self.settled(|| self.query_all(Range::all(&walk.partition))).await?;
        let of_kind = |edge: &&Item| text(edge, name::KIND).ok() == Some(kind.word());
        Ok(edges.iter().filter(of_kind).count() as u64)
    }

    /// The page of a walk by index.
    async fn walk_to(
        &self,
        request: &ListRequest<'_>,
        walk: &Walk,
        exact: bool,
        begin: Begin,
        count: usize,
    ) -> Result<Listed, Error> {
        let filter = request.filter.as_ref().filter(|_| !exact);
        let Begin { mut after, skip } = begin;
        if skip > 0 {
            let (skipped, position) = self.skip(request.kind, walk, after, skip).await?;
            // Nothing follows.
            if position.is_none() {
                return Ok(Listed { skipped, ..Listed::default() });
            }
            after = position;
        }
        let before = after.clone();
        // Whoever counted it was within the budget.
        let listed = self.walk(request, walk, filter, after, count, usize::MAX).await?;
        Ok(Listed { before, skipped: skip, ..listed })
    }

    /// Passes over so many rows: how many, and the position of the last of them unless nothing follows it.
    async fn skip(
        &self,
        kind: Kind,
        walk: &Walk,
        after: Option<String>,
        skip: u64,
    ) -> Result<(u64, Option<String>), Error> {
        let mut left = usize::try_from(skip).unwrap_or(usize::MAX);
        let mut after = walk.start(after);
        loop {
            let rows = if walk.rows == RowsOf::Edges {
                // Groups among the members are no users, so the rows have to be looked at.
                let rows = self.query(walk.range(after).limit(PAGE)).await?;
                for row in &rows.items {
                    left -= usize::from(Found::of_row(walk.rows, kind, row)?.is_some());
                    if left == 0 {
                        return Ok((skip, Some(sort_key(row)?.to_owned())));
                    }
                }
                rows
            } else {
                let rows = self.query(walk.range(after).limit(left).count_only()).await?;
                left -= rows.count;
                if left == 0
                    && let Some(last) = &rows.next
                {
                    return Ok((skip, Some(sort_key(last)?.to_owned())));
                }
                rows
            };
            after = rows.next;
            if after.is_none() {
                return Ok((skip - left as u64, None));
            }
        }
    }

    /// Up to `count` resources of a walk that meet the filter.
    async fn walk(
        &self,
        request: &ListRequest<'_>,
        walk: &Walk,
        filter: Option<&Predicate>,
        after: Option<String>,
        count: usize,
        looks: usize,
    ) -> Result<Listed, Error> {
        if walk.rows == RowsOf::Edges {
            // Edges are what pending changes leave half done.
            self.settled(|| async { Ok(()) }).await?;
        }
        let mut page = Vec::new();
        let mut after = walk.start(after);
        let mut last = None;
        let mut looked = 0;
        let more = 'page: loop {
            let wanted = if filter.is_some() { PAGE } else { count - page.len() };
            // One more than is wanted: whether anything follows is known without another page. Where rows lead to nothing,
            // twice as many each time.
            let rows = self.query(walk.range(after.take()).limit(looked.max(wanted + 1))).await?;
            let mut found = Vec::new();
            for row in &rows.items {
                found.extend(Found::of_row(walk.rows, request.kind, row)?);
            }
            looked += rows.items.len();
            let stored = self.load_all(request.kind, found).await?;
            for (position, stored) in self.matching(request, filter, stored).await? {
                if page.len() == count {
                    break 'page true;
                }
                page.push(stored);
                last = Some(position);
            }
            match rows.next {
                None => break false,
                Some(next) if looked >= looks => {
                    last = Some(sort_key(&next)?.to_owned());
                    break true;
                }
                next => after = next,
            }
        };
        Ok(Listed { resources: self.show(request, page).await?, last, more, ..Listed::default() })
    }

    /// Every resource that matches, in order.
    async fn collect(&self, request: &ListRequest<'_>, plan: Plan<'_>) -> Result<Vec<Found>, Error> {
        let filter = request.filter.as_ref().filter(|_| !plan.exact);
        let mut found = match plan.access {
            Access::Partition => self.scan(request, filter, None).await?,
            Access::Created(from, to) => self.scan(request, filter, Some(Id::made_between(from, to))).await?,
            access => {
                let mut ids = self.ids(request.kind, access).await?;
                ids.sort_unstable();
                ids.dedup();
                let found: Vec<Found> =
                    ids.into_iter().map(|id| Found { position: id.to_string(), id, stored: None }).collect();
                if filter.is_none() && request.is_in_order_of_creation() {
                    found
                } else {
                    let stored = self.load_all(request.kind, found).await?;
                    let matching = self.matching(request, filter, stored).await?;
                    matching.into_iter().map(|(_, stored)| request.found(stored)).collect()
                }
            }
        };
        found.sort_unstable_by(|a, b| a.position.cmp(&b.position));
        if request.is_descending() {
            found.reverse();
        }
        Ok(found)
    }

    /// Reads the partition, or a range of it, and keeps what matches.
    async fn scan(
        &self,
        request: &ListRequest<'_>,
        filter: Option<&Predicate>,
        between: Option<(String, String)>,
    ) -> Result<Vec<Found>, Error> {
        let partition = self.keys.resources(request.kind);
        let there_are = self.counts(&[request.kind]).await?.there_are;
        if between.is_none() && there_are > SCAN_LIMIT as u64 {
            return Err(too_many(request.kind));
        }
        let ranges = match between {
            None if there_are >= PARALLEL_FROM => self.ranges(&partition).await?,
            between => vec![between],
        };
        let scans: Vec<_> =
            ranges.into_iter().map(|between| self.scan_range(request, filter, &partition, between)).collect();
        let found: Vec<Vec<Found>> = stream::iter(scans).buffered(CONCURRENCY).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn scan_range(
        &self,
        request: &ListRequest<'_>,
        filter: Option<&Predicate>,
        partition: &Partition,
        between: Option<(String, String)>,
    ) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        let mut after = None;
        let mut looked = 0;
        loop {
            let rows = self.query(Range::within(partition, between.clone()).after(after)).await?;
            looked += rows.items.len();
            if looked > SCAN_LIMIT {
                return Err(too_many(request.kind));
            }
            let stored = rows.items.iter().map(|item| Ok((String::new(), Stored::from_item(item)?)));
            let matching = self.matching(request, filter, stored.collect::<Result<_, Error>>()?).await?;
            // The documents of a large scan would not fit into memory: those of the page are read again.
            let kept = |(_, stored)| Found { stored: None, ..request.found(stored) };
            found.extend(matching.into_iter().map(kept));
            match rows.next {
                Some(next) => after = Some(next),
                None => return Ok(found),
            }
        }
    }

    /// The partition of resources in ranges of equal time.
    async fn ranges(&self, partition: &Partition) -> Result<Vec<Option<(String, String)>>, Error> {
        let end = |backward| self.query(Range::all(partition).limit(1).backward(backward));
        let (first, last) = tokio::try_join!(end(false), end(true))?;
        let made_at = |rows: &[Item]| {
            let id = rows.first().and_then(|item| sort_key(item).ok()).and_then(Id::parse);
            id.map(|id| id.made_at()).unwrap_or_default()
        };
        let (from, to) = (made_at(&first.items), made_at(&last.items));
        let step = (to - from) / PARALLEL_RANGES + 1;
        let range = |number| {
            let begin = from + number * step;
            Some(Id::made_between(begin, begin + step - 1))
        };
        Ok((0..PARALLEL_RANGES).map(range).collect())
    }

    /// The ids that keys lead to.
    async fn ids(&self, kind: Kind, access: Access<'_>) -> Result<Vec<Id>, Error> {
        match access {
            Access::Lookups(lookups) => {
                let reads: Vec<_> = lookups.into_iter().map(|lookup| self.look_up(kind, lookup)).collect();
                let ids: Vec<Vec<Id>> = stream::iter(reads).buffered(CONCURRENCY).try_collect().await?;
                Ok(ids.into_iter().flatten().collect())
            }
            Access::Entries { indexed, between } => self.entry_ids(kind, indexed, between).await,
            Access::MembersOf(group) => match Id::parse(group) {
                Some(group) => {
                    let edges: Vec<Edge> = self.settled(|| self.edges(&group)).await?;
                    Ok(edges.into_iter().filter(|edge| edge.kind == kind).map(|edge| edge.member).collect())
                }
                None => Ok(Vec::new()),
            },
            Access::Created(..) | Access::Partition => Ok(Vec::new()),
        }
    }

    async fn look_up(&self, kind: Kind, lookup: Lookup<'_>) -> Result<Vec<Id>, Error> {
        match lookup {
            Lookup::Id(id) => Ok(Id::parse(id).into_iter().collect()),
            // A value that no entry can have: DynamoDB would refuse to look it up.
            Lookup::Entry(_, value) if value.is_empty() || value.len() > keys::MAX_KEY => Ok(Vec::new()),
            Lookup::Entry(indexed, value) if indexed.unique => {
                let entry = self.get(&self.keys.index(kind, indexed.name).key(value)).await?;
                entry.iter().map(entry_id).collect()
            }
            // With an id behind it, a value is shorter than that.
            Lookup::Entry(_, value) if value.len() == keys::MAX_KEY => Ok(Vec::new()),
            Lookup::Entry(indexed, value) => self.entry_ids(kind, indexed, keys::index_range(value)).await,
            Lookup::GroupsOf(member) => match Id::parse(member) {
                Some(member) => {
                    Ok(self.groups_of(&member).await?.iter().filter_map(|id| Id::parse(id)).collect())
                }
                None => Ok(Vec::new()),
            },
        }
    }

    async fn entry_ids(
        &self,
        kind: Kind,
        indexed: &Indexed,
        between: (String, String),
    ) -> Result<Vec<Id>, Error> {
        let partition = self.keys.index(kind, indexed.name);
        let range = Range::between(&partition, between);
        let mut ids = Vec::new();
        let mut after = None;
        loop {
            let rows = self.query(range.clone().after(after)).await?;
            for entry in &rows.items {
                ids.push(entry_id(entry)?);
            }
            if ids.len() > SCAN_LIMIT {
                return Err(too_many(kind));
            }
            match rows.next {
                Some(next) => after = Some(next),
                None => return Ok(ids),
            }
        }
    }

    /// What was found, read. Who was deleted in the meantime is left out.
    async fn load(&self, kind: Kind, found: Vec<Found>) -> Result<Vec<Stored>, Error> {
        Ok(self.load_all(kind, found).await?.into_iter().map(|(_, stored)| stored).collect())
    }

    async fn load_all(&self, kind: Kind, found: Vec<Found>) -> Result<Vec<(String, Stored)>, Error> {
        let unread = found.iter().filter(|found| found.stored.is_none());
        let keys: Vec<Key> = unread.map(|found| self.keys.resource(kind, found.id.as_str())).collect();
        let items = self.get_all(&keys).await?;
        let mut read = HashMap::with_capacity(items.len());
        for item in &items {
            let stored = Stored::from_item(item)?;
            read.insert(stored.id.clone(), stored);
        }
        let loaded = found.into_iter().filter_map(|found| {
            let stored = found.stored.or_else(|| read.remove(&found.id))?;
            Some((found.position, stored))
        });
        Ok(loaded.collect())
    }

    /// Those that meet the filter.
    async fn matching(
        &self,
        request: &ListRequest<'_>,
        filter: Option<&Predicate>,
        stored: Vec<(String, Stored)>,
    ) -> Result<Vec<(String, Stored)>, Error> {
        let Some(filter) = filter else { return Ok(stored) };
        if !filter.mentions(request.kind.extra()) {
            let meets = |(_, stored): &(String, Stored)| filter.matches(&request.shown(stored, &Extra::None));
            return Ok(stored.into_iter().filter(meets).collect());
        }
        let resources = || stored.iter().map(|(_, stored)| stored);
        let extras = match ids_asked_of(request.kind.extra(), filter) {
            Some(ids) => self.settled(|| self.extras_among(request.kind, resources(), &ids)).await?,
            None => self.settled(|| self.extras(request.kind, resources())).await?,
        };
        let with_extra = stored.into_iter().zip(extras);
        let meets = with_extra.filter(|((_, stored), extra)| filter.matches(&request.shown(stored, extra)));
        Ok(meets.map(|(stored, _)| stored).collect())
    }

    async fn show(
        &self,
        request: &ListRequest<'_>,
        stored: Vec<Stored>,
    ) -> Result<Vec<Map<String, Value>>, Error> {
        let answered =
            |(stored, extra): (&Stored, &Extra)| request.projection.apply(request.shown(stored, extra));
        if stored.is_empty() || !request.projection.wants(request.kind.extra()) {
            return Ok(stored.iter().map(|stored| answered((stored, &Extra::None))).collect());
        }
        // Users who follow one another have their reverse edges in one range.
        let is_dense =
            request.kind == Kind::User && request.filter.is_none() && request.is_in_order_of_creation();
        let extras = if is_dense {
            self.settled(|| self.groups_of_range(&stored)).await?
        } else {
            self.settled(|| self.extras(request.kind, stored.iter())).await?
        };
        Ok(stored.iter().zip(&extras).map(answered).collect())
    }

    /// The groups of each of these users, who are all there are between the first and the last.
    async fn groups_of_range(&self, users: &[Stored]) -> Result<Vec<Extra>, Error> {
        let ids = || users.iter().map(|user| user.id.as_str());
        let (Some(first), Some(last)) = (ids().min(), ids().max()) else { return Ok(Vec::new()) };
        let partition = self.keys.reverse_edges();
        let items = self.query_all(Range::between(&partition, keys::reverse_range(first, last))).await?;
        let mut groups: HashMap<&str, Vec<String>> = HashMap::new();
        for item in &items {
            let (member, group) = reverse_edge(item)?;
            groups.entry(member).or_default().push(group.to_owned());
        }
        Ok(ids().map(|id| Extra::Groups(groups.remove(id).unwrap_or_default())).collect())
    }

    /// The groups or members of each resource, in their order.
    async fn extras(&self, kind: Kind, stored: impl Iterator<Item = &Stored>) -> Result<Vec<Extra>, Error> {
        let reads: Vec<_> = stored.map(|stored| self.extra(kind, &stored.id)).collect();
        let mut reads = stream::iter(reads).buffered(CONCURRENCY);
        let mut extras = Vec::new();
        let mut members = 0;
        while let Some(extra) = reads.try_next().await? {
            if let Extra::Members(shown) = &extra {
                members += shown.len();
            }
            if members > MEMBERS_SHOWN {
                return Err(too_many_members());
            }
            extras.push(extra);
        }
        Ok(extras)
    }

    async fn extra(&self, kind: Kind, id: &Id) -> Result<Extra, Error> {
        match kind {
            Kind::User => Ok(Extra::Groups(self.reverse_edges(id.as_str()).await?)),
            Kind::Group => self.shown_members(id).await.map(Extra::Members),
        }
    }

    /// Of each resource, those groups or members that are among `ids`.
    async fn extras_among(
        &self,
        kind: Kind,
        stored: impl Iterator<Item = &Stored>,
        ids: &[&str],
    ) -> Result<Vec<Extra>, Error> {
        // No key twice: DynamoDB refuses that.
        let ids: BTreeSet<Id> = ids.iter().filter_map(|id| Id::parse(id)).collect();
        let reads: Vec<_> = stored
            .map(|stored| async {
                let own = stored.id.as_str();
                let keys: Vec<Key> = match kind {
                    Kind::User => ids.iter().map(|id| self.keys.reverse_edge(own, id.as_str())).collect(),
                    Kind::Group => ids.iter().map(|id| self.keys.edge(own, id.as_str())).collect(),
                };
                let items = self.get_all(&keys).await?;
                match kind {
                    Kind::User => {
                        let groups = items.iter().map(|item| Ok(reverse_edge(item)?.1.to_owned()));
                        groups.collect::<Result<_, Error>>().map(Extra::Groups)
                    }
                    Kind::Group => {
                        let members = items.iter().map(|item| Ok(Edge::from_item(item)?.to_member()));
                        members.collect::<Result<_, Error>>().map(Extra::Members)
                    }
                }
            })
            .collect();
        stream::iter(reads).buffered(CONCURRENCY).try_collect().await
    }
}

impl ListRequest<'_> {
    fn plan(&self) -> Plan<'_> {
        let everything = Plan { access: Access::Partition, exact: true };
        self.filter.as_ref().map_or(everything, |filter| plan(self.kind, filter))
    }

    fn shown(&self, stored: &Stored, extra: &Extra) -> Map<String, Value> {
        (self.represent)(self.kind, stored, extra)
    }

    /// The resource at the position its order gives it: that of the walk there is in this order, if there is one.
    fn found(&self, stored: Stored) -> Found {
        let position = match &self.sort {
            Some(sort) if !sort.is_creation() => {
                if let Some(indexed) = self.index_of_order() {
                    indexed.sort_key(&stored.id, &stored.document)
                } else {
                    let key = sort.key(&self.shown(&stored, &Extra::None));
                    Some(keys::index_entry(&key, false, &stored.id))
                }
            }
            _ => None,
        };
        let position = position.unwrap_or_else(|| stored.id.to_string());
        Found { position, id: stored.id.clone(), stored: Some(stored) }
    }

    fn is_descending(&self) -> bool {
        self.sort.as_ref().is_some_and(|sort| sort.descending)
    }

    pub(super) fn is_in_order_of_creation(&self) -> bool {
        self.sort.as_ref().is_none_or(Sort::is_creation)
    }

    /// The index that has the order asked for: one every resource has exactly one entry in.
    fn index_of_order(&self) -> Option<&'static Indexed> {
        let attribute = self.sort.as_ref()?.attribute()?;
        INDEXED
            .iter()
            .find(|indexed| (indexed.kind, indexed.name) == (self.kind, attribute) && indexed.unique)
    }
}

impl Walk {
    fn range(&self, after: Option<Item>) -> Range<'_> {
        Range::within(&self.partition, self.between.clone()).backward(self.backward).after(after)
    }

    fn start(&self, after: Option<String>) -> Option<Item> {
        after.map(|sk| self.partition.key(sk).attributes())
    }
}

impl Found {
    /// What an item of a walk stands for; `None` for a member of another kind.
    fn of_row(rows: RowsOf, kind: Kind, item: &Item) -> Result<Option<Self>, Error> {
        let position = sort_key(item)?.to_owned();
        let row = match rows {
            RowsOf::Resources => {
                let stored = Stored::from_item(item)?;
                Self { position, id: stored.id.clone(), stored: Some(stored) }
            }
            RowsOf::Entries => Self { position, id: entry_id(item)?, stored: None },
            RowsOf::Edges => {
                let edge = Edge::from_item(item)?;
                if edge.kind != kind {
                    return Ok(None);
                }
                Self { position, id: edge.member, stored: None }
            }
        };
        Ok(Some(row))
    }
}

fn entry_id(entry: &Item) -> Result<Id, Error> {
    let id = text(entry, name::ID)?;
    Id::parse(id).ok_or_else(|| Error::Internal("an index entry that cannot be read".to_owned()))
}

fn too_many(kind: Kind) -> Error {
    let indexed: Vec<&str> =
        INDEXED.iter().filter(|indexed| indexed.kind == kind).map(|indexed| indexed.name).collect();
    Error::Invalid(Invalid::new(
        ScimType::TooMany,
        format!(
            "this query would have to look at more than {SCAN_LIMIT} resources; name one of the indexed attributes \
             in the filter (id, meta.created, {}), or page with a cursor and without sortBy",
            indexed.join(", ")
        ),
    ))
}
