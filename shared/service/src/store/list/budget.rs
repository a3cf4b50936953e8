//! The read budget of one page: a number of items and a time.

use scim::{Invalid, ScimType};
use tokio::time::{Duration, Instant};

use crate::{
    Error,
    store::{
        directory::{Directory, REQUEST_BUDGET},
        index::INDEXED,
        keys::Kind,
    },
};

/// The largest number of resources that one page by index reads: resources to which a filter without an index is
/// applied, matches of an index, and resources before a `startIndex` without a bookmark.
pub const SCAN_LIMIT: usize = 100_000;

/// The number of items after which a page by cursor ends early.
pub(super) const MAX_ITEMS_PER_PAGE: usize = 10_000;

/// The part of the request's time that is reserved for the answer. Reading ends when it begins.
const ANSWER_RESERVE: Duration = Duration::from_secs(5);

/// Returns whether the time for reading is over.
pub(super) fn is_late(directory: &Directory) -> bool {
    directory.table.deadline.saturating_duration_since(Instant::now()) < ANSWER_RESERVE
}

/// The error for a page over budget.
pub(super) fn too_many(kind: Kind) -> Error {
    let indexed: Vec<&str> =
        INDEXED.iter().filter(|indexed| indexed.kind == kind).map(|indexed| indexed.name).collect();
    Error::Invalid(Invalid::new(
        ScimType::TooMany,
        format!(
            "This query would read more than {SCAN_LIMIT} resources, or for longer than {} seconds. Filter by an \
             indexed attribute (id, meta.created, {}), or page with a cursor and without sortBy.",
            REQUEST_BUDGET.saturating_sub(ANSWER_RESERVE).as_secs(),
            indexed.join(", ")
        ),
    ))
}
