//! Reads and parts of transactions that the management of credentials shares.

use std::{collections::BTreeSet, fmt::Write};

use aws_sdk_dynamodb::types::AttributeValue;
use scim::Invalid;
use time::{Duration, OffsetDateTime};

use super::{
    due,
    items::string,
    key_range::KeyRange,
    key_record::{KeyRecord, name},
    keys::{KEY_PREFIX, Key, Keys, prefix_range},
    orgs::{GENERATION, Organisation, read_org},
    table::Table,
    transaction::{Condition, Transaction},
    work::WORK,
};
use crate::{
    Error,
    auth::{Org, Scope},
    clock::timestamp,
    credential::Kind,
    pepper::{Pepper, Peppers},
};

/// The longest label in characters.
pub const MAX_LABEL: usize = 200;
/// The longest lifetime of a key that has an end.
pub const MAX_LIFETIME: Duration = Duration::days(3_650);

/// Returns the organisation, and peppers that have the generation of its credentials.
pub(super) async fn organisation_and_peppers(
    table: &Table,
    org: &Org,
    pepper: &Pepper,
) -> Result<(Organisation, Peppers), Error> {
    let Some(organisation) = read_org(table, org).await? else {
        return Err(Error::NotFound(format!("The organisation {org} does not exist. Create it first.")));
    };
    // A credential that is created during a deletion would be left behind.
    if let Some(work) = organisation.work {
        return Err(work.conflict(org));
    }
    let peppers = pepper.at_least(organisation.generation).await?;
    Ok((organisation, peppers))
}

/// Makes the transaction fail if the organisation does not exist any more, or has credentials of a later generation than
/// these peppers have. Raises the generation of the organisation to that of the peppers.
pub(super) fn guard_generation<G>(
    transaction: &mut Transaction<G>,
    organisation: &Organisation,
    peppers: &Peppers,
    guard: G,
) {
    let key = Keys::settings(&organisation.org);
    let generation = i64::from(peppers.generation());
    let condition = Condition::exists()
        .and(&format!(
            "attribute_not_exists({WORK}) AND (attribute_not_exists({GENERATION}) OR {GENERATION} <= :generation)"
        ))
        .with_number(":generation", generation);
    if organisation.generation == peppers.generation() {
        transaction.check(key, condition, guard);
    } else {
        transaction.update(key, format!("SET {GENERATION} = :generation"), Vec::new(), condition, guard);
    }
}

/// Returns the key of the item of a key.
fn item_key(org: &Org, digest: &str) -> Result<Key, Error> {
    Keys::credential(org, Kind::Key, digest)
        .ok_or_else(|| Error::Internal("a key has no item of its own".to_owned()))
}

/// Returns the keys of an organisation, oldest first.
pub(super) async fn read_keys(table: &Table, org: &Org) -> Result<Vec<KeyRecord>, Error> {
    let partition = Keys::organisation(org);
    let items = table.query_all(KeyRange::between(&partition, prefix_range(KEY_PREFIX))).await?;
    let mut keys = Vec::with_capacity(items.len());
    for item in &items {
        keys.extend(KeyRecord::from_item(org, item)?);
    }
    keys.sort_unstable_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
    Ok(keys)
}

/// Returns the key of that id.
pub(super) async fn read_key(table: &Table, org: &Org, id: &str) -> Result<Option<KeyRecord>, Error> {
    // A query is no snapshot. A rotation of the pepper may move a key behind the position of the reader, once.
    for _ in 0..2 {
        if let Some(key) = read_keys(table, org).await?.into_iter().find(|key| key.id == id) {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// Returns the key with one of these digests.
pub(super) async fn existing(
    table: &Table,
    org: &Org,
    digests: &[String],
) -> Result<Option<KeyRecord>, Error> {
    let keys = digests.iter().map(|digest| item_key(org, digest)).collect::<Result<Vec<_>, _>>()?;
    let items = table.get_all(&keys).await?;
    items.first().map_or(Ok(None), |item| KeyRecord::from_item(org, item))
}

/// Sets the end of a key, and the time of its next announcement.
pub(super) fn set_end(
    record: &mut KeyRecord,
    ends: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<(), Error> {
    record.ends = ends.map(timestamp).transpose()?;
    record.due = ends.map_or(Ok(None), |ends| due::next(ends, now))?;
    Ok(())
}

/// Adds the item of a new key to a transaction, and the announcement of its end.
pub(super) fn put_new(transaction: &mut Transaction<()>, org: &Org, record: &KeyRecord) -> Result<(), Error> {
    transaction.put(item_key(org, &record.digest)?, record.to_item(), Condition::absent(), ());
    let due = record.due.as_deref().zip(record.ends.as_deref());
    due::replace(transaction, (org, &record.id), None, due, &());
    Ok(())
}

/// Adds the change of a key to a transaction, on condition that the key is as it was read.
pub(super) fn update(
    transaction: &mut Transaction<()>,
    org: &Org,
    before: &KeyRecord,
    after: &mut KeyRecord,
) {
    after.revision = before.revision + 1;
    let scopes = after.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    let mut set = format!("SET {} = :scopes, {} = :revision", name::SCOPES, name::REVISION);
    let mut remove = String::new();
    let mut values = vec![
        (":scopes", AttributeValue::Ss(scopes)),
        (":revision", AttributeValue::N(after.revision.to_string())),
    ];
    for (name, value, new) in [
        (name::LABEL, ":label", &after.label),
        (name::ENDS, ":ends", &after.ends),
        (name::REVOKED, ":revoked", &after.revoked),
        (due::DUE, ":due", &after.due),
    ] {
        match new {
            Some(new) => {
                let _ = write!(set, ", {name} = {value}");
                values.push((value, string(new)));
            }
            None if remove.is_empty() => remove = format!(" REMOVE {name}"),
            None => {
                let _ = write!(remove, ", {name}");
            }
        }
    }
    let key = Keys::organisation(org).key(format!("{KEY_PREFIX}{}", before.digest));
    transaction.update(key, set + &remove, values, before.unchanged(), ());
    let due = after.due.as_deref().zip(after.ends.as_deref());
    due::replace(transaction, (org, &before.id), before.due.as_deref(), due, &());
}

/// Checks the scopes of a credential.
pub(super) fn check_scopes(scopes: &BTreeSet<Scope>) -> Result<(), Error> {
    if scopes.is_empty() {
        return Err(Invalid::value("There is no scope. Choose at least one of scim, read and write.").into());
    }
    Ok(())
}

/// Checks the label of a credential.
///
/// # Errors
/// `invalidValue` if it is empty, too long or has control characters.
pub fn check_label(label: Option<&str>) -> Result<(), Error> {
    let Some(label) = label else { return Ok(()) };
    if label.trim().is_empty() || label.chars().count() > MAX_LABEL || label.chars().any(char::is_control) {
        return Err(Invalid::value(format!(
            "The label must have 1 to {MAX_LABEL} characters, and no control characters."
        ))
        .into());
    }
    Ok(())
}

/// Checks that an end is in the future.
///
/// # Errors
/// `invalidValue` if it has passed or is more than [`MAX_LIFETIME`] away.
pub fn check_end(ends: Option<OffsetDateTime>, now: OffsetDateTime) -> Result<(), Error> {
    if ends.is_some_and(|ends| ends <= now || ends - now > MAX_LIFETIME) {
        return Err(Invalid::value("The end must be in the future, and at most ten years away.").into());
    }
    Ok(())
}
