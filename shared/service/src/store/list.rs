//! Lists: the resources a filter matches, one page of them, and exactly how many there are (RFC 7644 §3.4.2).
//!
//! The order is that of creation, which is the order of ids. A filter that names a key reads what the key leads to;
//! any other reads the partition.

use futures_util::{StreamExt, TryStreamExt, stream};
use scim::{filter::Predicate, id::Id, members::Member};
use serde_json::{Map, Value};

use super::{
    CONCURRENCY, Directory, Stored,
    groups::Edge,
    items::{Item, name, number, sort_key, text},
    keys::{self, Key, Kind},
    plan::{Access, plan},
    wire::{PAGE, Range},
};
use crate::Error;

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

/// What is asked of a list.
pub struct ListRequest<'a> {
    /// Which resources.
    pub filter: Option<&'a Predicate>,
    /// Where the page begins, from 1.
    pub start_index: u64,
    /// How many resources a page has at most; 0 asks for the total only.
    pub count: usize,
    /// Whether the groups of users, the members of groups are shown.
    pub with_extra: bool,
    /// How a resource is shown, which is what a filter sees.
    pub represent: &'a (dyn Fn(&Stored, &Extra) -> Map<String, Value> + Sync),
}

/// One page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// How many resources match.
    pub total: u64,
    /// Those of the page, as they are shown.
    pub resources: Vec<Map<String, Value>>,
}

impl Directory {
    /// One page of the resources of that kind.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn list(&self, kind: Kind, request: &ListRequest<'_>) -> Result<Page, Error> {
        match request.filter {
            None => self.list_all(kind, request).await,
            Some(filter) => self.list_matching(kind, filter, request).await,
        }
    }

    async fn list_all(&self, kind: Kind, request: &ListRequest<'_>) -> Result<Page, Error> {
        let counts = self.keys.counts();
        let resources = self.keys.resources(kind);
        let page = async {
            if request.count == 0 {
                return Ok(Vec::new());
            }
            let skip = usize::try_from(request.start_index - 1).unwrap_or(usize::MAX);
            let Some(after) = self.skip(Range::all(&resources), skip).await? else { return Ok(Vec::new()) };
            let mut items = Vec::new();
            let mut after = Some(after);
            while let Some(Skipped(from)) = after {
                let range = Range::all(&resources).limit(request.count - items.len()).after(from);
                let rows = self.query(range).await?;
                items.extend(rows.items);
                after = rows.next.filter(|_| items.len() < request.count).map(|next| Skipped(Some(next)));
            }
            let stored = items.iter().map(Stored::from_item).collect::<Result<Vec<_>, _>>()?;
            self.represent(kind, stored, request.with_extra, request).await
        };
        let (counts, resources) = tokio::try_join!(self.query_all(Range::all(&counts)), page)?;
        Ok(Page { total: total(kind, &counts)?, resources })
    }

    async fn list_matching(
        &self,
        kind: Kind,
        filter: &Predicate,
        request: &ListRequest<'_>,
    ) -> Result<Page, Error> {
        let with_extra = request.with_extra || filter.mentions(kind.extra());
        let mut total: u64 = 0;
        let mut resources = Vec::new();
        let mut take = |shown: Vec<Map<String, Value>>| {
            for resource in shown.into_iter().filter(|resource| filter.matches(resource)) {
                total += 1;
                if total >= request.start_index && resources.len() < request.count {
                    resources.push(resource);
                }
            }
        };
        if let Some(mut ids) = self.candidates(kind, filter).await? {
            ids.sort_unstable();
            ids.dedup();
            let keys: Vec<Key> = ids
                .iter()
                .filter(|id| Id::parse(id).is_some())
                .map(|id| self.keys.resource(kind, id))
                .collect();
            let items = self.get_all(&keys).await?;
            let mut stored = items.iter().map(Stored::from_item).collect::<Result<Vec<_>, _>>()?;
            stored.sort_unstable_by(|a, b| a.id.cmp(&b.id));
            take(self.represent(kind, stored, with_extra, request).await?);
        } else {
            let partition = self.keys.resources(kind);
            let mut after = None;
            loop {
                let rows = self.query(Range::all(&partition).after(after)).await?;
                let stored = rows.items.iter().map(Stored::from_item).collect::<Result<Vec<_>, _>>()?;
                take(self.represent(kind, stored, with_extra, request).await?);
                match rows.next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
        }
        Ok(Page { total, resources })
    }

    /// The ids of the resources the filter can match, or `None` where every resource has to be looked at.
    async fn candidates(&self, kind: Kind, filter: &Predicate) -> Result<Option<Vec<String>>, Error> {
        let ids = match plan(kind, filter) {
            Access::Id(id) => vec![id.to_owned()],
            Access::Index { indexed, value } => {
                // A value that no entry can have: DynamoDB would refuse to look it up.
                if value.is_empty() || value.len() > MAX_LOOKUP {
                    return Ok(Some(Vec::new()));
                }
                let partition = self.keys.index(kind, indexed.name);
                let entries = self.query_all(Range::between(&partition, keys::index_range(value))).await?;
                entries
                    .iter()
                    .map(|entry| text(entry, name::ID).map(str::to_owned))
                    .collect::<Result<_, _>>()?
            }
            Access::GroupsOf(member) => match Id::parse(member) {
                Some(member) => self.groups_of(&member).await?,
                None => Vec::new(),
            },
            Access::MembersOf(group) => match Id::parse(group) {
                Some(group) => {
                    let edges: Vec<Edge> = self.settled(|| self.edges(&group)).await?;
                    edges
                        .into_iter()
                        .filter(|edge| edge.kind == kind)
                        .map(|edge| edge.member.to_string())
                        .collect()
                }
                None => Vec::new(),
            },
            Access::Partition => return Ok(None),
        };
        Ok(Some(ids))
    }

    async fn represent(
        &self,
        kind: Kind,
        stored: Vec<Stored>,
        with_extra: bool,
        request: &ListRequest<'_>,
    ) -> Result<Vec<Map<String, Value>>, Error> {
        if !with_extra {
            return Ok(stored.iter().map(|stored| (request.represent)(stored, &Extra::None)).collect());
        }
        let extras = self.settled(|| self.extras(kind, &stored)).await?;
        Ok(stored.iter().zip(&extras).map(|(stored, extra)| (request.represent)(stored, extra)).collect())
    }

    /// The groups or members of each resource, in their order.
    async fn extras(&self, kind: Kind, stored: &[Stored]) -> Result<Vec<Extra>, Error> {
        let reads: Vec<_> = stored.iter().map(|stored| self.extra(kind, &stored.id)).collect();
        stream::iter(reads).buffered(CONCURRENCY).try_collect().await
    }

    async fn extra(&self, kind: Kind, id: &Id) -> Result<Extra, Error> {
        Ok(match kind {
            Kind::User => Extra::Groups(self.reverse_edges(id.as_str()).await?),
            Kind::Group => Extra::Members(self.edges(id).await?.iter().map(Edge::to_member).collect()),
        })
    }

    /// Goes past the first `skip` items of a range; `None` where there are no more.
    async fn skip(&self, range: Range<'_>, skip: usize) -> Result<Option<Skipped>, Error> {
        let mut left = skip;
        let mut after = None;
        while left > 0 {
            let rows = self.query(range.clone().limit(left.min(PAGE)).after(after).count_only()).await?;
            left -= rows.count;
            match rows.next {
                Some(next) => after = Some(next),
                None => return Ok(None),
            }
        }
        Ok(Some(Skipped(after)))
    }
}

/// The place in a range that was reached: after this item, or at its beginning.
struct Skipped(Option<Item>);

/// The longest value an index entry can have, in bytes: DynamoDB's limit for a sort key, less the end of a range.
const MAX_LOOKUP: usize = 1_023;

fn total(kind: Kind, counts: &[Item]) -> Result<u64, Error> {
    let mut total = 0;
    for item in counts {
        if sort_key(item)?.starts_with(kind.word()) {
            total += number(item, name::COUNT).unwrap_or_default();
        }
    }
    Ok(u64::try_from(total).unwrap_or_default())
}
