//! Counts of an organisation's resources, updated by the transactions that create and delete resources, and by those that
//! change `active` of a user.
//!
//! Each kind has several count items that are added up, so that concurrent creations do not conflict. The id of a
//! resource says which of them includes it.

use aws_sdk_dynamodb::types::AttributeValue;
use scim::ResourceKind;

use super::{
    directory::Directory,
    items::{Item, Stored, name, optional_number, sort_key},
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
    /// The users whose `active` is false. Data of earlier releases may have more of them, until `scimctl doctor --repair`.
    pub(super) inactive: u64,
}

/// Returns whether a resource is a user whose `active` is false.
pub(super) fn is_inactive(kind: ResourceKind, stored: &Stored) -> bool {
    kind == ResourceKind::User && !stored.document.is_active()
}

/// Counts a new resource.
pub(super) fn count_created(
    keys: &Keys,
    transaction: &mut Transaction<Guard>,
    kind: ResourceKind,
    new: &Stored,
) {
    let inactive = i64::from(is_inactive(kind, new));
    let numbers =
        [(name::COUNT, ":total", 1), (name::DELETED, ":deleted", 0), (name::INACTIVE, ":inactive", inactive)];
    add(keys, transaction, kind, new, &numbers[..if inactive == 0 { 2 } else { 3 }]);
}

/// Counts a deleted resource.
pub(super) fn count_deleted(
    keys: &Keys,
    transaction: &mut Transaction<Guard>,
    kind: ResourceKind,
    old: &Stored,
) {
    let inactive = -i64::from(is_inactive(kind, old));
    let numbers = [
        (name::COUNT, ":total", -1),
        (name::DELETED, ":deleted", 1),
        (name::INACTIVE, ":inactive", inactive),
    ];
    add(keys, transaction, kind, old, &numbers[..if inactive == 0 { 2 } else { 3 }]);
}

/// Counts a user that becomes inactive or active. The condition on the version of the user makes the count exact.
pub(super) fn count_changed(
    keys: &Keys,
    transaction: &mut Transaction<Guard>,
    kind: ResourceKind,
    old: &Stored,
    new: &Stored,
) {
    let inactive = i64::from(is_inactive(kind, new)) - i64::from(is_inactive(kind, old));
    if inactive != 0 {
        add(keys, transaction, kind, new, &[(name::INACTIVE, ":inactive", inactive)]);
    }
}

/// Adds numbers to the count that includes the resource. Each has the name of its attribute and of its value.
fn add(
    keys: &Keys,
    transaction: &mut Transaction<Guard>,
    kind: ResourceKind,
    stored: &Stored,
    numbers: &[(&str, &'static str, i64)],
) {
    let terms: Vec<String> = numbers.iter().map(|(name, value, _)| format!("{name} {value}")).collect();
    let values = numbers.iter().map(|(_, value, number)| (*value, AttributeValue::N(number.to_string())));
    transaction.update(
        keys.count(kind, &stored.id),
        format!("ADD {}", terms.join(", ")),
        values.collect(),
        None,
        Guard::Unconditional,
    );
}

/// Reads the number of resources of these kinds, with one query.
pub(super) async fn counts(directory: &Directory, kinds: &[ResourceKind]) -> Result<Counts, Error> {
    let items = directory.table.query_all(KeyRange::all(&directory.keys.counts())).await?;
    let (mut total, mut deleted, mut inactive) = (0, 0, 0);
    for item in &items {
        let sort_key = sort_key(item)?;
        if kinds.iter().any(|kind| sort_key.starts_with(stored_kind(*kind))) {
            total += counter(directory, item, name::COUNT);
            deleted += counter(directory, item, name::DELETED);
            inactive += counter(directory, item, name::INACTIVE);
        }
    }
    // A restored backup may have wrong counts, also negative ones. Lists must work all the same.
    let not_negative = |sum: i64| u64::try_from(sum).unwrap_or(0);
    Ok(Counts {
        total: not_negative(total),
        deleted: not_negative(deleted),
        inactive: not_negative(inactive),
    })
}

/// Returns a counter. As in DynamoDB's `ADD`, an absent counter is 0. A damaged counter is logged and counts as 0.
fn counter(directory: &Directory, item: &Item, name: &str) -> i64 {
    let number = optional_number(item, name).unwrap_or_else(|_| {
        tracing::error!(org = directory.org().as_str(), "a count of resources cannot be read");
        None
    });
    number.unwrap_or(0)
}
