//! Pages of a query over one or both kinds of resource, by index or by cursor (RFC 7644 §3.4.2.4, RFC 9865). A query
//! over both kinds shows one kind after the other.
//!
//! Each page saves a bookmark at the position where the next page begins. Every page therefore costs as much as the
//! first one, and begins exactly where the previous one ended. A page by cursor saves the bookmark under the cursor. A
//! page by index saves it under the query and the next index: `startIndex` plus the number of resources shown, and
//! `startIndex` plus `count`, because clients add either. The bookmark also contains the total of a filtered query,
//! which only the first page determines.
//!
//! An index without a bookmark is reached by skipping the resources before it. In the order of creation, the page saves
//! a bookmark for its own index, which is valid until a resource is deleted. Bookmarks cannot tell apart two clients
//! that page through the same query with the same API key at the same time, nor an index that is requested on its own
//! within an hour after a client paged past it.

use scim::ResourceKind;

use super::{
    bookmarks::{Bookmark, ListPosition, read_bookmark, resolve_cursor, save_bookmarks, save_cursor},
    counts::{Counts, counts},
    directory::Directory,
    list::{ListPart, ListRequest, Listed, Start, list_by_cursor, list_by_index},
};
use crate::Error;

/// A query over one or both kinds of resource.
pub struct Query<'a> {
    /// The name of the query. All pages of a query have the same name, and no other query has it.
    pub name: String,
    /// A request for each kind, in the order of the kinds.
    pub requests: Vec<ListRequest<'a>>,
}

/// A page by index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexPage {
    /// The number of matches.
    pub total: u64,
    /// The resources of the page.
    pub resources: Vec<Listed>,
}

/// A page by cursor.
#[derive(Debug, Clone, PartialEq)]
pub struct CursorPage {
    /// The number of matches. `None` if it would cost more reads than the page.
    pub total: Option<u64>,
    /// The resources of the page.
    pub resources: Vec<Listed>,
    /// The cursor of the next page. `None` if this page is the last one.
    pub next: Option<String>,
}

/// The resources of a page by index, and their positions.
#[derive(Default)]
struct IndexResult {
    resources: Vec<Listed>,
    /// The number of matches, as far as it was determined.
    total: u64,
    /// The position before the first resource, if resources were skipped to reach it.
    before: Option<ListPosition>,
    /// The position after the last resource.
    last: Option<ListPosition>,
    more: bool,
}

impl Query<'_> {
    fn kinds(&self) -> Vec<ResourceKind> {
        self.requests.iter().map(|request| request.kind).collect()
    }

    fn is_filtered(&self) -> bool {
        self.requests.iter().any(|request| request.filter.is_some())
    }

    fn is_in_order_of_creation(&self) -> bool {
        self.requests.iter().all(ListRequest::is_in_order_of_creation)
    }

    /// Returns the requests from one kind on.
    fn requests_from(&self, kind: Option<ResourceKind>) -> impl Iterator<Item = &ListRequest<'_>> {
        self.requests.iter().skip_while(move |request| kind.is_some_and(|kind| request.kind != kind))
    }
}

impl Directory {
    /// Reads the page of at most `count` resources at `start_index`, which begins at 1. A `count` of 0 requests the
    /// total only.
    ///
    /// # Errors
    /// `tooMany` if the filter has no index and the page exceeds its read budget.
    pub async fn page_by_index(
        &self,
        query: &Query<'_>,
        start_index: u64,
        count: usize,
    ) -> Result<IndexPage, Error> {
        let result = async {
            if count == 0 && !query.is_filtered() {
                return Ok((None, Some(IndexResult::default())));
            }
            let bookmark =
                if start_index == 1 { None } else { read_bookmark(self, &query.name, start_index).await? };
            let bookmark = bookmark.map(|(bookmark, _)| bookmark);
            // Without a bookmark the resources before the index are skipped, unless the total shows that there are none
            // at it.
            if bookmark.is_none() && start_index > 1 && !query.is_filtered() {
                return Ok((None, None));
            }
            let result = read_by_index(self, query, bookmark.as_ref(), start_index, count).await?;
            Ok((bookmark, Some(result)))
        };
        // A client that pages through a query again finds the next bookmark in place. The first page of a filter is
        // usually the last one too.
        let next_index = start_index + count as u64;
        let next = async {
            if count == 0 || (start_index == 1 && query.is_filtered()) {
                Ok(None)
            } else {
                read_bookmark(self, &query.name, next_index).await
            }
        };
        let (counts, next, (bookmark, result)) =
            tokio::try_join!(unfiltered_counts(self, query), next, result)?;
        let deleted = bookmark.and_then(|bookmark| bookmark.deleted);
        let is_valid = deleted.is_none() || deleted == counts.map(|counts| counts.deleted);
        let result = match result.filter(|_| is_valid) {
            Some(result) => result,
            None if counts.is_some_and(|counts| start_index > counts.total) => IndexResult::default(),
            None => read_by_index(self, query, None, start_index, count).await?,
        };
        let mut total = counts.map_or(result.total, |counts| counts.total);
        let shown = result.resources.len() as u64;
        if shown > 0 {
            // A client that stops at the total has to reach the last page, even if resources that it has seen were
            // deleted.
            total = total.max(start_index - 1 + shown + u64::from(result.more));
        }
        let mut bookmarks = Vec::new();
        if let Some(position) = result.last
            && (result.more || start_index > 1)
        {
            let bookmark = Bookmark { position, total: counts.is_none().then_some(total), deleted: None };
            if shown < count as u64 {
                bookmarks.push((start_index + shown, bookmark.clone()));
            }
            if next != Some((bookmark.clone(), true)) {
                bookmarks.push((next_index, bookmark));
            }
        }
        if let (Some(position), Some(counts), true) = (result.before, counts, query.is_in_order_of_creation())
        {
            let bookmark = Bookmark { position, total: None, deleted: Some(counts.deleted) };
            bookmarks.push((start_index, bookmark));
        }
        save_bookmarks(self, &query.name, bookmarks).await?;
        Ok(IndexPage { total, resources: result.resources })
    }

    /// Reads the page of at most `count` resources at the cursor. Without a cursor, the page is the first one.
    ///
    /// # Errors
    /// `invalidCursor` and `expiredCursor` if the cursor is not valid. `tooMany` if the order has no index and the page
    /// exceeds its read budget.
    pub async fn page_by_cursor(
        &self,
        query: &Query<'_>,
        cursor: Option<&str>,
        count: usize,
    ) -> Result<CursorPage, Error> {
        let start = match cursor {
            Some(cursor) => Some(resolve_cursor(self, &query.name, cursor).await?),
            None => None,
        };
        let page = read_by_cursor(self, query, start, count);
        let (counts, (page, next)) = tokio::try_join!(unfiltered_counts(self, query), page)?;
        let next = match next {
            Some(position) => Some(save_cursor(self, &query.name, position).await?),
            None => None,
        };
        let total = counts.map(|counts| counts.total).or(page.total);
        Ok(CursorPage { total, resources: page.resources, next })
    }
}

/// Returns the counts of the kinds of a query. `None` if the query has a filter.
async fn unfiltered_counts(directory: &Directory, query: &Query<'_>) -> Result<Option<Counts>, Error> {
    if query.is_filtered() { Ok(None) } else { counts(directory, &query.kinds()).await.map(Some) }
}

async fn read_by_index(
    directory: &Directory,
    query: &Query<'_>,
    bookmark: Option<&Bookmark>,
    start_index: u64,
    count: usize,
) -> Result<IndexResult, Error> {
    let start = bookmark.map(|bookmark| bookmark.position.clone());
    let known_total = bookmark.and_then(|bookmark| bookmark.total);
    let is_counted = query.is_filtered() && known_total.is_none();
    let mut skip = if start.is_some() { 0 } else { start_index - 1 };
    let (kind, mut after) = start.map_or((None, None), |position| (Some(position.kind), position.after));
    let mut result = IndexResult { total: known_total.unwrap_or_default(), ..IndexResult::default() };
    for request in query.requests_from(kind) {
        let position = |after| ListPosition { kind: request.kind, after: Some(after) };
        let start = Start { after: after.take(), skip };
        let room = count - result.resources.len();
        let part = list_by_index(directory, request, start, room, !is_counted).await?;
        if is_counted {
            result.total += part.total.unwrap_or_default();
        }
        if result.resources.is_empty() && skip > 0 {
            result.before = part.before.filter(|_| part.last.is_some()).map(position);
        }
        skip -= part.skipped;
        result.resources.extend(part.resources);
        result.last = part.last.map(position).or(result.last);
        result.more |= part.more;
        if result.more && !is_counted {
            break;
        }
    }
    Ok(result)
}

/// Reads a page from a position on, and returns it with the position of the next page.
async fn read_by_cursor(
    directory: &Directory,
    query: &Query<'_>,
    start: Option<ListPosition>,
    count: usize,
) -> Result<(ListPart, Option<ListPosition>), Error> {
    let (kind, mut after) = start.map_or((None, None), |position| (Some(position.kind), position.after));
    let mut page = ListPart::default();
    for request in query.requests_from(kind) {
        if page.resources.len() == count {
            return Ok((page, Some(ListPosition { kind: request.kind, after: None })));
        }
        let part = list_by_cursor(directory, request, after.take(), count - page.resources.len()).await?;
        page.resources.extend(part.resources);
        // In a query over several kinds, the other kinds may be on other pages.
        page.total = part.total.filter(|_| query.requests.len() == 1);
        if part.more {
            return Ok((page, Some(ListPosition { kind: request.kind, after: part.last })));
        }
    }
    Ok((page, None))
}
