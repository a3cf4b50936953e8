//! Counts of an organisation's resources, updated by the transactions that create and delete resources.
//!
//! Each kind has several count items that are added up, so that concurrent creations do not conflict. The id of a
//! resource says which of them includes it.

use aws_sdk_dynamodb::types::AttributeValue;
use scim::{ResourceKind, id::Id};

use super::{
    directory::Directory,
    items::{Item, name, optional_number, sort_key},
    key_range::KeyRange,
    keys::{Keys, stored_kind},
    transaction::Transaction,
    write::Guard,
};
use crate::Error;

/// The number of resources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// The resources that exist.
    pub(super) total: u64,
    /// The resources that were deleted.
    pub(super) deleted: u64,
}

/// Counts a new resource.
pub(super) fn count_created(keys: &Keys, transaction: &mut Transaction<Guard>, kind: ResourceKind, id: &Id) {
    count(keys, transaction, kind, id, 1, 0);
}

/// Counts a deleted resource.
pub(super) fn count_deleted(keys: &Keys, transaction: &mut Transaction<Guard>, kind: ResourceKind, id: &Id) {
    count(keys, transaction, kind, id, -1, 1);
}

fn count(
    keys: &Keys,
    transaction: &mut Transaction<Guard>,
    kind: ResourceKind,
    id: &Id,
    total: i64,
    deleted: i64,
) {
    let number = |number: i64| AttributeValue::N(number.to_string());
    transaction.update(
        keys.count(kind, id),
        format!("ADD {} :total, {} :deleted", name::COUNT, name::DELETED),
        vec![(":total", number(total)), (":deleted", number(deleted))],
        None,
        Guard::Unconditional,
    );
}

/// Reads the number of resources of these kinds, with one query.
pub(super) async fn counts(directory: &Directory, kinds: &[ResourceKind]) -> Result<Counts, Error> {
    let items = directory.table.query_all(KeyRange::all(&directory.keys.counts())).await?;
    let (mut total, mut deleted) = (0, 0);
    for item in &items {
        let sort_key = sort_key(item)?;
        if kinds.iter().any(|kind| sort_key.starts_with(stored_kind(*kind))) {
            total += counter(directory, item, name::COUNT);
            deleted += counter(directory, item, name::DELETED);
        }
    }
    // A restored backup may have wrong counts, also negative ones. Lists must work all the same.
    let not_negative = |sum: i64| u64::try_from(sum).unwrap_or(0);
    Ok(Counts { total: not_negative(total), deleted: not_negative(deleted) })
}

/// Returns a counter. As in DynamoDB's `ADD`, an absent counter is 0. A damaged counter is logged and counts as 0.
fn counter(directory: &Directory, item: &Item, name: &str) -> i64 {
    let number = optional_number(item, name).unwrap_or_else(|_| {
        tracing::error!(org = directory.org().as_str(), "a count of resources cannot be read");
        None
    });
    number.unwrap_or(0)
}
