//! The range of sort keys that a query reads from a partition, in pages.

use super::{items::Item, keys::Partition};

/// The largest number of resources that one page of a query reads.
pub(super) const PAGE: usize = 1_000;
/// A number of items that exceeds a page of DynamoDB, which is 1 MB. The smallest items, reverse edges, have 89 bytes.
const WHOLE_PAGE: usize = 12_000;

/// The sort keys of a partition that a query reads, and the order and amount in which it reads them.
#[derive(Clone)]
pub(super) struct KeyRange<'a> {
    pub(super) partition: &'a Partition,
    pub(super) between: Option<(String, String)>,
    pub(super) after: Option<Item>,
    pub(super) limit: usize,
    pub(super) count_only: bool,
    pub(super) backward: bool,
}

impl<'a> KeyRange<'a> {
    /// Selects the whole partition.
    pub(super) fn all(partition: &'a Partition) -> Self {
        Self { partition, between: None, after: None, limit: PAGE, count_only: false, backward: false }
    }

    /// Selects the items between these sort keys, both included.
    pub(super) fn between(partition: &'a Partition, ends: (String, String)) -> Self {
        Self::within(partition, Some(ends))
    }

    /// Selects the items between these sort keys, both included, or the whole partition.
    pub(super) fn within(partition: &'a Partition, between: Option<(String, String)>) -> Self {
        Self { between, ..Self::all(partition) }
    }

    /// Begins after this key.
    pub(super) fn after(self, after: Option<Item>) -> Self {
        Self { after, ..self }
    }

    /// Limits the items of one page.
    pub(super) fn limit(self, limit: usize) -> Self {
        Self { limit: limit.clamp(1, PAGE), ..self }
    }

    /// Reads pages as large as those of DynamoDB. Suits items that are small.
    pub(super) fn whole_pages(self) -> Self {
        Self { limit: WHOLE_PAGE, ..self }
    }

    /// Reads in descending order of the sort key.
    pub(super) fn backward(self, backward: bool) -> Self {
        Self { backward, ..self }
    }

    /// Requests the number of items only.
    pub(super) fn count_only(self) -> Self {
        Self { count_only: true, ..self }
    }
}
