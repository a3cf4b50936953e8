//! Organisations and their API keys, in a table of their own.
//!
//! Authentication takes one call: a strongly consistent BatchGetItem of the key and the organisation's settings. Its
//! result is not cached, so a revoked key is refused at once.

use std::{collections::BTreeSet, str::FromStr};

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::Instant;

use super::{
    directory::Store,
    items::{Item, optional_text, sort_key, string, text},
    key_range::KeyRange,
    keys::{KEY_PREFIX, Key, Keys, ORG_PREFIX, PK, SETTINGS},
    table::Table,
    transaction::{Condition, Transaction},
};
use crate::{
    Error,
    auth::{ApiKey, Caller, KEY_ID_DIGITS, Org, Scope},
    error::Refusal,
    limits::REQUEST_BUDGET,
    pepper::Peppers,
};

const ENABLED: &str = "enabled";
const CREATED: &str = "created";
const REVOKED: &str = "revoked";
const SCOPES: &str = "scopes";

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Organisation {
    /// Its name.
    pub org: Org,
    /// Whether SCIM is enabled.
    pub enabled: bool,
    /// When it was created.
    pub created: String,
}

/// An API key as it is stored: everything but the key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct KeyRecord {
    /// Its id.
    pub id: String,
    /// The operations that it permits.
    pub scopes: BTreeSet<Scope>,
    /// When it was created.
    pub created: String,
    /// When it was revoked, if it has been.
    pub revoked: Option<String>,
}

/// A key that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedKey {
    /// Its id, if the store has the key: then the client has proven the organisation.
    pub id: Option<String>,
    /// Why it is refused.
    pub refusal: Refusal,
}

impl Store {
    /// Creates an organisation with SCIM enabled. Returns `false` if it exists already.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn create_org(&self, org: &Org) -> Result<bool, Error> {
        let item = Item::from([
            (ENABLED.to_owned(), AttributeValue::Bool(true)),
            (CREATED.to_owned(), string(&self.clock.timestamp()?)),
        ]);
        let mut transaction = Transaction::new();
        transaction.put(Keys::settings(org), item, Condition::absent(), ());
        Ok(transaction.send(&operator_table(self)).await?.is_ok())
    }

    /// Returns every organisation, sorted by name.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn orgs(&self) -> Result<Vec<Organisation>, Error> {
        let mut orgs = Vec::new();
        for item in operator_table(self).scan_prefix(ORG_PREFIX).await? {
            if sort_key(&item)? == SETTINGS {
                orgs.push(Organisation::from_item(&item)?);
            }
        }
        orgs.sort_unstable_by(|a, b| a.org.cmp(&b.org));
        Ok(orgs)
    }

    /// Returns the organisation of that name.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn org(&self, org: &Org) -> Result<Option<Organisation>, Error> {
        operator_table(self)
            .get(&Keys::settings(org))
            .await?
            .as_ref()
            .map(Organisation::from_item)
            .transpose()
    }

    /// Enables or disables SCIM for an organisation. Returns `false` if the organisation does not exist.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn enable_org(&self, org: &Org, enabled: bool) -> Result<bool, Error> {
        let expression = format!("SET {ENABLED} = :enabled");
        let values = vec![(":enabled", AttributeValue::Bool(enabled))];
        let mut transaction = Transaction::new();
        transaction.update(Keys::settings(org), expression, values, Condition::exists(), ());
        Ok(transaction.send(&operator_table(self)).await?.is_ok())
    }

    /// Creates an API key. The key can be read from the returned value only: the table stores its digest.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`], [`Error::NotFound`] if the organisation does not exist.
    pub async fn create_key(
        &self,
        org: &Org,
        scopes: &BTreeSet<Scope>,
        peppers: &Peppers,
    ) -> Result<(ApiKey, KeyRecord), Error> {
        if self.org(org).await?.is_none() {
            return Err(Error::NotFound(format!("The organisation {org} does not exist.")));
        }
        let key = ApiKey::generate(org, &self.entropy)?;
        let digest = key.digest(&peppers.current);
        let created = self.clock.timestamp()?;
        let item = Item::from([
            (SCOPES.to_owned(), AttributeValue::Ss(scopes.iter().map(ToString::to_string).collect())),
            (CREATED.to_owned(), string(&created)),
        ]);
        let mut transaction = Transaction::new();
        transaction.put(Keys::api_key(org, &digest), item, Condition::absent(), ());
        if transaction.send(&operator_table(self)).await?.is_err() {
            return Err(Error::Internal("two API keys have the same digest".to_owned()));
        }
        Ok((key, KeyRecord { id: key_id(&digest), scopes: scopes.clone(), created, revoked: None }))
    }

    /// Returns the organisation's keys, oldest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn keys(&self, org: &Org) -> Result<Vec<KeyRecord>, Error> {
        let items = operator_table(self).query_all(KeyRange::all(&Keys::organisation(org))).await?;
        let mut keys = Vec::new();
        for item in &items {
            if let Some(digest) = sort_key(item)?.strip_prefix(KEY_PREFIX) {
                keys.push(KeyRecord::from_item(digest, item)?);
            }
        }
        keys.sort_unstable_by(|a, b| (&a.created, &a.id).cmp(&(&b.created, &b.id)));
        Ok(keys)
    }

    /// Revokes the key of that id. The next request with it fails. Returns `false` if the key does not exist.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Throttled`].
    pub async fn revoke_key(&self, org: &Org, id: &str) -> Result<bool, Error> {
        let table = operator_table(self);
        let items = table.query_all(KeyRange::all(&Keys::organisation(org))).await?;
        let of_id = |item: &&Item| {
            sort_key(item)
                .ok()
                .and_then(|sk| sk.strip_prefix(KEY_PREFIX))
                .is_some_and(|digest| key_id(digest) == id)
        };
        let Some(item) = items.iter().find(of_id) else { return Ok(false) };
        let key = Keys::organisation(org).key(sort_key(item)?);
        let expression = format!("SET {REVOKED} = if_not_exists({REVOKED}, :now)");
        let values = vec![(":now", string(&self.clock.timestamp()?))];
        let mut transaction = Transaction::new();
        transaction.update(key, expression, values, Condition::exists(), ());
        Ok(transaction.send(&table).await?.is_ok())
    }

    /// Authenticates a key. `deadline` is when the client stops waiting. A key is refused if it is unknown or revoked, or if
    /// SCIM is disabled for its organisation.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Throttled`] if DynamoDB does not answer: a client with a valid key never receives
    /// 401.
    pub async fn authenticate(
        &self,
        key: &ApiKey,
        peppers: &Peppers,
        deadline: Instant,
    ) -> Result<Result<Caller, RefusedKey>, Error> {
        let org = key.org();
        let candidates = [Some(&peppers.current), peppers.previous.as_ref()];
        let mut wanted: Vec<Key> =
            candidates.into_iter().flatten().map(|pepper| Keys::api_key(org, &key.digest(pepper))).collect();
        wanted.push(Keys::settings(org));
        let items = self.key_table(deadline).get_all(&wanted).await?;
        let mut record = None;
        let mut settings = None;
        for item in &items {
            match sort_key(item)?.strip_prefix(KEY_PREFIX) {
                Some(digest) => record = Some(KeyRecord::from_item(digest, item)?),
                None => settings = Some(Organisation::from_item(item)?),
            }
        }
        let refused = |id, refusal| Err(RefusedKey { id, refusal });
        Ok(match (record, settings) {
            (Some(KeyRecord { id, revoked: Some(_), .. }), _) => refused(Some(id), Refusal::Revoked),
            (Some(KeyRecord { id, .. }), Some(Organisation { enabled: false, .. })) => {
                refused(Some(id), Refusal::Off(org.as_str().to_owned()))
            }
            (Some(record), Some(_)) => Ok(Caller::new(org.clone(), record.id, record.scopes, deadline)),
            _ => refused(None, Refusal::Unknown),
        })
    }
}

impl Organisation {
    fn from_item(item: &Item) -> Result<Self, Error> {
        let damaged = || Error::Internal("the settings of an organisation cannot be read".to_owned());
        let name = text(item, PK)?.strip_prefix(ORG_PREFIX).ok_or_else(damaged)?;
        Ok(Self {
            org: Org::from_str(name).map_err(|_| damaged())?,
            enabled: item.get(ENABLED).and_then(|value| value.as_bool().ok()).copied().ok_or_else(damaged)?,
            created: text(item, CREATED)?.to_owned(),
        })
    }
}

impl KeyRecord {
    fn from_item(digest: &str, item: &Item) -> Result<Self, Error> {
        let damaged = || Error::Internal("an API key cannot be read".to_owned());
        let scopes = item.get(SCOPES).and_then(|value| value.as_ss().ok()).ok_or_else(damaged)?;
        Ok(Self {
            id: key_id(digest),
            scopes: scopes
                .iter()
                .map(|scope| scope.parse())
                .collect::<Result<_, _>>()
                .map_err(|_| damaged())?,
            created: text(item, CREATED)?.to_owned(),
            revoked: optional_text(item, REVOKED)?.map(str::to_owned),
        })
    }
}

/// Returns the table of keys for an operator, whose commands have no deadline of their own.
fn operator_table(store: &Store) -> Table {
    store.key_table(Instant::now() + REQUEST_BUDGET)
}

fn key_id(digest: &str) -> String {
    digest.chars().take(KEY_ID_DIGITS).collect()
}
