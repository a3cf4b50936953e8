//! Search as people type: the users or groups whose name begins with a text, in the order of the names.
//!
//! A search reads index entries only, and the resources that they lead to. The cost of a page depends neither on the number of
//! resources nor on the position of the page. Users are found by `userName` and by each e-mail address. The two indexes are
//! read side by side. A user with several entries is shown at one of them: at `userName` if it matches, and otherwise at the
//! first address.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use scim::{ResourceKind, fold::fold, id::Id};
use sha2::{Digest, Sha256};

use super::{
    bookmarks::{ListPosition, resolve_cursor, save_cursor},
    counts::counts,
    directory::Directory,
    index::entries,
    index_keys,
    items::{Stored, name, sort_key, text},
    key_range::KeyRange,
    keys::Key,
};
use crate::Error;

/// The number of times that a page reads entries. A page may be short, if most entries lead to users that other pages show.
const ROUNDS: usize = 4;

/// A page of a search.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchPage {
    /// The resources, in the order of their names.
    pub resources: Vec<Stored>,
    /// The number of all resources of the kind, if the search selects all.
    pub total: Option<u64>,
    /// The cursor of the next page. `None` if this page is the last one.
    pub next: Option<String>,
}

/// An index entry that a search has read.
struct Found {
    sk: String,
    /// The index, as a position in [`Search::attributes`].
    index: usize,
    id: Id,
}

/// A search that is under way.
struct Search<'a> {
    directory: &'a Directory,
    kind: ResourceKind,
    /// The indexes, in the order of preference.
    attributes: &'static [&'static str],
    /// The sort keys of matching entries. `None` selects all.
    between: Option<(String, String)>,
}

/// The last entry of each index that a page has consumed.
type Position = Vec<Option<String>>;

impl Directory {
    /// Returns a page of the users whose `userName` or e-mail address begins with the text, or of the groups whose
    /// `displayName` does. As in filters, case does not count. An empty text selects all. A page may have fewer resources
    /// than `count`, before the end.
    ///
    /// A resource that exists with the same names during all pages is shown exactly once. Names that release 0.2 folded
    /// otherwise may be missed.
    ///
    /// # Errors
    /// `invalidCursor` and `expiredCursor` if the cursor is not valid for this search.
    pub async fn search(
        &self,
        kind: ResourceKind,
        prefix: &str,
        cursor: Option<&str>,
        count: usize,
    ) -> Result<SearchPage, Error> {
        let prefix = fold(prefix);
        let name =
            format!("search:{}", hex::encode(&Sha256::digest(format!("{}:{prefix}", kind.as_str()))[..16]));
        let nothing = SearchPage { resources: Vec::new(), total: None, next: None };
        let Some(search) = Search::new(self, kind, &prefix) else { return Ok(nothing) };
        let start = match cursor {
            Some(cursor) => search.position(resolve_cursor(self, &name, cursor).await?)?,
            None => search.start(),
        };
        let total = async {
            if prefix.is_empty() {
                Ok(Some(counts(self, &[kind]).await?.total))
            } else {
                Ok::<_, Error>(None)
            }
        };
        let (total, (resources, end)) = tokio::try_join!(total, search.page(start, count))?;
        let next = match end {
            Some(end) => {
                let after = Some(serde_json::json!(end).to_string());
                Some(save_cursor(self, &name, ListPosition { kind, after }).await?)
            }
            None => None,
        };
        Ok(SearchPage { resources, total, next })
    }

    /// Returns the first resources that [`Self::search`] finds, at most `count`, and whether more follow. Counts nothing and
    /// stores no cursor.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn first(
        &self,
        kind: ResourceKind,
        prefix: &str,
        count: usize,
    ) -> Result<(Vec<Stored>, bool), Error> {
        let Some(search) = Search::new(self, kind, &fold(prefix)) else { return Ok((Vec::new(), false)) };
        let (resources, end) = search.page(search.start(), count).await?;
        Ok((resources, end.is_some()))
    }

    /// Returns the resources of these ids that exist, with one call for a hundred of them.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn resources_by_id(
        &self,
        ids: impl Iterator<Item = (ResourceKind, &Id)>,
    ) -> Result<BTreeMap<Id, Stored>, Error> {
        by_id(self, ids).await
    }
}

impl<'a> Search<'a> {
    /// Returns the search for a folded prefix. Returns `None` if no entry can begin with it.
    fn new(directory: &'a Directory, kind: ResourceKind, prefix: &str) -> Option<Self> {
        let attributes: &[&str] = match kind {
            ResourceKind::User if prefix.is_empty() => &["userName"],
            ResourceKind::User => &["userName", "emails.value"],
            ResourceKind::Group => &["displayName"],
        };
        let between = (prefix.to_owned(), index_keys::past_prefix(prefix));
        // Indexed values have no control characters and are shorter than a key.
        let is_possible = !prefix.contains(char::is_control)
            && between.0.len().max(between.1.len()) <= index_keys::MAX_KEY
            && between.0 <= between.1;
        let between = (!prefix.is_empty()).then_some(between);
        is_possible.then_some(Self { directory, kind, attributes, between })
    }

    fn start(&self) -> Position {
        vec![None; self.attributes.len()]
    }

    fn position(&self, stored: ListPosition) -> Result<Position, Error> {
        let after = stored.after.and_then(|after| serde_json::from_str::<Position>(&after).ok());
        after
            .filter(|after| after.len() == self.attributes.len())
            .ok_or_else(|| Error::Internal("the position of a search cannot be read".to_owned()))
    }

    /// Reads resources from a position on. Returns also the position of the next page, if there is one.
    async fn page(&self, mut at: Position, count: usize) -> Result<(Vec<Stored>, Option<Position>), Error> {
        let mut resources: Vec<Stored> = Vec::new();
        for _ in 0..ROUNDS {
            let (found, has_more) = self.entries(&at, count + 1).await?;
            let stored = by_id(self.directory, found.iter().map(|found| (self.kind, &found.id))).await?;
            for Found { sk, index, id } in found {
                if let Some(stored) = stored.get(&id).filter(|stored| self.shows_at(stored, index, &sk)) {
                    if resources.len() == count {
                        return Ok((resources, Some(at)));
                    }
                    resources.push(stored.clone());
                }
                at[index] = Some(sk);
            }
            if !has_more {
                return Ok((resources, None));
            }
        }
        Ok((resources, Some(at)))
    }

    /// Reads the next entries of all indexes in the order of their values. Returns also whether more entries follow.
    async fn entries(&self, at: &Position, limit: usize) -> Result<(Vec<Found>, bool), Error> {
        let reads = self.attributes.iter().zip(at).map(async |(attribute, after)| {
            let partition = self.directory.keys.index(self.kind, attribute);
            let after = after.as_ref().map(|after| partition.key(after.as_str()).attributes());
            let range = KeyRange::within(&partition, self.between.clone()).after(after).limit(limit);
            self.directory.table.query(range).await
        });
        let pages = try_join_all(reads).await?;
        let mut found = Vec::new();
        // Beyond the last entry that was read of an index, an unread entry of it may come first.
        let mut known_until: Option<String> = None;
        for (index, page) in pages.iter().enumerate() {
            for item in &page.items {
                let id = Id::parse(text(item, name::ID)?);
                let id = id.ok_or_else(|| Error::Internal("an index entry cannot be read".to_owned()))?;
                found.push(Found { sk: sort_key(item)?.to_owned(), index, id });
            }
            if let (Some(last), Some(_)) = (page.items.last(), &page.next) {
                let last = sort_key(last)?;
                if known_until.as_deref().is_none_or(|until| last < until) {
                    known_until = Some(last.to_owned());
                }
            }
        }
        found.sort_unstable_by(|a, b| (&a.sk, a.index).cmp(&(&b.sk, b.index)));
        if let Some(until) = &known_until {
            found.retain(|found| found.sk <= *until);
        }
        Ok((found, known_until.is_some()))
    }

    /// Returns whether a resource is shown at this entry, and at no other one.
    fn shows_at(&self, stored: &Stored, index: usize, sk: &str) -> bool {
        let is_between = |sk: &str| {
            self.between.as_ref().is_none_or(|(from, to)| from.as_str() <= sk && sk <= to.as_str())
        };
        let entries = entries(self.kind, stored);
        let shown = self.attributes.iter().enumerate().find_map(|(index, attribute)| {
            let mut of_index = entries.iter().filter(|entry| entry.attribute == *attribute);
            of_index.find(|entry| is_between(&entry.sk)).map(|entry| (index, entry.sk.as_str()))
        });
        shown == Some((index, sk))
    }
}

/// Returns the resources of these ids that exist, with one call for a hundred of them.
pub(super) async fn by_id(
    directory: &Directory,
    ids: impl Iterator<Item = (ResourceKind, &Id)>,
) -> Result<BTreeMap<Id, Stored>, Error> {
    // A set, because BatchGetItem rejects duplicate keys.
    let ids: BTreeSet<(ResourceKind, &Id)> = ids.collect();
    let keys: Vec<Key> = ids.iter().map(|(kind, id)| directory.keys.resource(*kind, id.as_str())).collect();
    let items = if keys.is_empty() { Vec::new() } else { directory.table.get_all(&keys).await? };
    let stored = items.iter().map(Stored::from_item);
    stored.map(|stored| stored.map(|stored| (stored.id.clone(), stored))).collect()
}
