//! The read budget of one page: a number of items and a time.

use scim::{Invalid, ResourceKind, ScimType};
use tokio::time::Instant;

use crate::{
    Error,
    limits::{ANSWER_RESERVE, PAGE_BYTES, REQUEST_BUDGET, SCAN_LIMIT, SHORT_PAGE_BYTES},
    store::{directory::Directory, index::INDEXED},
};

/// Returns whether the time for reading is over.
pub(super) fn is_late(directory: &Directory) -> bool {
    directory.table.deadline.saturating_duration_since(Instant::now()) < ANSWER_RESERVE
}

/// Returns the largest size of the documents of a page, in bytes.
pub(super) fn page_bytes(may_be_short: bool) -> usize {
    if may_be_short { SHORT_PAGE_BYTES } else { PAGE_BYTES }
}

/// Returns the error for a page whose documents are too large.
pub(super) fn too_large() -> Error {
    let megabytes = PAGE_BYTES >> 20;
    Error::Invalid(Invalid::new(
        ScimType::TooMany,
        format!(
            "The resources of this page are larger than {megabytes} MB. Request fewer with 'count', or page with a cursor."
        ),
    ))
}

/// Returns the error for a page over budget.
pub(super) fn too_many(kind: ResourceKind) -> Error {
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
