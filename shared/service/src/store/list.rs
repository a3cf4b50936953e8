//! Lists: the resources a filter matches, in one stable order, a page at a time (RFC 7644 §3.4.2, RFC 9865).
//!
//! The order is that of creation, which is the order of ids, or the one asked for. A list is one of two things. A
//! *walk* goes through a partition that has the order already, from any position, and costs what the page costs. A
//! *collection* is worked out whole: what look-ups lead to, what a scan within its budget finds, sorted.
//!
//! By index the total is exact, so the first page of a filter that has to be evaluated is of a collection; where the
//! total is known, and by cursor, where nobody asks for it, the filter is evaluated along the walk. Positions are keys,
//! not counts: a resource that is there during a whole walk is shown exactly once, whatever comes and goes meanwhile.
//!
//! What one page goes through is bounded, by number and by time. Past the bound a page by index is refused; one by
//! cursor is short, and walks through everything where keys lead to too much to collect.

use std::collections::{BTreeSet, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{
    Invalid, ScimType, filter::Predicate, id::Id, members::Member, projection::Projection, sort::Sort,
};
use serde_json::{Map, Value};
use tokio::time::{Duration, Instant};

use super::{
    CONCURRENCY, Directory, REQUEST_BUDGET, Stored,
    groups::{Edge, MEMBERS_SHOWN, reverse_edge, too_many_members},
    index::{INDEXED, Indexed},
    items::{Item, name, sort_key, text},
    keys::{self, Key, Kind, Partition},
    plan::{Access, Asked, Lookup, Plan, plan},
    wire::{PAGE, Range},
};
use crate::Error;

/// Resources that a filter without a key may be evaluated on in one request, index entries and memberships that may be
/// collected, and resources that may be counted to.
pub const SCAN_LIMIT: usize = 100_000;
/// A request that has no more time than this left looks no further: what is left is for the answer.
const TIME_KEPT: Duration = Duration::from_secs(5);
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
    /// What was read of it; read for the page where only its key is known, or more was found than is kept.
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
                let is_counted = request.filter.is_some() && !known;
                Ok(if is_counted { Some(self.how_many(request.kind, &walk).await?) } else { None })
            };
            let listed = self.walk_to(request, &walk, plan.exact, begin, count);
            let (total, listed) = tokio::try_join!(counted, listed)?;
            return Ok(Listed { total, ..listed });
        }
        let found = self.collect(request, plan, SCAN_LIMIT).await?;
        self.slice(request, found.ok_or_else(|| too_many(request.kind))?, begin, count).await
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
            return self.walk(request, &walk, filter, after, count, Some(LOOKS_PER_PAGE)).await;
        }
        let through_all = self.walk_of(request, &Access::Partition);
        let at_most = if through_all.is_some() { LOOKS_PER_PAGE } else { SCAN_LIMIT };
        match (self.collect(request, plan, at_most).await?, through_all) {
            (Some(found), _) => self.slice(request, found, Begin { after, skip: 0 }, count).await,
            (None, Some(walk)) => {
                let filter = request.filter.as_ref();
                self.walk(request, &walk, filter, after, count, Some(LOOKS_PER_PAGE)).await
            }
            (None, None) => Err(too_many(request.kind)),
        }
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
        let total = Some(found.len() as u64);
        let mut left = found.into_iter().skip(passed + skip);
        let page: Vec<Found> = left.by_ref().take(count).collect();
        let last = page.last().map(|last| last.position.clone());
        let stored = self.load(request.kind, page).await?;
        Ok(Listed {
            resources: self.show(request, stored).await?,
            last,
            more: left.next().is_some(),
            skipped: skip as u64,
            total,
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
                Access::Created(from, to) => (
                    self.keys.resources(kind),
                    Some(Id::range_created_between(*from, *to)),
                    RowsOf::Resources,
                ),
                Access::Lookups(_) => {
                    (self.keys.members(Id::parse(access.members_of()?)?.as_str()), None, RowsOf::Edges)
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
            (self.keys.index(kind, index.name), between, RowsOf::Entries)
        };
        Some(Walk { partition, between, backward, rows })
    }

    /// How many of the rows of a walk lead to resources of that kind.
    async fn how_many(&self, kind: Kind, walk: &Walk) -> Result<u64, Error> {
        let to_the_end = || self.skip(kind, walk, None, u64::MAX);
        let (passed, _) = match walk.rows {
            RowsOf::Edges => self.settled(to_the_end).await?,
            _ => to_the_end().await?,
        };
        Ok(passed)
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
        if skip > SCAN_LIMIT as u64 {
            return Err(too_many(request.kind));
        }
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
        let listed = self.walk(request, walk, filter, after, count, None).await?;
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
            if self.is_late() {
                return Err(too_many(kind));
            }
        }
    }

    /// Up to `count` resources of a walk that meet the filter; fewer where it may be short, and there were so many `looks`
    /// or no more time.
    async fn walk(
        &self,
        request: &ListRequest<'_>,
        walk: &Walk,
        filter: Option<&Predicate>,
        after: Option<String>,
        count: usize,
        looks: Option<usize>,
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
            let follow_one_another = walk.rows == RowsOf::Resources;
            for (position, stored) in self.matching(request, filter, stored, follow_one_another).await? {
                if page.len() == count {
                    break 'page true;
                }
                page.push(stored);
                last = Some(position);
            }
            match rows.next {
                None => break false,
                Some(next) if looks.is_some_and(|looks| looked >= looks || self.is_late()) => {
                    last = Some(sort_key(&next)?.to_owned());
                    break true;
                }
                Some(_) if self.is_late() => return Err(too_many(request.kind)),
                next => after = next,
            }
        };
        Ok(Listed { resources: self.show(request, page).await?, last, more, ..Listed::default() })
    }

    /// Every resource that matches, in order; `None` if there is more than so much to look at, or no time to.
    async fn collect(
        &self,
        request: &ListRequest<'_>,
        plan: Plan<'_>,
        at_most: usize,
    ) -> Result<Option<Vec<Found>>, Error> {
        let filter = request.filter.as_ref().filter(|_| !plan.exact);
        let found = match plan.access {
            Access::Partition => self.scan(request, filter, None, at_most).await?,
            Access::Created(from, to) => {
                self.scan(request, filter, Some(Id::range_created_between(from, to)), at_most).await?
            }
            Access::Lookups(lookups) => match self.look_up_all(request.kind, lookups, at_most).await? {
                Some(ids) => self.sift(request, filter, ids).await?,
                None => None,
            },
            Access::Entries { indexed, between } => {
                match self.entry_ids(request.kind, indexed, between, at_most).await? {
                    Some(ids) => self.sift(request, filter, ids).await?,
                    None => None,
                }
            }
        };
        let Some(mut found) = found else { return Ok(None) };
        found.sort_unstable_by(|a, b| a.position.cmp(&b.position));
        if request.is_descending() {
            found.reverse();
        }
        Ok(Some(found))
    }

    /// Reads the resources of these ids, so many at a time, and keeps what matches.
    async fn sift(
        &self,
        request: &ListRequest<'_>,
        filter: Option<&Predicate>,
        mut ids: Vec<Id>,
    ) -> Result<Option<Vec<Found>>, Error> {
        ids.sort_unstable();
        ids.dedup();
        let unread = |id: &Id| Found { position: id.to_string(), id: id.clone(), stored: None };
        if filter.is_none() && request.is_in_order_of_creation() {
            return Ok(Some(ids.iter().map(unread).collect()));
        }
        let mut found = Vec::new();
        for chunk in ids.chunks(PAGE) {
            if self.is_late() {
                return Ok(None);
            }
            let stored = self.load_all(request.kind, chunk.iter().map(unread).collect()).await?;
            let matching = self.matching(request, filter, stored, false).await?;
            found.extend(matching.into_iter().map(|(_, stored)| request.found(stored)));
            if ids.len() > PAGE {
                found.iter_mut().for_each(Found::forget);
            }
        }
        Ok(Some(found))
    }

    /// Reads the partition, or a range of it, and keeps what matches.
    async fn scan(
        &self,
        request: &ListRequest<'_>,
        filter: Option<&Predicate>,
        between: Option<(String, String)>,
        at_most: usize,
    ) -> Result<Option<Vec<Found>>, Error> {
        let partition = self.keys.resources(request.kind);
        let there_are = self.counts(&[request.kind]).await?.there_are;
        if between.is_none() && there_are > at_most as u64 {
            return Ok(None);
        }
        let ranges = match between {
            None if there_are >= PARALLEL_FROM => self.ranges(&partition).await?,
            between => vec![between],
        };
        let scan = |between| self.scan_range(request, filter, &partition, between, at_most);
        let scans: Vec<_> = ranges.into_iter().map(scan).collect();
        let found: Vec<Option<Vec<Found>>> = stream::iter(scans).buffered(CONCURRENCY).try_collect().await?;
        Ok(found.into_iter().collect::<Option<Vec<_>>>().map(|found| found.into_iter().flatten().collect()))
    }

    async fn scan_range(
        &self,
        request: &ListRequest<'_>,
        filter: Option<&Predicate>,
        partition: &Partition,
        between: Option<(String, String)>,
        at_most: usize,
    ) -> Result<Option<Vec<Found>>, Error> {
        let mut found = Vec::new();
        let mut after = None;
        let mut looked = 0;
        loop {
            let rows = self.query(Range::within(partition, between.clone()).after(after)).await?;
            looked += rows.items.len();
            if looked > at_most {
                return Ok(None);
            }
            let stored = rows.items.iter().map(|item| Ok((String::new(), Stored::from_item(item)?)));
            let stored = stored.collect::<Result<_, Error>>()?;
            for (_, stored) in self.matching(request, filter, stored, true).await? {
                let mut matching = request.found(stored);
                matching.forget();
                found.push(matching);
            }
            match rows.next {
                None => return Ok(Some(found)),
                Some(_) if self.is_late() => return Ok(None),
                next => after = next,
            }
        }
    }

    /// The partition of resources in ranges of equal time.
    async fn ranges(&self, partition: &Partition) -> Result<Vec<Option<(String, String)>>, Error> {
        let end = |backward| self.query(Range::all(partition).limit(1).backward(backward));
        let (first, last) = tokio::try_join!(end(false), end(true))?;
        let created_at = |rows: &[Item]| {
            let id = rows.first().and_then(|item| sort_key(item).ok()).and_then(Id::parse);
            id.map(|id| id.created_at()).unwrap_or_default()
        };
        let (from, to) = (created_at(&first.items), created_at(&last.items));
        let step = (to - from) / PARALLEL_RANGES + 1;
        let range = |number| {
            let begin = from + number * step;
            Some(Id::range_created_between(begin, begin + step - 1))
        };
        Ok((0..PARALLEL_RANGES).map(range).collect())
    }

    /// The ids that keys lead to, unless they are too many.
    async fn look_up_all(
        &self,
        kind: Kind,
        lookups: Vec<Lookup<'_>>,
        at_most: usize,
    ) -> Result<Option<Vec<Id>>, Error> {
        let reads: Vec<_> = lookups.into_iter().map(|lookup| self.look_up(kind, lookup, at_most)).collect();
        let mut reads = stream::iter(reads).buffered(CONCURRENCY);
        let mut ids = Vec::new();
        while let Some(found) = reads.try_next().await? {
            match found {
                Some(found) if ids.len() + found.len() <= at_most => ids.extend(found),
                _ => return Ok(None),
            }
        }
        Ok(Some(ids))
    }

    async fn look_up(
        &self,
        kind: Kind,
        lookup: Lookup<'_>,
        at_most: usize,
    ) -> Result<Option<Vec<Id>>, Error> {
        match lookup {
            Lookup::Id(id) => Ok(Some(Id::parse(id).into_iter().collect())),
            // A value that no entry can have: DynamoDB would refuse to look it up.
            Lookup::Entry(_, value) if value.is_empty() || value.len() > keys::MAX_KEY => {
                Ok(Some(Vec::new()))
            }
            Lookup::Entry(indexed, value) if indexed.unique => {
                let entry = self.get(&self.keys.index(kind, indexed.name).key(value)).await?;
                entry.iter().map(entry_id).collect::<Result<_, _>>().map(Some)
            }
            // With an id behind it, a value is shorter than that.
            Lookup::Entry(_, value) if value.len() == keys::MAX_KEY => Ok(Some(Vec::new())),
            Lookup::Entry(indexed, value) => {
                self.entry_ids(kind, indexed, keys::index_range(value), at_most).await
            }
            Lookup::GroupsOf(id) => {
                let Some(id) = Id::parse(id) else { return Ok(Some(Vec::new())) };
                let groups = self.settled(|| self.reverse_edges(id.as_str())).await?;
                Ok(Some(groups.iter().filter_map(|id| Id::parse(id)).collect()))
            }
            Lookup::MembersOf(id) => {
                let Some(id) = Id::parse(id) else { return Ok(Some(Vec::new())) };
                let partition = self.keys.members(id.as_str());
                let edges = || self.gather(Range::all(&partition), at_most, Edge::from_item);
                let edges = self.settled(edges).await?;
                let of_kind = |edges: Vec<Edge>| {
                    edges.into_iter().filter(|edge| edge.kind == kind).map(|edge| edge.member).collect()
                };
                Ok(edges.map(of_kind))
            }
        }
    }

    async fn entry_ids(
        &self,
        kind: Kind,
        indexed: &Indexed,
        between: (String, String),
        at_most: usize,
    ) -> Result<Option<Vec<Id>>, Error> {
        let partition = self.keys.index(kind, indexed.name);
        self.gather(Range::between(&partition, between), at_most, entry_id).await
    }

    /// Each item of a range as it is read; `None` if there are more than so many, or no time for them.
    async fn gather<T>(
        &self,
        range: Range<'_>,
        at_most: usize,
        read: impl Fn(&Item) -> Result<T, Error>,
    ) -> Result<Option<Vec<T>>, Error> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let rows = self.query(range.clone().after(after)).await?;
            for item in &rows.items {
                all.push(read(item)?);
            }
            match rows.next {
                _ if all.len() > at_most => return Ok(None),
                None => return Ok(Some(all)),
                Some(_) if self.is_late() => return Ok(None),
                next => after = next,
            }
        }
    }

    /// Whether it is time to answer, whatever is left to look at.
    fn is_late(&self) -> bool {
        self.deadline.saturating_duration_since(Instant::now()) < TIME_KEPT
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

    /// Those that meet the filter. Where they are all there are between the first and the last, `follow_one_another`.
    async fn matching(
        &self,
        request: &ListRequest<'_>,
        filter: Option<&Predicate>,
        stored: Vec<(String, Stored)>,
        follow_one_another: bool,
    ) -> Result<Vec<(String, Stored)>, Error> {
        let Some(filter) = filter else { return Ok(stored) };
        let meet = if filter.mentions(request.kind.extra()) {
            self.settled(|| self.meet(request, filter, &stored, follow_one_another)).await?
        } else {
            let meets = |(_, stored): &(String, Stored)| filter.matches(&request.shown(stored, &Extra::None));
            stored.iter().map(meets).collect()
        };
        let with_verdict = stored.into_iter().zip(meet);
        Ok(with_verdict.filter_map(|(stored, meets)| meets.then_some(stored)).collect())
    }

    /// Whether each meets a filter on memberships. Those of one resource are forgotten before the next one's are read: a
    /// page of groups may have any number.
    async fn meet(
        &self,
        request: &ListRequest<'_>,
        filter: &Predicate,
        stored: &[(String, Stored)],
        follow_one_another: bool,
    ) -> Result<Vec<bool>, Error> {
        let kind = request.kind;
        let meets = |stored: &Stored, extra: &Extra| filter.matches(&request.shown(stored, extra));
        if kind == Kind::User && follow_one_another {
            let extras = self.groups_of_range(stored.iter().map(|(_, stored)| &stored.id)).await?;
            return Ok(stored.iter().zip(&extras).map(|((_, stored), extra)| meets(stored, extra)).collect());
        }
        let asked = Asked::of(kind.extra(), filter);
        let reads: Vec<_> = stored
            .iter()
            .map(async |(_, stored)| {
                let extra = match &asked {
                    Some(asked) => Some(self.extra_asked(kind, &stored.id, asked).await?),
                    None => self.extra(kind, &stored.id, SCAN_LIMIT).await?,
                };
                Ok(meets(stored, &extra.ok_or_else(|| too_many(kind))?))
            })
            .collect();
        stream::iter(reads).buffered(CONCURRENCY).try_collect().await
    }

    async fn show(
        &self,
        request: &ListRequest<'_>,
        stored: Vec<Stored>,
    ) -> Result<Vec<Map<String, Value>>, Error> {
        let answered =
            |(stored, extra): (&Stored, &Extra)| request.projection.apply(request.shown(stored, extra));
        if stored.is_empty() || !request.projection.includes(request.kind.extra()) {
            return Ok(stored.iter().map(|stored| answered((stored, &Extra::None))).collect());
        }
        // Users who follow one another have their reverse edges in one range.
        let is_dense =
            request.kind == Kind::User && request.filter.is_none() && request.is_in_order_of_creation();
        let extras = if is_dense {
            self.settled(|| self.groups_of_range(stored.iter().map(|user| &user.id))).await?
        } else {
            self.settled(|| self.extras(request.kind, stored.iter())).await?
        };
        Ok(stored.iter().zip(&extras).map(answered).collect())
    }

    /// The groups of each of these users, who are all there are between the first and the last.
    async fn groups_of_range<'a>(
        &self,
        users: impl Iterator<Item = &'a Id> + Clone,
    ) -> Result<Vec<Extra>, Error> {
        let (Some(first), Some(last)) = (users.clone().min(), users.clone().max()) else {
            return Ok(Vec::new());
        };
        let partition = self.keys.reverse_edges();
        let between = keys::reverse_range(first.as_str(), last.as_str());
        let items = self.query_all(Range::between(&partition, between)).await?;
        let mut groups: HashMap<&str, Vec<String>> = HashMap::new();
        for item in &items {
            let (member, group) = reverse_edge(item)?;
            groups.entry(member).or_default().push(group.to_owned());
        }
        Ok(users.map(|id| Extra::Groups(groups.remove(id.as_str()).unwrap_or_default())).collect())
    }

    /// The groups or members of each resource, in their order.
    async fn extras(&self, kind: Kind, stored: impl Iterator<Item = &Stored>) -> Result<Vec<Extra>, Error> {
        let reads: Vec<_> = stored.map(|stored| self.extra(kind, &stored.id, MEMBERS_SHOWN)).collect();
        let mut reads = stream::iter(reads).buffered(CONCURRENCY);
        let mut extras = Vec::new();
        let mut members = 0;
        while let Some(extra) = reads.try_next().await? {
            let extra = extra.ok_or_else(too_many_members)?;
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

    /// The groups or members of a resource; `None` if they are more than so many.
    async fn extra(&self, kind: Kind, id: &Id, at_most: usize) -> Result<Option<Extra>, Error> {
        match kind {
            Kind::User => self.reverse_edges(id.as_str()).await.map(|groups| Some(Extra::Groups(groups))),
            Kind::Group => {
                let partition = self.keys.members(id.as_str());
                let members = self.gather(Range::all(&partition), at_most, member).await?;
                Ok(members.map(Extra::Members))
            }
        }
    }

    /// Those groups or members of a resource that a filter asks for.
    async fn extra_asked(&self, kind: Kind, id: &Id, asked: &Asked<'_>) -> Result<Extra, Error> {
        let own = id.as_str();
        let (partition, between) = match kind {
            Kind::User => (self.keys.reverse_edges(), Some(keys::reverse_range(own, own))),
            Kind::Group => (self.keys.members(own), None),
        };
        // No key twice: DynamoDB refuses that.
        let ids: BTreeSet<Id> = asked.ids.iter().filter_map(|id| Id::parse(id)).collect();
        let key = |id: &Id| match kind {
            Kind::User => self.keys.reverse_edge(own, id.as_str()),
            Kind::Group => self.keys.edge(own, id.as_str()),
        };
        let mut items = self.get_all(&ids.iter().map(key).collect::<Vec<_>>()).await?;
        if asked.any && items.is_empty() {
            items = self.query(Range::within(&partition, between).limit(1)).await?.items;
        }
        match kind {
            Kind::User => {
                let groups = items.iter().map(|item| Ok(reverse_edge(item)?.1.to_owned()));
                groups.collect::<Result<_, Error>>().map(Extra::Groups)
            }
            Kind::Group => items.iter().map(member).collect::<Result<_, _>>().map(Extra::Members),
        }
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
        let position = match (&self.sort, self.index_of_order()) {
            (_, Some(index)) => index.sort_key(&stored.id, &stored.document),
            (Some(sort), None) if !sort.is_creation() => {
                let key = sort.key(&self.shown(&stored, &Extra::None));
                Some(keys::index_entry(&key, false, &stored.id))
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
    /// Drops what was read: the documents of all that a large collection finds would not fit into memory.
    fn forget(&mut self) {
        self.stored = None;
    }

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

fn member(edge: &Item) -> Result<Member, Error> {
    Ok(Edge::from_item(edge)?.to_member())
}

fn too_many(kind: Kind) -> Error {
    let indexed: Vec<&str> =
        INDEXED.iter().filter(|indexed| indexed.kind == kind).map(|indexed| indexed.name).collect();
    Error::Invalid(Invalid::new(
        ScimType::TooMany,
        format!(
            "this query would have to look at more resources than a request may: {SCAN_LIMIT}, or what {} s are enough \
             for; name one of the indexed attributes in the filter (id, meta.created, {}), or page with a cursor and \
             without sortBy",
            REQUEST_BUDGET.saturating_sub(TIME_KEPT).as_secs(),
            indexed.join(", ")
        ),
    ))
}
