//! The keys of an organisation: creation, change, rotation and revocation.
//!
//! Each write is one transaction with an entry in the audit log. A transaction that stores a digest checks the generation
//! in the settings of the organisation. A process with an old pepper can therefore store no digest of an old generation
//! after a rotation has visited the organisation.

use std::collections::BTreeSet;

use scim::Invalid;
use time::OffsetDateTime;
use tokio::time::Duration;

use super::{
    audit::{self, Action, Actor},
    credential_writes::{
        MAX_LIFETIME, check_end, check_label, check_scopes, existing, guard_generation,
        organisation_and_peppers, put_new, read_key, read_keys, set_end, update,
    },
    directory::Store,
    key_record::KeyRecord,
    orgs::operator_table,
    table::Table,
    transaction::Transaction,
};
use crate::{
    Error,
    auth::{Org, Scope},
    clock::{parse_timestamp, timestamp},
    credential::{Credential, Kind, SECRET_BYTES},
    pepper::{Pepper, Peppers},
};

/// The longest time for which a replaced key stays valid.
const MAX_OVERLAP: Duration = Duration::from_hours(90 * 24);

/// A key to be created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewKey {
    /// The operations that it permits: at least one.
    pub scopes: BTreeSet<Scope>,
    /// The text by which people recognise it.
    pub label: Option<String>,
    /// When it ends, if it has an end.
    pub ends: Option<OffsetDateTime>,
    /// The request that creates the key, if a repeat of the request must not create another one.
    pub repeatable: Option<Repeatable>,
}

/// A request that may be repeated. A repeat returns what the first request created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeatable {
    /// The secret bytes of the credential, derived from the client's Idempotency-Key.
    pub secret: [u8; SECRET_BYTES],
    /// The fingerprint of the request. A repeat with another one is refused.
    pub fingerprint: String,
}

/// A change of a key. A `None` leaves its value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyChange {
    /// The operations that it permits: at least one.
    pub scopes: Option<BTreeSet<Scope>>,
    /// The label, or `Some(None)` to remove it.
    pub label: Option<Option<String>>,
    /// The end, or `Some(None)` to remove it.
    pub ends: Option<Option<OffsetDateTime>>,
}

impl Store {
    /// Creates a key. The text can be read from the returned value only: the table stores its digest.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the organisation does not exist. [`Error::Invalid`] if a scope is missing, the label is too
    /// long or the end has passed. [`Error::IdempotencyKeyUsed`] if the request repeats another one with a different
    /// fingerprint. [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn create_key(
        &self,
        org: &Org,
        new: &NewKey,
        pepper: &Pepper,
        actor: &Actor,
    ) -> Result<(Credential, KeyRecord), Error> {
        check_scopes(&new.scopes)?;
        check_label(new.label.as_deref())?;
        check_end(new.ends, self.clock.now())?;
        let table = operator_table(self);
        loop {
            let (organisation, peppers) = organisation_and_peppers(&table, org, pepper).await?;
            let (credential, created) =
                credential(self, (&table, org), &peppers, new.repeatable.as_ref()).await?;
            if let Some(record) = created {
                return Ok((credential, record));
            }
            let record = new_record(self, &credential, &peppers, new)?;
            let mut transaction = Transaction::new();
            guard_generation(&mut transaction, &organisation, &peppers, ());
            put_new(&mut transaction, org, &record)?;
            let action = Action { org, actor, name: "key.create", target: &record.id };
            audit::record(&mut transaction, self, &action, (&(), &record), ())?;
            if transaction.send(&table).await?.is_ok() {
                return Ok((credential, record));
            }
        }
    }

    /// Returns the organisation's keys, oldest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn keys(&self, org: &Org) -> Result<Vec<KeyRecord>, Error> {
        read_keys(&operator_table(self), org).await
    }

    /// Returns the key of that id.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn key(&self, org: &Org, id: &str) -> Result<Option<KeyRecord>, Error> {
        read_key(&operator_table(self), org, id).await
    }

    /// Changes a key, and returns it as it is then. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// As [`Self::create_key`]. [`Error::Conflict`] if the key has been revoked.
    pub async fn change_key(
        &self,
        org: &Org,
        id: &str,
        change: &KeyChange,
        actor: &Actor,
    ) -> Result<Option<KeyRecord>, Error> {
        change.scopes.as_ref().map_or(Ok(()), check_scopes)?;
        check_label(change.label.as_ref().and_then(Option::as_deref))?;
        check_end(change.ends.flatten(), self.clock.now())?;
        let table = operator_table(self);
        loop {
            let Some(before) = read_key(&table, org, id).await? else { return Ok(None) };
            if before.revoked.is_some() {
                return Err(Error::Conflict("The key has been revoked. Create a new key.".to_owned()));
            }
            let mut after = before.clone();
            after.scopes = change.scopes.clone().unwrap_or(after.scopes);
            after.label = change.label.clone().unwrap_or(after.label);
            if let Some(ends) = change.ends {
                set_end(&mut after, ends, self.clock.now())?;
            }
            let mut transaction = Transaction::new();
            update(&mut transaction, org, &before, &mut after);
            let action = Action { org, actor, name: "key.change", target: id };
            audit::record(&mut transaction, self, &action, (&before, &after), ())?;
            if transaction.send(&table).await?.is_ok() {
                return Ok(Some(after));
            }
        }
    }

    /// Creates a key that replaces the key of that id, with its scopes and its label. The old key ends after `overlap`,
    /// unless it ends earlier. If it had an end, the new key lives as long as it did. Returns `None` if the key does not
    /// exist.
    ///
    /// # Errors
    /// As [`Self::create_key`]. [`Error::Conflict`] if the key is revoked or has ended.
    pub async fn rotate_key(
        &self,
        org: &Org,
        id: &str,
        overlap: Duration,
        pepper: &Pepper,
        actor: &Actor,
    ) -> Result<Option<(Credential, KeyRecord)>, Error> {
        self.rotate_key_once(org, id, overlap, None, pepper, actor).await
    }

    /// Creates a key like [`Self::rotate_key`]. A repeat of the request returns the key that the first one created.
    ///
    /// # Errors
    /// As [`Self::rotate_key`].
    pub async fn rotate_key_once(
        &self,
        org: &Org,
        id: &str,
        overlap: Duration,
        repeatable: Option<Repeatable>,
        pepper: &Pepper,
        actor: &Actor,
    ) -> Result<Option<(Credential, KeyRecord)>, Error> {
        if overlap > MAX_OVERLAP {
            return Err(Invalid::value("The overlap must be at most 90 days.").into());
        }
        let table = operator_table(self);
        loop {
            let (organisation, peppers) = organisation_and_peppers(&table, org, pepper).await?;
            let (credential, created) =
                credential(self, (&table, org), &peppers, repeatable.as_ref()).await?;
            if let Some(record) = created {
                return Ok(Some((credential, record)));
            }
            let Some(before) = read_key(&table, org, id).await? else { return Ok(None) };
            let now = self.clock.now();
            if !before.is_live(&timestamp(now)?) {
                return Err(Error::Conflict(
                    "The key has been revoked or has expired. Create a new key.".to_owned(),
                ));
            }
            let new = NewKey {
                scopes: before.scopes.clone(),
                label: before.label.clone(),
                ends: match &before.ends {
                    Some(ends) => {
                        let lifetime = parse_timestamp(ends)? - parse_timestamp(&before.created)?;
                        Some(now + lifetime.min(MAX_LIFETIME))
                    }
                    None => None,
                },
                repeatable: repeatable.clone(),
            };
            let record = KeyRecord {
                replaces: Some(before.id.clone()),
                ..new_record(self, &credential, &peppers, &new)?
            };
            let mut old = before.clone();
            let end = now + overlap;
            if before.ends.as_deref().is_none_or(|ends| ends > timestamp(end).as_deref().unwrap_or(ends)) {
                set_end(&mut old, Some(end), now)?;
            }
            let mut transaction = Transaction::new();
            guard_generation(&mut transaction, &organisation, &peppers, ());
            put_new(&mut transaction, org, &record)?;
            update(&mut transaction, org, &before, &mut old);
            let action = Action { org, actor, name: "key.rotate", target: id };
            audit::record(&mut transaction, self, &action, (&[&before], &[&old, &record]), ())?;
            if transaction.send(&table).await?.is_ok() {
                return Ok(Some((credential, record)));
            }
        }
    }

    /// Revokes the key of that id. The next request with it fails. Returns `false` if the key does not exist.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn revoke_key(&self, org: &Org, id: &str, actor: &Actor) -> Result<bool, Error> {
        let table = operator_table(self);
        loop {
            let Some(before) = read_key(&table, org, id).await? else { return Ok(false) };
            if before.revoked.is_some() {
                return Ok(true);
            }
            let mut after = KeyRecord { revoked: Some(self.clock.timestamp()?), due: None, ..before.clone() };
            let mut transaction = Transaction::new();
            update(&mut transaction, org, &before, &mut after);
            let action = Action { org, actor, name: "key.revoke", target: id };
            audit::record(&mut transaction, self, &action, (&before, &after), ())?;
            if transaction.send(&table).await?.is_ok() {
                return Ok(true);
            }
        }
    }
}

/// Returns the credential that a request creates, and its item if an earlier request has created it.
async fn credential(
    store: &Store,
    (table, org): (&Table, &Org),
    peppers: &Peppers,
    repeatable: Option<&Repeatable>,
) -> Result<(Credential, Option<KeyRecord>), Error> {
    let Some(request) = repeatable else {
        return Ok((Credential::generate(Kind::Key, org, &store.entropy)?, None));
    };
    let credential = Credential::from_secret(Kind::Key, org, &request.secret);
    let record = existing(table, org, &peppers.candidates(&credential)).await?;
    if let Some(record) = &record {
        check_repeat(record.request.as_deref(), repeatable)?;
    }
    Ok((credential, record))
}

/// Checks that the request that created a credential is the one that is repeated.
pub(super) fn check_repeat(first: Option<&str>, repeat: Option<&Repeatable>) -> Result<(), Error> {
    match (first, repeat) {
        (Some(first), Some(repeat)) if first == repeat.fingerprint => Ok(()),
        _ => Err(Error::IdempotencyKeyUsed),
    }
}

fn new_record(
    store: &Store,
    credential: &Credential,
    peppers: &Peppers,
    new: &NewKey,
) -> Result<KeyRecord, Error> {
    let now = store.clock.now();
    let mut record = KeyRecord {
        label: new.label.clone(),
        last_four: Some(credential.last_four().to_owned()),
        request: new.repeatable.as_ref().map(|request| request.fingerprint.clone()),
        ..KeyRecord::new(credential, peppers, &new.scopes, timestamp(now)?)
    };
    set_end(&mut record, new.ends, now)?;
    Ok(record)
}
