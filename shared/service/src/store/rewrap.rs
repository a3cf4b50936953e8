//! The rotation of the pepper: wraps the digests of stored credentials once more.
//!
//! The rotation first raises the generation in the settings of an organisation. From then on no process stores a digest of
//! an earlier generation there, and a process with older peppers reads them again before it refuses a credential. Then
//! each credential moves to its new digest in a transaction of its own. A request finds the credential under one of the two
//! digests. The rotation can be repeated after an interruption at any point.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    client_writes::wrap_secrets,
    directory::Store,
    due::DUE,
    items::{Item, sort_key, string},
    key_range::KeyRange,
    key_record::{KeyRecord, kind_and_digest, name},
    keys::{KEY_PREFIX, Key, Keys, TOKEN_PREFIX, prefix_range},
    orgs::{GENERATION, operator_table},
    table::Table,
    transaction::{Condition, Transaction},
};
use crate::{Error, auth::Org, pepper::Peppers};

impl Store {
    /// Makes every organisation that is created from now on begin with this generation.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn begin_generation(&self, generation: u32) -> Result<(), Error> {
        raise(&operator_table(self), Keys::latest_generation(), generation, None).await.map(|_| ())
    }

    /// Wraps the digests of an organisation's credentials that have an earlier generation than these peppers. Returns the
    /// number of credentials that it moved.
    ///
    /// # Errors
    /// [`Error::Internal`] if the peppers lack a generation. [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn rewrap(&self, org: &Org, peppers: &Peppers) -> Result<usize, Error> {
        let exists = Condition::exists();
        if !raise(&operator_table(self), Keys::settings(org), peppers.generation(), Some(exists)).await? {
            return Ok(0);
        }
        let mut moved = 0;
        let now = self.clock.timestamp()?;
        for prefix in [KEY_PREFIX, TOKEN_PREFIX] {
            loop {
                let table = operator_table(self);
                let partition = Keys::organisation(org);
                let range = KeyRange::between(&partition, prefix_range(prefix));
                let items = table.query_all(range).await?;
                let mut old = Vec::new();
                for item in items {
                    // A token that has ended is refused under any digest, and DynamoDB deletes it.
                    if let Some(record) = KeyRecord::from_item(org, &item)?
                        && record.generation < peppers.generation()
                        && (prefix == KEY_PREFIX || record.is_live(&now))
                    {
                        old.push((item, record));
                    }
                }
                if old.is_empty() {
                    break;
                }
                for (item, record) in old {
                    // An item that a request has changed is read again.
                    moved += usize::from(wrap(&operator_table(self), org, item, &record, peppers).await?);
                }
            }
        }
        Ok(moved + wrap_secrets(self, org, peppers).await?)
    }
}

/// Raises a generation. Returns `false` if the condition does not hold.
async fn raise(
    table: &Table,
    key: Key,
    generation: u32,
    condition: Option<Condition>,
) -> Result<bool, Error> {
    let lower = format!("(attribute_not_exists({GENERATION}) OR {GENERATION} <= :generation)");
    let condition = match condition {
        Some(condition) => condition.and(&lower),
        None => Condition::expression(lower),
    };
    let condition = condition.with_number(":generation", generation.into());
    let mut transaction = Transaction::new();
    transaction.update(key, format!("SET {GENERATION} = :generation"), Vec::new(), condition, ());
    Ok(transaction.send(table).await?.is_ok())
}

/// Moves a credential to its digest of the latest generation. Returns `false` if the item has changed since it was read.
async fn wrap(
    table: &Table,
    org: &Org,
    mut item: Item,
    record: &KeyRecord,
    peppers: &Peppers,
) -> Result<bool, Error> {
    let missing = || Error::Internal("the peppers lack the generation of a credential".to_owned());
    let digest = peppers.wrap(&record.digest, record.generation).ok_or_else(missing)?;
    let sk = sort_key(&item)?.to_owned();
    let (kind, _) = kind_and_digest(&sk).ok_or_else(missing)?;
    let new = Keys::credential(org, kind, &digest).ok_or_else(missing)?;
    // The id of a key of release 0.2 is the start of its first digest.
    item.insert(name::ID.to_owned(), string(&record.id));
    let generation = AttributeValue::N(peppers.generation().to_string());
    item.insert(name::GENERATION.to_owned(), generation);
    let mut as_read = record.unchanged();
    // A request records the use, and the janitor moves the announcement, without a new revision.
    for (attribute, read, value) in
        [(name::USED, &record.last_used, ":wasUsed"), (DUE, &record.due, ":wasDue")]
    {
        as_read = match read {
            None => as_read.and(&format!("attribute_not_exists({attribute})")),
            Some(at) => as_read.and(&format!("{attribute} = {value}")).with(value, at),
        };
    }
    let mut transaction = Transaction::new();
    transaction.delete(Keys::organisation(org).key(sk), as_read, ());
    transaction.put(new, item, Condition::absent(), ());
    Ok(transaction.send(table).await?.is_ok())
}
