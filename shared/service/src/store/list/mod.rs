//! Lists: the resources of one kind that match a filter, in a stable order, one page at a time (RFC 7644 §3.4.2,
//! RFC 9865).
//!
//! The order is the order of creation (the order of ids) or the order that the client requests. A page is read in one
//! of two ways:
//!
//! - A *walk* (`walk`) queries a partition that is in the order already. It starts at any position and reads only the
//!   items of the page.
//! - A *collection* (`collect`) reads every resource that can match, and sorts the matches.
//!
//! With index paging the total is exact, so the first page of a filter without an index is a slice of a collection.
//! Later pages, whose total is known, and all pages by cursor, whose total is optional, apply the filter along a walk.
//! Positions are sort keys and not counts: a resource that exists during all pages is shown exactly once, even if other
//! resources are created or deleted between the pages.
//!
//! Each page has a read budget (`budget`). A page by index over budget fails with `tooMany`. A page by cursor ends
//! early and says where to continue. It walks through all resources if a collection would be over budget.

mod budget;
mod collect;
mod memberships;
mod read;
mod request;
mod walk;

pub(super) use request::{ListPart, Start};
pub use request::{ListRequest, Listed};

use super::{directory::Directory, plan::Access, slots::begin_expensive};
use crate::{
    Error,
    limits::{MAX_ITEMS_PER_PAGE, SCAN_LIMIT},
};
use budget::too_many;
use collect::{collect, slice};
use walk::Walk;

/// Reads the page of at most `count` resources at `start`. The total of a filtered list is determined unless it is
/// `known`.
///
/// # Errors
/// `tooMany` if the filter has no index and the budget is exceeded. [`Error::Limited`] if the organisation has too many such
/// requests.
pub(super) async fn list_by_index(
    directory: &Directory,
    request: &ListRequest<'_>,
    start: Start,
    count: usize,
    known: bool,
) -> Result<ListPart, Error> {
    let plan = request.plan();
    if request.is_expensive(&plan) {
        begin_expensive(directory).await?;
    }
    if let Some(walk) = Walk::of(&directory.keys, request, &plan.access)
        && (plan.exact || known)
    {
        let total = async {
            let is_counted = request.filter.is_some() && !known;
            Ok(if is_counted { Some(walk::count(directory, request.kind, &walk).await?) } else { None })
        };
        let part = walk::page_by_index(directory, request, &walk, plan.exact, start, count);
        let (total, part) = tokio::try_join!(total, part)?;
        return Ok(ListPart { total, ..part });
    }
    let matches = collect(directory, request, plan, SCAN_LIMIT, count > 0).await?;
    let matches = matches.ok_or_else(|| too_many(request.kind))?;
    slice(directory, request, matches, start, count, false).await
}

/// Reads the page of at most `count` resources after a position. The page may be short, because it reads a limited
/// number of items.
///
/// # Errors
/// `tooMany` if the order has no index and the budget is exceeded. [`Error::Limited`] as [`list_by_index`].
pub(super) async fn list_by_cursor(
    directory: &Directory,
    request: &ListRequest<'_>,
    after: Option<String>,
    count: usize,
) -> Result<ListPart, Error> {
    let plan = request.plan();
    if request.is_expensive(&plan) {
        begin_expensive(directory).await?;
    }
    if let Some(walk) = Walk::of(&directory.keys, request, &plan.access) {
        let filter = request.filter.as_ref().filter(|_| !plan.exact);
        return walk::page(directory, request, &walk, filter, after, count, Some(MAX_ITEMS_PER_PAGE)).await;
    }
    let full_walk = Walk::of(&directory.keys, request, &Access::Partition);
    let limit = if full_walk.is_some() { MAX_ITEMS_PER_PAGE } else { SCAN_LIMIT };
    match (collect(directory, request, plan, limit, count > 0).await?, full_walk) {
        (Some(matches), _) => slice(directory, request, matches, Start { after, skip: 0 }, count, true).await,
        (None, Some(walk)) => {
            let filter = request.filter.as_ref();
            walk::page(directory, request, &walk, filter, after, count, Some(MAX_ITEMS_PER_PAGE)).await
        }
        (None, None) => Err(too_many(request.kind)),
    }
}
