//! Pages: a query over one or both kinds of resource, one kind after the other, by index or by cursor (RFC 7644
//! §3.4.2.4, RFC 9865).
//!
//! A page leaves a bookmark where the next one begins, so that each costs what the first did and goes on exactly where
//! that one ended. By cursor the bookmark is under the cursor. By index it is under the query and the index that comes
//! next: `startIndex` plus what was shown, and plus what was asked for, since clients add either. It remembers the
//! total of a filtered query too, which only its first page counts.
//!
//! An index that no page before led to is counted to. In the order of creation such a page is found again without
//! counting, until somebody is deleted. What bookmarks cannot tell apart: two walks at the same time through the same
//! query with the same key, and an index asked for by itself within the hour in which a walk came by.

use serde_json::{Map, Value};

use super::{
    bookmarks::{Bookmark, Place},
    counts::counts,
    directory::Directory,
    keys::Kind,
    list::{Begin, ListRequest, Listed},
};
use crate::Error;

/// A query: what is asked of each kind, in the order of kinds.
pub struct Query<'a> {
    /// A name for it: the same for each of its pages, and no other query's.
    pub name: String,
    /// What is asked of each kind.
    pub parts: Vec<ListRequest<'a>>,
}

/// A page by index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexPage {
    /// How many resources match.
    pub total: u64,
    /// Those of the page, as they are answered.
    pub resources: Vec<Map<String, Value>>,
}

/// A page by cursor.
#[derive(Debug, Clone, PartialEq)]
pub struct CursorPage {
    /// How many resources match, where that is known without looking at more than the page.
    pub total: Option<u64>,
    /// The resources of the page, as they are answered.
    pub resources: Vec<Map<String, Value>>,
    /// The cursor of the next page, if there may be one.
    pub next: Option<String>,
}

/// What was found of a page by index.
#[derive(Default)]
struct Found {
    resources: Vec<Map<String, Value>>,
    /// How many match, of those that were counted.
    total: u64,
    /// The place before the first, where that was counted to.
    before: Option<Place>,
    /// The place after the last.
    last: Option<Place>,
    more: bool,
}

impl Query<'_> {
    fn kinds(&self) -> Vec<Kind> {
        self.parts.iter().map(|part| part.kind).collect()
    }

    fn is_filtered(&self) -> bool {
        self.parts.iter().any(|part| part.filter.is_some())
    }

    fn is_in_order_of_creation(&self) -> bool {
        self.parts.iter().all(ListRequest::is_in_order_of_creation)
    }
}

impl Directory {
    /// The page that begins at `start_index`, from 1, with at most `count` resources; 0 asks for the total only.
    ///
    /// # Errors
    /// `tooMany` if the filter names no key and there is more to look at than [`SCAN_LIMIT`](super::SCAN_LIMIT).
    pub async fn page_by_index(
        &self,
        query: &Query<'_>,
        start_index: u64,
        count: usize,
    ) -> Result<IndexPage, Error> {
        let counted = async {
            if query.is_filtered() { Ok(None) } else { counts(self, &query.kinds()).await.map(Some) }
        };
        let found = async {
            if count == 0 && !query.is_filtered() {
                return Ok((None, Some(Found::default())));
            }
            let here = if start_index == 1 { None } else { self.bookmark(&query.name, start_index).await? };
            let here = here.map(|(bookmark, _)| bookmark);
            // Where no page led to is counted to, unless the total says that nothing is there.
            if here.is_none() && start_index > 1 && !query.is_filtered() {
                return Ok((None, None));
            }
            let found = self.find(query, here.as_ref(), start_index, count).await?;
            Ok((here, Some(found)))
        };
        // On another walk the next one is nearly always there again. Most filters find all they can on one page.
        let next_index = start_index + count as u64;
        let next = async {
            if count == 0 || (start_index == 1 && query.is_filtered()) {
                Ok(None)
            } else {
                self.bookmark(&query.name, next_index).await
            }
        };
        let (counts, next, (here, found)) = tokio::try_join!(counted, next, found)?;
        let gone = here.and_then(|here| here.gone);
        let is_right = gone.is_none() || gone == counts.map(|counts| counts.deleted);
        let found = match found.filter(|_| is_right) {
            Some(found) => found,
            None if counts.is_some_and(|counts| start_index > counts.total) => Found::default(),
            None => self.find(query, None, start_index, count).await?,
        };
        let mut total = counts.map_or(found.total, |counts| counts.total);
        let shown = found.resources.len() as u64;
        if shown > 0 {
            // Whoever goes by the total goes on to the end of the walk, also when those it has seen are deleted.
            total = total.max(start_index - 1 + shown + u64::from(found.more));
        }
        let mut bookmarks = Vec::new();
        if let Some(place) = found.last
            && (found.more || start_index > 1)
        {
            let left = Bookmark { place, total: counts.is_none().then_some(total), gone: None };
            if shown < count as u64 {
                bookmarks.push((start_index + shown, left.clone()));
            }
            if next != Some((left.clone(), true)) {
                bookmarks.push((next_index, left));
            }
        }
        if let (Some(place), Some(counts), true) = (found.before, counts, query.is_in_order_of_creation()) {
            bookmarks.push((start_index, Bookmark { place, total: None, gone: Some(counts.deleted) }));
        }
        self.leave_bookmarks(&query.name, bookmarks).await?;
        Ok(IndexPage { total, resources: found.resources })
    }

    async fn find(
        &self,
        query: &Query<'_>,
        bookmark: Option<&Bookmark>,
        start_index: u64,
        count: usize,
    ) -> Result<Found, Error> {
        let begin = bookmark.map(|bookmark| bookmark.place.clone());
        let known = bookmark.and_then(|bookmark| bookmark.total);
        let is_counted = query.is_filtered() && known.is_none();
        let mut skip = if begin.is_some() { 0 } else { start_index - 1 };
        let (kind, mut after) = begin.map_or((None, None), |place| (Some(place.kind), place.after));
        let mut found = Found { total: known.unwrap_or_default(), ..Found::default() };
        for part in query.parts.iter().skip_while(|part| kind.is_some_and(|kind| part.kind != kind)) {
            let place = |after| Place { kind: part.kind, after: Some(after) };
            let begin = Begin { after: after.take(), skip };
            let room = count - found.resources.len();
            let listed = self.list_by_index(part, begin, room, !is_counted).await?;
            if is_counted {
                found.total += listed.total.unwrap_or_default();
            }
            if found.resources.is_empty() && skip > 0 {
                found.before = listed.before.filter(|_| listed.last.is_some()).map(place);
            }
            skip -= listed.skipped;
            found.resources.extend(listed.resources);
            found.last = listed.last.map(place).or(found.last);
            found.more |= listed.more;
            if found.more && !is_counted {
                break;
            }
        }
        Ok(found)
    }

    /// The page of at most `count` resources that a cursor leads to; the first one without.
    ///
    /// # Errors
    /// `invalidCursor`, `expiredCursor`; `tooMany` if the resources have to be sorted by what has no index, and are more
    /// than [`SCAN_LIMIT`](super::SCAN_LIMIT).
    pub async fn page_by_cursor(
        &self,
        query: &Query<'_>,
        cursor: Option<&str>,
        count: usize,
    ) -> Result<CursorPage, Error> {
        let begin = match cursor {
            Some(cursor) => Some(self.follow_cursor(&query.name, cursor).await?),
            None => None,
        };
        let counted = async {
            if query.is_filtered() { Ok(None) } else { counts(self, &query.kinds()).await.map(Some) }
        };
        let (counts, (listed, next)) = tokio::try_join!(counted, self.find_from(query, begin, count))?;
        let next = match next {
            Some(place) => Some(self.leave_cursor(&query.name, place).await?),
            None => None,
        };
        let total = counts.map(|counts| counts.total).or(listed.total);
        Ok(CursorPage { total, resources: listed.resources, next })
    }

    /// What is at that place, and where to go on.
    async fn find_from(
        &self,
        query: &Query<'_>,
        begin: Option<Place>,
        count: usize,
    ) -> Result<(Listed, Option<Place>), Error> {
        let (kind, mut after) = begin.map_or((None, None), |place| (Some(place.kind), place.after));
        let mut page = Listed::default();
        for part in query.parts.iter().skip_while(|part| kind.is_some_and(|kind| part.kind != kind)) {
            if page.resources.len() == count {
                return Ok((page, Some(Place { kind: part.kind, after: None })));
            }
            let listed = self.list_by_cursor(part, after.take(), count - page.resources.len()).await?;
            page.resources.extend(listed.resources);
            // Of several kinds, others may be on other pages.
            page.total = listed.total.filter(|_| query.parts.len() == 1);
            if listed.more {
                return Ok((page, Some(Place { kind: part.kind, after: listed.last })));
            }
        }
        Ok((page, None))
    }
}
